//! The answer from its three sources: rules, the model's form, and what always holds.
//! Nothing of the model's can remove or lower what a rule said.

use crate::{
    event::{FillFacts, FormLine, Written},
    forbidden::is_forbidden,
    rules::{Fired, RuleSet},
    state::{Config, Job, Now, Phase},
};
use contract::{answer::*, bounded::List, ids::*, limits::CAUSES_MAX, reply::Section, words::*};
use std::collections::{BTreeMap, BTreeSet};

type Form = BTreeMap<Section, Written>;

/// The lines of a section that a doctor may see, and how many were left out.
pub(crate) fn visible(lines: &[FormLine]) -> (Vec<Line>, u32) {
    // Judged as the doctor would see it: a control character must not hide a dose from the filter.
    let kept: Vec<Line> = lines.iter().map(|line| Line::cut(&line.text)).filter(|line| !is_forbidden(line)).collect();
    let dropped = (lines.len() - kept.len()) as u32;
    (kept, dropped)
}

pub(crate) fn assemble(
    config: &Config,
    id: RequestId,
    job: &Job,
    facts: FillFacts,
    mut degraded: BTreeSet<Degraded>,
    now: Now,
) -> Answer {
    let lang = job.consult.lang;
    let department = crate::department::of(&job.consult);
    let adapter = config.departments.get(&department);
    let rules = RuleSet::builtin();
    let fired = rules.check(&job.consult.case, lang);

    let nothing = Form::new();
    let (form, began_ms, first_section_ms) = match &job.phase {
        Phase::Running { form, began_ms, first_section_ms } => (form, Some(*began_ms), *first_section_ms),
        Phase::Waiting => (&nothing, None, None),
    };
    let mut model = Model::read(form);
    model.forget_exclusions_of(&fired);

    let spoken = !form.is_empty();
    if adapter.is_none() {
        degraded.insert(Degraded::NoAdapter);
    }
    // A form that came back with nothing in it is as incomplete as half a form; where the reason is known, it is enough.
    let expected = spoken || degraded.is_empty();
    let finished = |section| form.get(section).is_some_and(|written| written.complete);
    if expected && (model.causes.is_empty() || !Section::ALL.iter().all(finished)) {
        degraded.insert(Degraded::FormIncomplete);
    }
    if config.scripted {
        degraded.insert(Degraded::ScriptedEngine);
    }
    if facts.case_cut {
        degraded.insert(Degraded::CaseCut);
    }
    let abstained = match (adapter, model.causes.is_empty()) {
        (None, _) => Some(AbstainReason::UnsupportedDepartment),
        (_, true) => Some(AbstainReason::NoModelOpinion),
        _ => None,
    };

    Answer {
        v: V1,
        kind: AnswerType::Word,
        id,
        lang,
        triage: fired.triage,
        cannot_exclude: cannot_exclude(&fired, &model, rules.standing(&department, lang)),
        possible_causes: causes(&model, &fired),
        suggested_checks: checks(&fired, &model, lang),
        medication_cautions: List::take_from(model.cautions),
        missing_information: List::take_from(fired.ask.into_iter().chain(model.missing)),
        red_flags: fired.red_flags,
        abstained: abstained.map(|reason| Abstained { reason }),
        uncertainty: uncertainty(form, config.scripted),
        provenance: Provenance {
            box_name: config.box_name.clone(),
            daemon: config.daemon.clone(),
            base_sha256: config.base_sha256.clone().filter(|_| spoken),
            adapter: adapter.cloned().filter(|_| spoken),
            rules: rules.reference(),
            degraded: degraded.into_iter().collect(),
            department_hint: crate::department::hint(config, &job.consult, &facts.scores),
            lines_dropped: model.dropped,
            timings: Timings {
                queued_ms: began_ms.unwrap_or(now.mono_ms).saturating_sub(job.accepted_ms),
                first_section_ms,
                total_ms: now.mono_ms.saturating_sub(job.accepted_ms),
                tokens_read: facts.tokens_read,
                tokens_written: facts.tokens_written,
            },
            at_unix_s: now.unix_s,
        },
        department,
        disclaimer: Disclaimer,
        ai_label: AiLabel,
        review: Review { state: ReviewVerdict::Draft },
        patient_text: None,
        audit: None,
        sig: None,
    }
}

