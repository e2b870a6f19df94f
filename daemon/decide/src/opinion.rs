//! What the model wrote, read into the answer's fields. What it may not say is left out and counted.

use crate::{
    event::{FormLine, Written},
    forbidden,
    rules::Fired,
};
use contract::{answer::*, reply::Section, words::Urgency};
use std::collections::BTreeMap;

pub(crate) type Form = BTreeMap<Section, Written>;

/// The lines of a section that a doctor may see, and why others were left out.
pub(crate) fn visible(lines: &[FormLine]) -> (Vec<Line>, Vec<Dropped>) {
    let mut kept = vec![];
    let mut dropped = vec![];
    for line in lines {
        // Judged as the doctor would see it: a control character must not hide a dose from the filter.
        let shown = Line::cut(&line.text);
        match forbidden::kind(&shown) {
            Some(kind) => dropped.push(kind),
            None => kept.push(shown),
        }
    }
    (kept, dropped)
}

#[derive(Default)]
pub(crate) struct Opinion {
    pub causes: Vec<Cause>,
    pub exclusions: Vec<Exclusion>,
    pub checks: Vec<Check>,
    pub cautions: Vec<Caution>,
    pub missing: Vec<Question>,
    /// All lines as they are shown, for what they name.
    pub lines: Vec<Line>,
    pub dropped: BTreeMap<Dropped, u32>,
}

impl Opinion {
    pub fn read(form: &Form) -> Self {
        let mut opinion = Self::default();
        for (section, written) in form {
            let (lines, dropped) = visible(&written.lines);
            dropped.into_iter().for_each(|kind| opinion.drop(kind));
            for line in lines {
                opinion.take(*section, &line);
                opinion.lines.push(line);
            }
        }
        opinion
    }

    /// `name：reason` or `name：reason；action`. A line without a name says nothing.
    fn take(&mut self, section: Section, line: &str) {
        let (name, rest) = split(line, [':', '：']);
        let (reason, action) = split(rest, [';', '；']);
        if name.is_empty() {
            return self.drop(Dropped::NoName);
        }
        let action = Some(action).filter(|a| !a.is_empty()).map(Line::cut);
        let (name, reason, rest) = (Line::cut(name), Line::cut(reason), Line::cut(rest));
        let origin = Origin::Model;
        match section {
            Section::PossibleCauses => self.causes.push(Cause { name, band: Band::Possible, because: rest }),
            Section::CannotExclude => self.exclusions.push(Exclusion {
                condition: name,
                icd10: None,
                because: reason,
                next_check: action,
                urgency: Urgency::Urgent,
                origin,
                rule: None,
            }),
            Section::SuggestedChecks => self.checks.push(Check { what: name, why: rest, origin, place: None }),
            Section::MedicationCautions => self.cautions.push(Caution {
                drug: name,
                risk: reason,
                action,
                origin,
                rule: None,
                urgency: None,
                because: None,
                icd10: None,
            }),
            Section::MissingInformation => self.missing.push(Question { question: name, why: rest, origin }),
        }
    }

    fn drop(&mut self, kind: Dropped) {
        *self.dropped.entry(kind).or_default() += 1;
    }

    /// What a rule names already need not be said twice.
    pub fn forget_exclusions_of(&mut self, fired: &Fired) {
        self.exclusions.retain(|own| !fired.exclusions.iter().any(|rule| rule.condition.contains(&*own.condition)));
    }
}

fn split(line: &str, at: [char; 2]) -> (&str, &str) {
    let (left, right) = line.split_once(at).unwrap_or((line, ""));
    (left.trim(), right.trim())
}
