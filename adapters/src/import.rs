//! `adapterctl import`: rows that somebody has already become samples, as far as they go.
//!
//! ```text
//! rows.jsonl ─ rows ─▶ question, answer ─ sections, values ─▶ drafts ─┬─▶ out.jsonl
//!               └─▶ samples, as they are ─────────────────────────────┘    └─ again with --ask ─▶ whole
//! ```
//! Nothing is guessed and nothing is lost: what a row lacks, and what of it found no place, is told with file and line.
//! An `--out` that is there is gone on with: its lines stay as they are, whoever has corrected them since.

mod draft;
mod headers;
mod notes;
mod rows;
mod samples;
mod sections;
mod terminal;
mod values;

use crate::{
    dataset::{self, Lesson},
    scrub::{Scrubbed, scrubbed},
};
use clap::Args;
use contract::{
    ids::{Department, Lang},
    sample::Sample,
};
use draft::{Draft, Left};
use notes::Notes;
use rows::{Plain, Row};
use samples::Samples;
use serde::Serialize;
use std::{
    collections::HashMap,
    fs,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::ExitCode,
};
use terminal::Terminal;
use values::{Answer, Values};

/// Makes samples of rows that hospitals have already; on a terminal asks for what they do not say.
///
/// A row is one JSON object a line: {"prompt", "completion"}, {"instruction", "input", "output"}, or {"messages":
/// [{"role": "user", "content"}, {"role": "assistant", "content"}]}; samples pass through as they are. A row may name its
/// own department, lang, license and source; other fields are named and not taken. The answer's text is read by its headers
/// (可能原因, 诊断, 鉴别诊断, 检查, 用药, 还需询问; diagnosis, differential, tests, cautions, questions to ask; and
/// others), with or without 【】, [], ##, ** and numbers.
///
/// Exit status: 0, also where samples lack something, which is told; 1 where a row was left out.
#[derive(Args)]
pub struct Import {
    rows: PathBuf,
    /// File to write; without it samples go to stdout. If it is there, it is gone on with and none of its lines is changed.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// A code such as internal, or its Chinese name. For rows that name none.
    #[arg(long, value_parser = rows::department)]
    department: Option<Department>,
    /// zh or en; otherwise by the letters of each row, which is told.
    #[arg(long, value_parser = rows::lang)]
    lang: Option<Lang>,
    #[arg(long)]
    license: Option<String>,
    /// Where the rows come from.
    #[arg(long)]
    source: Option<String>,
    /// Physician who has reviewed every row, by a name that identifies no patient; none: nobody has.
    #[arg(long, value_name = "BY")]
    reviewer: Option<String>,
    /// 2026 or 2026-03.
    #[arg(long, value_name = "WHEN", requires = "reviewer", value_parser = dataset::review_date)]
    reviewed_at: Option<String>,
    /// Says that the rows are free of whatever identifies a patient; --deid=no says that nobody has made sure.
    #[arg(long, value_name = "YES", num_args = 0..=1, require_equals = true, default_missing_value = "yes")]
    deid: Option<Answer>,
    /// Masks what identifies somebody, and says in which row; exact dates become their year. Otherwise `check` names it.
    #[arg(long)]
    mask: bool,
    /// Asks row by row for what is missing. Each reply is kept at once; the same command goes on where it was left.
    #[arg(long, requires = "out")]
    ask: bool,
}

/// What became of the rows. Each is in one of the first four.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    rows: usize,
    new: usize,
    there_already: usize,
    same_row: usize,
    left_out: usize,
    /// Of this file's, new or there already.
    lack_something: usize,
}

/// A line of the rows' file that can be read, from 1.
struct Numbered {
    number: usize,
    row: Row,
}