/// Rules first, then the model; the department's own standing exclusion where both are silent.
fn cannot_exclude(fired: &Fired, model: &Model, standing: Exclusion) -> AtLeastOne<Exclusion> {
    let named: Vec<Exclusion> = fired.exclusions.iter().chain(&model.exclusions).cloned().collect();
    AtLeastOne::from_vec(named).unwrap_or_else(|| AtLeastOne::new(standing, []))
}

fn causes(model: &Model, fired: &Fired) -> List<Cause, CAUSES_MAX> {
    let dangerous = |name: &str| {
        let same = |known: &str| name.contains(known) || known.contains(name);
        fired.red_flags.iter().flat_map(|flag| &flag.must_not_miss).any(|d| same(&d.name.zh) || same(&d.name.en))
    };
    List::take_from(model.causes.iter().cloned().map(|cause| {
        let band = if dangerous(&cause.name) { Band::MustNotMiss } else { Band::Possible };
        Cause { band, ..cause }
    }))
}

fn checks(fired: &Fired, model: &Model, lang: Lang) -> Lines<Check> {
    let by_rules = fired.red_flags.iter().flat_map(|flag| {
        flag.checks.iter().map(move |check| Check {
            what: Line::cut(word(&check.name, lang)),
            why: Line::cut(word(&flag.title, lang)),
            origin: Origin::Rule,
        })
    });
    let mut seen = BTreeSet::new();
    List::take_from(by_rules.chain(model.checks.iter().cloned()).filter(|c| seen.insert(c.what.clone())))
}

fn word(text: &Bilingual, lang: Lang) -> &str {
    match lang {
        Lang::Zh => &text.zh,
        Lang::En => &text.en,
    }
}

/// Below this mean log-probability the model was guessing. Chosen on the demonstration data, not calibrated.
const GUESSING_BELOW: f32 = -0.8;

fn uncertainty(form: &Form, scripted: bool) -> Uncertainty {
    let all: Vec<f32> = form.values().flat_map(|written| &written.lines).map(|line| line.logprob).collect();
    if all.is_empty() {
        return Uncertainty { level: UncertaintyLevel::High, basis: UncertaintyBasis::RulesOnly, mean_logprob: None };
    }
    let mean = all.iter().sum::<f32>() / all.len() as f32;
    let (level, basis) = match (scripted, mean < GUESSING_BELOW) {
        (true, _) => (UncertaintyLevel::High, UncertaintyBasis::Scripted),
        (_, true) => (UncertaintyLevel::High, UncertaintyBasis::UncalibratedLogprob),
        _ => (UncertaintyLevel::Moderate, UncertaintyBasis::UncalibratedLogprob),
    };
    Uncertainty { level, basis, mean_logprob: Some(mean) }
}

/// The form's lines, read into fields.
#[derive(Default)]
struct Model {
    causes: Vec<Cause>,
    exclusions: Vec<Exclusion>,
    checks: Vec<Check>,
    cautions: Vec<Caution>,
    missing: Vec<Question>,
    dropped: u32,
}

impl Model {
    fn read(form: &Form) -> Self {
        let mut model = Self::default();
        for (section, written) in form {
            let (lines, dropped) = visible(&written.lines);
            model.dropped += dropped;
            for line in lines {
                model.take(*section, &line);
            }
        }
        model
    }

    /// `name：reason` or `name：reason；action`. A line without a name says nothing.
    fn take(&mut self, section: Section, line: &str) {
        let (name, rest) = split(line, [':', '：']);
        let (reason, action) = split(rest, [';', '；']);
        if name.is_empty() {
            self.dropped += 1;
            return;
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
            Section::SuggestedChecks => self.checks.push(Check { what: name, why: rest, origin }),
            Section::MedicationCautions => self.cautions.push(Caution { drug: name, risk: reason, action, origin }),
            Section::MissingInformation => self.missing.push(Question { question: name, why: rest, origin }),
        }
    }

    /// What a rule names already need not be said twice.
    fn forget_exclusions_of(&mut self, fired: &Fired) {
        self.exclusions.retain(|own| !fired.exclusions.iter().any(|rule| rule.condition.contains(&*own.condition)));
    }
}

fn split(line: &str, at: [char; 2]) -> (&str, &str) {
    let (left, right) = line.split_once(at).unwrap_or((line, ""));
    (left.trim(), right.trim())
}
