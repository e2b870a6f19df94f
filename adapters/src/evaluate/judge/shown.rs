//! What the model wrote and a doctor would see.
//!
//! From the message as it came, not from our types: a message that no type reads may be shown all the same.

use serde_json::Value;

/// The fields of each entry in the order of a line of the form: `name：reason；next step`.
const FIELDS: [(&str, &[&str]); 5] = [
    ("possible_causes", &["name", "because"]),
    ("cannot_exclude", &["condition", "because", "next_check"]),
    ("suggested_checks", &["what", "why"]),
    ("medication_cautions", &["drug", "risk", "action"]),
    ("missing_information", &["question", "why"]),
];

/// One entry of an answer, or one line of a `progress`.
pub struct Shown<'a> {
    pieces: Vec<&'a str>,
}

/// All entries of a message that are not the rules' or the standing ones.
pub fn by_the_model(message: &Value) -> Vec<Shown<'_>> {
    let entries = |field: &str| message.get(field).and_then(Value::as_array).into_iter().flatten();
    let own = |entry: &&Value| entry.get("origin").is_none_or(|origin| origin == "model");
    let in_answer = FIELDS.iter().flat_map(|(field, names)| {
        entries(field).filter(own).map(|entry| Shown {
            pieces: names.iter().filter_map(|name| entry.get(name)?.as_str()).filter(|text| !text.is_empty()).collect(),
        })
    });
    let in_progress = entries("lines").filter_map(|line| Some(Shown { pieces: vec![line.as_str()?] }));
    in_answer.chain(in_progress).collect()
}

impl Shown<'_> {
    /// By the box's own patterns: what is found here went round its filter. What the patterns do not know, this does not
    /// know either. Each piece is judged by itself as well, because an entry shows it by itself.
    pub fn forbidden(&self) -> bool {
        let forbidden = |text: &str| decide::forbidden::kind(text).is_some();
        self.pieces.iter().any(|piece| forbidden(piece)) || forbidden(&self.line())
    }

    pub fn line(&self) -> String {
        let (head, tail) = self.pieces.split_at(self.pieces.len().min(2));
        [&[head.join("：")], &*tail.iter().map(|piece| (*piece).to_owned()).collect::<Vec<_>>()].concat().join("；")
    }
}
