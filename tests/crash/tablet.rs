//! A good tablet, and now and then a bad one. The rules are those of daemon/contract/README.md, its seconds here tenths:
//! the same bytes until `accepted`; after each connection `resend` for what has no answer; a receipt for each answer.

use crate::{
    book::{Asked, Book, ENDS, Review},
    dice::Dice,
    promises::{self, Told},
    sorts::{CANARIES, POISONOUS, SORTS},
    wire::{Heard, Wire},
};
use serde_json::{Value, json};
use std::{path::PathBuf, sync::mpsc::Sender};
use tokio::runtime::Handle;

pub const NAMES: [&str; 3] = ["ward-1", "ward-2", "ward-3"];
/// Whose orders the box obeys.
pub const ADMIN: &str = NAMES[0];
const PAUSE_MS: u64 = 400;
const PAUSE_MS_MAX: u64 = 2000;
const REVIEWS_MAX: usize = 3;

/// What a tablet does of its own accord.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    Ask,
    /// Something that it has asked before, answered or not.
    AskAgain,
    Resend,
    Cancel,
    /// The doctor's word on an answer that has come.
    Review,
    /// Other content under an id that was accepted.
    Abuse,
    /// Another tablet's id, as a request, a resend, an end and a review.
    Steal,
    /// List, hold, resume or release.
    Order,
    Rubbish,
    Reconnect,
}

pub const INTENTS: [(Intent, usize); 10] = [
    (Intent::Ask, 12),
    (Intent::AskAgain, 3),
    (Intent::Resend, 3),
    (Intent::Cancel, 2),
    (Intent::Review, 5),
    (Intent::Abuse, 2),
    (Intent::Steal, 1),
    (Intent::Order, 2),
    (Intent::Rubbish, 1),
    (Intent::Reconnect, 1),
];

pub struct Tablet {
    number: usize,
    socket: PathBuf,
    runtime: Handle,
    tell: Sender<(usize, Heard)>,
    wire: Wire,
    pub connected: bool,
    dice: Dice,
    /// Loses one receipt of four.
    pub forgetful: bool,
}

impl Tablet {
    pub fn new(number: usize, runtime: &Handle, socket: PathBuf, tell: Sender<(usize, Heard)>, seed: u64) -> Self {
        let wire = Wire::join(runtime, &socket, &topic("res", number), number, tell.clone());
        let (runtime, dice) = (runtime.clone(), Dice::new(seed));
        Self { number, socket, runtime, tell, wire, connected: false, dice, forgetful: true }
    }

    pub fn does(&mut self, intent: Intent, dice: &mut Dice, book: &mut Book) {
        let of = |book: &Book, wanted: &dyn Fn(&Asked) -> bool, dice: &mut Dice| -> Option<usize> {
            let found: Vec<usize> = (0..book.asked.len()).filter(|n| wanted(&book.asked[*n])).collect();
            (!found.is_empty()).then(|| dice.pick(&found))
        };
        let me = self.number;
        let mine = |asked: &Asked| asked.tablet == me && asked.accepted();
        match intent {
            Intent::Ask => {
                let sort = weighted(dice);
                self.asks(SORTS[sort].case(), Some(sort), dice, book);
            }
            Intent::AskAgain => {
                if let Some(n) = of(book, &|asked| asked.tablet == me, dice) {
                    self.sends(n, "asks again", book);
                }
            }
            Intent::Resend => {
                if let Some(n) = of(book, &mine, dice) {
                    self.wants_again(n, book);
                }
            }
            Intent::Cancel => {
                if let Some(n) = of(book, &|asked| mine(asked) && !asked.ended(), dice) {
                    book.asked[n].cancelled = true;
                    let id = book.asked[n].id.clone();
                    self.says("req", word("cancel", &id), "cancels", &id, book);
                }
            }
            Intent::Review => {
                let mine = |asked: &Asked| asked.tablet == me && asked.may_be_reviewed();
                if let Some(n) = of(book, &mine, dice) {
                    self.reviews(n, dice, book);
                }
            }
            Intent::Abuse => {
                if let Some(n) = of(book, &mine, dice) {
                    self.abuses(n, book);
                }
            }
            Intent::Steal => {
                if let Some(n) = of(book, &|asked| asked.tablet != me && asked.accepted(), dice) {
                    let (id, bytes) = (book.asked[n].id.clone(), book.asked[n].bytes.clone());
                    book.count("theft");
                    self.says("req", bytes, "steals", &id, book);
                    self.says("req", word("resend", &id), "steals by resend", &id, book);
                    self.says("req", word("cancel", &id), "cancels another's", &id, book);
                    self.says("review", review(&id, 0, dice), "reviews another's", &id, book);
                }
            }
            Intent::Order => self.orders(dice, book),
            Intent::Rubbish => {
                let [word, name, ..] = CANARIES;
                let bytes = format!("{{\"v\":1,\"type\":\"consult\",\"{word}\":{{\"{name}\"").into_bytes();
                self.says("req", bytes, "talks rubbish", "", book);
            }
            Intent::Reconnect => {
                book.note(format!("{} drops its connection", NAMES[me]));
                book.count("tablet reconnects");
                self.connected = false;
                self.wire = Wire::join(&self.runtime, &self.socket, &topic("res", me), me, self.tell.clone());
            }
        }
    }

