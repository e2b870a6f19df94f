//! Identity cards and phone numbers: known by their form, or by a looser form behind their word.
//!
//! ```text
//! text   … 身份证 4103 2719900101 1234 ，电话 138-1234-5678 …
//! runs            ▔▔▔▔ ▔▔▔▔▔▔▔▔▔▔ ▔▔▔▔        ▔▔▔ ▔▔▔▔ ▔▔▔▔       all the digits that touch
//! chain           └ one separator ┘           └┘
//! ```
//! A number begins and ends where a run does. So a piece of a longer number is never masked, and a mask never
//! cuts or joins what stands beside it.

use super::{Kind, Span, pattern, tail};
use regex::Regex;
use serde_json::Number;
use std::{ops::Range, sync::LazyLock};

/// Identity numbers come in groups of two digits at the least; one of 20 digits has ten runs.
const RUNS_MAX: usize = 10;

static RUN: LazyLock<Regex> = LazyLock::new(|| pattern(r"\D+"));

static CARD_WORD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?:身份证件?|身分证|身份|证件|户口簿|(?i:\bID(?:[ -]?(?:card|no\.?|number)){0,2}",
        r"|identity(?: card)?(?: no\.?| number)?))(?:号码|编号|号)?[\s:：.#是为（(]*$"
    ))
});

static PHONE_WORD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?:电话|手机|座机|热线|联系方式|致电|拨打|(?i:\btele?(?:phone)?|\bphone|\bmobile|\bcell(?:phone)?|\bcall))",
        r"(?i:号码|号| ?no\.?| ?number)?(?:[（(]\p{Han}{1,4}[)）])?(?i:\s*is\b)?[\s:：.#是为（(+＋]*$"
    ))
});

/// What makes a count of the digits before it: 13500000000/L, 400-800-1200 ml.
static MEASURE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^\s?(?:[/／](?i:u?L|ml|dl|升|毫升)|个|[×xX*]\s?10|\^|%|％|毫克|微克|毫升|升|克|次|",
        r"(?i:(?:mg|ug|μg|µg|g|kg|ml|l|iu|u|cells|copies|cfu|mmol|umol|mmhg|bpm)\b))"
    ))
});

/// Digits that touch. Values stand in `Digits`, half-width.
struct Run {
    at: Range<usize>,
    digits: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Gap {
    Space,
    Hyphen,
    /// The closing bracket of an area code.
    Bracket,
    /// What parts the groups of a number as well as whole numbers: a point, a line's end.
    Point,
    Wide,
}

struct Digits<'a> {
    text: &'a str,
    runs: Vec<Run>,
}

pub fn cards_and_phones(text: &str) -> Vec<Span> {
    let runs = RUN.find_iter(text).map(|m| Run { at: m.range(), digits: m.as_str().chars().count() });
    let digits = Digits { text, runs: runs.collect() };
    let (mut spans, mut i) = (Vec::new(), 0);
    while i < digits.runs.len() {
        match digits.card(i).or_else(|| digits.phone(i)) {
            Some((span, runs)) => {
                spans.push(span);
                i += runs;
            }
            None => i += 1,
        }
    }
    spans
}

/// A number that a field of its own holds: no word, no separators, and no checksum, which a float has lost.
pub fn kind_of_number(number: &Number) -> Option<Kind> {
    let text = match (number.as_u64(), number.as_f64()) {
        (Some(whole), _) => whole.to_string(),
        (None, Some(float)) if float.fract() == 0.0 && float.abs() < 1e18 => format!("{:.0}", float.abs()),
        _ => return None,
    };
    match text.len() {
        18 if region_and_birth(&values(&text)) => Some(Kind::IdentityCard),
        15 if region_and_birth(&values(&text)) => Some(Kind::IdentityCard),
        11 if mobile(&values(&text)) => Some(Kind::Phone),
        13 if text.starts_with("86") && mobile(&values(&text[2..])) => Some(Kind::Phone),
        _ => None,
    }
}

