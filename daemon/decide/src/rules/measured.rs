//! Vital signs and ages in free text: 血压160/100, 高压一百六, 38度5, 烧到39, T39.2 P128 R30, SpO2 88%, 男66.
//! The words that announce a sign stand in `adapters/rules/words.json` (`signs`). An implausible number is no number;
//! one that was usual or of before is not of today.

use super::{
    clause::{Cues, Reading},
    number::Number,
    phrase::{Builder, PhraseFault, Span, Topic},
    vital::{SIGNS, Sign},
};
use contract::case::{Age, AgeUnit};
use serde::Deserialize;
use std::ops::Range;

/// For each sign the words that announce it; `not_body` are warm things that are no patient: 气温, 水温.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignText {
    t_c: Vec<String>,
    hr: Vec<String>,
    rr: Vec<String>,
    sbp: Vec<String>,
    dbp: Vec<String>,
    spo2: Vec<String>,
    glucose: Vec<String>,
    not_body: Vec<String>,
}

pub struct Signs {
    of: [Topic; 7],
    not_body: Topic,
}

impl Signs {
    pub fn build(text: &SignText, builder: &mut Builder) -> Result<Self, PhraseFault> {
        let lists = [&text.t_c, &text.hr, &text.rr, &text.sbp, &text.dbp, &text.spo2, &text.glucose];
        let mut of = [0; 7];
        for (topic, list) in of.iter_mut().zip(lists) {
            *topic = builder.topic(list)?;
        }
        Ok(Self { of, not_body: builder.topic(&text.not_body)? })
    }
}

/// A sign as the text states it.
#[derive(Debug, Clone)]
pub struct Measured {
    pub sign: &'static Sign,
    pub value: f32,
    pub words: Range<usize>,
}

/// Where these stand in `Signs::of` and in `SIGNS`.
const T_C: usize = 0;
const SBP: usize = 3;
const DBP: usize = 4;
const GLUCOSE: usize = 6;

/// What a body can show, narrower than what a tablet may send: a number in a sentence may be anything.
const PLAUSIBLE: [(f32, f32); 7] =
    [(30.0, 43.0), (20.0, 300.0), (4.0, 150.0), (40.0, 280.0), (20.0, 180.0), (40.0, 100.0), (0.5, 60.0)];

/// A number stands this near behind its word: 血压我在家量的是160/100.
const APART_MAX: usize = 24;

pub fn measured(text: &str, numbers: &[Number], reading: &Reading, signs: &Signs, cues: &Cues) -> Vec<Measured> {
    let mut found: Vec<Measured> = Vec::new();
    let mut keep = |sign: usize, value: f32, words: Range<usize>| {
        let (from, to) = PLAUSIBLE[sign];
        if (from..=to).contains(&value) {
            found.push(Measured { sign: &SIGNS[sign], value, words });
        }
    };
    // The 2 of SpO2 is none.
    let in_a_word = |number: &&Number| {
        signs
            .of
            .iter()
            .any(|topic| reading.spans[*topic].iter().any(|span| span.start < number.start && number.end <= span.end))
    };
    let numbers: Vec<Number> = numbers.iter().filter(|number| !in_a_word(number)).copied().collect();
    let numbers = numbers.as_slice();
    let mut skip = 0;
    for (n, number) in numbers.iter().enumerate() {
        let Some(clause) = reading.clause(reading.clause_of(number.start)) else { continue };
        let span = Span { start: number.start, end: number.end, inner: (number.end, number.end) };
        let near = reading.near(&span, &clause);
        if n < skip || reading.denied(&span, &near, cues) || reading.is_of_before(&clause, cues) {
            continue;
        }
        let from = numbers[..n].last().map_or(clause.start, |before| before.end.max(clause.start));
        let announced = announced(reading, signs, from, number.start);
        let word = announced.map_or(number.start, |(_, at)| at);
        let second = numbers.get(n + 1).filter(|next| is_pair(&text[number.end..next.start]));
        if let Some(second) = second
            && matches!(announced, None | Some((SBP, _)))
        {
            let unit = text[second.end..].trim_start().starts_with("mmhg");
            let alone = number.value > second.value && number.value >= 80.0 && second.value >= 40.0;
            if announced.is_some() || unit || (alone && is_whole(number.value) && is_whole(second.value)) {
                keep(SBP, number.value, word..second.end);
                keep(DBP, second.value, word..second.end);
                skip = n + 2;
                continue;
            }
        }
        let after = &text[number.end..];
        match announced {
            Some(_) if counts_time(after) => {}
            Some((T_C, _)) if not_a_body(reading, signs, from, number.start) => {}
            Some((T_C, _)) => {
                let (value, end) = degrees(text, numbers, n);
                keep(T_C, value, word..end);
            }
            Some((GLUCOSE, _)) if after.trim_start().starts_with("mg") => {
                keep(GLUCOSE, number.value / 18.0, word..number.end);
            }
            Some((sign, _)) => keep(sign, number.value, word..number.end),
            None if is_degree(after) && !not_a_body(reading, signs, clause.start, number.start) => {
                let (value, end) = degrees(text, numbers, n);
                // Below, 度 may be anything: an angle, the weather.
                if value >= 35.0 {
                    keep(T_C, value, number.start..end);
                }
            }
            None => {}
        }
    }
    found
}

