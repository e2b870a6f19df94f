//! The file that is written: what stood in it, in its order and byte for byte, then what is new.

use super::draft::Draft;
use crate::{dataset, file};
use serde_json::Value;
use std::{collections::HashMap, fs, io, path::Path};

#[derive(Default)]
pub struct Samples {
    entries: Vec<Entry>,
    by_id: HashMap<String, usize>,
}

struct Entry {
    line: String,
    draft: Option<Draft>,
}

impl Samples {
    /// Those of a file, if it is there. A file of something else is refused, not added to.
    pub fn at(path: &Path) -> Result<Self, String> {
        let text = match fs::read_to_string(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            text => text.map_err(|e| format!("{}: {e}", path.display()))?,
        };
        let mut samples = Self::default();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let place = || format!("{} line {}", path.display(), at + 1);
            let id = id(line).ok_or_else(|| format!("{} is no sample; choose another --out", place()))?;
            if samples.has(&id) {
                return Err(format!("{}: the id {id:?} for the second time", place()));
            }
            samples.push(id, line.to_owned());
        }
        Ok(samples)
    }

    pub fn has(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    pub fn push(&mut self, id: String, line: String) {
        self.by_id.insert(id, self.entries.len());
        let draft = serde_json::from_str(&line).ok();
        self.entries.push(Entry { line, draft });
    }

    /// Of free text; a sample with a case is none.
    pub fn draft(&self, id: &str) -> Option<&Draft> {
        self.entries[*self.by_id.get(id)?].draft.as_ref()
    }

    pub fn change(&mut self, draft: Draft) {
        let entry = &mut self.entries[self.by_id[&draft.id]];
        if entry.draft.as_ref() != Some(&draft) {
            *entry = Entry { line: super::json(&draft), draft: Some(draft) };
        }
    }

    pub fn text(&self) -> String {
        self.entries.iter().map(|entry| format!("{}\n", entry.line)).collect()
    }

    pub fn keep(&self, path: &Path) -> Result<(), String> {
        file::replace(path, self.text().as_bytes())
    }
}

/// Of a sample, or of one that lacks something.
fn id(line: &str) -> Option<String> {
    let is_sample = dataset::lesson(line).is_ok() || serde_json::from_str::<Draft>(line).is_ok();
    let mut value: Value = serde_json::from_str(line).ok().filter(|_| is_sample)?;
    match value.get_mut("id").map(Value::take) {
        Some(Value::String(id)) => Some(id),
        _ => None,
    }
}