impl Digits<'_> {
    /// An identity number that begins with run `i`, and how many runs it takes.
    fn card(&self, i: usize) -> Option<(Span, usize)> {
        let worded = CARD_WORD.is_match(tail(&self.text[..self.runs[i].at.start], 48));
        if !worded && !self.clean_left(i) {
            return None;
        }
        let (mut total, mut best) = (0, None);
        for j in i..self.runs.len().min(i + RUNS_MAX) {
            total += self.runs[j].digits;
            if total > 20 {
                break;
            }
            let (end, x) = self.with_x(j, total);
            let number = values(&self.text[self.runs[i].at.start..end]);
            let exact = valid(&number) || (worded && (number.len() == 18 || (total == 15 && i == j)));
            // Behind its word a number with a digit too few or too many is one too, if it is written in one piece.
            let slipped = worded && i == j && (13..=20).contains(&number.len());
            if (exact || slipped) && (x || self.clean_right(j)) {
                let at = self.runs[i].at.start..end;
                best = Some((Span { at, kind: Kind::IdentityCard }, j + 1 - i));
            }
            if number.len() == 18 && best.is_some() || matches!(self.gap(j), Gap::Bracket | Gap::Wide) {
                break;
            }
        }
        best
    }

    /// Where run `j` ends, with the check character X if these are the 17 digits before one.
    fn with_x(&self, j: usize, total: usize) -> (usize, bool) {
        let end = self.runs[j].at.end;
        if total != 17 {
            return (end, false);
        }
        let rest = &self.text[end..];
        let separator: usize = rest.chars().take(2).take_while(|c| gap_of(*c).is_some()).map(char::len_utf8).sum();
        let mut after = rest[separator..].chars();
        match (after.next(), after.next()) {
            (Some(x @ ('x' | 'X' | 'ｘ' | 'Ｘ')), next) if !next.is_some_and(alphanumeric) => {
                (end + separator + x.len_utf8(), true)
            }
            _ => (end, false),
        }
    }

    fn phone(&self, i: usize) -> Option<(Span, usize)> {
        let worded = PHONE_WORD.is_match(tail(&self.text[..self.runs[i].at.start], 48));
        if !worded && !self.clean_left(i) {
            return None;
        }
        let runs = self.mobile_at(i).or_else(|| self.landline_at(i));
        let runs = runs.or_else(|| if worded { self.service_at(i).or_else(|| self.any_phone_at(i)) } else { None })?;
        let last = i + runs - 1;
        if !self.clean_right(last)
            || (!worded && MEASURE.is_match(super::head(&self.text[self.runs[last].at.end..], 24)))
        {
            return None;
        }
        let at = self.opening(i)..self.runs[last].at.end;
        Some((Span { at, kind: Kind::Phone }, runs))
    }

    /// 138 1234 5678, 138-12345678, +86 138…, 86138…, 0138…
    fn mobile_at(&self, i: usize) -> Option<usize> {
        let first = self.values(i);
        let country = [&[8, 6][..], &[0, 0, 8, 6]].contains(&&first[..]);
        if country && matches!(self.gap(i), Gap::Space | Gap::Hyphen) {
            return self.mobile_groups(i + 1).map(|runs| runs + 1);
        }
        let prefix = [&[8, 6][..], &[0, 0, 8, 6], &[0]].into_iter().find(|p| first.starts_with(p));
        if prefix.is_some_and(|p| mobile(&first[p.len()..])) {
            return Some(1);
        }
        self.mobile_groups(i)
    }

    fn mobile_groups(&self, i: usize) -> Option<usize> {
        let gap = self.gap(i);
        let runs = match self.shape(i) {
            [11, ..] => 1,
            // The same separator twice: 150-2000 1000 is a range and a count.
            [3, 4, 4] if gap == self.gap(i + 1) => 3,
            // Not where it may be a pressure and a date: 130 20231105.
            [3, 8, _] if gap == Gap::Hyphen || !self.is_date(i + 1) => 2,
            [7, 4, _] if gap == Gap::Hyphen => 2,
            [5, 6, _] if gap != Gap::Wide => 2,
            _ => return None,
        };
        let number: Vec<u8> = (i..i + runs).flat_map(|run| self.values(run)).collect();
        (mobile(&number) && !self.goes_on(i, runs)).then_some(runs)
    }

    /// (0379)62345678, 0379-6234 5678, 010-62345678-123
    fn landline_at(&self, i: usize) -> Option<usize> {
        let area = self.values(i);
        let area_code = matches!(area[..], [0, 1, 0] | [0, 2, _] | [0, 3..=9, _, _]);
        let runs = match self.shape(i) {
            _ if !area_code => return None,
            [_, 7 | 8, _] => 2,
            [_, 3 | 4, 4] if self.gap(i) != Gap::Space => 3,
            _ => return None,
        };
        let extension = self.gap(i + runs - 1) == Gap::Hyphen && self.runs[i + runs].digits <= 5;
        Some(runs + usize::from(extension))
    }

    /// 400 and 800 numbers, behind a phone word only: 400-600-1000 may as well be three doses.
    fn service_at(&self, i: usize) -> Option<usize> {
        let [4 | 8, 0, 0, ..] = self.values(i)[..] else { return None };
        let runs = match self.shape(i) {
            [10, ..] => 1,
            [3, 7, _] if self.gap(i) == Gap::Hyphen => 2,
            [3, 3, 4] | [3, 4, 3] if self.gap(i) == Gap::Hyphen && self.gap(i + 1) == Gap::Hyphen => 3,
            _ => return None,
        };
        (!self.goes_on(i, runs)).then_some(runs)
    }

    /// Behind a phone word: local numbers, Hong Kong, Macao, Taiwan, abroad.
    fn any_phone_at(&self, i: usize) -> Option<usize> {
        match self.shape(i) {
            [7..=13, ..] => Some(1),
            [1..=4, 7..=11, _] => Some(2),
            [2..=4, 3 | 4, 4] => Some(3),
            [3 | 4, 4, _] => Some(2),
            _ => None,
        }
    }

    /// 138.1234.5678
    fn pointed_mobile(&self, i: usize) -> bool {
        let digits = |run: usize| self.runs.get(run).map_or(0, |r| r.digits);
        let first = |run: usize| self.values(run).first() == Some(&1);
        let from = |i: usize| digits(i) == 3 && digits(i + 1) == 4 && digits(i + 2) == 4 && first(i);
        from(i) || (i > 0 && from(i - 1))
    }

    fn is_date(&self, run: usize) -> bool {
        matches!(self.values(run)[..], [1, 9, _, _, 0 | 1, ..] | [2, 0, _, _, 0 | 1, ..])
    }

    /// A group number that another group follows by hyphen is a piece of something longer.
    fn goes_on(&self, i: usize, runs: usize) -> bool {
        runs > 1 && self.gap(i + runs - 1) == Gap::Hyphen
    }

    /// Digits in run `i` and in those joined to it, as far as three groups go.
    fn shape(&self, i: usize) -> [usize; 3] {
        let count = |run: usize| self.runs.get(run).map_or(0, |r| r.digits);
        let second = if self.gap(i) == Gap::Wide || self.gap(i) == Gap::Point && !self.pointed_mobile(i) {
            0
        } else {
            count(i + 1)
        };
        let third = if second == 0 || self.gap(i + 1) == Gap::Wide { 0 } else { count(i + 2) };
        [count(i), second, third]
    }

    fn values(&self, run: usize) -> Vec<u8> {
        self.runs.get(run).map_or_else(Vec::new, |r| values(super::head(&self.text[r.at.clone()], 64)))
    }

    /// What stands between run `i` and the next: one separator, or two of them (" - ").
    fn gap(&self, i: usize) -> Gap {
        let (Some(here), Some(next)) = (self.runs.get(i), self.runs.get(i + 1)) else { return Gap::Wide };
        let between = self.text[here.at.end..next.at.start].chars();
        let mut between = between.filter(|c| !invisible(*c)).peekable();
        if between.peek().is_none() {
            return Gap::Space; // parted by what nobody sees
        }
        match (between.next().and_then(gap_of), between.next().map(gap_of), between.next()) {
            (Some(gap), None, _) => gap,
            (Some(Gap::Bracket), Some(Some(Gap::Space | Gap::Hyphen)), None) => Gap::Bracket,
            (Some(Gap::Space), Some(Some(Gap::Hyphen)), None) => Gap::Hyphen,
            (Some(Gap::Hyphen | Gap::Space), Some(Some(Gap::Space)), None) => Gap::Space,
            _ => Gap::Wide,
        }
    }

    /// With the plus sign and the opening bracket of the area code.
    fn opening(&self, i: usize) -> usize {
        let start = self.runs[i].at.start;
        let bracketed = self.gap(i) == Gap::Bracket;
        match self.text[..start].chars().next_back() {
            Some(c @ ('+' | '＋')) => start - c.len_utf8(),
            Some(c @ ('(' | '（')) if bracketed => start - c.len_utf8(),
            _ => start,
        }
    }

    /// Not inside a word (H20023456), not behind a decimal point.
    fn clean_left(&self, i: usize) -> bool {
        let mut before = self.text[..self.runs[i].at.start].chars().rev();
        match before.next() {
            Some('.' | '．' | ',' | '/') => !before.next().is_some_and(|c| c.is_numeric() || c == '〕'),
            Some(c) => !alphanumeric(c),
            None => true,
        }
    }

    fn clean_right(&self, i: usize) -> bool {
        let mut after = self.text[self.runs[i].at.end..].chars();
        match after.next() {
            Some('.' | '．') => !after.next().is_some_and(|c| c.is_numeric()),
            Some(c) => !alphanumeric(c),
            None => true,
        }
    }
}

