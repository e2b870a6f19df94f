//! Numbers as patients write them: 38.5, 三十九, 一百六, 半; and how long something has lasted.

/// A number in the plain text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    pub start: usize,
    pub end: usize,
    pub value: f32,
}

/// A time in days, and where it is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Duration {
    pub start: usize,
    pub end: usize,
    pub days: f32,
}

pub fn numbers(text: &str) -> Vec<Number> {
    let mut numbers = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let read = match c {
            '0'..='9' => arabic(text, at),
            'a'..='z' => english(text, at),
            c if digit(c).is_some() || "十百半几数".contains(c) => chinese(text, at),
            _ => None,
        };
        at = match read {
            Some(number) => {
                numbers.push(number);
                number.end
            }
            None => at + c.len_utf8(),
        };
    }
    numbers
}

fn arabic(text: &str, start: usize) -> Option<Number> {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut end = start + digits(start);
    if bytes.get(end) == Some(&b'.') && digits((end + 1).min(bytes.len())) > 0 {
        end += 1 + digits(end + 1);
    }
    let value = text[start..end].parse().ok()?;
    Some(Number { start, end, value })
}

const ENGLISH: [(&str, f32); 21] = [
    ("half a ", 0.5),
    ("a couple of", 2.0),
    ("couple of", 2.0),
    ("several", 4.0),
    ("a few", 3.0),
    ("few", 3.0),
    ("one", 1.0),
    ("two", 2.0),
    ("three", 3.0),
    ("four", 4.0),
    ("five", 5.0),
    ("six", 6.0),
    ("seven", 7.0),
    ("eight", 8.0),
    ("nine", 9.0),
    ("ten", 10.0),
    ("twelve", 12.0),
    ("twenty", 20.0),
    ("thirty", 30.0),
    ("an", 1.0),
    ("a", 1.0),
];

fn english(text: &str, start: usize) -> Option<Number> {
    let letter = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_alphabetic);
    if start > 0 && letter(start - 1) {
        return None;
    }
    let (word, value) = ENGLISH
        .into_iter()
        .find(|(word, _)| text[start..].starts_with(word) && (word.ends_with(' ') || !letter(start + word.len())))?;
    Some(Number { start, end: start + word.len(), value })
}

fn digit(c: char) -> Option<f32> {
    Some(match c {
        '〇' | '零' => 0.0,
        '一' => 1.0,
        '二' | '两' => 2.0,
        '三' | '仨' => 3.0,
        '四' => 4.0,
        '五' => 5.0,
        '六' => 6.0,
        '七' => 7.0,
        '八' => 8.0,
        '九' => 9.0,
        _ => return None,
    })
}

/// 一百六十, 一百六 (=160), 一百零五, 三十九点二, 七八 (=7), 十几 (=13), 几 (=3), 半.
fn chinese(text: &str, start: usize) -> Option<Number> {
    let mut value = 0.0;
    let mut last: Option<f32> = None;
    // What a digit at the end is worth: after 百 without 零 it means tens.
    let mut unit = 1.0;
    let mut end = start;
    for (at, c) in text[start..].char_indices() {
        match c {
            '十' => {
                value += last.take().unwrap_or(1.0) * 10.0;
                unit = 1.0;
            }
            '百' => {
                value += last.take().unwrap_or(1.0) * 100.0;
                unit = 10.0;
            }
            '零' | '〇' => {
                unit = 1.0;
                last = Some(last.unwrap_or(0.0));
            }
            '半' if at == 0 => last = Some(0.5),
            '几' | '数' if last.is_none_or(|d| d == 0.0) => last = Some(3.0),
            '点' => {
                let (decimals, bytes) = decimals(&text[start + at + c.len_utf8()..]);
                if bytes == 0 || end == start {
                    break;
                }
                let value = value + last.unwrap_or(0.0) * unit + decimals;
                return Some(Number { start, end: start + at + c.len_utf8() + bytes, value });
            }
            c => match (digit(c), last) {
                (Some(d), None | Some(0.0)) => last = Some(d),
                // Seven or eight: the smaller, and the other is read over. 三九 for 39 is not said.
                (Some(d), Some(before)) if d == before + 1.0 => {}
                _ => break,
            },
        }
        end = start + at + c.len_utf8();
    }
    let value = value + last.unwrap_or(0.0) * if value >= 100.0 { unit } else { 1.0 };
    (end > start).then_some(Number { start, end, value })
}

/// 二 in 三十九点二: its value, and its bytes.
fn decimals(text: &str) -> (f32, usize) {
    let (mut value, mut worth, mut bytes) = (0.0, 0.1, 0);
    for c in text.chars() {
        let Some(d) = digit(c).or_else(|| c.to_digit(10).map(|d| d as f32)) else { break };
        value += d * worth;
        worth /= 10.0;
        bytes += c.len_utf8();
    }
    (value, bytes)
}

/// Unit words behind a number, the longer first, with their days.
const UNITS: [(&str, f32); 43] = [
    ("分钟", 0.001),
    ("个小时", 0.042),
    ("小时", 0.042),
    ("个钟头", 0.042),
    ("钟头", 0.042),
    ("个钟", 0.042),
    ("个星期", 7.0),
    ("星期", 7.0),
    ("个礼拜", 7.0),
    ("礼拜", 7.0),
    ("个周", 7.0),
    ("周", 7.0),
    ("个把月", 30.0),
    ("个月", 30.0),
    ("拉月", 30.0),
    ("月", 30.0),
    ("个年头", 365.0),
    ("年", 365.0),
    ("天", 1.0),
    ("日", 1.0),
    ("宿", 1.0),
    ("晚", 1.0),
    ("minutes", 0.001),
    ("minute", 0.001),
    ("min", 0.001),
    ("hours", 0.042),
    ("hour", 0.042),
    ("hrs", 0.042),
    ("h", 0.042),
    ("days", 1.0),
    ("day", 1.0),
    ("d", 1.0),
    ("nights", 1.0),
    ("weeks", 7.0),
    ("week", 7.0),
    ("wks", 7.0),
    ("w", 7.0),
    ("months", 30.0),
    ("month", 30.0),
    ("mo", 30.0),
    ("years", 365.0),
    ("year", 365.0),
    ("yrs", 365.0),
];