/// 烧了40天, 心跳快3年: how long, not how much.
fn counts_time(after: &str) -> bool {
    let after = after.trim_start_matches(['多', '来', '余', ' ']);
    ["天", "日", "年", "岁", "周", "个", "小时", "钟头", "分钟", "月", "day", "week", "month", "year", "hour"]
        .iter()
        .any(|word| after.starts_with(word))
}

fn is_whole(value: f32) -> bool {
    value.fract() == 0.0
}

fn is_pair(between: &str) -> bool {
    matches!(between.trim(), "/" | "比" | "和" | "到" | "-" | "over" | "\\" | "mmhg/")
}

fn is_degree(after: &str) -> bool {
    let after = after.trim_start();
    ["°c", "度", "摄氏度", "°f"].iter().any(|unit| after.starts_with(unit))
}

/// 38度5, 三十九度二, 38度半, 101°F: the value, and where it ends.
fn degrees(text: &str, numbers: &[Number], n: usize) -> (f32, usize) {
    let Number { end, value, .. } = numbers[n];
    let after = &text[end..];
    let fahrenheit = ["°f", " f", "f"].iter().any(|unit| after.starts_with(unit));
    if fahrenheit || (95.0..=110.0).contains(&value) {
        return ((value - 32.0) / 1.8, end);
    }
    let Some(behind) = after.strip_prefix('度') else { return (value, end) };
    let start = text.len() - behind.len();
    match numbers.get(n + 1) {
        Some(half) if half.start == start && half.value == 0.5 => (value + 0.5, half.end),
        Some(tenth) if tenth.start == start && tenth.value < 10.0 && is_whole(tenth.value) => {
            // 38度3天 is three days.
            let of_something = text[tenth.end..].starts_with(['天', '日', '个', '次', '小']);
            if of_something { (value, start) } else { (value + tenth.value / 10.0, tenth.end) }
        }
        _ => (value, start),
    }
}

/// The sign whose word stands nearest before a number, and where that word begins.
fn announced(reading: &Reading, signs: &Signs, from: usize, number: usize) -> Option<(usize, usize)> {
    let near = |topic: Topic| {
        let spans = &reading.spans[topic];
        let before =
            spans.iter().filter(|span| from <= span.start && span.end <= number && number - span.end <= APART_MAX);
        before.max_by_key(|span| (span.end, span.end - span.start))
    };
    (0..7)
        .filter_map(|sign| near(signs.of[sign]).map(|span| (sign, span)))
        .max_by_key(|(sign, span)| (span.end, span.end - span.start, 7 - sign))
        .map(|(sign, span)| (sign, span.start))
}

fn not_a_body(reading: &Reading, signs: &Signs, from: usize, number: usize) -> bool {
    reading.spans[signs.not_body].iter().any(|span| from <= span.start && span.end <= number)
}

/// The age, where the text states one and only one: 男66岁, 3个月大, 45-year-old.
pub fn age(text: &str, numbers: &[Number]) -> Option<Age> {
    let ages: Vec<Age> = numbers.iter().filter_map(|number| age_at(text, number)).collect();
    let (first, rest) = ages.split_first()?;
    rest.iter().all(|age| age == first).then_some(*first)
}