/// Characters that take no place: a number with them inside looks whole.
fn invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

fn gap_of(c: char) -> Option<Gap> {
    match c {
        ' ' | '\t' | '\u{a0}' | '\u{3000}' | '\u{202f}' | '\u{2000}'..='\u{200a}' => Some(Gap::Space),
        '-' | '－' | '‐' | '‑' | '‒' | '–' | '—' => Some(Gap::Hyphen),
        ')' | '）' => Some(Gap::Bracket),
        '\n' | '.' | '．' | '·' | '_' | ',' | '，' => Some(Gap::Point),
        _ => None,
    }
}

fn alphanumeric(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || matches!(c, 'Ａ'..='Ｚ' | 'ａ'..='ｚ')
}

/// Digits of either width as numbers, a check character X as 10; separators are passed over.
fn values(text: &str) -> Vec<u8> {
    let value = |c: char| match c {
        '0'..='9' => Some(c as u8 - b'0'),
        '０'..='９' => u8::try_from(c as u32 - '０' as u32).ok(),
        'x' | 'X' | 'ｘ' | 'Ｘ' => Some(10),
        _ => None,
    };
    text.chars().filter_map(value).collect()
}

/// 11 digits of a mainland mobile number.
fn mobile(number: &[u8]) -> bool {
    matches!(number, [1, 3..=9, ..]) && number.len() == 11
}

