//! When a rule fires: gates (age, sex), groups of atoms, and what silences it.
//!
//! ```text
//! trigger   all gates and all groups hold, one of `any_of` (if there are any), and nothing of `none`
//! group     one of its atoms holds
//! atom      chest_pain            the finding is stated
//!           v:sbp>=140  v:t_c<36  a vital sign was measured, and so
//!           a:>=65                the age in years
//!           p:pregnant            the pregnancy status is this
//! verdict   any "no" → silent;  else any "unknown" → waits, and asks;  else → fires
//! ```

use super::{
    patient::{Patient, age_said, code_of},
    vital::{Sign, VitalBound},
};
use contract::{
    answer::Line,
    case::{PregnancyStatus, Sex},
    words::Bilingual,
};
use serde::Deserialize;
use std::collections::BTreeSet;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    #[serde(default)]
    age: Option<AgeRange>,
    #[serde(default)]
    sex: Option<OneSex>,
    #[serde(default)]
    all: Vec<Vec<Atom>>,
    #[serde(default)]
    any_of: Vec<Alternative>,
    #[serde(default)]
    none: Vec<Atom>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Alternative {
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OneSex {
    Female,
    Male,
}

impl From<OneSex> for Sex {
    fn from(sex: OneSex) -> Self {
        match sex {
            OneSex::Female => Self::Female,
            OneSex::Male => Self::Male,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missing {
    Age,
    Sex,
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
        let truths: Vec<Truth> =
            self.gates(patient).chain(groups(&self.all, patient)).chain(self.alternatives(patient)).collect();
        let silenced = self.none.iter().any(|atom| atom.holds(patient) == Truth::Yes);
        if silenced || truths.contains(&Truth::No) {
            return Verdict::Silent;
        }
        let missing: BTreeSet<Missing> = truths
            .iter()
            .filter_map(|truth| if let Truth::Unknown(missing) = truth { Some(*missing) } else { None })
            .collect();
        // Whether she is pregnant asks for the sex as well.
        let missing: BTreeSet<Missing> = match missing.contains(&Missing::Pregnancy) {
            true => missing.into_iter().filter(|one| *one != Missing::Sex).collect(),
            false => missing,
        };
        if missing.is_empty() { Verdict::Fires(self.evidence(patient)) } else { Verdict::Waits(missing) }
    }

    /// The codes that this rule needs in `findings.json`.
    pub fn findings(&self) -> impl Iterator<Item = &str> {
        self.atoms().chain(&self.none).filter_map(|atom| match atom {
            Atom::Finding(code) => Some(code.as_str()),
            Atom::Vital(_) | Atom::Pregnancy(_) | Atom::Age(_) => None,
        })
    }

    #[cfg(test)]
    pub fn is_for_women(&self) -> bool {
        self.sex == Some(OneSex::Female)
    }

    /// Without one it would fire for everybody in its range.
    pub fn is_empty(&self) -> bool {
        self.atoms().next().is_none()
    }

    fn atoms(&self) -> impl Iterator<Item = &Atom> {
        self.all.iter().chain(self.any_of.iter().flat_map(|one| &one.all)).flatten()
    }

    fn gates(&self, patient: &Patient) -> impl Iterator<Item = Truth> {
        let age = self.age.as_ref().map(|range| match patient.age {
            None => Truth::Unknown(Missing::Age),
            Some(age) => Truth::from((range.from..range.below).contains(&age.years())),
        });
        let sex = self.sex.map(|sex| patient.sex_is(sex.into()));
        [age, sex].into_iter().flatten()
    }

    fn alternatives(&self, patient: &Patient) -> Option<Truth> {
        let each = self.any_of.iter().map(|one| every(groups(&one.all, patient)));
        (!self.any_of.is_empty()).then(|| any(each))
    }

    /// Everything that spoke for the rule, not only the first of each group; each thing once.
    fn evidence(&self, patient: &Patient) -> Vec<Evidence> {
        let atoms = self.atoms().filter_map(|atom| atom.evidence(patient));
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

fn groups(groups: &[Vec<Atom>], patient: &Patient) -> impl Iterator<Item = Truth> {
    groups.iter().map(|group| any(group.iter().map(|atom| atom.holds(patient))))
}

fn any(truths: impl Iterator<Item = Truth>) -> Truth {
    truths.fold(Truth::No, |sum, one| match (sum, one) {
        (Truth::Yes, _) | (_, Truth::Yes) => Truth::Yes,
        (Truth::Unknown(missing), _) | (_, Truth::Unknown(missing)) => Truth::Unknown(missing),
        (Truth::No, Truth::No) => Truth::No,
    })
}

fn every(truths: impl Iterator<Item = Truth>) -> Truth {
    truths.fold(Truth::Yes, |sum, one| match (sum, one) {
        (Truth::No, _) | (_, Truth::No) => Truth::No,
        (Truth::Unknown(missing), _) | (_, Truth::Unknown(missing)) => Truth::Unknown(missing),
        (Truth::Yes, Truth::Yes) => Truth::Yes,
    })
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
enum Atom {
    Finding(String),
    Vital(VitalBound),
    Pregnancy(PregnancyStatus),
    /// From so many years on.
    Age(f32),
}

impl TryFrom<String> for Atom {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        match (word.split_once(':'), word.as_str()) {
            (Some(("v", bound)), _) => {
                VitalBound::parse(bound).map(Self::Vital).ok_or(format!("no vital sign: {word}"))
            }
            (Some(("a", bound)), _) => {
                let years = bound.strip_prefix(">=").and_then(|years| years.parse().ok());
                years.map(Self::Age).ok_or(format!("no age: {word}"))
            }
            (_, "p:pregnant") => Ok(Self::Pregnancy(PregnancyStatus::Pregnant)),
            (_, "p:postpartum") => Ok(Self::Pregnancy(PregnancyStatus::Postpartum)),
            (Some(_), _) => Err(format!("no such atom: {word}")),
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
            Self::Vital(bound) => Truth::from(patient.measured(bound).is_some()),
            Self::Pregnancy(status) => patient.pregnancy_is(*status),
            Self::Age(from) => match patient.age {
                None => Truth::Unknown(Missing::Age),
                Some(age) => Truth::from(age.years() >= *from),
            },
        }
    }

    fn evidence(&self, patient: &Patient) -> Option<Evidence> {
        match self {
            Self::Finding(code) => stated(code, patient),
            Self::Vital(bound) => {
                let (value, words) = patient.measured(bound)?;
                let Sign { code, zh, en, .. } = bound.sign;
                // From the text: with the words, so that a doctor sees what was taken for a measurement.
                let from = words.map(|words| format!(" ({words})")).unwrap_or_default();
                let value = (value * 10.0).round() / 10.0;
                Some(Evidence {
                    because: Line::cut(&format!("{code} {value}{from}")),
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
            Self::Age(from) => patient.age.filter(|age| age.years() >= *from).map(|age| {
                let said = age_said(age);
                Evidence { because: Line::cut(&said.en), label: said }
            }),
        }
    }
}

fn stated(code: &str, patient: &Patient) -> Option<Evidence> {
    let (label, words) = patient.found(code)?;
    let because = if words.is_empty() { code.into() } else { format!("{code}: {words}") };
    Some(Evidence { because: Line::cut(&because), label: label.clone() })
}
