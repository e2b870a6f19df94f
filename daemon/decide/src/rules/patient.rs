//! One case, read once: which findings it states and with which words, and what it says of age and pregnancy.

use super::{
    data::FindingText,
    negation,
    trigger::{Missing, Truth},
};
use contract::{
    case::{Age, AgeUnit, Case, FindingState, PregnancyStatus, Sex, Vitals},
    words::Bilingual,
};
use regex::Regex;
use std::collections::BTreeMap;

/// A finding with its phrases compiled.
pub struct Finding {
    pub label: Bilingual,
    phrases: Regex,
    unless: Option<Regex>,
    exposures: Vec<String>,
}

impl Finding {
    pub fn compile(text: FindingText) -> Result<Self, regex::Error> {
        let mut phrases = text.phrases_zh;
        if !text.phrases_en.is_empty() {
            // ASCII word bounds: a Chinese character beside an English word is no part of it.
            phrases.push(format!(r"(?-u:\b)(?:{})s?(?-u:\b)", text.phrases_en.join("|")));
        }
        let any = |patterns: &[String]| Regex::new(&format!("(?i){}", patterns.join("|")));
        Ok(Self {
            label: text.label,
            phrases: any(&phrases)?,
            unless: if text.unless.is_empty() { None } else { Some(any(&text.unless)?) },
            exposures: text.exposures,
        })
    }

    /// The words by which one of the clauses states this finding.
    fn stated<'c>(&self, clauses: &'c [String]) -> Option<&'c str> {
        clauses.iter().find_map(|clause| {
            self.phrases
                .find_iter(clause)
                .find(|said| !self.means_something_else(clause, said) && !negation::denied(clause, said.range()))
                .map(|said| said.as_str())
        })
    }

    fn means_something_else(&self, clause: &str, said: &regex::Match) -> bool {
        let Some(unless) = &self.unless else { return false };
        unless.find_iter(clause).any(|other| other.start() < said.end() && said.start() < other.end())
    }
}

pub struct Patient<'a> {
    pub age: Option<Age>,
    pub vitals: &'a Vitals,
    male: bool,
    pregnancy_coded: Option<PregnancyStatus>,
    /// Code → label and the words that stated it; no words where the tablet sent the code.
    found: BTreeMap<&'a str, (&'a Bilingual, String)>,
}

impl<'a> Patient<'a> {
    pub fn read(case: &'a Case, findings: &'a BTreeMap<String, Finding>) -> Self {
        let clauses = clauses(case);
        let found = findings
            .iter()
            .filter_map(|(code, finding)| {
                let words = words(case, code, finding, &clauses)?;
                Some((code.as_str(), (&finding.label, words)))
            })
            .collect();
        let pregnancy_coded = case.pregnancy.map(|p| p.status).filter(|s| *s != PregnancyStatus::Unknown);
        let expecting = matches!(pregnancy_coded, Some(PregnancyStatus::Pregnant | PregnancyStatus::Postpartum));
        Self {
            age: case.age,
            vitals: &case.vitals,
            // A coded pregnancy beats a coded "male": one of them is a slip, and this is the safe side.
            male: case.sex == Sex::Male && !expecting,
            pregnancy_coded,
            found,
        }
    }

    /// Label and words of a finding that the case states.
    pub fn found(&self, code: &str) -> Option<(&'a Bilingual, &str)> {
        self.found.get(code).map(|(label, words)| (*label, words.as_str()))
    }

    pub fn is_male(&self) -> bool {
        self.male
    }

    /// What is coded decides; then what the text says; then whether it is possible at all.
    pub fn pregnancy_is(&self, status: PregnancyStatus) -> Truth {
        let said = |status| self.found.contains_key(code_of(status));
        if let Some(coded) = self.pregnancy_coded {
            return Truth::from(coded == status);
        }
        if self.male {
            return Truth::No;
        }
        if said(status) {
            return Truth::Yes;
        }
        let said_otherwise = said(PregnancyStatus::Pregnant) || said(PregnancyStatus::Postpartum);
        if said_otherwise || !self.of_childbearing_age() {
            return Truth::No;
        }
        Truth::Unknown(Missing::Pregnancy)
    }

    /// 12 to 50 full years; an unknown age may be one of them.
    fn of_childbearing_age(&self) -> bool {
        self.age.is_none_or(|age| (12.0..51.0).contains(&age.years()))
    }
}

/// The finding that stands for a pregnancy status in free text.
pub fn code_of(status: PregnancyStatus) -> &'static str {
    match status {
        PregnancyStatus::Pregnant => "pregnant",
        PregnancyStatus::Postpartum => "postpartum",
        PregnancyStatus::NotPregnant => "not_pregnant",
        PregnancyStatus::Unknown => "pregnancy_unknown",
    }
}

/// The age as a line says it, in both languages.
pub fn age_said(age: Age) -> Bilingual {
    let value = age.value;
    match age.unit {
        AgeUnit::Day => Bilingual::new(format!("{value}天"), format!("age {value} days")),
        AgeUnit::Month => Bilingual::new(format!("{value}月龄"), format!("age {value} months")),
        AgeUnit::Year => Bilingual::new(format!("{value}岁"), format!("age {value}")),
    }
}

/// Everything that was written in words. Drugs count too: insulin tells of diabetes.
fn clauses(case: &Case) -> Vec<String> {
    let mut texts: Vec<&str> = vec![&case.complaint.text];
    texts.extend(case.complaint.duration.as_deref());
    texts.extend(case.history.as_deref());
    for items in [&case.conditions, &case.current_drugs].into_iter().flatten() {
        texts.extend(items.iter().map(|item| -> &str { item }));
    }
    texts.into_iter().flat_map(negation::clauses).collect()
}

/// How the case states a finding: by code (no words), by exposure, or in words.
/// A code beats the text, and "present" beats "absent" where a tablet sent both.
fn words(case: &Case, code: &str, finding: &Finding, clauses: &[String]) -> Option<String> {
    let coded = |state| case.findings.iter().any(|f| *f.code == *code && f.state == state);
    if coded(FindingState::Present) {
        return Some(String::new());
    }
    if coded(FindingState::Absent) {
        return None;
    }
    let exposures = case.exposures.as_deref().unwrap_or_default();
    if let Some(exposure) = exposures.iter().find(|e| finding.exposures.iter().any(|code| **code == ***e)) {
        return Some(exposure.to_string());
    }
    finding.stated(clauses).map(String::from)
}