    /// Returns the request's number in the book.
    pub fn asks(&mut self, mut message: Value, sort: Option<usize>, dice: &mut Dice, book: &mut Book) -> usize {
        let id = new_id(dice);
        message["id"] = json!(id);
        let now_ms = book.now_ms();
        book.asked.push(Asked {
            id,
            tablet: self.number,
            sort,
            bytes: message.to_string().into_bytes(),
            heard: Default::default(),
            reviews: Vec::new(),
            abused: false,
            cancelled: false,
            due_ms: now_ms + PAUSE_MS,
            pause_ms: PAUSE_MS,
        });
        book.count("asked");
        let n = book.asked.len() - 1;
        self.sends(n, sort.map_or("asks", |sort| SORTS[sort].name), book);
        n
    }

    /// A hold is a second long: what is refused meanwhile is asked again.
    fn orders(&self, dice: &mut Dice, book: &mut Book) {
        let id = new_id(dice);
        let poison = book.asked.iter().find(|asked| asked.sort == Some(POISONOUS)).map(|asked| asked.id.clone());
        let order = match (dice.below(4), poison) {
            (0, _) => json!({"do": "hold", "for_s": 1}),
            (1, _) => json!({"do": "resume"}),
            (2, Some(case)) => json!({"do": "release", "case": case}),
            _ => json!({"do": "list"}),
        };
        let mut message = json!({"v": 1, "type": "admin", "id": id});
        message.as_object_mut().expect("an object").extend(order.as_object().expect("an object").clone());
        book.orders.push(id.clone());
        self.says("admin", message.to_string().into_bytes(), "orders", &id, book);
    }

    /// The same bytes as ever.
    pub fn sends(&self, n: usize, why: &str, book: &mut Book) {
        let (id, bytes) = (book.asked[n].id.clone(), book.asked[n].bytes.clone());
        self.says("req", bytes, why, &id, book);
    }

    pub fn wants_again(&self, n: usize, book: &mut Book) {
        let id = book.asked[n].id.clone();
        self.says("req", word("resend", &id), "resend", &id, book);
    }

    pub fn reviews(&self, n: usize, dice: &mut Dice, book: &mut Book) {
        let asked = &mut book.asked[n];
        let bytes = review(&asked.id, asked.reviews.len(), dice);
        asked.reviews.push(Review { bytes, reply: None, heard: false, due_ms: 0 });
        book.count("reviews");
        self.reviews_again(n, book);
    }

    /// The same bytes of each that was not heard back.
    pub fn reviews_again(&self, n: usize, book: &mut Book) {
        let (now_ms, id) = (book.now_ms(), book.asked[n].id.clone());
        let due = |review: &&mut Review| !review.heard && review.due_ms <= now_ms;
        let again: Vec<Vec<u8>> = book.asked[n]
            .reviews
            .iter_mut()
            .filter(due)
            .map(|review| {
                review.due_ms = now_ms + PAUSE_MS_MAX / 2;
                review.bytes.clone()
            })
            .collect();
        again.into_iter().for_each(|bytes| self.says("review", bytes, "reviews", &id, book));
    }

    /// Another case under the same id.
    pub fn abuses(&self, n: usize, book: &mut Book) {
        let asked = &mut book.asked[n];
        asked.abused = true;
        let mut other = SORTS[(asked.sort.unwrap_or(0) + 1) % SORTS.len()].case();
        other["id"] = json!(asked.id);
        let id = asked.id.clone();
        book.count("other content");
        self.says("req", other.to_string().into_bytes(), "abuses", &id, book);
    }