/// GB 11643-1999: 18 characters with a check character, or the 15 digits of before.
fn valid(number: &[u8]) -> bool {
    region_and_birth(number) && (number.len() == 15 || checksum(number))
}

/// ISO 7064 MOD 11-2: with the weights 2^(17-i) mod 11 the sum leaves 1.
pub(super) fn checksum(number: &[u8]) -> bool {
    const WEIGHTS: [u32; 18] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2, 1];
    number.len() == 18 && number.iter().zip(WEIGHTS).map(|(d, w)| u32::from(*d) * w).sum::<u32>() % 11 == 1
}

/// A province and a day that exist: GB/T 2260 knows no others. 9 begins the permits of foreigners.
fn region_and_birth(number: &[u8]) -> bool {
    let (year, rest) = match *number {
        [_, _, _, _, _, _, a, b, c, d, ref rest @ ..] if number.len() == 18 => (years(&[a, b, c, d]), rest),
        [_, _, _, _, _, _, c, d, ref rest @ ..] if number.len() == 15 => (1900 + years(&[c, d]), rest),
        _ => return false,
    };
    let province = number[0] * 10 + number[1];
    let known = matches!(province, 11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83 | 91..=99);
    let (month, day) = (rest[0] * 10 + rest[1], rest[2] * 10 + rest[3]);
    known && (1880..=2100).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)
}

fn years(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |year, digit| year * 10 + u32::from(*digit))
}
