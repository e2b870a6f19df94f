//! Looks for everything that an answer says in what was made of it.

use contract::answer::Answer;
use serde_json::Value;
use std::collections::BTreeSet;

/// Where in an answer (`*`: any place before, or any entry), and why it is not looked for.
type LeftOut = &'static [(&'static str, &'static str)];

const PATIENT_TEXT: &str = "null in every answer; if it were not, nothing for a patient goes out before a review";

const NEEDS: &str = "for machines: a suggested check says where it can be made";

pub const NOT_IN_FHIR: LeftOut = &[
    ("/v", "the contract's; a bundle has FHIR's"),
    ("/type", "is `resourceType`"),
    ("/review/state", "is ClinicalImpression.status"),
    ("/medication_cautions/*/urgency", "is DetectedIssue.severity, one for one"),
    ("/provenance/adapter/covers/*", "lost: it is in `box/info`, and in the adapter's manifest by its hash"),
    ("/provenance/adapter/urgency_clear_at", "lost: it is in the adapter's manifest, by its hash"),
    ("/provenance/adapter/calibration/*", "lost: it is in the adapter's manifest, by its hash"),
    ("/patient_text", PATIENT_TEXT),
    ("/red_flags/*/urgency", "is DetectedIssue.severity; low is soon, a red flag is never routine"),
    ("/red_flags/*/checks/*/needs", NEEDS),
    ("/provenance/timings/*", "lost: of interest to whoever looks after the box"),
    ("/provenance/at_unix_s", "is an instant; absent where FHIR cannot write it"),
];

pub const NOT_IN_CARDS: LeftOut = &[
    ("/v", "the contract's"),
    ("/type", "a card is a card"),
    ("/id", "inside each card's uuid, which is made from it"),
    ("/lang", "the language that they are in"),
    ("/triage", "said in words"),
    ("*/urgency", "is the indicator, or said in words"),
    ("*/origin", "said in words"),
    ("*/band", "said in words"),
    ("*/where", "said in words"),
    ("/red_flags/*/checks/*/needs", NEEDS),
    ("*/class", "said in words"),
    ("/provenance/triage_raised/*", "said in words; the number is for machines"),
    ("/provenance/outside_training/*", "said in words; the number is for machines"),
    ("/provenance/department_choice/*", "for machines: in the bundle"),
    ("/provenance/dropped/*", "for machines: in the bundle"),
    ("/provenance/adapter/covers/*", "lost"),
    ("/provenance/adapter/urgency_clear_at", "lost"),
    ("/provenance/adapter/calibration/*", "lost"),
    ("/abstained/reason", "said in words"),
    ("/uncertainty/*", "said in words; the number is for machines"),
    ("/provenance/degraded/*", "said in words"),
    ("/patient_text", PATIENT_TEXT),
    ("/review/state", "each card says that a physician decides"),
    ("/audit/*", "for machines: in the bundle"),
    ("/sig", "for machines: in the bundle"),
    ("/provenance/box", "for machines: in the bundle"),
    ("/provenance/daemon", "for machines: in the bundle"),
    ("*_sha256", "for machines: in the bundle"),
    ("*/sha256", "for machines: in the bundle"),
    ("*/review", "said in words"),
    ("/provenance/adapter/trained_on/*", "for machines: in the bundle"),
    ("/provenance/lines_dropped", "in the bundle"),
    ("/provenance/timings/*", "lost"),
    ("/provenance/at_unix_s", "in the bundle"),
];

/// What the answer says and `mapped` does not: pointer and value.
pub fn missing(answer: &Answer, mapped: &Value, left_out: &[(&str, &str)]) -> Vec<(String, String)> {
    let answer: Value = serde_json::from_str(&serde_json::to_string(answer).expect("JSON")).expect("JSON");
    let strings = strings(mapped);
    let shown: Vec<String> = strings.iter().map(|text| alike(text)).collect();
    let all = shown.join("\n");
    let pieces = strings.iter().flat_map(|text| text.split(['\n', ';']));
    let pieces = pieces.map(|piece| piece.trim_start_matches("- ").trim());
    let alone: BTreeSet<&str> = shown.iter().map(String::as_str).chain(pieces).collect();
    // A word of the contract must be there as such, or as a piece of a card's line; a text may have something around it.
    let word = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let found = |text: &str| alone.contains(text) || (!word(text) && all.contains(text));
    let mut leaves = vec![];
    walk(String::new(), &answer, &mut leaves);
    leaves
        .retain(|(at, said)| !said.is_empty() && !left_out.iter().any(|(place, _)| matches(place, at)) && !found(said));
    leaves
}

/// Strings and numbers, and the names of maps.
fn walk(at: String, value: &Value, leaves: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| {
            if at.ends_with("/trained_on") {
                leaves.push((format!("{at}/*"), alike(key)));
            }
            walk(format!("{at}/{key}"), value, leaves);
        }),
        Value::Array(entries) => entries.iter().for_each(|entry| walk(format!("{at}/*"), entry, leaves)),
        Value::String(text) => leaves.push((at, alike(text))),
        Value::Number(number) if number.as_f64() != Some(0.0) => leaves.push((at, number.to_string())),
        _ => {}
    }
}

fn matches(place: &str, at: &str) -> bool {
    match place.split_once('*') {
        Some(("", end)) => at.ends_with(end),
        Some((start, "")) => at.strip_prefix(start).is_some_and(|rest| !rest.is_empty()),
        _ => place == at,
    }
}

/// Every string and number outside of narratives.
pub fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Number(number) => vec![number.to_string()],
        Value::Array(entries) => entries.iter().flat_map(strings).collect(),
        Value::Object(fields) => {
            fields.iter().filter(|(key, _)| *key != "div").flat_map(|(_, it)| strings(it)).collect()
        }
        _ => vec![],
    }
}

/// Every string under this key.
pub fn under<'a>(value: &'a Value, key: &str) -> Vec<&'a str> {
    match value {
        Value::Array(entries) => entries.iter().flat_map(|entry| under(entry, key)).collect(),
        Value::Object(fields) => {
            let own = fields.get(key).and_then(Value::as_str);
            own.into_iter().chain(fields.values().flat_map(|value| under(value, key))).collect()
        }
        _ => vec![],
    }
}

/// Neither systems nor people tell white space apart; control characters are none.
fn alike(text: &str) -> String {
    let blank = |c: char| c.is_control() || c.is_whitespace() || c == '\u{feff}';
    text.split(blank).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Cards as a reader of Markdown shows them.
pub fn unescaped(cards: &Value) -> Value {
    match cards {
        Value::String(text) => {
            let mut shown = String::new();
            let mut chars = text.chars().filter(|c| *c != '\u{200b}').peekable();
            while let Some(c) = chars.next() {
                let escapes = c == '\\' && chars.peek().is_some_and(char::is_ascii_punctuation);
                shown.extend(if escapes { chars.next() } else { Some(c) });
            }
            Value::String(shown)
        }
        Value::Array(entries) => entries.iter().map(unescaped).collect(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), unescaped(value))).collect(),
        other => other.clone(),
    }
}

/// Whether every mark that Markdown knows is escaped, and no address is left whole.
pub fn unmarked(line: &str) -> bool {
    let mut escaped = false;
    let bare = line.chars().any(|c| {
        let mark = !escaped && "`*_{}[]<>()#+-.!|~&@:$^=\\".contains(c);
        escaped = !escaped && c == '\\';
        mark && c != '\\'
    });
    let lower = line.to_lowercase();
    !bare && !escaped && ["\\:/", "www\\.x", "@x"].iter().all(|address| !lower.contains(address))
}