/// May stand between number and unit: 三个多月, 20余天, 一整月.
const BETWEEN: [&str; 9] = ["个多", "多个", "来个", "几个", "多", "余", "来", "整", " "];
/// What has such a number before it is no time that a complaint has lasted.
const OF_SOMETHING_ELSE: [&str; 16] = [
    "孕",
    "怀",
    "妊娠",
    "胎",
    "停经",
    "产后",
    "月子",
    "没来",
    "推迟",
    "晚来",
    "生完",
    "第",
    "every ",
    "gestation",
    "pregnant ",
    "每",
];
/// Nor what has these behind it: an age, a month of pregnancy, a date.
const AGE_AFTER: [&str; 10] = ["大", "龄", "的身孕", "身孕", " old", "-old", " pregnant", " gestation", "份", "号"];

/// What follows a month that is a date: 3月份, 5月开始, 5月1日.
const DATE_AFTER: [&str; 7] = ["份", "初", "底", "中旬", "上旬", "下旬", "开始"];

pub fn durations(text: &str, numbers: &[Number]) -> Vec<Duration> {
    let mut durations: Vec<Duration> = numbers.iter().filter_map(|number| duration(text, number)).collect();
    for (words, days) in [
        ("个把月", 30.0),
        ("好久", 30.0),
        ("很久", 30.0),
        ("长期", 60.0),
        ("好长时间", 30.0),
        ("for a long time", 30.0),
        ("for weeks", 21.0),
        ("for months", 60.0),
        ("for ages", 60.0),
        ("好些天", 7.0),
        ("成月", 30.0),
        ("上个月", 20.0),
        ("since last month", 20.0),
    ] {
        durations.extend(text.match_indices(words).map(|(at, w)| Duration { start: at, end: at + w.len(), days }));
    }
    durations.sort_by_key(|duration| duration.start);
    durations
}

fn duration(text: &str, number: &Number) -> Option<Duration> {
    let mut rest = &text[number.end..];
    let mut bridged = false;
    while let Some(word) = BETWEEN.iter().find(|word| rest.starts_with(**word)) {
        rest = &rest[word.len()..];
        bridged |= *word != " ";
    }
    let letter = |s: &str| s.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    let (unit, days) =
        UNITS.into_iter().find(|(unit, _)| rest.starts_with(unit) && !(letter(unit) && letter(&rest[unit.len()..])))?;
    let end = text.len() - rest.len() + unit.len();
    let after = text[end..].trim_start_matches(['多', '余', '了']);
    let before = &text[floor(text, number.start.saturating_sub(12))..number.start];
    let dated =
        DATE_AFTER.iter().any(|word| after.starts_with(word)) || after.starts_with(|c: char| c.is_ascii_digit());
    let named = unit == "月" && !bridged && dated;
    if named
        || AGE_AFTER.iter().any(|word| after.starts_with(word))
        || OF_SOMETHING_ELSE.iter().any(|w| before.contains(w))
    {
        return None;
    }
    let half = if text[end..].starts_with('半') { days / 2.0 } else { 0.0 };
    let more = if bridged && unit.contains('月') { days / 2.0 } else { 0.0 };
    Some(Duration { start: number.start, end, days: number.value * days + half + more })
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_are_said() {
        let table: [(&str, &[f32]); 14] = [
            ("38.5", &[38.5]),
            ("160/100", &[160.0, 100.0]),
            ("三十九", &[39.0]),
            ("三十九点二", &[39.2]),
            ("一百六十", &[160.0]),
            ("一百六", &[160.0]),
            ("一百零五", &[105.0]),
            ("一百", &[100.0]),
            ("九十", &[90.0]),
            ("七八天", &[7.0]),
            ("十几天", &[13.0]),
            ("two weeks", &[2.0]),
            ("3.", &[3.0]),
            ("二百一十", &[210.0]),
        ];
        for (text, expected) in table {
            let read: Vec<f32> = numbers(text).iter().map(|n| n.value).collect();
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn a_duration_is_days() {
        let table: [(&str, &[f32]); 22] = [
            ("咳嗽三天", &[3.0]),
            ("咳嗽3日", &[3.0]),
            ("两周", &[14.0]),
            ("2个星期", &[14.0]),
            ("半个月", &[15.0]),
            ("半年", &[182.5]),
            ("一个多月", &[45.0]),
            ("两个月", &[60.0]),
            ("20余天", &[20.0]),
            ("十来天", &[10.0]),
            ("for 3 weeks", &[21.0]),
            ("two days", &[2.0]),
            ("a week", &[7.0]),
            ("5d", &[5.0]),
            ("怀孕3个月", &[]),
            ("3个月大", &[]),
            ("5岁", &[]),
            ("5月开始", &[]),
            ("停经45天", &[]),
            ("30 weeks pregnant", &[]),
            ("一年半", &[547.5]),
            ("个把月", &[30.0]),
        ];
        for (text, expected) in table {
            let read: Vec<f32> = durations(text, &numbers(text)).iter().map(|d| d.days).collect();
            assert_eq!(read, expected, "{text}");
        }
    }
}
