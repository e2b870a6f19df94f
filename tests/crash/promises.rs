//! What must hold of each message that a tablet hears, at the moment it hears it. What must hold at the end of a round
//! is in `life.rs`.

use crate::{
    book::{Book, ENDS, LASTING},
    sorts::CANARIES,
    tablet::{ADMIN, NAMES},
};
use contract::bounded::Hex;
use decide::seal;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The refusal of other content, in the book's words.
pub const CONFLICT: &str = "id conflict";

/// The red flags and the triage of each sort, from a run in which nothing failed.
pub type Control = Vec<Flags>;

#[derive(Debug, Clone, PartialEq)]
pub struct Flags {
    pub triage: Value,
    pub red_flags: Value,
    pub alert: bool,
}

impl Flags {
    pub fn of(message: &Value, alert: bool) -> Self {
        Self { triage: message["triage"].clone(), red_flags: message["red_flags"].clone(), alert }
    }
}

/// What a message means to the tablet that hears it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// One of the lasting messages of its own request.
    Lasting(usize, &'static str),
    /// What was said to one of its reviews.
    Reviewed(usize, usize),
    /// Send the same bytes again, later.
    Later(usize, u64),
    /// Nothing to do.
    Noted,
}

pub fn of_a_message(book: &mut Book, tablet: usize, bytes: &[u8]) -> Told {
    let message: Value = serde_json::from_slice(bytes).expect("the box speaks JSON");
    let kind = message["type"].as_str().unwrap_or_default();
    if book.orders.iter().any(|id| message["id"] == *id.as_str()) {
        of_an_order(book, tablet, &message);
        return Told::Noted;
    }
    let Some(n) = book.find(&message["id"]) else {
        // Without an id: the refusal of a message that could not be read. With one that nobody has asked: never.
        assert!(kind == "error" && message["id"].is_null(), "about something that nobody asked: {message}");
        of_a_refusal(&message);
        return Told::Noted;
    };
    let asked = &book.asked[n];
    let cancelled = kind == "error" && message["code"] == "cancelled" && asked.tablet == tablet;
    if kind == "error" && !cancelled {
        of_a_refusal(&message);
        let (code, stop) = (message["code"].as_str().unwrap_or_default(), message["final"] == true);
        let foreign = asked.tablet != tablet;
        if !stop {
            return if foreign { Told::Noted } else { Told::Later(n, message["retry_after_s"].as_u64().unwrap_or(1)) };
        }
        let known = foreign && code == "unknown_id" || code == "id_conflict" && (foreign || asked.abused);
        let lost = if code == "unknown_id" { "P1: what was accepted is lost: " } else { "" };
        assert!(known, "{lost}an honest tablet is told {code} for {}", asked.id);
        let refused = if code == "unknown_id" { "unknown id" } else { CONFLICT };
        *book.tally.entry((n, refused)).or_default() += 1;
        book.count(refused);
        return Told::Noted;
    }
    assert_eq!(asked.tablet, tablet, "{kind} of another tablet's {}", asked.id);
    if kind == "reviewed" {
        return Told::Reviewed(n, of_a_review(book, n, &message, bytes));
    }
    let kind = if cancelled { "cancelled" } else { kind };
    assert!(!cancelled || asked.cancelled, "nobody has cancelled {}", asked.id);
    let Some(kind) = LASTING.iter().copied().find(|lasting| *lasting == kind) else { return Told::Noted };
    if let Some(first) = asked.heard.get(kind) {
        assert!(first == bytes, "P2: the {kind} of {} has changed:\n{}", asked.id, both(first, bytes));
    }
    let ended = asked.end().filter(|_| ENDS.contains(&kind));
    assert!(ended.is_none_or(|end| end == kind), "P3: {} has two ends", asked.id);
    match kind {
        "alert" => of_the_flags(book, n, &message),
        "answer" => of_an_answer(book, n, &message),
        _ => {}
    }
    Told::Lasting(n, kind)
}

/// P9: a refusal never repeats what was said.
fn of_a_refusal(message: &Value) {
    let text = message.to_string();
    assert!(!CANARIES.iter().any(|word| text.contains(word)), "P9: a refusal quotes: {text}");
}

/// An admin is obeyed, or told that the case is unknown; others are refused.
fn of_an_order(book: &mut Book, tablet: usize, message: &Value) {
    of_a_refusal(message);
    let obeyed = match message["type"].as_str() {
        Some("report") => true,
        _ if message["code"] == "unknown_id" => true,
        _ if message["code"] == "not_allowed" => false,
        _ => panic!("an order is answered by {message}"),
    };
    assert_eq!(obeyed, NAMES[tablet] == ADMIN, "{} and an order: {message}", NAMES[tablet]);
    book.count(if obeyed { "report" } else { "order refused" });
}

/// P2 of a review: the reply is about these very bytes, and never changes. Returns the review's number.
fn of_a_review(book: &Book, n: usize, message: &Value, bytes: &[u8]) -> usize {
    let asked = &book.asked[n];
    let hash = |name: &str| -> Hex<32> {
        message["audit"][name].as_str().and_then(|text| text.parse().ok()).expect("a sealed reply")
    };
    let (prev, sealed) = (hash("prev_hash"), hash("hash"));
    let is_sealed = |review: &[u8]| Hex(seal::hang(&prev.0, &Sha256::digest(review).into())) == sealed;
    let found = asked.reviews.iter().position(|review| is_sealed(&review.bytes));
    let found = found.unwrap_or_else(|| panic!("what was sealed is no review of {}: {message}", asked.id));
    if let Some(first) = &asked.reviews[found].reply {
        assert!(first == bytes, "P2: what is said to a review of {} has changed:\n{}", asked.id, both(first, bytes));
    }
    found
}

fn of_an_answer(book: &Book, n: usize, answer: &Value) {
    let id = &book.asked[n].id;
    assert_eq!(answer["disclaimer"]["zh"], "本建议由AI辅助生成，最终决策权归执业医师所有。", "P5: {id}");
    assert!(answer["disclaimer"]["en"].as_str().is_some_and(|text| !text.is_empty()), "P5: {id}");
    let entries = answer["cannot_exclude"].as_array();
    assert!(entries.is_some_and(|entries| !entries.is_empty()), "P5: {id} excludes everything");
    of_the_flags(book, n, answer);
}

/// P10, and P4: the answer is that of the content that was accepted.
fn of_the_flags(book: &Book, n: usize, message: &Value) {
    let (Some(control), Some(sort)) = (&book.control, book.asked[n].sort) else { return };
    let (said, calm) = (Flags::of(message, control[sort].alert), &control[sort]);
    assert_eq!(said, *calm, "P10 or P4: the flags of {} are not those of a quiet run", book.asked[n].id);
}

fn both(first: &[u8], second: &[u8]) -> String {
    format!("first  {}\nsecond {}", String::from_utf8_lossy(first), String::from_utf8_lossy(second))
}