impl Import {
    pub fn run(&self) -> Result<ExitCode, String> {
        let (stdin, mut stderr) = (io::stdin(), io::stderr());
        let is_terminal = stdin.is_terminal() && stderr.is_terminal();
        let mut terminal = Terminal { input: &mut stdin.lock(), output: &mut stderr };
        let (counts, told) = self.import(is_terminal.then_some(&mut terminal), &mut io::stdout())?;
        eprint!("{told}");
        Ok(if counts.left_out > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    /// And what there is to tell of it.
    fn import(
        &self,
        mut terminal: Option<&mut Terminal>,
        stdout: &mut dyn io::Write,
    ) -> Result<(Counts, String), String> {
        if self.ask && terminal.is_none() {
            return Err("--ask asks at a terminal, and there is none".to_owned());
        }
        let mut samples = self.out.as_deref().map(Samples::at).transpose()?.unwrap_or_default();
        let text = fs::read_to_string(&self.rows).map_err(|e| format!("{}: {e}", self.rows.display()))?;
        let (mut counts, mut notes) = (Counts::default(), Notes::of(&self.rows));
        let rows = numbered(&text, &mut counts, &mut notes);

        let new: Vec<&Plain> =
            rows.iter().filter(|row| !samples.has(row.row.id())).filter_map(Numbered::plain).collect();
        let values = match new.is_empty() {
            true => None,
            false => Some(Values::of(self, &new, terminal.as_deref_mut())?),
        };
        notes.of_all(&new, values.as_ref());
        for row in &rows {
            if samples.has(row.row.id()) {
                counts.there_already += 1;
                continue;
            }
            match self.sample(row, values.as_ref(), &mut notes) {
                Some(line) => {
                    samples.push(row.row.id().to_owned(), line);
                    counts.new += 1;
                }
                None => {
                    notes.at(row.number, "left out: with its masks it fits no sample");
                    counts.left_out += 1;
                }
            }
        }
        match &self.out {
            Some(out) => samples.keep(out)?,
            None => stdout.write_all(samples.text().as_bytes()).map_err(|e| format!("cannot write: {e}"))?,
        }
        if let (true, Some(out), Some(terminal)) = (self.ask, &self.out, terminal) {
            ask(&rows, &mut samples, out, terminal)?;
        }
        for row in &rows {
            if let Some(draft) = samples.draft(row.row.id()).filter(|draft| !draft.lacks().is_empty()) {
                let lacks: Vec<String> = draft.lacks().iter().map(ToString::to_string).collect();
                notes.at(row.number, &format!("lacks {}", lacks.join(", ")));
                counts.lack_something += 1;
            }
        }
        let told = notes.told(&counts, self.out.as_deref());
        Ok((counts, told))
    }

    /// The line to write. `None`: masked, it fits no sample.
    fn sample(&self, row: &Numbered, values: Option<&Values>, notes: &mut Notes) -> Option<String> {
        let (line, done) = match &row.row {
            Row::Sample { line, .. } if self.mask => masked(line)?,
            Row::Sample { line, .. } => (line.clone(), Scrubbed::default()),
            Row::Plain(plain) => {
                let (mut draft, unplaced) = Draft::of(plain, values.expect("asked for where there are plain rows"));
                for (header, lines) in unplaced {
                    notes.at(row.number, &format!("{lines} lines under {header:?} not placed"));
                }
                let mut done = Scrubbed::default();
                if self.mask {
                    ((draft.prompt, draft.completion), done) = scrubbed(&(draft.prompt, draft.completion))?;
                }
                (json(&draft), done)
            }
        };
        if done.any() {
            let Scrubbed { masked, dates } = done;
            notes.at(row.number, &format!("{masked} places masked, {dates} dates now years"));
        }
        Some(line)
    }
}

impl Numbered {
    fn plain(&self) -> Option<&Plain> {
        match &self.row {
            Row::Plain(plain) => Some(plain),
            Row::Sample { .. } => None,
        }
    }
}

/// The rows that are there once. What cannot be read is left out by name, and what is the same is counted.
fn numbered(text: &str, counts: &mut Counts, notes: &mut Notes) -> Vec<Numbered> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rows: Vec<Numbered> = Vec::new();
    let mut first: HashMap<String, usize> = HashMap::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        counts.rows += 1;
        let row = match Row::read(line) {
            Ok(row) => row,
            Err(fault) => {
                counts.left_out += 1;
                notes.at(at + 1, &format!("left out: {fault}"));
                continue;
            }
        };
        match (first.get(row.id()).map(|first| &rows[*first]), &row) {
            (None, _) => {
                first.insert(row.id().to_owned(), rows.len());
                rows.push(Numbered { number: at + 1, row });
            }
            (Some(Numbered { row: Row::Sample { line: other, .. }, number }), Row::Sample { line, id })
                if other != line =>
            {
                counts.left_out += 1;
                notes
                    .at(at + 1, &format!("left out: the id {id:?} stands in line {number} already, with another text"));
            }
            (Some(Numbered { number, .. }), _) => {
                counts.same_row += 1;
                notes.at(at + 1, &format!("the same as line {number}"));
            }
        }
    }
    rows
}

/// A sample of either kind with what identifies somebody masked.
fn masked(line: &str) -> Option<(String, Scrubbed)> {
    Some(match dataset::lesson(line).ok()? {
        Lesson::Consult(mut sample) => {
            let Sample { case, completion, rejected, .. } = &*sample;
            let ((case, completion, rejected), done) = scrubbed(&(case.clone(), completion.clone(), rejected.clone()))?;
            (sample.case, sample.completion, sample.rejected) = (case, completion, rejected);
            (json(&sample), done)
        }
        Lesson::Task(mut sample) => {
            let done;
            ((sample.prompt, sample.completion), done) = scrubbed(&(sample.prompt, sample.completion))?;
            (json(&sample), done)
        }
    })
}

/// Row by row; what was said is kept before the next row is shown.
fn ask(rows: &[Numbered], samples: &mut Samples, out: &Path, terminal: &mut Terminal) -> Result<(), String> {
    let lacking =
        |samples: &Samples, row: &Numbered| samples.draft(row.row.id()).is_some_and(|draft| !draft.lacks().is_empty());
    let n = rows.iter().filter(|row| lacking(samples, row)).count();
    let mut asked = 0;
    for row in rows {
        let (Some(plain), true) = (row.plain(), lacking(samples, row)) else { continue };
        asked += 1;
        let mut draft = samples.draft(&plain.id).expect("it lacks something").clone();
        let left = draft.ask(&plain.answer, &format!("line {}, {asked} of {n}", row.number), terminal)?;
        samples.change(draft);
        samples.keep(out)?;
        if left == Left::Stopped {
            break;
        }
    }
    Ok(())
}

fn json(sample: &impl Serialize) -> String {
    serde_json::to_string(sample).expect("a sample is JSON")
}

#[cfg(test)]
mod tests;
