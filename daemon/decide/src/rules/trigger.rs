//! When a rule fires: gates (age, sex) and groups of atoms. All gates and all groups must hold;
//! in a group one atom is enough.
//!
//! ```text
//! atom      chest_pain            the finding is stated
//!           v:sbp>=140  v:t_c<36  a vital sign was measured, and so
//!           p:pregnant            the pregnancy status is this
//! verdict   any "no" → silent;  else any "unknown" → waits, and asks;  else → fires
//! ```

use super::{
    patient::{Patient, age_said, code_of},
    vital::{Sign, VitalBound},
};
use contract::{answer::Line, case::PregnancyStatus, words::Bilingual};
use serde::Deserialize;
use std::collections::BTreeSet;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    #[serde(default)]
    age: Option<AgeRange>,
    #[serde(default)]
    sex: Option<OnlyFemale>,
    all: Vec<Vec<Atom>>,
}

/// Years, the upper end not included: "under five" ends on the fifth birthday.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AgeRange {
    #[serde(default)]
    from: f32,
    #[serde(default = "no_upper_end")]
    below: f32,
}

fn no_upper_end() -> f32 {
    f32::INFINITY
}

/// Fails for a man only. An unknown sex passes, because every rule with this gate also needs
/// a pregnancy or a missed period, and those tell the sex; a test holds the rules to it.
#[derive(Debug, Deserialize)]
enum OnlyFemale {
    #[serde(rename = "female")]
    Female,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missing {
    Age,
    Pregnancy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    Yes,
    No,
    Unknown(Missing),
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

pub enum Verdict {
    Fires(Vec<Evidence>),
    Silent,
    Waits(BTreeSet<Missing>),
}

/// One thing in the case that made a rule fire: for the record, and as a doctor would say it.
#[derive(PartialEq)]
pub struct Evidence {
    pub because: Line,
    pub label: Bilingual,
}

impl Trigger {
    pub fn judge(&self, patient: &Patient) -> Verdict {
        let truths: Vec<Truth> = self.gates(patient).chain(self.groups(patient)).collect();
        if truths.contains(&Truth::No) {
            return Verdict::Silent;
        }
        let missing: BTreeSet<Missing> = truths
            .iter()
            .filter_map(|truth| if let Truth::Unknown(missing) = truth { Some(*missing) } else { None })
            .collect();
        if missing.is_empty() { Verdict::Fires(self.evidence(patient)) } else { Verdict::Waits(missing) }
    }

    /// The codes that this rule needs in `findings.json`.
    pub fn findings(&self) -> impl Iterator<Item = &str> {
        self.all.iter().flatten().filter_map(|atom| match atom {
            Atom::Finding(code) => Some(code.as_str()),
            Atom::Vital(_) | Atom::Pregnancy(_) => None,
        })
    }

    #[cfg(test)]
    pub fn is_for_women(&self) -> bool {
        self.sex.is_some()
    }

    fn gates(&self, patient: &Patient) -> impl Iterator<Item = Truth> {
        let age = self.age.as_ref().map(|range| match patient.age {
            None => Truth::Unknown(Missing::Age),
            Some(age) => Truth::from((range.from..range.below).contains(&age.years())),
        });
        let sex = self.sex.as_ref().map(|OnlyFemale::Female| Truth::from(!patient.is_male()));
        [age, sex].into_iter().flatten()
    }

    fn groups(&self, patient: &Patient) -> impl Iterator<Item = Truth> {
        self.all.iter().map(|group| any(group.iter().map(|atom| atom.holds(patient))))
    }

    /// Everything that spoke for the rule, not only the first of each group; each thing once.
    fn evidence(&self, patient: &Patient) -> Vec<Evidence> {
        let atoms = self.all.iter().flatten().filter_map(|atom| atom.evidence(patient));
        let age = self.age.as_ref().and(patient.age).map(|age| {
            let said = age_said(age);
            Evidence { because: Line::cut(&said.en), label: said }
        });
        let mut evidence: Vec<Evidence> = vec![];
        for one in atoms.chain(age) {
            if !evidence.contains(&one) {
                evidence.push(one);
            }
        }
        evidence
    }
}

fn any(truths: impl Iterator<Item = Truth>) -> Truth {
    truths.fold(Truth::No, |sum, one| match (sum, one) {
        (Truth::Yes, _) | (_, Truth::Yes) => Truth::Yes,
        (Truth::Unknown(missing), _) | (_, Truth::Unknown(missing)) => Truth::Unknown(missing),
        (Truth::No, Truth::No) => Truth::No,
    })
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
enum Atom {
    Finding(String),
    Vital(VitalBound),
    Pregnancy(PregnancyStatus),
}

impl TryFrom<String> for Atom {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        match (word.strip_prefix("v:"), word.as_str()) {
            (Some(bound), _) => VitalBound::parse(bound).map(Self::Vital).ok_or(format!("no vital sign: {word}")),
            (None, "p:pregnant") => Ok(Self::Pregnancy(PregnancyStatus::Pregnant)),
            (None, "p:postpartum") => Ok(Self::Pregnancy(PregnancyStatus::Postpartum)),
            (None, other) if other.contains(':') => Err(format!("no such atom: {word}")),
            (None, _) => Ok(Self::Finding(word)),
        }
    }
}

impl Atom {
    fn holds(&self, patient: &Patient) -> Truth {
        match self {
            Self::Finding(code) => Truth::from(patient.found(code).is_some()),
            // Not measured is a "no" here: a village clinic measures what it can, and asking for
            // every sign of every rule would bury the questions that matter.
            Self::Vital(bound) => Truth::from(bound.measured(patient.vitals).is_some()),
            Self::Pregnancy(status) => patient.pregnancy_is(*status),
        }
    }

    fn evidence(&self, patient: &Patient) -> Option<Evidence> {
        match self {
            Self::Finding(code) => stated(code, patient),
            Self::Vital(bound) => {
                let value = bound.measured(patient.vitals)?;
                let Sign { code, zh, en, .. } = bound.sign;
                Some(Evidence {
                    because: Line::cut(&format!("{code} {value}")),
                    label: Bilingual::new(format!("{zh} {value}"), format!("{en} {value}")),
                })
            }
            Self::Pregnancy(status) if patient.pregnancy_is(*status) == Truth::Yes => {
                let code = code_of(*status);
                stated(code, patient).or_else(|| {
                    let zh = if *status == PregnancyStatus::Pregnant { "妊娠" } else { "产后" };
                    Some(Evidence { because: Line::cut(code), label: Bilingual::new(zh, code) })
                })
            }
            Self::Pregnancy(_) => None,
        }
    }
}

fn stated(code: &str, patient: &Patient) -> Option<Evidence> {
    let (label, words) = patient.found(code)?;
    let because = if words.is_empty() { code.into() } else { format!("{code}: {words}") };
    Some(Evidence { because: Line::cut(&because), label: label.clone() })
}
