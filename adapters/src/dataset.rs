//! A data set: JSONL files, a sample a line, of the consultation or of another task.
//!
//! ```text
//! folder/*.jsonl ─▶ lines, each with its place ─▶ check, split, render
//!               └─▶ what could not be read, all of it, with file and line
//! ```

use crate::near;
use contract::{
    ids::Lang,
    reply::Section,
    sample::{Sample, SampleReview, SampleVerdict, TaskSample},
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// Where a sample stands. Files by their number in [`Dataset::files`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub file: usize,
    /// From 1.
    pub line: usize,
}

#[derive(Debug)]
pub struct Line {
    pub place: Place,
    pub lesson: Lesson,
    /// What a lock or a Merkle tree knows it by: of what it says, however its JSON is laid out.
    pub sha256: [u8; 32],
}

#[derive(Debug, Clone)]
pub enum Lesson {
    Consult(Box<Sample>),
    Task(Box<TaskSample>),
}

/// A line that is no sample.
#[derive(Debug)]
pub struct Unread {
    pub place: Place,
    pub fault: LineFault,
}

#[derive(Debug, PartialEq, Eq)]
pub enum LineFault {
    NoDepartment,
    /// A row of the kind that other trainers take.
    Plain,
    Other(String),
}

/// What `import-feedback` writes for the second physician, and what only one has seen.
pub const FOR_REVIEW: &str = "for-review.jsonl";

#[derive(Debug, Default)]
pub struct Dataset {
    pub files: Vec<PathBuf>,
    pub lines: Vec<Line>,
    pub unread: Vec<Unread>,
}

impl Dataset {
    /// Files, and folders for all `*.jsonl` in them, by name.
    pub fn read(paths: &[PathBuf]) -> Result<Self, String> {
        let mut set = Self::default();
        for path in paths {
            for file in files(path).map_err(|e| format!("{}: {e}", path.display()))? {
                if file.file_name().is_some_and(|name| name == FOR_REVIEW) {
                    return Err(format!("{}: awaits a second physician (adapterctl import-feedback)", file.display()));
                }
                let text = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
                set.take(file, &text);
            }
        }
        if set.lines.is_empty() && set.unread.is_empty() {
            let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
            return Err(format!("{}: no samples in any *.jsonl", paths.join(", ")));
        }
        Ok(set)
    }

    fn take(&mut self, path: PathBuf, text: &str) {
        let file = self.files.len();
        self.files.push(path);
        // A byte order mark is what Windows editors begin a file with.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let place = Place { file, line: at + 1 };
            match lesson(line) {
                Ok(lesson) => self.lines.push(Line { place, sha256: lesson.sha256(), lesson }),
                Err(fault) => self.unread.push(Unread { place, fault }),
            }
        }
    }

    /// Of each line's question, by which it is compared.
    pub fn grams(&self) -> Vec<near::Grams> {
        self.lines.iter().map(|line| near::grams(&line.lesson.question())).collect()
    }

    /// `name.jsonl line 7`.
    pub fn at(&self, place: Place) -> impl fmt::Display {
        format!("{} line {}", file_name(&self.files[place.file]), place.line)
    }

    /// Everything, or all that is wrong with it.
    pub fn whole(self) -> Result<Self, String> {
        if self.unread.is_empty() {
            return Ok(self);
        }
        let faults: Vec<String> = self
            .unread
            .iter()
            .take(20)
            .map(|unread| format!("  {}: {}", self.at(unread.place), unread.fault))
            .collect();
        Err(format!("{} lines are no samples\n{}", self.unread.len(), faults.join("\n")))
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    found.retain(|file| file.extension().is_some_and(|ending| ending == "jsonl"));
    found.sort();
    Ok(found)
}

/// A line of JSON as a sample of either kind.
pub fn lesson(line: &str) -> Result<Lesson, LineFault> {
    let value: Value = serde_json::from_str(line).map_err(|e| LineFault::Other(format!("no JSON: {e}")))?;
    if value.get("task").is_some() {
        return read(line).map(|sample| Lesson::Task(Box::new(sample)));
    }
    if value.get("completion").is_some_and(Value::is_string) {
        return Err(LineFault::Plain);
    }
    if value.get("department").is_none_or(|department| department.is_null() || department == "") {
        return Err(LineFault::NoDepartment);
    }
    read(line).map(|sample| Lesson::Consult(Box::new(sample)))
}

