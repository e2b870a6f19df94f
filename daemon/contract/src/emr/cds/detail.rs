//! A card's detail: Markdown in the making.

use crate::{
    answer::{AiLabel, Disclaimer},
    emr::{
        text::markdown,
        words::{Words, say},
    },
    ids::Lang,
};

/// What comes from the answer is escaped here and nowhere else.
pub struct Detail {
    lang: Lang,
    written: String,
}

impl Detail {
    pub fn new(lang: Lang) -> Self {
        Self { lang, written: String::new() }
    }

    /// A heading and an entry a line; nothing where there is nothing to list.
    pub fn list(&mut self, heading: Words, entries: impl IntoIterator<Item = String>) {
        let entries = entries.into_iter().map(|entry| markdown(&entry)).filter(|entry| !entry.is_empty());
        let lines: Vec<String> = entries.map(|entry| format!("- {entry}\n")).collect();
        if !lines.is_empty() {
            self.written += &format!("**{}**\n\n{}\n", say(self.lang, heading), lines.concat());
        }
    }

    /// No card without the label and the disclaimer.
    pub fn end(self) -> String {
        let label = say(self.lang, (AiLabel::ZH, AiLabel::EN));
        format!("{}---\n\n**{label}** {}\n", self.written, say(self.lang, (Disclaimer::ZH, Disclaimer::EN)))
    }
}
