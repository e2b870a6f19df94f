//! Masks what identifies a patient in free text, before a text is stored, shown to the model or exported.
//!
//! ```text
//! 患者张三，男，45岁，家住河南省栾川县庙子镇王庄村3组，电话13812345678，头痛3天，去过牧区。
//!     └┬┘                           └──────┬──────┘     └────┬────┘      └─────┬──────┘
//! 患者某某，男，45岁，家住河南省栾川县〔住址〕，电话〔电话〕，头痛3天，去过牧区。   medicine stays
//!
//! text ─▶ e-mail ─▶ accounts, record numbers ─▶ identity cards, phones ─▶ birth dates ─▶ addresses ─▶ names
//!         mask/words.rs (known by a word before them)   mask/numbers.rs   words.rs       places.rs    names.rs
//! ```
//! Three rules hold for whatever text comes (`tests.rs` throws dice at them):
//! - **A masked text has no more characters than before**, so that no bound of [`crate::limits`] breaks.
//!   In bytes it may grow: 7 digits become 12 bytes at worst, a 4-digit record number becomes 12.
//! - **Masking twice is masking once**: a mask is never read as something to mask, nor as a word before it.
//! - **Time is linear**: every look to the left or right of a find is bounded.
//!
//! What is missed here reaches the disk, and what is masked wrongly is a finding that the rules do not see.
//! So numbers are masked by their form, names only beside a word that announces one.

mod medicine;
mod names;
mod numbers;
mod places;
mod words;

#[cfg(test)]
mod tests;

use crate::ids::Lang;
use serde_json::{Map, Value};
use std::{borrow::Cow, ops::Range};

/// What a masked place was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    IdentityCard,
    Phone,
    Email,
    /// WeChat and QQ.
    Account,
    /// Medical record, insurance, bank card, passport: numbers that only the word before them makes a secret.
    Record,
    /// Month and day. The year stays where it comes first: age is medicine.
    BirthDate,
    /// From the township down. Province and county stay: they say which parasites and plagues are about.
    Address,
    Name,
}

impl Kind {
    pub const ALL: [Self; 8] = [
        Self::IdentityCard,
        Self::Phone,
        Self::Email,
        Self::Account,
        Self::Record,
        Self::BirthDate,
        Self::Address,
        Self::Name,
    ];

    /// What stands in the masked place. A name becomes 某某, as in printed case reports, and not 〔姓名〕: most
    /// names have two or three characters, and a mask must not be longer than what it hides.
    pub fn mask(self, lang: Lang) -> &'static str {
        match (self, lang) {
            (Self::IdentityCard, Lang::Zh) => "〔身份证〕",
            (Self::IdentityCard, Lang::En) => "〔ID card〕",
            (Self::Phone, Lang::Zh) => "〔电话〕",
            (Self::Phone, Lang::En) => "〔phone〕",
            (Self::Email, Lang::Zh) => "〔邮箱〕",
            (Self::Email, Lang::En) => "〔mail〕",
            (Self::Account, Lang::Zh) => "〔账号〕",
            (Self::Account, Lang::En) => "〔IM〕",
            (Self::Record, Lang::Zh) => "〔编号〕",
            (Self::Record, Lang::En) => "〔no〕",
            (Self::BirthDate, Lang::Zh) => "〔生日〕",
            (Self::BirthDate, Lang::En) => "〔dob〕",
            (Self::Address, Lang::Zh) => "〔住址〕",
            (Self::Address, Lang::En) => "〔addr〕",
            (Self::Name, Lang::Zh) => "某某",
            (Self::Name, Lang::En) => "XX",
        }
    }

    /// The mask, or a shorter word where that would be longer than the `chars` it hides (王庄村 is three).
    fn fitting(self, lang: Lang, chars: usize) -> &'static str {
        let mask = self.mask(lang);
        match (self, lang) {
            _ if mask.chars().count() <= chars => mask,
            (Self::Address, _) => "某处",
            _ => "〔〕",
        }
    }
}

/// A place to mask, in bytes of the text it was found in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    at: Range<usize>,
    kind: Kind,
}

