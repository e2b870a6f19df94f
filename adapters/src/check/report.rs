//! The findings as a table for people: by line, then the set as a whole, then why it is refused.

use super::{Checked, Kind};
use crate::metadata::{Metadata, ReviewPlan};
use std::{collections::BTreeMap, fmt::Write};

/// Of one kind, unless all are asked for: more is not read anyway.
const SHOWN: usize = 10;

impl Checked {
    pub fn table(&self, metadata: &Metadata, all: bool) -> String {
        let mut out = String::new();
        let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
        for finding in &self.findings {
            let count = counts.entry(finding.kind).or_default();
            *count += 1;
            if !all && *count > SHOWN {
                continue;
            }
            let at = match (&finding.file, finding.line) {
                (Some(file), Some(line)) => format!("{file}:{line}: "),
                _ => String::new(),
            };
            let note = if finding.refuses { "" } else { "note: " };
            let _ = writeln!(out, "{at}{note}{}", finding.text);
        }
        for (kind, count) in counts.iter().filter(|(_, count)| !all && **count > SHOWN) {
            let _ = writeln!(out, "… and {} more of {kind:?} (--all shows them)", count - SHOWN);
        }
        let _ = writeln!(out, "\n{}: {} samples", metadata.name, self.samples);
        let _ = writeln!(
            out,
            "{:<16}{:>8}{:>9}{:>9}{:>10}{:>7}{:>6}{:>6}{:>10}{:>10}",
            "", "samples", "share", "planned", "reviewed", "pairs", "zh", "en", "pregnant", "topics"
        );
        for (name, of) in &self.departments.0 {
            let planned = metadata.shares.as_ref().and_then(|shares| shares.get(name));
            let planned = planned.map_or("-".to_owned(), |share| format!("{share} %"));
            let (topics, own) = (of.topics.len(), of.topics.len() + of.topics_missing.len());
            let topics = if own == 0 { "-".to_owned() } else { format!("{topics}/{own}") };
            let _ = writeln!(
                out,
                "{name:<16}{:>8}{:>7.1} %{planned:>9}{:>10}{:>7}{:>6}{:>6}{:>10}{topics:>10}",
                of.samples, of.share, of.reviewed, of.pairs, of.zh, of.en, of.covers.pregnant,
            );
        }
        if metadata.review == ReviewPlan::Demonstration {
            out.push_str("a demonstration: unreviewed samples pass, and the adapter will say so\n");
        }
        let faults = self.findings.iter().filter(|finding| finding.refuses).count();
        match faults {
            0 => out.push_str("may be taught\n"),
            _ => drop(writeln!(out, "REFUSED: {faults} faults ({})", kinds(self))),
        }
        out
    }
}

fn kinds(checked: &Checked) -> String {
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    checked.findings.iter().filter(|finding| finding.refuses).for_each(|it| *counts.entry(it.kind).or_default() += 1);
    let word = |kind: &Kind| serde_json::to_value(kind).ok().and_then(|word| word.as_str().map(str::to_owned));
    counts.iter().map(|(kind, n)| format!("{} {n}", word(kind).unwrap_or_default())).collect::<Vec<_>>().join(", ")
}
