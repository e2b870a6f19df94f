//! How many dangers a rule set sees: cases whose rule is known, put to the set with and without what a tablet codes.
//!
//! ```text
//! a line   {"rule": "RF001", "lang": "zh", "age": …, "sex": …, "pregnancy": …, "text": …, "findings": […], "vitals": {…}}
//! benign   the same with "rule": null: nothing should be red
//! ```
//! `adapters/rules/paraphrases.jsonl` was open to who wrote the phrases; `paraphrases-held-out.jsonl` was not.

use super::RuleSet;
use contract::{
    bounded::{List, Text},
    case::{Age, Case, Complaint, Finding, FindingCode, FindingState, Pregnancy, Sex, Vitals},
    ids::Lang,
    words::Triage,
};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paraphrase {
    pub rule: Option<String>,
    pub lang: Lang,
    #[serde(default)]
    age: Option<Age>,
    #[serde(default)]
    sex: Option<Sex>,
    #[serde(default)]
    pregnancy: Option<Pregnancy>,
    pub text: String,
    #[serde(default)]
    findings: Vec<String>,
    #[serde(default)]
    vitals: Vitals,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Text, age, sex and pregnancy: what the doctor types, and what every tablet asks first.
    Text,
    /// The coded findings and the vital signs as well.
    Coded,
}

/// So many of so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    pub hits: u32,
    pub of: u32,
}

#[derive(Debug, Default)]
pub struct Recall {
    /// Of each rule: its cases for which it fired.
    pub rules: BTreeMap<String, Share>,
    /// Of the cases with a rule: those for which any rule was red or yellow.
    pub any_alert: Share,
    pub benign_red: Share,
    pub benign_yellow: Share,
}

impl Share {
    pub fn count(&mut self, hit: bool) {
        self.hits += u32::from(hit);
        self.of += 1;
    }

    pub fn share(self) -> f64 {
        if self.of == 0 { 0.0 } else { f64::from(self.hits) / f64::from(self.of) }
    }

    /// Wilson's interval at 95 %: it holds for few cases and for shares near one.
    pub fn wilson(self) -> (f64, f64) {
        if self.of == 0 {
            return (0.0, 1.0);
        }
        const Z: f64 = 1.96;
        let (n, p) = (f64::from(self.of), self.share());
        let middle = p + Z * Z / (2.0 * n);
        let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        (((middle - half) / scale).max(0.0), ((middle + half) / scale).min(1.0))
    }
}

impl Recall {
    pub fn of(set: &RuleSet, lines: &[Paraphrase], told: Told) -> Self {
        let mut recall = Self::default();
        for line in lines {
            let fired = set.check(&line.case(told), line.lang);
            match &line.rule {
                Some(rule) => {
                    let hit = fired.red_flags.iter().any(|flag| flag.rule == *rule);
                    recall.rules.entry(rule.clone()).or_default().count(hit);
                    recall.any_alert.count(fired.triage > Triage::Green);
                }
                None => {
                    recall.benign_red.count(fired.triage == Triage::Red);
                    recall.benign_yellow.count(fired.triage == Triage::Yellow);
                }
            }
        }
        recall
    }

    pub fn total(&self) -> Share {
        let sum = |of: fn(&Share) -> u32| self.rules.values().map(of).sum();
        Share { hits: sum(|s| s.hits), of: sum(|s| s.of) }
    }

    /// The rules that missed most, the worst first.
    pub fn weakest(&self) -> Vec<(&str, Share)> {
        let mut rules: Vec<_> = self.rules.iter().map(|(rule, share)| (rule.as_str(), *share)).collect();
        rules.sort_by(|(a, x), (b, y)| x.share().total_cmp(&y.share()).then(a.cmp(b)));
        rules
    }
}

impl Paraphrase {
    pub fn case(&self, told: Told) -> Case {
        let coded = told == Told::Coded;
        let finding = |code: &String| Some(Finding { code: FindingCode::new(code)?, state: FindingState::Present });
        let findings = self.findings.iter().filter(|_| coded).filter_map(finding);
        Case {
            age: self.age,
            sex: self.sex.unwrap_or_default(),
            pregnancy: self.pregnancy,
            complaint: Complaint { text: Text::cut(&self.text), duration: None },
            findings: List::take_from(findings),
            vitals: if coded { self.vitals } else { Vitals::default() },
            ..Case::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilsons_interval_is_the_known_one() {
        let (from, to) = Share { hits: 8, of: 10 }.wilson();
        assert!((from - 0.490).abs() < 0.001 && (to - 0.943).abs() < 0.001, "{from} {to}");
        assert_eq!(Share::default().wilson(), (0.0, 1.0));
    }
}