/// Finds the places of one kind or two; in order, without overlaps.
type Stage = fn(&str) -> Vec<Span>;

/// An e-mail address may begin with a phone number, and names are read beside masked phones: hence the order.
const STAGES: [Stage; 7] = [
    words::emails,
    words::accounts,
    words::records,
    numbers::cards_and_phones,
    words::birth_dates,
    places::addresses,
    names::names,
];

/// One round nearly always finds all; another is made after every find, because a mask may have uncovered
/// something beside it. No text has been found that needs four; the limit is there for the clock's sake.
const ROUNDS_MAX: usize = 6;

/// Compiles the patterns: at start, not while the first patient waits. Each is compiled by its first text.
pub fn ready() {
    medicine::ready();
    let _ =
        text("患者张三，男，45岁，家住河南省栾川县庙子镇王庄村3组，住址：某处，电话1，头痛。name: A address: B @ 1a");
}

/// What would be masked in a text, in the order in which it is looked for.
pub fn kinds(text: &str) -> Vec<Kind> {
    STAGES.iter().flat_map(|stage| spared(text, stage(text))).map(|span| span.kind).collect()
}

/// Masks one text. Borrowed where there was nothing to mask.
pub fn text(text: &str) -> Cow<'_, str> {
    match counted(text) {
        Some((masked, _)) => Cow::Owned(masked),
        None => Cow::Borrowed(text),
    }
}

/// Masks every string of a JSON message, in fields known and unknown, their names included, and numbers of the size of an
/// identity card or mobile number. Returns how many places were masked: a number for the log, never the text.
///
/// `/id`, `/type` and `/v` are left as they are: whoever has read the message has read them. `/sent/mono_ms` stays a
/// number, whatever it looks like: a tablet that has not slept for half a year counts as many milliseconds as a mobile
/// number has digits. No other number that the contract knows is within reach: their bounds are far below ten digits.
pub fn message(message: &mut Value) -> usize {
    let Value::Object(fields) = message else { return value(message, false) };
    let clock =
        fields.get_mut("sent").and_then(|sent| sent.get_mut("mono_ms")).filter(|ms| ms.is_u64()).map(Value::take);
    let own = |key: &str| ["id", "type", "v"].contains(&key);
    let masked =
        fields.iter_mut().filter(|(key, _)| !own(key)).map(|(key, value)| field(key, value, true)).sum::<usize>();
    if let Some(ms) = clock {
        fields["sent"]["mono_ms"] = ms;
    }
    masked + names_of(fields)
}

/// A message's bytes as they may be stored: its own, where nothing had to be masked. Of bytes that are no JSON of ours
/// nothing is said; they are refused before.
pub fn bytes(bytes: &[u8]) -> (Cow<'_, [u8]>, usize) {
    let Ok(mut value) = serde_json::from_slice(bytes) else { return (Cow::Borrowed(bytes), 0) };
    match message(&mut value) {
        0 => (Cow::Borrowed(bytes), 0),
        places => (Cow::Owned(value.to_string().into_bytes()), places),
    }
}

fn field(key: &str, content: &mut Value, of_a_person: bool) -> usize {
    let person = words::PERSON_KEYS.contains(&key.to_lowercase().as_str());
    // "患者": "王建国" is a name; "patient": "chest pain" is none.
    if let Value::String(said) = content
        && person
        && names::whole(said)
    {
        return replace(content, Kind::Name.mask(Lang::Zh));
    }
    match words::kind_of_key(key, of_a_person) {
        Some(kind) => whole(content, kind),
        None => value(content, person),
    }
}

fn value(content: &mut Value, of_a_person: bool) -> usize {
    match content {
        Value::String(string) => string_in_place(string),
        Value::Number(number) => match numbers::kind_of_number(number) {
            Some(kind) => replace(content, kind.mask(Lang::Zh)),
            None => 0,
        },
        Value::Array(entries) => entries.iter_mut().map(|entry| value(entry, of_a_person)).sum(),
        Value::Object(fields) => fields_of(fields, of_a_person),
        Value::Null | Value::Bool(_) => 0,
    }
}