fn age_at(text: &str, number: &Number) -> Option<Age> {
    let after = text[number.end..].trim_start_matches([' ', '-', '多']);
    let of = |words: &[&str]| words.iter().any(|word| after.starts_with(word));
    let unit =
        if of(&["岁", "周岁", "years old", "year old", "year-old", "years-old", "y/o", "yo ", "yrs old", "yr old"]) {
            AgeUnit::Year
        } else if of(&["个月大", "月龄", "个月的宝", "个月婴", "个月宝", "month-old", "months old", "month old"])
        {
            AgeUnit::Month
        } else if of(&["天大", "日龄", "天的新生", "days old", "day-old", "day old"]) {
            AgeUnit::Day
        } else if text[..number.start].ends_with(['男', '女'])
            && (1.0..=110.0).contains(&number.value)
            && is_whole(number.value)
        {
            AgeUnit::Year
        } else {
            return None;
        };
    let age = Age { value: number.value, unit };
    (0.0..=120.0).contains(&age.years()).then_some(age)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{RuleSet, normal, number};

    fn read(text: &str) -> Vec<(&'static str, f32)> {
        let set = RuleSet::builtin();
        let text = normal::plain(text);
        let reading = Reading::of(&text, &set.language.lexicon);
        let found = measured(&text, &number::numbers(&text), &reading, &set.language.signs, &set.language.cues);
        found.iter().map(|one| (one.sign.code, (one.value * 10.0).round() / 10.0)).collect()
    }

    #[test]
    fn vital_signs_are_read_as_villages_write_them() {
        let table: [(&str, &[(&str, f32)]); 31] = [
            ("血压160/100", &[("sbp", 160.0), ("dbp", 100.0)]),
            ("高压160低压100", &[("sbp", 160.0), ("dbp", 100.0)]),
            ("血压一百六十/一百", &[("sbp", 160.0), ("dbp", 100.0)]),
            ("高压一百六，低压一百", &[("sbp", 160.0), ("dbp", 100.0)]),
            ("ＢＰ１６８／１１２", &[("sbp", 168.0), ("dbp", 112.0)]),
            ("BP 150 over 95", &[("sbp", 150.0), ("dbp", 95.0)]),
            ("38.5℃", &[("t_c", 38.5)]),
            ("38度5", &[("t_c", 38.5)]),
            ("三十九度二", &[("t_c", 39.2)]),
            ("三十八度半", &[("t_c", 38.5)]),
            ("烧到39", &[("t_c", 39.0)]),
            ("T39.2 P128 R30", &[("t_c", 39.2), ("hr", 128.0), ("rr", 30.0)]),
            ("fever of 102°F", &[("t_c", 38.9)]),
            ("心率120", &[("hr", 120.0)]),
            ("脉搏一百二", &[("hr", 120.0)]),
            ("呼吸40次/分", &[("rr", 40.0)]),
            ("血氧88%", &[("spo2", 88.0)]),
            ("SpO2 只有 88%", &[("spo2", 88.0)]),
            ("血糖2.8", &[("glucose", 2.8)]),
            ("glucose 54 mg/dl", &[("glucose", 3.0)]),
            // In Fahrenheit; then of no body, of no day, or of nobody.
            ("体温98", &[("t_c", 36.7)]),
            ("体温88", &[]),
            ("血压1600/1000", &[]),
            ("烧了40天", &[]),
            ("气温39度", &[]),
            ("拍片角度38度", &[("t_c", 38.0)]),
            ("平时血压160/100", &[]),
            ("以前血压160/100，现在130/80", &[("sbp", 130.0), ("dbp", 80.0)]),
            ("没有烧到39", &[]),
            ("血压药吃了3天", &[]),
            ("2024/12/3", &[]),
        ];
        for (text, expected) in table {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn an_age_is_read_where_only_one_is_told() {
        let years =
            |text: &str| age(&normal::plain(text), &number::numbers(&normal::plain(text))).map(|age| age.years());
        assert_eq!(years("男66 胸闷"), Some(66.0));
        assert_eq!(years("老汉七十岁"), Some(70.0));
        assert_eq!(years("3个月大的娃"), Some(0.25));
        assert_eq!(years("a 45-year-old farmer"), Some(45.0));
        assert_eq!(years("我30岁，我妈60岁"), None);
        assert_eq!(years("发烧3天"), None);
    }
}
