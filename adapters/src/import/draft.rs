//! A sample as far as its row goes. Whole, it reads as a sample with free text; what it lacks, `check` refuses.

use super::{
    rows::{self, Plain, Question},
    sections,
    terminal::Terminal,
    values::Values,
};
use contract::{
    ids::{Department, Lang},
    reply::Section,
    sample::{Completion, SampleReview},
};
use engine::form;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<Department>,
    pub lang: Lang,
    pub prompt: Question,
    pub completion: Completion,
    pub review: SampleReview,
    pub source: String,
    pub license: String,
    pub deid: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    Department,
    Section(Section),
}

/// How a person left a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    Filled,
    Skipped,
    Stopped,
}

impl Draft {
    /// And the lines of the answer that no section took, by their header.
    pub fn of(plain: &Plain, values: &Values) -> (Self, BTreeMap<String, usize>) {
        let lang = plain.lang.or(values.lang).unwrap_or_else(|| rows::lang_of(&plain.question));
        let sections::Read { completion, unplaced } = sections::read(&plain.answer, lang);
        let draft = Self {
            id: plain.id.clone(),
            department: plain.department.clone().or_else(|| values.department.clone()),
            lang,
            prompt: plain.question.clone(),
            completion,
            review: values.review.clone(),
            source: plain.source.clone().unwrap_or_else(|| values.source.clone()),
            license: plain.license.clone().unwrap_or_else(|| values.license.clone()),
            deid: values.deid,
        };
        (draft, unplaced)
    }

    pub fn lacks(&self) -> Vec<Lack> {
        let lacking = |section: &Section| {
            let lines = self.completion.lines(*section);
            lines.is_empty() || !may_be_nothing(*section) && lines.iter().all(|line| form::is_nothing(line))
        };
        let sections = Section::ALL.into_iter().filter(lacking).map(Lack::Section);
        self.department.is_none().then_some(Lack::Department).into_iter().chain(sections).collect()
    }

    /// Asks for what is missing, beside the question and the answer as it came.
    pub fn ask(&mut self, answer: &str, row: &str, terminal: &mut Terminal) -> Result<Left, String> {
        let lacks = self.lacks();
        let said: Vec<String> = lacks.iter().map(ToString::to_string).collect();
        terminal.say(&format!("\n── {row}: lacks {}\n{}\n── answer\n{answer}\n", said.join(", "), &*self.prompt))?;
        terminal.say("── lines, then an empty one; s: skip this row; q: stop and keep what is done\n")?;
        for lack in lacks {
            let left = match lack {
                Lack::Department => self.ask_department(terminal)?,
                Lack::Section(section) => self.ask_section(section, terminal)?,
            };
            if left != Left::Filled {
                return Ok(left);
            }
        }
        Ok(Left::Filled)
    }

    fn ask_department(&mut self, terminal: &mut Terminal) -> Result<Left, String> {
        loop {
            match terminal.line("department: ")?.as_deref() {
                None | Some("q") => return Ok(Left::Stopped),
                Some("s") => return Ok(Left::Skipped),
                Some(word) => match rows::department(word) {
                    Ok(department) => {
                        self.department = Some(department);
                        return Ok(Left::Filled);
                    }
                    Err(fault) => terminal.say(&format!("  {fault}\n"))?,
                },
            }
        }
    }

    fn ask_section(&mut self, section: Section, terminal: &mut Terminal) -> Result<Left, String> {
        let nothing = sections::nothing(self.lang);
        let empty = if may_be_nothing(section) { format!(" (Enter: {nothing})") } else { String::new() };
        terminal.say(&format!("{}{empty}\n", form::header(section, self.lang)))?;
        let mut lines = Vec::new();
        loop {
            match terminal.line("  ")?.as_deref() {
                None | Some("q") => return Ok(Left::Stopped),
                Some("s") => return Ok(Left::Skipped),
                Some("") => break,
                Some(line) if form::is_nothing(line) => {}
                Some(line) => lines.push(sections::bare(line)),
            }
        }
        if lines.is_empty() && may_be_nothing(section) {
            lines.push(nothing.to_owned());
        }
        if !lines.is_empty() {
            *sections::lines_mut(&mut self.completion, section) = lines;
        }
        Ok(Left::Filled)
    }
}

/// A second opinion names a cause and what cannot be excluded; the rest may be nothing.
fn may_be_nothing(section: Section) -> bool {
    !matches!(section, Section::PossibleCauses | Section::CannotExclude)
}

impl std::fmt::Display for Lack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Department => "department",
            Self::Section(Section::PossibleCauses) => "causes",
            Self::Section(Section::CannotExclude) => "exclusions",
            Self::Section(Section::SuggestedChecks) => "checks",
            Self::Section(Section::MedicationCautions) => "cautions",
            Self::Section(Section::MissingInformation) => "missing",
        })
    }
}