fn fields_of(fields: &mut Map<String, Value>, of_a_person: bool) -> usize {
    fields.iter_mut().map(|(key, value)| field(key, value, of_a_person)).sum::<usize>() + names_of(fields)
}

/// A list of people is often keyed by their numbers. No name of the contract's has anything to mask. What would then bear
/// the same name as another is told apart, so that nothing is lost.
fn names_of(fields: &mut Map<String, Value>) -> usize {
    let places: usize = fields.keys().filter_map(|key| counted(key)).map(|(_, places)| places).sum();
    if places > 0 {
        let mut n = 1; // of the whole object: to begin again at each name would cost the square of its length
        for (key, value) in std::mem::take(fields) {
            let masked = text(&key);
            let mut name = masked.to_string();
            while fields.contains_key(&name) {
                n += 1;
                name = format!("{masked}#{n}");
            }
            fields.insert(name, value);
        }
    }
    places
}

/// The key says what the content is (`"patient_name": "…"`), so no form is asked for. Only unknown fields have
/// such keys, and those have no bound in characters; a short one may grow to the size of its mask.
fn whole(content: &mut Value, kind: Kind) -> usize {
    match content {
        Value::String(string) if string.trim().is_empty() || string == kind.mask(Lang::Zh) => 0,
        Value::String(_) | Value::Number(_) => replace(content, kind.mask(Lang::Zh)),
        Value::Array(entries) => entries.iter_mut().map(|entry| whole(entry, kind)).sum(),
        Value::Object(fields) => fields.iter_mut().map(|(_, value)| whole(value, kind)).sum(),
        Value::Null | Value::Bool(_) => 0,
    }
}

fn replace(content: &mut Value, mask: &str) -> usize {
    *content = Value::String(mask.to_owned());
    1
}

fn string_in_place(string: &mut String) -> usize {
    match counted(string) {
        Some((masked, places)) => {
            *string = masked;
            places
        }
        None => 0,
    }
}

/// The masked text and how many places were masked; nothing where there were none.
fn counted(text: &str) -> Option<(String, usize)> {
    let lang = if text.chars().any(han) { Lang::Zh } else { Lang::En };
    let mut masked: Option<String> = None;
    let mut places = 0;
    for _ in 0..ROUNDS_MAX {
        let before = places;
        for stage in STAGES {
            let now = masked.as_deref().unwrap_or(text);
            let spans = spared(now, stage(now));
            if !spans.is_empty() {
                places += spans.len();
                masked = Some(put(now, &spans, lang));
            }
        }
        if places == before {
            break;
        }
    }
    masked.map(|masked| (masked, places))
}

/// Names and places are found by their surroundings, so what was found may hold medicine; numbers cannot.
fn spared(text: &str, spans: Vec<Span>) -> Vec<Span> {
    let by_surroundings = spans.iter().any(|span| matches!(span.kind, Kind::Address | Kind::Name));
    if by_surroundings { medicine::spared(text, spans) } else { spans }
}

fn put(text: &str, spans: &[Span], lang: Lang) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    for Span { at, kind } in spans {
        masked.push_str(&text[done..at.start]);
        masked.push_str(kind.fitting(lang, text[at.clone()].chars().count()));
        done = at.end;
    }
    masked.push_str(&text[done..]);
    masked
}

/// 汉字, as far as names and places are written with them (〇 and the rare planes included).
fn han(c: char) -> bool {
    matches!(c, '〇' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{3134f}')
}

/// At most the last `bytes` of a text, from a whole character on.
fn tail(text: &str, bytes: usize) -> &str {
    let mut from = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}

/// At most the first `bytes` of a text, up to a whole character.
fn head(text: &str, bytes: usize) -> &str {
    let mut to = text.len().min(bytes);
    while !text.is_char_boundary(to) {
        to -= 1;
    }
    &text[..to]
}

/// A pattern of ours. `D` in it stands for a digit of either width.
fn pattern(pattern: &str) -> regex::Regex {
    regex::Regex::new(&pattern.replace("\\D", "[0-9０-９]")).expect("patterns are constants, compiled by the tests")
}
