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
pub mod length;
mod report;

use crate::{
    dataset::{Dataset, LineFault, Place},
    gate::EngineArgs,
    metadata::Metadata,
    near,
    render::Renderer,
};
use balance::Balance;
use clap::Args;
use engine::prompt::PromptFormat;
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
    /// Also finds what a training would cut: by the tokenizer of this base model, a GGUF file.
    #[arg(long, value_name = "FILE", requires = "max_seq_length")]
    base: Option<PathBuf>,
    #[arg(long, value_name = "TOKENS")]
    max_seq_length: Option<u32>,
    #[arg(long, default_value = "plain", value_parser = crate::prompt_format)]
    format: PromptFormat,
    /// The form of a task other than the consultation.
    #[arg(long, value_name = "FILE")]
    form: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArgs,
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
    /// In the order of the lines, those of the whole set last.
    fn take(&mut self, set: &Dataset, findings: Vec<Finding>) {
        self.findings.extend(findings);
        self.findings.sort_by_key(|finding| (finding.place.is_none(), finding.place, finding.kind));
        for finding in &mut self.findings {
            finding.line = finding.place.map(|place| place.line);
            finding.file = finding.place.map(|place| set.files[place.file].display().to_string());
        }
    }

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
    let mut checked = Checked { findings: Vec::new(), samples: set.lines.len() + set.unread.len(), departments };
    checked.take(set, findings);
    checked
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
    let mut told = vec![false; set.lines.len()];
    for pair in near::pairs(&set.grams(), DUPLICATE) {
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
    let mut sets = held_out.grams();
    let held = sets.len();
    sets.extend(set.grams());
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
        let mut checked = check(&set, held_out.as_ref(), &metadata);
        if let (Some(base), Some(tokens_max)) = (&self.base, self.max_seq_length) {
            let renderer = Renderer::new(self.format, self.form.as_deref())?;
            let lines: Vec<_> = set.lines.iter().collect();
            checked.take(&set, length::of(&set, &lines, &renderer, base, &self.engine, tokens_max)?.findings);
        }
        match self.json {
            true => println!("{}", serde_json::to_string_pretty(&checked).map_err(|e| e.to_string())?),
            false => print!("{}", checked.table(&metadata, self.all)),
        }
        Ok(if checked.refused() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

#[cfg(test)]
mod tests;
