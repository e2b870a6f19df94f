//! One way to write the same words, before anything is looked for: full width to half, capitals to small, traditional
//! characters to simplified, a few words of the dialects to the common ones, blanks to one blank, nothing invisible.
//!
//! ```text
//! written  "頭  疼 ＢＰ１６０／１００"  ──▶  plain "头 痛 bp160/100"
//!                                             └── of each byte: where in `written` it comes from
//! ```
//! Each character is taken by itself, so what a rule quotes are the patient's own words. Phrases of the rule files go
//! through the same door: they may be written either way.

use std::{ops::Range, sync::LazyLock};
use unicode_normalization::UnicodeNormalization;

pub struct Plain<'a> {
    written: &'a str,
    pub text: String,
    /// Of each byte of `text`: the first byte in `written` of the character that it comes from.
    origin: Vec<u32>,
}

impl<'a> Plain<'a> {
    pub fn of(written: &'a str) -> Self {
        let mut plain = Self {
            written,
            text: String::with_capacity(written.len() + written.len() / 8),
            origin: Vec::with_capacity(written.len() + written.len() / 8),
        };
        for (at, c) in written.char_indices() {
            plain.take(at as u32, c);
        }
        plain
    }

    /// The patient's own words for a part of the text.
    pub fn written(&self, span: Range<usize>) -> &'a str {
        let start = self.origin.get(span.start).map_or(self.written.len(), |at| *at as usize);
        let last = self.origin[span].last().map_or(start, |at| *at as usize);
        let end = last + self.written[last..].chars().next().map_or(0, char::len_utf8);
        self.written[start..end].trim()
    }

    /// Bytes of the plain text that come from the first so many as they were written.
    pub fn len_of(&self, written: usize) -> usize {
        self.origin.partition_point(|at| (*at as usize) < written)
    }

    /// The text with its broken words joined, where it has any: 胸⏎痛, 胸 痛, chest-pain, chest⏎pain. It is read beside the
    /// text and not instead of it: a join may also put a denial before what it does not deny.
    /// A line with a colon is a row of a form (胸痛：无) and ends where it ends; so does one that ends with a mark, and one
    /// before an empty line.
    pub fn joined(&self) -> Option<Self> {
        let chars: Vec<(usize, char)> = self.text.char_indices().collect();
        let is = |at: usize, kind: fn(char) -> bool| chars.get(at).is_some_and(|(_, c)| kind(*c));
        let latin: fn(char) -> bool = |c| c.is_ascii_alphabetic();
        // A character with none beside it.
        let alone = |at: usize| is(at, is_han) && !(at > 0 && is(at - 1, is_han)) && !is(at + 1, is_han);
        let mut whole = Self { written: self.written, text: String::new(), origin: Vec::new() };
        let (mut row, mut changed) = (false, false);
        for (n, (at, c)) in chars.iter().enumerate() {
            let in_row = row;
            row = *c == ':' || (row && *c != '\n');
            let between = |kind| n > 0 && is(n - 1, kind) && is(n + 1, kind);
            let to = match c {
                '\n' if !in_row && between(is_han) => None,
                ' ' if between(is_han) && (alone(n - 1) || alone(n + 1)) => None,
                '\n' if !in_row && between(latin) => Some(' '),
                '-' if between(latin) => Some(' '),
                c => Some(*c),
            };
            changed |= to != Some(*c);
            if let Some(to) = to {
                whole.text.push(to);
                whole.origin.resize(whole.text.len(), self.origin[*at]);
            }
        }
        changed.then_some(whole)
    }

    fn take(&mut self, at: u32, c: char) {
        if c.is_ascii() {
            self.push(at, c.to_ascii_lowercase());
        } else if is_han(c) {
            self.push(at, spoken(simplified(c)));
        } else {
            for c in std::iter::once(c).nfkc().flat_map(char::to_lowercase) {
                self.push(at, spoken(simplified(c)));
            }
        }
    }

    fn push(&mut self, at: u32, c: char) {
        let before = self.origin.last().map_or(0, |at| self.written.as_bytes()[*at as usize]);
        if c == '\n' && before == b'\r' && at > 0 && self.written.as_bytes()[at as usize - 1] == b'\r' {
            return; // the two of them are one end of a line
        }
        let c = match c {
            '\r' => '\n',
            c if c.is_whitespace() && c != '\n' => ' ',
            c => c,
        };
        // What is not seen must not part a word: zero-width characters, soft hyphens, controls, variation selectors.
        let unseen = matches!(c, '\0'..='\x09' | '\x0b'..='\x1f' | '\x7f'..='\u{9f}' | '\u{ad}' | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}');
        if unseen || (c == ' ' && self.text.ends_with([' ', '\n'])) {
            return;
        }
        self.text.push(c);
        self.origin.resize(self.text.len(), at);
    }
}

/// A phrase of a rule file, written as the text will be.
pub fn plain(phrase: &str) -> String {
    Plain::of(phrase).text
}

fn is_han(c: char) -> bool {
    FIRST <= c && c <= LAST
}

const FIRST: char = '\u{4e00}';
const LAST: char = '\u{9fff}';

/// Of each character of the basic block: what it is simplified to. 42 kB, and no search.
static SIMPLIFIED: LazyLock<Vec<char>> = LazyLock::new(|| {
    let mut table: Vec<char> = (FIRST..=LAST).collect();
    let pairs = include_str!("traditional.txt").lines().filter(|line| !line.starts_with('#'));
    for pair in pairs.flat_map(str::split_whitespace) {
        let mut pair = pair.chars();
        if let (Some(traditional), Some(simple)) = (pair.next(), pair.next()) {
            table[traditional as usize - FIRST as usize] = simple;
        }
    }
    table
});

pub fn simplified(c: char) -> char {
    if is_han(c) { SIMPLIFIED[c as usize - FIRST as usize] } else { c }
}

/// Characters that a dialect uses for a common one, and only that: 疼 is 痛 in every word of a patient.
fn spoken(c: char) -> char {
    match c {
        '疼' => '痛',
        '著' => '着',
        '痠' => '酸',
        '冇' => '没',
        '唔' => '不',
        '咗' => '了',
        '嘅' => '的',
        '佢' => '他',
        '喺' => '在',
        '俺' => '我',
        '屙' => '拉',
        '睇' => '看',
        '睪' => '睾',
        '喎' | '㖞' => '歪',
        '俩' => '两',
        '啲' => '点',
        '妳' => '你',
        '裡' | '裏' => '里',
        '~' | '～' => '-',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_are_written_one_way() {
        let table = [
            ("頭痛，發燒", "头痛,发烧"),
            ("ＢＰ１６０／１００", "bp160/100"),
            ("38.5℃", "38.5°c"),
            ("头  疼", "头 痛"),
            ("胸\u{200b}痛", "胸痛"),
            ("冇發燒、佢個心口好翳", "没发烧、他个心口好翳"),
            ("SpO₂", "spo2"),
        ];
        for (written, expected) in table {
            assert_eq!(plain(written), expected);
            assert_eq!(plain(expected), expected, "once more changes nothing");
        }
    }

    #[test]
    fn a_part_is_quoted_as_it_was_written() {
        let plain = Plain::of("阿公说頭  疼，BP１６０");
        let quoted = |word: &str| plain.text.find(word).map(|at| plain.written(at..at + word.len()));
        assert_eq!(quoted("头 痛"), Some("頭  疼"));
        assert_eq!(quoted("bp160"), Some("BP１６０"));
    }
}
