//! The form: fixed sections with short lines. The engine feeds the headers, the model writes the lines,
//! the daemon owns the result. So an answer is valid by construction and scaffolding costs no decode step.
//!
//! ```text
//! 【可能原因】                 ← fed
//! 稳定型心绞痛：劳累诱发，…      ← written, one line an entry, until an empty line
//! 胃食管反流：餐后加重
//!                             ← the empty line that ends a section
//! 【不能排除】                 ← fed
//! ```

use contract::{ids::Lang, reply::Section};

/// Bounds of one section. A line that reaches its bound is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub lines_max: usize,
    pub tokens_per_line_max: usize,
}

/// What a section may hold. Sum over the form: at most 14 lines and 640 tokens, so that a full form,
/// its case and the parked prefixes fit a context of 4,096 cells.
pub fn bounds(section: Section) -> Bounds {
    let (lines_max, tokens_per_line_max) = match section {
        Section::PossibleCauses => (3, 48),
        Section::CannotExclude => (2, 48),
        Section::SuggestedChecks => (4, 40),
        Section::MedicationCautions => (2, 48),
        Section::MissingInformation => (3, 40),
    };
    Bounds { lines_max, tokens_per_line_max }
}

pub fn header(section: Section, lang: Lang) -> &'static str {
    match (lang, section) {
        (Lang::Zh, Section::PossibleCauses) => "【可能原因】",
        (Lang::Zh, Section::CannotExclude) => "【不能排除】",
        (Lang::Zh, Section::SuggestedChecks) => "【建议检查】",
        (Lang::Zh, Section::MedicationCautions) => "【用药提醒】",
        (Lang::Zh, Section::MissingInformation) => "【还需了解】",
        (Lang::En, Section::PossibleCauses) => "[Possible causes]",
        (Lang::En, Section::CannotExclude) => "[Cannot exclude]",
        (Lang::En, Section::SuggestedChecks) => "[Suggested checks]",
        (Lang::En, Section::MedicationCautions) => "[Medication cautions]",
        (Lang::En, Section::MissingInformation) => "[Still to ask]",
    }
}

/// The word that says "nothing to note" in a section that may be empty.
pub fn is_nothing(line: &str) -> bool {
    matches!(line.trim(), "无" | "暂无" | "None" | "none")
}

/// The section that is written first; the others are branches that share its KV.
pub const FIRST: Section = Section::PossibleCauses;
pub const BRANCHES: [Section; 4] =
    [Section::CannotExclude, Section::SuggestedChecks, Section::MedicationCautions, Section::MissingInformation];

/// Collects the pieces of one section's text into lines. Pieces come token by token, and a token may hold
/// the end of one line and the beginning of another.
///
/// ```text
/// writing line ──"\n"──▶ between lines ──"\n"──▶ ended
///      ▲                      │
///      └───── other text ─────┘
/// ```
#[derive(Debug)]
pub struct Lines {
    bounds: Bounds,
    characters: Characters,
    done: Vec<String>,
    open: String,
    tokens_in_line: usize,
    ended: bool,
}

impl Lines {
    pub fn new(bounds: Bounds) -> Self {
        let characters = Characters::default();
        Self { bounds, characters, done: Vec::new(), open: String::new(), tokens_in_line: 0, ended: false }
    }

    /// Takes the bytes of one token, which may begin or end inside a character.
    pub fn push(&mut self, token: &[u8]) {
        self.tokens_in_line += 1;
        for c in self.characters.push(token).chars() {
            match c {
                _ if self.ended => return,
                '\n' if self.open.trim().is_empty() => self.ended = true,
                '\n' => self.close_line(),
                c if c.is_control() => {}
                c => self.open.push(c),
            }
        }
        if !self.ended && (self.tokens_in_line >= self.bounds.tokens_per_line_max || repeats_itself(&self.open)) {
            // An over-long or looping line has no end that means anything: it and what would follow are given up.
            self.open.clear();
            self.ended = true;
        }
    }

    fn close_line(&mut self) {
        let line = std::mem::take(&mut self.open).trim().to_owned();
        self.tokens_in_line = 0;
        if self.done.contains(&line) {
            self.ended = true; // a line said twice: the model goes in circles
            return;
        }
        self.done.push(line);
        self.ended = self.done.len() >= self.bounds.lines_max;
    }

    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The lines that are whole.
    pub fn done(&self) -> &[String] {
        &self.done
    }