    fn says(&self, branch: &str, bytes: Vec<u8>, what: &str, id: &str, book: &mut Book) {
        if !self.connected {
            return; // a good tablet's timers bring it again
        }
        book.note(format!("{} → {what} {id} ({} bytes)", NAMES[self.number], bytes.len()));
        book.count("sent");
        self.wire.send(topic(branch, self.number), bytes);
    }

    pub fn hears(&mut self, heard: Heard, book: &mut Book) {
        match heard {
            Heard::Lost => self.connected = false,
            Heard::Connected => {
                book.note(format!("{} is connected", NAMES[self.number]));
                self.connected = true;
                for n in self.open(book) {
                    match book.asked[n].accepted() {
                        true => self.wants_again(n, book),
                        false => self.sends(n, "asks after connecting", book),
                    }
                }
            }
            Heard::Message { bytes, .. } => self.takes(&bytes, book),
        }
    }

    fn takes(&mut self, bytes: &[u8], book: &mut Book) {
        let now_ms = book.now_ms();
        book.last_word_ms = now_ms;
        match promises::of_a_message(book, self.number, bytes) {
            Told::Noted => {}
            Told::Reviewed(n, number) => {
                let review = &mut book.asked[n].reviews[number];
                review.heard = true;
                if review.reply.replace(bytes.to_vec()).is_none() {
                    book.note(format!("{} ← reviewed {}", NAMES[self.number], book.asked[n].id.clone()));
                    book.count("reviewed");
                }
            }
            Told::Later(n, retry_after_s) => {
                book.count("later");
                book.asked[n].due_ms = now_ms + (retry_after_s * 100).min(PAUSE_MS_MAX);
            }
            Told::Lasting(n, kind) => {
                *book.tally.entry((n, kind)).or_default() += 1;
                if book.asked[n].heard.insert(kind, bytes.to_vec()).is_none() {
                    book.note(format!("{} ← {kind} {}", NAMES[self.number], book.asked[n].id.clone()));
                    book.count(kind);
                }
                if ENDS.contains(&kind) {
                    self.confirms(n, book);
                }
            }
        }
    }

    fn confirms(&mut self, n: usize, book: &mut Book) {
        if self.forgetful && self.dice.one_in(4) {
            return book.count("receipt forgotten");
        }
        let id = book.asked[n].id.clone();
        let receipt = json!({"v": 1, "type": "receipt", "id": id}).to_string().into_bytes();
        self.says("receipt", receipt, "receipt", &id, book);
    }

    /// The same bytes until `accepted`.
    pub fn looks_at_the_clock(&self, book: &mut Book) {
        let now_ms = book.now_ms();
        for n in self.open(book) {
            let asked = &mut book.asked[n];
            if !asked.accepted() && asked.due_ms <= now_ms {
                asked.pause_ms = (asked.pause_ms * 2).min(PAUSE_MS_MAX);
                asked.due_ms = now_ms + asked.pause_ms;
                book.count("repeated");
                self.sends(n, "repeats", book);
            }
        }
        for n in 0..book.asked.len() {
            if book.asked[n].tablet == self.number {
                self.reviews_again(n, book);
            }
        }
    }

    fn open(&self, book: &Book) -> Vec<usize> {
        book.open().filter(|n| book.asked[*n].tablet == self.number).collect()
    }
}

fn new_id(dice: &mut Dice) -> String {
    uuid::Uuid::from_u64_pair(dice.below(usize::MAX) as u64, dice.below(usize::MAX) as u64).to_string()
}

fn topic(branch: &str, number: usize) -> String {
    format!("consult/1/{branch}/{}", NAMES[number])
}

fn word(kind: &str, id: &str) -> Vec<u8> {
    json!({"v": 1, "type": kind, "id": id}).to_string().into_bytes()
}

/// No two of one request are the same.
fn review(id: &str, number: usize, dice: &mut Dice) -> Vec<u8> {
    let (verdict, said) = dice.pick(&[("accepted", "remark"), ("rejected", "reason")]);
    let text = format!("{}，第{number}次", CANARIES[0]);
    json!({"v": 1, "type": "review", "id": id, "clinician": "c-0417", "verdict": verdict, said: text})
        .to_string()
        .into_bytes()
}

impl Asked {
    fn may_be_reviewed(&self) -> bool {
        self.heard.contains_key("answer") && self.reviews.len() < REVIEWS_MAX
    }
}

fn weighted(dice: &mut Dice) -> usize {
    let all: Vec<usize> = SORTS.iter().enumerate().flat_map(|(n, sort)| vec![n; sort.weight]).collect();
    dice.pick(&all)
}
