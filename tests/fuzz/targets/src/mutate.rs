//! Another input from a good one: bytes turned, cut and spliced, or, where it is JSON, its fields. Bytes alone would
//! spend their time before the first brace; libFuzzer gets these changes beside its own.

use crate::Dice;
use serde_json::{Value, json};

/// Words that parsers, mask, rules and form look for, and characters on which text is cut wrongly.
#[rustfmt::skip] // a table
const PIECES: [&str; 65] = [
    "无", "没有", "否认", "不", "胸痛", "发热", "头痛", "，", "。", " ", "\n", "\t", "\0", "\u{1b}", "𫫇", "é",
    "\u{202e}", "\u{feff}", "\u{ff10}", "患者", "姓名：", "张三", "李", "电话", "身份证", "138", "1234", "13812345678",
    "41032719900101123X", "〔电话〕", "〔", "某某", "某处", "家住", "王庄村", "3组", "河南省", "男", "45岁", "1990年3月5日",
    "住院号", "name: ", "Mr. Smith", "a.b@c.de", "no ", "denies ", "chest pain", "fever", "0.5g", "每日三次", "确诊为",
    "【可能原因】", "：", "；", ",\"audit\":{", "}", "{", "[", "]", "\"", "\\u0000", "-", "1e308", "null", "<|im_end|>",
];

pub fn mutate(input: &[u8], others: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..1 + dice.below(4) {
        let json = if dice.one_in(3) { None } else { serde_json::from_slice(&bytes).ok() };
        match json {
            Some(mut value) => {
                let other = pick(others, dice).and_then(|other| serde_json::from_slice(other).ok());
                change(&mut value, other.as_ref(), dice);
                bytes = value.to_string().into_bytes();
            }
            None => turn(&mut bytes, others, dice),
        }
    }
    bytes
}

fn pick<'a>(others: &'a [Vec<u8>], dice: &mut Dice) -> Option<&'a Vec<u8>> {
    if others.is_empty() { None } else { Some(&others[dice.below(others.len())]) }
}

fn turn(bytes: &mut Vec<u8>, others: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.below(bytes.len() + 1);
    let to = (at + dice.below(16)).min(bytes.len());
    match dice.below(10) {
        0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
        1 if at < bytes.len() => bytes[at] = dice.below(256) as u8,
        2 => drop(bytes.drain(at..to)),
        3 => bytes.truncate(at),
        4 => bytes.extend_from_within(at..to),
        // Lengths and counts of binary files.
        5 => insert(
            bytes,
            at,
            &[0, 1, 255, 1 << 31, u64::MAX, 1 << 40][dice.below(6)].to_le_bytes()[..1 + dice.below(8)],
        ),
        6 => {
            if let Some(other) = pick(others, dice) {
                let from = dice.below(other.len() + 1);
                insert(bytes, at, &other[from..(from + dice.below(64)).min(other.len())]);
            }
        }
        7 => {
            insert(bytes, at, &PIECES[dice.below(PIECES.len())].repeat(1 + dice.below(3) * dice.below(40)).into_bytes())
        }
        8 => another_number(bytes, at, dice),
        _ => insert(bytes, at, PIECES[dice.below(PIECES.len())].as_bytes()),
    }
}

/// The next number written in digits becomes one at some border.
fn another_number(bytes: &mut Vec<u8>, at: usize, dice: &mut Dice) {
    let Some(from) = bytes[at..].iter().position(u8::is_ascii_digit).map(|ahead| at + ahead) else { return };
    let digits = bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let new = ["0", "-1", "65537", "4294967296", "18446744073709551616", "9e99"][dice.below(6)];
    bytes.splice(from..from + digits, new.bytes());
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    bytes.splice(at..at, piece.iter().copied());
}

/// One node of the document, chosen by chance, becomes another.
fn change(document: &mut Value, other: Option<&Value>, dice: &mut Dice) {
    let wanted = dice.below(nodes(document));
    let node = nth(document, &mut { wanted }).expect("counted");
    match node {
        Value::String(text) if !dice.one_in(3) => {
            let mut bytes = std::mem::take(text).into_bytes();
            turn(&mut bytes, &[], dice);
            *text = String::from_utf8_lossy(&bytes).into_owned();
        }
        Value::Object(fields) if !fields.is_empty() && dice.one_in(2) => {
            let key = fields.keys().nth(dice.below(fields.len())).expect("counted").clone();
            let value = fields.shift_remove(&key).expect("it is there");
            if dice.one_in(2) {
                fields.insert(PIECES[dice.below(PIECES.len())].to_owned(), value);
            }
        }
        Value::Array(entries) if !entries.is_empty() && dice.one_in(2) => {
            let entry = entries[dice.below(entries.len())].clone();
            entries.extend(std::iter::repeat_n(entry, 1 + dice.below(3) * dice.below(12)));
        }
        node => *node = value(node, other, dice),
    }
}

fn value(old: &Value, other: Option<&Value>, dice: &mut Dice) -> Value {
    let small = dice.below(100);
    match dice.below(10) {
        0 => Value::Null,
        1 => json!(dice.one_in(2)),
        2 => json!(small),
        3 => json!([-1_i64, i64::MIN, 13_812_345_678, 1 << 53][dice.below(4)]),
        4 => json!([0.1, -0.0, 1e300, 37.949999, 5e-324, f64::from(f32::MAX)][dice.below(6)]),
        5 => json!(PIECES[dice.below(PIECES.len())].repeat(1 + small)),
        6 => json!([old]),
        7 => json!({ PIECES[dice.below(PIECES.len())]: old }),
        8 => json!({}),
        _ => other.map_or(Value::Null, |other| {
            let mut other = other.clone();
            let wanted = dice.below(nodes(&other));
            nth(&mut other, &mut { wanted }).expect("counted").take()
        }),
    }
}

fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(entries) => entries.iter().map(nodes).sum(),
        Value::Object(fields) => fields.values().map(nodes).sum(),
        _ => 0,
    }
}

fn nth<'v>(value: &'v mut Value, left: &mut usize) -> Option<&'v mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(entries) => entries.iter_mut().find_map(|entry| nth(entry, left)),
        Value::Object(fields) => fields.values_mut().find_map(|field| nth(field, left)),
        _ => None,
    }
}
