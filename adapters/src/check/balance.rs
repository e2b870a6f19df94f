//! Departments beside each other: how many samples each has, and which of its dangers none of them shows.

use super::{Finding, Kind};
use crate::{dataset::Dataset, metadata::Metadata};
use contract::{ids::Lang, manifest::Covers};
use decide::rules::RuleSet;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

/// Points of a percentage that a share may be off its plan.
const OFF_PLAN_MAX: f64 = 2.0;
/// Below it a department is in the set by name only.
const THIN: f64 = 5.0;

/// The red flags that a department's samples should show, by rule.
static TOPICS: LazyLock<BTreeMap<String, Vec<String>>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../topics.json")).expect("a test reads it"));

#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Balance(pub BTreeMap<String, Of>);

/// What a set has of one department, or of one task.
#[derive(Debug, Default, Serialize)]
pub struct Of {
    pub samples: usize,
    /// Percent of the set.
    pub share: f64,
    pub reviewed: usize,
    pub pairs: usize,
    pub zh: usize,
    pub en: usize,
    pub covers: Covers,
    /// Rules that fire on some sample, of those that belong to the department.
    pub topics: BTreeSet<String>,
    pub topics_missing: Vec<String>,
}

impl Balance {
    pub fn of(set: &Dataset) -> Self {
        let mut all: BTreeMap<String, Of> = BTreeMap::new();
        let mut cases: BTreeMap<String, Vec<(Lang, &contract::case::Case)>> = BTreeMap::new();
        let rules = RuleSet::builtin();
        for line in &set.lines {
            let of = all.entry(line.lesson.group().to_owned()).or_default();
            of.samples += 1;
            of.reviewed += usize::from(line.lesson.is_reviewed());
            match line.lesson.lang() {
                Lang::Zh => of.zh += 1,
                Lang::En => of.en += 1,
            }
            if let Some(sample) = line.lesson.consult() {
                of.pairs += usize::from(sample.rejected.is_some());
                of.topics.extend(
                    rules.check(&sample.case, sample.lang).red_flags.into_iter().map(|flag| flag.rule.to_string()),
                );
                cases.entry(line.lesson.group().to_owned()).or_default().push((sample.lang, &sample.case));
            }
        }
        for (name, of) in &mut all {
            of.share = 100.0 * of.samples as f64 / set.lines.len() as f64;
            of.covers = Covers::of(cases.remove(name).unwrap_or_default());
            let own = TOPICS.get(name).map_or(&[][..], Vec::as_slice);
            of.topics_missing = own.iter().filter(|rule| !of.topics.contains(*rule)).cloned().collect();
            of.topics.retain(|rule| own.contains(rule));
        }
        Self(all)
    }

    pub fn check(&self, metadata: &Metadata, findings: &mut Vec<Finding>) {
        let of_all = |kind, text| Finding::fault(None, kind, text);
        for (name, of) in &self.0 {
            if of.share < THIN {
                let text = format!(
                    "{name}: {} samples, {:.1} % of the set; below {THIN} % it is not learnt but forgotten",
                    of.samples, of.share
                );
                findings.push(of_all(Kind::ThinDepartment, text));
            }
            if !of.topics_missing.is_empty() {
                let text = format!("{name}: no sample shows {}", named(&of.topics_missing));
                let finding = of_all(Kind::TopicMissing, text);
                findings.push(Finding { refuses: metadata.topics_required, ..finding });
            }
        }
        for (name, planned) in metadata.shares.iter().flatten() {
            let there = self.0.get(name).map_or(0.0, |of| of.share);
            if (there - planned).abs() > OFF_PLAN_MAX {
                let text = format!("{name}: {there:.1} % of the samples, planned are {planned} (±{OFF_PLAN_MAX})");
                findings.push(of_all(Kind::Share, text));
            }
        }
        if let Some(shares) = &metadata.shares {
            for name in self.0.keys().filter(|name| !shares.contains_key(*name)) {
                findings.push(of_all(Kind::Share, format!("{name}: not in the plan of shares")));
            }
        }
    }
}

/// Rules with what they are about.
fn named(rules: &[String]) -> String {
    let titles = RuleSet::builtin();
    let one = |rule: &String| titles.title(rule).map_or(rule.clone(), |title| format!("{rule} ({title})"));
    rules.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_is_a_rule() {
        let rules = RuleSet::builtin();
        for rule in TOPICS.values().flatten() {
            assert!(rules.ids().any(|id| id == rule), "{rule}");
        }
    }
}