fn read<T: serde::de::DeserializeOwned>(line: &str) -> Result<T, LineFault> {
    // Of the line, the column alone is of use: it is one of many.
    serde_json::from_str(line).map_err(|e| LineFault::Other(e.to_string().replace(" at line 1 column ", ", column ")))
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDepartment => f.write_str("names no department"),
            Self::Plain => {
                f.write_str("a plain prompt and completion: `adapterctl import` takes such rows and asks for the rest")
            }
            Self::Other(fault) => f.write_str(fault),
        }
    }
}

/// When a sample was reviewed: a year, or a year and a month. A day tells who was there.
pub fn review_date(word: &str) -> Result<String, String> {
    let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    let is_year = |year: &str| digits(year, 4) && (year.starts_with("19") || year.starts_with("20"));
    let is_date = match word.split_once('-') {
        Some((year, month)) => is_year(year) && digits(month, 2) && matches!(month.parse(), Ok(1..=12)),
        None => is_year(word),
    };
    is_date.then(|| word.to_owned()).ok_or_else(|| format!("{word:?} is no year, such as 2026, nor 2026-03"))
}

/// What a line of a form is about: what stands before its colon.
pub fn name(line: &str) -> &str {
    line.split(['：', ':']).next().unwrap_or(line)
}

impl Lesson {
    pub fn id(&self) -> &str {
        match self {
            Self::Consult(sample) => &sample.id,
            Self::Task(sample) => &sample.id,
        }
    }

    /// The department or, where there is none, the task: what shares and strata are counted by.
    pub fn group(&self) -> &str {
        match self {
            Self::Consult(sample) => &sample.department,
            Self::Task(sample) => &sample.task,
        }
    }

    pub fn lang(&self) -> Lang {
        match self {
            Self::Consult(sample) => sample.lang,
            Self::Task(sample) => sample.lang,
        }
    }

    pub fn review(&self) -> &SampleReview {
        match self {
            Self::Consult(sample) => &sample.review,
            Self::Task(sample) => &sample.review,
        }
    }

    pub fn is_reviewed(&self) -> bool {
        let review = self.review();
        review.by.as_ref().is_some_and(|by| !by.trim().is_empty()) && review.verdict != SampleVerdict::Unreviewed
    }

    /// What the doctor rejected shows what to avoid, and is taught to nobody.
    pub fn is_taught(&self) -> bool {
        self.review().verdict != SampleVerdict::Rejected
    }

    /// With what the doctor changed beside it.
    pub fn is_pair(&self) -> bool {
        self.consult().is_some_and(|sample| sample.rejected.is_some())
    }

    pub fn license(&self) -> &str {
        match self {
            Self::Consult(sample) => &sample.license,
            Self::Task(sample) => &sample.license,
        }
    }

    pub fn is_deidentified(&self) -> bool {
        match self {
            Self::Consult(sample) => sample.deid,
            Self::Task(sample) => sample.deid,
        }
    }

    pub fn consult(&self) -> Option<&Sample> {
        match self {
            Self::Consult(sample) => Some(sample),
            Self::Task(_) => None,
        }
    }

    /// What somebody wrote about the patient, without labels: by this two questions are compared.
    pub fn question(&self) -> String {
        match self {
            Self::Consult(sample) => {
                let case = &sample.case;
                let codes = case.findings.iter().map(|finding| &*finding.code);
                let words = [Some(&*case.complaint.text), case.history.as_deref()].into_iter().flatten();
                words.chain(codes).collect::<Vec<_>>().join(" ")
            }
            Self::Task(sample) => sample.prompt.to_string(),
        }
    }

    /// All lines of the completion, by section.
    pub fn sections(&self) -> Vec<(&str, &[String])> {
        match self {
            Self::Consult(sample) => {
                let names = ["causes", "exclusions", "checks", "cautions", "missing"];
                names.into_iter().zip(Section::ALL.map(|section| sample.completion.lines(section))).collect()
            }
            Self::Task(sample) => sample.completion.iter().map(|(name, lines)| (&**name, &**lines)).collect(),
        }
    }

    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.value().to_string()).into()
    }

    pub fn value(&self) -> Value {
        match self {
            Self::Consult(sample) => serde_json::to_value(sample),
            Self::Task(sample) => serde_json::to_value(sample),
        }
        .expect("a sample is JSON")
    }
}
