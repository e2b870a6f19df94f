//! What identifies a patient, taken out of the parts of a sample: names and numbers by `contract::mask`, and exact dates,
//! of which the year stays. `check` refuses what this finds; after it nothing is left that `check` would find.

use contract::mask;
use regex::{Captures, Regex};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{
    borrow::Cow,
    ops::{Add, AddAssign},
    sync::LazyLock,
};

/// Places that were changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scrubbed {
    pub masked: usize,
    pub dates: usize,
}

impl Scrubbed {
    pub fn any(self) -> bool {
        self != Self::default()
    }
}

impl Add for Scrubbed {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self { masked: self.masked + more.masked, dates: self.dates + more.dates }
    }
}

impl AddAssign for Scrubbed {
    fn add_assign(&mut self, more: Self) {
        *self = *self + more;
    }
}

/// `None`: with its masks it no longer fits its type, such as a code that held a telephone number.
pub fn scrubbed<T: Serialize + DeserializeOwned>(parts: &T) -> Option<(T, Scrubbed)> {
    let mut value = serde_json::to_value(parts).ok()?;
    let mut done = Scrubbed::default();
    loop {
        // A date that is gone may uncover a name. Each round but the last makes the text shorter by a date.
        let round = Scrubbed { masked: mask::message(&mut value), dates: years_in(&mut value) };
        done += round;
        if round.dates == 0 {
            return Some((serde_json::from_value(value).ok()?, done));
        }
    }
}

fn years_in(value: &mut Value) -> usize {
    match value {
        Value::String(text) => match years_only(text) {
            (_, 0) => 0,
            (without, dates) => {
                *text = without.into_owned();
                dates
            }
        },
        Value::Array(entries) => entries.iter_mut().map(years_in).sum(),
        Value::Object(fields) => fields.values_mut().map(years_in).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

pub fn has_exact_date(text: &str) -> bool {
    EXACT_DATE.is_match(text)
}

/// Each date as its year or, where it names none, as its month; and how many there were.
fn years_only(text: &str) -> (Cow<'_, str>, usize) {
    let (mut text, mut dates) = (Cow::Borrowed(text), 0);
    // One date may hold the border of the next.
    while has_exact_date(&text) {
        let shorter = EXACT_DATE.replace_all(&text, |date: &Captures<'_>| {
            dates += 1;
            coarse(date)
        });
        text = Cow::Owned(shorter.into_owned());
    }
    (text, dates)
}

fn coarse(date: &Captures<'_>) -> String {
    let part = |name| date.name(name).map_or("", |part| part.as_str());
    let kept = match (part("year"), part("mark")) {
        ("", _) => [part("year_en"), part("year_last"), part("month")].concat(),
        (year, "年") => format!("{year}年"),
        (year, _) => year.to_owned(),
    };
    let after = part("after").trim_start_matches(['日', '号']);
    format!("{}{kept}{after}", part("before"))
}

/// A day of a year tells who was there; "3月" and "3天前" do not.
static EXACT_DATE: LazyLock<Regex> = LazyLock::new(|| {
    const MONTH: &str = r"(?:0?[1-9]|1[0-2])";
    const DAY: &str = r"(?:3[01]|[12][0-9]|0?[1-9])";
    const MONTH_EN: &str = r"(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*\.?";
    let pattern = [
        format!(r"(?<year>(?:19|20)\d\d)\s*(?<mark>[年./-])\s*{MONTH}\s*[月./-]\s*{DAY}(?<after>\D|$)"),
        format!(r"(?<before>^|\D)(?<month>{MONTH}月){DAY}[日号]"),
        format!(
            r"(?i:\b(?:{DAY}(?:st|nd|rd|th)?\s+(?:of\s+)?{MONTH_EN}|{MONTH_EN}\s+{DAY}(?:st|nd|rd|th)?),?\s+(?<year_en>(?:19|20)\d\d)\b)"
        ),
        format!(r"\b{DAY}[./-]{DAY}[./-](?<year_last>(?:19|20)\d\d)\b"),
    ];
    Regex::new(&pattern.join("|")).expect("a pattern")
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_date_the_year_stays_and_of_one_without_a_year_the_month() {
        let cases = [
            ("2026年3月5日在县医院住院", "2026年在县医院住院", 1),
            ("2026-03-05起病", "2026起病", 1),
            ("2025/12/31", "2025", 1),
            ("3月5日起病，3月6号加重", "3月起病，3月加重", 2),
            ("3月5日3月6日3月7日", "3月3月3月", 3),
            ("2026年3月5日、2026.4.1复查", "2026年、2026复查", 2),
            ("Seen on 5 March 2026 and May 6th, 2025.", "Seen on 2026 and 2025.", 2),
            ("admitted 05/03/2026", "admitted 2026", 1),
        ];
        for (text, coarse, dates) in cases {
            assert_eq!(years_only(text), (coarse.into(), dates), "{text}");
        }
    }

    #[test]
    fn medicine_is_no_date() {
        for harmless in [
            "3天前起病，去年3月也有过",
            "2026年体检正常",
            "血压140/90",
            "血钾3.5，肌酐2026",
            "in March 2026",
            "1/2 tablet",
            "孕3月5天",
        ] {
            assert_eq!(years_only(harmless).1, 0, "{harmless}");
        }
    }

    /// What `check` looks for is gone, and nothing that fitted before has grown out of its bounds.
    #[test]
    fn scrubbed_text_holds_no_identifier_and_stays_as_it_is() {
        let pieces = [
            "患者张三，",
            "2026年3月5日",
            "3月5日",
            "电话13812345678",
            "庙子镇王庄村3组",
            "头痛3天",
            "，",
            "。",
            "日",
            "2",
            "5 March 2026",
            "身份证11010519491231002X",
            " ",
            "月",
            "名叫李四",
            "12/3/2025",
        ];
        let mut dice = crate::dice::dice(11);
        for round in 0..20_000 {
            let text: String = (0..1 + dice(6)).map(|_| pieces[dice(pieces.len())]).collect();
            let (clean, _) = scrubbed(&vec![text.clone()]).expect("text stays text");
            assert!(!has_exact_date(&clean[0]), "round {round}: {text} became {}", clean[0]);
            assert!(mask::kinds(&clean[0]).is_empty(), "round {round}: {text} became {}", clean[0]);
            assert!(clean[0].chars().count() <= text.chars().count(), "round {round}: {text} became {}", clean[0]);
            assert_eq!(scrubbed(&clean), Some((clean.clone(), Scrubbed::default())), "round {round}: {text}");
        }
    }
}
