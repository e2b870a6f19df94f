//! What holds for all rows: given as options, asked once on a terminal, and otherwise an error that names the option.

use super::{
    Import,
    rows::{self, Plain},
    terminal::Terminal,
};
use crate::dataset::review_date;
use clap::ValueEnum;
use contract::{
    ids::{Department, Lang},
    sample::{SampleReview, SampleVerdict},
};

#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// `None`: not the same for all rows.
    pub department: Option<Department>,
    /// `None`: as each row's letters say.
    pub lang: Option<Lang>,
    pub license: String,
    pub source: String,
    pub review: SampleReview,
    pub deid: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Answer {
    Yes,
    No,
}

/// What `--reviewer` says where nobody has.
const NOBODY: &str = "none";

impl Values {
    pub fn of(import: &Import, rows: &[&Plain], terminal: Option<&mut Terminal>) -> Result<Self, String> {
        match terminal {
            Some(terminal) => Self::asked(import, rows, terminal),
            None => Self::given(import, rows),
        }
    }

    fn given(import: &Import, rows: &[&Plain]) -> Result<Self, String> {
        let reviewed = import.reviewer.as_deref().is_some_and(|by| by != NOBODY);
        let missing = [
            ("--department", import.department.is_none() && rows.iter().any(|row| row.department.is_none())),
            ("--license", import.license.is_none() && rows.iter().any(|row| row.license.is_none())),
            ("--source", import.source.is_none() && rows.iter().any(|row| row.source.is_none())),
            ("--reviewer (`none`: nobody)", import.reviewer.is_none()),
            ("--reviewed-at", reviewed && import.reviewed_at.is_none()),
            ("--deid (or --deid=no)", import.deid.is_none()),
        ];
        let missing: Vec<&str> =
            missing.into_iter().filter(|(_, missing)| *missing).map(|(option, _)| option).collect();
        if !missing.is_empty() {
            return Err(format!("the rows do not say it, and there is no terminal to ask at: {}", missing.join(", ")));
        }
        Ok(Self {
            department: import.department.clone(),
            lang: import.lang,
            license: import.license.clone().unwrap_or_default(),
            source: import.source.clone().unwrap_or_default(),
            review: review(import.reviewer.clone().filter(|by| by != NOBODY), import.reviewed_at.clone()),
            deid: import.deid == Some(Answer::Yes),
        })
    }

    fn asked(import: &Import, rows: &[&Plain], terminal: &mut Terminal) -> Result<Self, String> {
        let lack = |own: fn(&Plain) -> bool| rows.iter().filter(|row| !own(row)).count();
        let department = match (&import.department, lack(|row| row.department.is_some())) {
            (Some(given), _) => Some(given.clone()),
            (None, 0) => None,
            (None, n) => {
                terminal.say(&format!("{n} rows name no department. There are: {}\n", rows::departments()))?;
                terminal.until("department (Enter: not the same for all): ", or_none(rows::department))?
            }
        };
        let lang = match (import.lang, lack(|row| row.lang.is_some())) {
            (Some(given), _) => Some(given),
            (None, 0) => None,
            (None, _) => {
                let guess = guessed(rows);
                terminal.until(
                    &format!("language, zh or en (Enter: by the letters of each row, {guess}): "),
                    or_none(rows::lang),
                )?
            }
        };
        let mut word = |given: &Option<String>, lacking: usize, question: &str| match given {
            Some(given) => Ok(given.clone()),
            None if lacking == 0 => Ok(String::new()),
            None => terminal.until(question, some),
        };
        let license =
            word(&import.license, lack(|row| row.license.is_some()), "license, as the metadata will name it: ")?;
        let source = word(&import.source, lack(|row| row.source.is_some()), "source, where the rows come from: ")?;
        let by = match &import.reviewer {
            Some(by) => Some(by.clone()).filter(|by| by != NOBODY),
            None => terminal.until("which physician has reviewed them (Enter: nobody): ", or_none(some))?,
        };
        let at = match (&by, &import.reviewed_at) {
            (None, _) => None,
            (Some(_), Some(at)) => Some(at.clone()),
            (Some(_), None) => Some(terminal.until("when, as 2026 or 2026-03: ", review_date)?),
        };
        let deid = match import.deid {
            Some(given) => given,
            None => terminal.until("are they free of whatever identifies a patient (yes or no): ", |word| {
                Answer::from_str(word, true)
            })?,
        };
        Ok(Self { department, lang, license, source, review: review(by, at), deid: deid == Answer::Yes })
    }
}

fn review(by: Option<String>, at: Option<String>) -> SampleReview {
    let verdict = if by.is_some() { SampleVerdict::Accepted } else { SampleVerdict::Unreviewed };
    SampleReview { at: at.filter(|_| by.is_some()), by, verdict }
}

fn some(word: &str) -> Result<String, String> {
    if word.is_empty() { Err("a word, please".to_owned()) } else { Ok(word.to_owned()) }
}

fn or_none<T>(read: impl Fn(&str) -> Result<T, String>) -> impl Fn(&str) -> Result<Option<T>, String> {
    move |word| if word.is_empty() { Ok(None) } else { read(word).map(Some) }
}

/// `zh 38, en 2`.
pub fn guessed(rows: &[&Plain]) -> String {
    let n = |lang| rows.iter().filter(|row| row.lang.is_none() && rows::lang_of(&row.question) == lang).count();
    format!("zh {}, en {}", n(Lang::Zh), n(Lang::En))
}
