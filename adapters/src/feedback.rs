//! `adapterctl import-feedback`: what doctors made of the boxes' answers becomes training samples, once a second physician
//! has seen it.
//!
//! ```text
//! samples-….jsonl.age … ─ exports ─▶ lines ─ newest, scrub ─▶ candidates ─┬─▶ for-review.jsonl, for-review.html
//!                                   reviewed.jsonl ─ decisions ───────────┴─▶ feedback.jsonl, pairs.jsonl
//! ```
//! What is written follows from the exports and the decisions alone, whatever their order: each run is given all of
//! them, and writes its files anew. Each line ends in one [`Fate`], and all of them are counted.

mod decisions;
mod exports;
mod fate;
mod page;

use crate::{dataset::FOR_REVIEW, file};
use clap::Args;
use contract::sample::Sample;
use decisions::Decisions;
use fate::{Fate, Sorted};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
};

/// Pairs from which on preference training takes them (`train`): fewer teach the writing of a few doctors.
pub const PAIRS_MIN: usize = 200;

const FOR_REVIEW_PAGE: &str = "for-review.html";
const FEEDBACK: &str = "feedback.jsonl";
const PAIRS: &str = "pairs.jsonl";

/// Makes training samples of what `consultd export` wrote on boxes, and of what a second physician says to it.
///
/// Writes into DIR, always anew, so give all exports and all decisions each time: for-review.jsonl and for-review.html,
/// what awaits the second physician; with --reviewed also feedback.jsonl, to be taught, and pairs.jsonl, of those with a
/// before and an after. Prints what became of each line.
#[derive(Args)]
pub struct ImportFeedback {
    /// samples-<box>-<from>-<to>.jsonl.age, under the names that the boxes gave them: these say which is newer.
    #[arg(required = true, value_name = "EXPORT")]
    exports: Vec<PathBuf>,
    /// The region's key, as age-keygen writes it.
    #[arg(long, value_name = "KEYFILE")]
    identity: PathBuf,
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What the second physician decided, from for-review.html or by hand: {"id", "by", "verdict": "accepted", "edited" or
    /// "rejected", "completion"} a line. May be given several times.
    #[arg(long, value_name = "FILE")]
    reviewed: Vec<PathBuf>,
    /// How much of feedback.jsonl may be answers that nobody changed: of those the model learns what it says already.
    #[arg(long, value_name = "PERCENT", default_value_t = 20, value_parser = clap::value_parser!(u8).range(0..=100))]
    accepted_max: u8,
}

impl ImportFeedback {
    pub fn run(&self) -> Result<(), String> {
        let exported = exports::read(&self.exports, &self.identity)?;
        let decisions = Decisions::read(&self.reviewed)?;
        let sorted = Sorted::of(exported, &decisions, self.accepted_max)?;
        self.write(&sorted)?;
        for (place, fault) in &sorted.unread {
            eprintln!("{place}: left out: {fault}");
        }
        print!("{}", self.table(&sorted));
        Ok(())
    }

    fn write(&self, sorted: &Sorted) -> Result<(), String> {
        fs::create_dir_all(&self.out).map_err(|e| format!("{}: {e}", self.out.display()))?;
        let decided = !self.reviewed.is_empty();
        let mut files = vec![
            (FOR_REVIEW, lines(&sorted.for_review)),
            (FOR_REVIEW_PAGE, page::page(&sorted.for_review).into_string()),
        ];
        if decided {
            files.extend([(FEEDBACK, lines(&sorted.feedback)), (PAIRS, lines(&sorted.pairs))]);
        }
        for name in [FOR_REVIEW, FEEDBACK, PAIRS] {
            let known = if name == FOR_REVIEW { &sorted.ids } else { &sorted.decided };
            nothing_forgotten(&self.out.join(name), known)?;
        }
        files.iter().try_for_each(|(name, text)| file::replace(&self.out.join(name), text.as_bytes()))
    }

    fn table(&self, sorted: &Sorted) -> String {
        let mut out = String::new();
        let mut row = |n: usize, what: &str| _ = writeln!(out, "{n:>7}  {what}");
        row(sorted.fates.values().sum(), "lines in the exports, of which");
        for (fate, n) in &sorted.fates {
            row(*n, &format!("  {fate}"));
        }
        let pairs = sorted.pairs.len();
        row(sorted.scrubbed.masked, "places masked that the boxes had left");
        row(sorted.scrubbed.dates, "exact dates, now years");
        row(
            pairs,
            &match PAIRS_MIN.saturating_sub(pairs) {
                0 => "pairs of before and after: enough for preference training".to_owned(),
                missing => format!("pairs of before and after; {missing} more, and preference training takes them"),
            },
        );
        if sorted.fates.contains_key(&Fate::AcceptedBeyondMax) {
            let _ =
                writeln!(out, "unchanged answers are at most {} % of {FEEDBACK} (--accepted-max)", self.accepted_max);
        }
        out
    }
}

fn lines(samples: &[Sample]) -> String {
    samples.iter().map(|sample| format!("{}\n", serde_json::to_string(sample).expect("a sample is JSON"))).collect()
}

/// Files are written anew, so what stands in them must come from what was given: an export that was forgotten, or a
/// physician's decisions, would else be gone without a word.
fn nothing_forgotten(path: &Path, known: &BTreeSet<String>) -> Result<(), String> {
    let text = match fs::read_to_string(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        text => text.map_err(|e| format!("{}: {e}", path.display()))?,
    };
    let id = |line: &str| serde_json::from_str::<Value>(line).ok()?.get("id")?.as_str().map(str::to_owned);
    let forgotten = text.lines().filter(|line| id(line).is_none_or(|id| !known.contains(&id))).count();
    match forgotten {
        0 => Ok(()),
        n => Err(format!(
            "{} holds {n} samples that come from none of these exports and decisions: give all of them each time, or another --out",
            path.display()
        )),
    }
}

#[cfg(test)]
mod tests;
