//! Text as names and phrases are looked for in it: half width, lower case, simplified characters. Character by character,
//! so that a place in the normal form is a place in the text.

use crate::rules::normal::simplified;

pub fn normal(text: &str) -> String {
    text.chars().map(one).collect()
}

fn one(c: char) -> char {
    match c {
        // Punctuation that ends a clause reads well in either width, and stays.
        '，' | '；' | '：' | '！' | '？' | '（' | '）' => c,
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c).to_ascii_lowercase(),
        '\u{3000}' => ' ',
        _ if c.is_ascii() => c.to_ascii_lowercase(),
        _ => simplified(c),
    }
}
