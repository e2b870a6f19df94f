//! Files of cases. All faulty lines are told at once, and then nothing is run.

use super::{
    exam::{CaseFile, Exam},
    shape::{self, Context},
};
use contract::ids::Department;
use std::{
    fmt, fs,
    path::{Path, PathBuf},
    rc::Rc,
};

/// More are not read anyway.
const FAULTS_SHOWN: usize = 20;

#[derive(Debug, Default, PartialEq)]
pub struct Faults(Vec<String>);

pub fn read(paths: &[PathBuf], department: &Department, deadline_s: u32) -> Result<Vec<Exam>, Faults> {
    let (mut exams, mut faults) = (vec![], Faults::default());
    for path in paths {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(fault) => {
                faults.0.push(format!("{}: {fault}", path.display()));
                continue;
            }
        };
        let file = Rc::new(CaseFile::at(path));
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let at = Context { file: &file, line: at + 1, department, deadline_s };
            match shape::exams(line, &at) {
                Ok(of_line) => exams.extend(of_line),
                // A fault may quote the line.
                Err(_) if file.held_out => faults.0.push(format!("{} line {}: no case", path.display(), at.line)),
                Err(fault) => faults.0.push(format!("{} line {}: {fault}", path.display(), at.line)),
            }
        }
    }
    if faults.0.is_empty() && exams.is_empty() {
        faults.0.push("there is no case in these files".to_owned());
    }
    if faults.0.is_empty() { Ok(exams) } else { Err(faults) }
}

impl CaseFile {
    fn at(path: &Path) -> Self {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Self { held_out: name.contains("held-out"), name }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "nothing was run; {} faults in the cases:", self.0.len())?;
        self.0.iter().take(FAULTS_SHOWN).try_for_each(|fault| writeln!(f, "  {fault}"))?;
        match self.0.len().saturating_sub(FAULTS_SHOWN) {
            0 => Ok(()),
            more => writeln!(f, "  … and {more} more"),
        }
    }
}
