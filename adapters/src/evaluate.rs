//! `adapterctl evaluate`: cases through rules and model, and how good that was.
//!
//! ```text
//! cases.jsonl ─ cases, shape ─▶ exams ─ batch ─▶ a box ─▶ conversation ─ judge ─▶ report ─┬─ table
//!                                        or a saved one ─────▲                            ├─ JSON
//!                                                                                         └─ page
//! ```

pub mod batch;
mod cases;
mod conversation;
pub mod exam;
mod judge;
pub mod message;
mod page;
pub mod progress;
mod report;
mod shape;
mod table;
#[cfg(test)]
mod tests;

use batch::Batch;
use clap::Args;
use contract::{
    ids::Department,
    limits::{DEADLINE_S_MAX, DEADLINE_S_MIN},
};
use conversation::Conversation;
use exam::Exam;
use message::Schemas;
use progress::Progress;
use report::Report;
use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

#[derive(Args)]
pub struct Evaluate {
    /// Cases, one a line; adapters/README.md shows the shapes.
    #[arg(required = true)]
    cases: Vec<PathBuf>,
    /// The box's settings (consultd.toml).
    #[arg(long, required_unless_present = "messages")]
    config: Option<PathBuf>,
    /// The program that is asked: `consultd`, beside this one or in PATH.
    #[arg(long = "box")]
    program: Option<PathBuf>,
    /// Where the box's log goes.
    #[arg(long)]
    box_log: Option<PathBuf>,
    /// Judges a saved conversation; no box is run.
    #[arg(long, conflicts_with_all = ["config", "program", "save", "box_log"])]
    messages: Option<PathBuf>,
    /// Saves the conversation, for `--messages`.
    #[arg(long)]
    save: Option<PathBuf>,
    /// Whom a case is for that does not say it.
    #[arg(long, default_value_t = shape::department_auto(), value_parser = department)]
    department: Department,
    /// Seconds for each answer.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(i64::from(DEADLINE_S_MIN)..=i64::from(DEADLINE_S_MAX)))]
    deadline_s: u32,
    /// Prints JSON instead of the table.
    #[arg(long)]
    json: bool,
    /// Writes the report as one page that needs nothing else.
    #[arg(long)]
    html: Option<PathBuf>,
    /// Exit status 1 when a goal is missed.
    #[arg(long)]
    pub check: bool,
}

impl Evaluate {
    /// Whether all goals were met.
    pub fn run(&self) -> Result<bool, String> {
        let mut exams = cases::read(&self.cases, &self.department, self.deadline_s).map_err(|f| f.to_string())?;
        let schemas = Schemas::all();
        let (conversation, trouble) = match &self.messages {
            Some(saved) => (Conversation::saved(saved, &mut exams, &schemas)?, None),
            None => self.ask(&exams, &schemas)?,
        };
        let report = Report::of(&judge::judged(&exams, &conversation), &conversation, trouble);
        if let Some(path) = &self.html {
            write(path, &page::page(&report).into_string())?;
        }
        let said = if self.json { report.json() } else { table::table(&report) };
        writeln!(std::io::stdout(), "{said}").map_err(|e| format!("cannot write: {e}"))?;
        Ok(report.all_met())
    }

    /// What the box said, and how it ended where that was not well.
    fn ask(&self, exams: &[Exam], schemas: &Schemas) -> Result<(Conversation, Option<String>), String> {
        let mut saved = self.save.as_deref().map(|path| Saved::begin(path, exams)).transpose()?;
        let batch = Batch {
            program: self.program.clone().unwrap_or_else(batch::default_program),
            config: self.config.as_deref().expect("required without saved messages"),
            log: self.box_log.as_deref(),
            ask_department: false,
        };
        let consults: Vec<_> = exams.iter().map(|exam| &exam.consult).collect();
        let ids = conversation::ids(exams);
        let mut conversation = Conversation::default();
        let mut progress = Progress::begin("requests", exams.len());
        let ended = batch.run(&consults, schemas, |line, message| {
            progress.saw(message.ends());
            conversation.hear(message, &ids);
            saved.as_mut().map_or(Ok(()), |saved| saved.line(line))
        })?;
        match ended.success() {
            true => Ok((conversation, None)),
            false if conversation.is_empty() => Err(format!("{} said nothing: {ended}", batch.program.display())),
            false => Ok((conversation, Some(ended.to_string()))),
        }
    }
}

/// The conversation as it goes on.
struct Saved<'a> {
    file: File,
    path: &'a Path,
}

impl<'a> Saved<'a> {
    fn begin(path: &'a Path, exams: &[Exam]) -> Result<Self, String> {
        let file = File::create(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut saved = Self { file, path };
        for exam in exams {
            saved.line(&serde_json::to_string(&exam.consult).map_err(|e| e.to_string())?)?;
        }
        Ok(saved)
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        writeln!(self.file, "{line}").map_err(|e| format!("{}: {e}", self.path.display()))
    }
}

pub fn write(path: &Path, text: &str) -> Result<(), String> {
    let written = File::create(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|e| format!("{}: {e}", path.display()))
}

fn department(code: &str) -> Result<Department, String> {
    let known = code == contract::ids::DEPARTMENT_AUTO || contract::ids::department_name_zh(code).is_some();
    Department::new(code).filter(|_| known).ok_or_else(|| "no department of the contract, nor auto".to_owned())
}
