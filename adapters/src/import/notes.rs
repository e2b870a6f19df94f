//! What there is to tell: first of each row, then of all. Nothing of a row is quoted but the names of headers and fields.

use super::{
    Counts,
    rows::Plain,
    values::{self, Values},
};
use std::{
    collections::BTreeMap,
    fmt::Write,
    path::{Path, PathBuf},
};

pub struct Notes {
    file: PathBuf,
    of_rows: Vec<(usize, String)>,
    of_all: Vec<String>,
}

impl Notes {
    pub fn of(file: &Path) -> Self {
        Self { file: file.to_owned(), of_rows: Vec::new(), of_all: Vec::new() }
    }

    pub fn at(&mut self, line: usize, note: &str) {
        self.of_rows.push((line, note.to_owned()));
    }

    /// Of the new rows: how their language was found, and what of them was not taken.
    pub fn of_all(&mut self, new: &[&Plain], values: Option<&Values>) {
        if values.is_some_and(|values| values.lang.is_none()) && new.iter().any(|row| row.lang.is_none()) {
            self.of_all
                .push(format!("language by the letters of each row: {} (--lang says otherwise)", values::guessed(new)));
        }
        let mut fields: BTreeMap<&str, usize> = BTreeMap::new();
        new.iter().flat_map(|row| &row.left_out).for_each(|name| *fields.entry(name).or_default() += 1);
        if !fields.is_empty() {
            let fields: Vec<String> = fields.iter().map(|(name, n)| format!("{name} ({n} rows)")).collect();
            self.of_all
                .push(format!("fields not taken, because a sample has no place for them: {}", fields.join(", ")));
        }
    }

    pub fn told(mut self, counts: &Counts, out: Option<&Path>) -> String {
        let mut told = String::new();
        self.of_rows.sort_by_key(|(line, _)| *line);
        for (line, note) in &self.of_rows {
            let _ = writeln!(told, "{}:{line}: {note}", self.file.display());
        }
        for note in &self.of_all {
            let _ = writeln!(told, "{note}");
        }
        let to = out.map_or("stdout".to_owned(), |out| out.display().to_string());
        let _ = writeln!(told, "{} rows: {} written to {to}", counts.rows, counts.new);
        for (n, what) in [
            (counts.there_already, "there already, kept as they are"),
            (counts.same_row, "the same as another row"),
            (counts.left_out, "left out"),
        ] {
            if n > 0 {
                let _ = writeln!(told, "{n:>6} {what}");
            }
        }
        if counts.lack_something > 0 {
            let _ = writeln!(
                told,
                "{} of the samples lack something, and `adapterctl check` refuses them (--ask asks for it)",
                counts.lack_something
            );
        }
        told
    }
}