    /// The model has nothing more to say: what stands in the open line counts.
    pub fn close(&mut self) {
        if !self.ended && !self.open.trim().is_empty() {
            self.close_line();
        }
        self.ended = true;
    }
}

/// Puts characters together from tokens: a rare 汉字 comes as three tokens of a byte each.
#[derive(Debug, Default)]
struct Characters {
    /// The beginning of a character, at most three bytes.
    begun: Vec<u8>,
}

impl Characters {
    /// The characters that are whole now. Bytes that can never become one are left out.
    fn push(&mut self, bytes: &[u8]) -> String {
        self.begun.extend_from_slice(bytes);
        let mut whole = String::new();
        loop {
            match std::str::from_utf8(&self.begun) {
                Ok(text) => {
                    whole.push_str(text);
                    self.begun.clear();
                    return whole;
                }
                Err(fault) => {
                    let (good, rest) = self.begun.split_at(fault.valid_up_to());
                    whole.push_str(std::str::from_utf8(good).expect("valid up to here"));
                    let Some(bad) = fault.error_len() else {
                        self.begun = rest.to_vec();
                        return whole;
                    };
                    self.begun = rest[bad..].to_vec();
                }
            }
        }
    }
}

/// Whether the text ends in the same stretch of 2 to 16 characters four times over.
fn repeats_itself(text: &str) -> bool {
    let tail: Vec<char> = text.chars().rev().take(64).collect();
    (2..=16).any(|n| tail.len() >= 4 * n && (n..4 * n).all(|i| tail[i] == tail[i - n]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&str]) -> (Vec<String>, bool) {
        let mut lines = Lines::new(Bounds { lines_max: 3, tokens_per_line_max: 8 });
        pieces.iter().for_each(|p| lines.push(p.as_bytes()));
        let ended = lines.ended();
        lines.close();
        (lines.done().to_vec(), ended)
    }

    #[test]
    fn an_empty_line_ends_the_section() {
        assert_eq!(
            lines(&["心绞痛", "：胸闷\n", "胃炎：反酸", "\n\n", "后面的"]),
            (vec!["心绞痛：胸闷".into(), "胃炎：反酸".into()], true)
        );
    }

    #[test]
    fn the_bound_on_lines_ends_the_section() {
        assert_eq!(lines(&["a\nb\nc\nd\n"]).0, ["a", "b", "c"]);
    }

    #[test]
    fn a_line_without_end_is_given_up() {
        assert_eq!(lines(&["a\n", "1", "2", "3", "4", "5", "6", "7", "8", "9"]), (vec!["a".into()], true));
    }

    #[test]
    fn a_loop_is_given_up() {
        assert_eq!(lines(&["好的好的好的好的好的", "x"]), (vec![], true));
        assert_eq!(lines(&["a\n", "a\n", "b\n"]), (vec!["a".into()], true));
    }

    #[test]
    fn an_unfinished_last_line_counts() {
        assert_eq!(lines(&["心电图：看有无异常"]), (vec!["心电图：看有无异常".into()], false));
    }

    #[test]
    fn control_characters_never_reach_a_line() {
        assert_eq!(lines(&["a\u{1b}[31mb\n"]).0, ["a[31mb"]);
    }

    #[test]
    fn characters_survive_any_cut_into_tokens() {
        let text = "疟疾：发热𫫇寒\n胸痛 38.5℃\n\n";
        let bounds = Bounds { lines_max: 3, tokens_per_line_max: 100 };
        for size in 1..8 {
            let mut lines = Lines::new(bounds);
            text.as_bytes().chunks(size).for_each(|token| lines.push(token));
            lines.close();
            assert_eq!(lines.done(), ["疟疾：发热𫫇寒", "胸痛 38.5℃"], "tokens of {size} bytes");
        }
    }

    #[test]
    fn bytes_that_are_no_character_are_left_out() {
        let mut lines = Lines::new(Bounds { lines_max: 3, tokens_per_line_max: 100 });
        [&b"\xff\xe8\x83"[..], b"a", b"\x83", "胸\n".as_bytes()].iter().for_each(|token| lines.push(token));
        lines.close();
        assert_eq!(lines.done(), ["a胸"]);
    }
}
