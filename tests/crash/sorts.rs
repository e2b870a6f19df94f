//! What the tablets ask: sorts of cases, each with words planted that may be found nowhere but in the store.

use crate::common::case;
use serde_json::{Value, json};

/// A made-up word, a name, an identity number and a telephone number, all invented. P9 looks for them.
pub const CANARIES: [&str; 4] = ["金丝雀叫", "王翠花妹", "11010519491231002X", "13800138000"];
/// Ends the scripted engine's process.
pub const POISON: &str = "毒药";
/// Makes it silent for ever.
pub const SILENCE: &str = "沉默";

pub struct Sort {
    pub name: &'static str,
    /// How often, among the others.
    pub weight: usize,
    make: fn() -> Value,
}

pub const SORTS: [Sort; 11] = [
    Sort { name: "angina", weight: 3, make: || case("angina.zh") },
    Sort { name: "angina in English", weight: 2, make: || case("angina.en") },
    Sort { name: "headache in pregnancy", weight: 2, make: || urgent(case("pregnancy-headache.zh")) },
    Sort { name: "shepherd's fever", weight: 2, make: || case("shepherd-fever.zh") },
    Sort { name: "ear pain", weight: 3, make: || case("child-ear-pain.zh") },
    Sort { name: "cough", weight: 4, make: || plain("咳嗽三天") },
    Sort { name: "urgent dizziness", weight: 3, make: || urgent(plain("头晕")) },
    Sort { name: "no adapter", weight: 1, make: || with(case("angina.zh"), "department", json!("surgery")) },
    Sort { name: "in a hurry", weight: 1, make: || with(plain("发热"), "deadline_s", json!(5)) },
    // Many pages of the disk, many pieces on the line. A field that the box does not know is kept with the request.
    Sort { name: "long", weight: 2, make: || with(plain("咳嗽"), "x", json!("长".repeat(40_000))) },
    Sort { name: "poison", weight: 2, make: || plain(POISON) },
];

pub const COUGH: usize = 5;
pub const POISONOUS: usize = 10;

/// Not dealt at random: it costs the box its patience with a silent worker, twice.
pub fn silent() -> Value {
    planted(plain(SILENCE))
}

impl Sort {
    /// The same text each time, but for the id.
    pub fn case(&self) -> Value {
        planted((self.make)())
    }
}

fn plain(complaint: &str) -> Value {
    crate::common::consult(complaint)
}

fn urgent(message: Value) -> Value {
    with(message, "priority", json!("urgent"))
}

fn with(mut message: Value, key: &str, value: Value) -> Value {
    message[key] = value;
    message
}

fn planted(mut message: Value) -> Value {
    let text = message["case"]["complaint"]["text"].as_str().expect("each has a complaint").to_owned();
    let [word, name, identity, telephone] = CANARIES;
    message["case"]["complaint"]["text"] = json!(format!("{text}，{word}，{telephone}"));
    message["case"]["history"] = json!(format!("{name}，{identity}"));
    message
}
