//! `adapterctl check`: whether a data set may be taught. What it does not like it refuses, with file and line.
//!
//! ```text
//! lines ─┬─ each by itself   check/each.rs     review, exclusions, identifiers, licence, form
//!        ├─ against others   near.rs           duplicates, leaks into the held-out part
//!        └─ all together     check/balance.rs  shares of departments, red-flag topics
//! ```
//! A fault refuses the set. A remark is something that its owner should know, and that no rule decides.

mod balance;
mod each;
mod report;

use crate::{
    dataset::{Dataset, LineFault, Place},
    metadata::Metadata,
    near,
};
use balance::Balance;
use clap::Args;
use serde::Serialize;
use std::{collections::HashMap, path::PathBuf, process::ExitCode};

/// Two questions that are the same but for a few words teach the second one nothing, and count twice.
const DUPLICATE: f64 = 0.7;
/// So much of a held-out question in a taught one, and the examination has been seen before.
pub const LEAK: f64 = 0.5;

/// Checks a data set: review, exclusions, identifiers, licence, duplicates, shares of departments, red-flag topics.
///
/// Exit status: 0 when it may be taught, 1 when it is refused.
#[derive(Args)]
pub struct Check {
    /// JSONL files, or folders of them.
    #[arg(required = true)]
    data: Vec<PathBuf>,
    /// What the set says of itself: licences, whether it is reviewed, planned shares (YAML; adapters/README.md).
    #[arg(long, value_name = "FILE")]
    metadata: PathBuf,
    /// Samples that may not be taught, nor anything like them.
    #[arg(long, value_name = "FILE")]
    held_out: Vec<PathBuf>,
    /// As JSON: {"findings": [...], "departments": {...}}.
    #[arg(long)]
    json: bool,
    /// Shows every finding; otherwise the first of each kind.
    #[arg(long)]
    all: bool,
}

/// Why a set is refused, or what should be known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Unreadable,
    MissingDepartment,
    Unreviewed,
    NoExclusion,
    ExclusionRepeatsCause,
    BrokenForm,
    ForbiddenLine,
    IdentifiesSomebody,
    NotDeidentified,
    License,
    IdTwice,
    Duplicate,
    Leak,
    TooLong,
    Share,
    ThinDepartment,
    TopicMissing,
    Rejected,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// None: of the set as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    pub kind: Kind,
    pub refuses: bool,
    pub text: String,
    #[serde(skip)]
    place: Option<Place>,
}

impl Finding {
    pub fn fault(place: Option<Place>, kind: Kind, text: impl Into<String>) -> Self {
        Self { file: None, line: None, kind, refuses: true, text: text.into(), place }
    }
    pub fn remark(place: Option<Place>, kind: Kind, text: impl Into<String>) -> Self {
        Self { refuses: false, ..Self::fault(place, kind, text) }
    }
}

/// What was found in a set, in the order of its lines.
#[derive(Debug, Serialize)]
pub struct Checked {
    pub findings: Vec<Finding>,
    pub samples: usize,
    pub departments: Balance,
}

impl Checked {
    pub fn refused(&self) -> bool {
        self.findings.iter().any(|finding| finding.refuses)
    }
}

/// `held_out`: samples beside the set, which nothing in it may resemble.
pub fn check(set: &Dataset, held_out: Option<&Dataset>, metadata: &Metadata) -> Checked {
    let mut findings: Vec<Finding> = set.unread.iter().map(unread).collect();
    for line in &set.lines {
        each::check(line, metadata, &mut |finding| findings.push(finding));
    }
    ids_twice(set, &mut findings);
    duplicates(set, &mut findings);
    if let Some(held_out) = held_out {
        leaks(set, held_out, &mut findings);
    }
    let departments = Balance::of(set);
    departments.check(metadata, &mut findings);
    findings.sort_by_key(|finding| (finding.place.is_none(), finding.place, finding.kind));
    for finding in &mut findings {
        finding.line = finding.place.map(|place| place.line);
        finding.file = finding.place.map(|place| set.files[place.file].display().to_string());
    }
    Checked { findings, samples: set.lines.len() + set.unread.len(), departments }
}

fn unread(unread: &crate::dataset::Unread) -> Finding {
    let kind = match unread.fault {
        LineFault::NoDepartment => Kind::MissingDepartment,
        LineFault::Plain | LineFault::Other(_) => Kind::Unreadable,
    };
    Finding::fault(Some(unread.place), kind, unread.fault.to_string())
}

fn ids_twice(set: &Dataset, findings: &mut Vec<Finding>) {
    let mut first: HashMap<&str, Place> = HashMap::new();
    for line in &set.lines {
        let id = line.lesson.id();
        match first.get(id) {
            Some(other) => findings.push(Finding::fault(
                Some(line.place),
                Kind::IdTwice,
                format!("id {id:?} stands in {} already", set.at(*other)),
            )),
            None => drop(first.insert(id, line.place)),
        }
    }
}

fn duplicates(set: &Dataset, findings: &mut Vec<Finding>) {
    let sets: Vec<near::Grams> = set.lines.iter().map(|line| near::grams(&line.lesson.question())).collect();
    let mut told = vec![false; sets.len()];
    for pair in near::pairs(&sets, DUPLICATE) {
        if !std::mem::replace(&mut told[pair.second], true) {
            let text = format!(
                "the question of {} again (3-grams alike by {:.2})",
                set.at(set.lines[pair.first].place),
                pair.jaccard
            );
            findings.push(Finding::fault(Some(set.lines[pair.second].place), Kind::Duplicate, text));
        }
    }
}

fn leaks(set: &Dataset, held_out: &Dataset, findings: &mut Vec<Finding>) {
    let of = |set: &Dataset| set.lines.iter().map(|line| near::grams(&line.lesson.question())).collect::<Vec<_>>();
    let mut sets = of(held_out);
    let held = sets.len();
    sets.extend(of(set));
    for pair in near::pairs(&sets, LEAK).into_iter().filter(|pair| pair.first < held && pair.second >= held) {
        let at = held_out.at(held_out.lines[pair.first].place);
        let text = format!("held-out {at} in other words (3-grams alike by {:.2})", pair.jaccard);
        findings.push(Finding::fault(Some(set.lines[pair.second - held].place), Kind::Leak, text));
    }
}

impl Check {
    pub fn run(&self) -> Result<ExitCode, String> {
        let metadata = Metadata::read(&self.metadata)?;
        let set = Dataset::read(&self.data)?;
        let held_out = match self.held_out.is_empty() {
            true => None,
            false => Some(Dataset::read(&self.held_out)?.whole()?),
        };
        let checked = check(&set, held_out.as_ref(), &metadata);
        match self.json {
            true => println!("{}", serde_json::to_string_pretty(&checked).map_err(|e| e.to_string())?),
            false => print!("{}", checked.table(&metadata, self.all)),
        }
        Ok(if checked.refused() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

#[cfg(test)]
mod tests;
