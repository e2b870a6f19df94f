//! Whether the same thing, said otherwise, is answered alike.
//!
//! Of each group with two or more answers: the most frequent pair of triage and first exclusion, and how many of the
//! answers have it. With two members it is never below a half: what a figure is worth depends on the groups' size.

use super::Judged;
use crate::evaluate::exam::Group;
use contract::{
    answer::{Answer, Exclusion},
    words::Triage,
};
use decide::rules::recall::Share;
use std::collections::BTreeMap;

pub struct Agreement<'a> {
    pub group: &'a Group,
    /// Members with the most frequent pair, of those with an answer.
    pub alike: Share,
    /// No member is of a held-out file.
    pub open: bool,
}

pub fn agreements<'a>(all: &[Judged<'a>]) -> Vec<Agreement<'a>> {
    let mut groups: BTreeMap<&Group, Vec<(&Judged, &Answer)>> = BTreeMap::new();
    for one in all {
        if let (Some(group), Some(answer)) = (&one.exam.group, one.answer()) {
            groups.entry(group).or_default().push((one, answer));
        }
    }
    let many = groups.into_iter().filter(|(_, members)| members.len() >= 2);
    many.map(|(group, members)| {
        let mut pairs: BTreeMap<(Triage, &str), u32> = BTreeMap::new();
        for (_, answer) in &members {
            *pairs.entry((answer.triage, key(&answer.cannot_exclude[0]))).or_default() += 1;
        }
        let hits = pairs.into_values().max().unwrap_or(0);
        let alike = Share { hits, of: members.len() as u32 };
        Agreement { group, alike, open: members.iter().all(|(one, _)| !one.exam.file.held_out) }
    })
    .collect()
}

/// An exclusion by what no language changes, where it has such a thing.
fn key(exclusion: &Exclusion) -> &str {
    let code = exclusion.rule.as_deref().or(exclusion.icd10.as_deref());
    code.unwrap_or(&exclusion.condition)
}

pub fn total(agreements: &[Agreement], stated: bool) -> Share {
    let of_kind = || agreements.iter().filter(|agreement| agreement.group.stated == stated);
    Share { hits: of_kind().map(|it| it.alike.hits).sum(), of: of_kind().map(|it| it.alike.of).sum() }
}
