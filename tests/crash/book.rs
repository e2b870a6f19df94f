//! The recorder: what was asked, what was heard first under each id, and everything that happened, for whoever has to
//! find out why.

use crate::{platter::Loss, promises::Control};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

/// How often each thing happened.
pub type Seen = BTreeMap<&'static str, u64>;

/// The messages of a request that are stored and never change.
pub const LASTING: [&str; 4] = ["accepted", "alert", "answer", "cancelled"];
/// Those of them after which nothing may come.
pub const ENDS: [&str; 2] = ["answer", "cancelled"];

/// A doctor's word on an answer.
pub struct Review {
    pub bytes: Vec<u8>,
    /// What was said to it first, and whether that has been heard since it was last asked for.
    pub reply: Option<Vec<u8>>,
    pub heard: bool,
    /// When the tablet sends it again.
    pub due_ms: u64,
}

pub struct Asked {
    pub id: String,
    pub tablet: usize,
    /// Index into `SORTS`, or none of them.
    pub sort: Option<usize>,
    pub bytes: Vec<u8>,
    /// The first of each kind.
    pub heard: BTreeMap<&'static str, Vec<u8>>,
    pub reviews: Vec<Review>,
    /// Its tablet has sent other content under this id.
    pub abused: bool,
    /// Its tablet has asked for an end without an answer.
    pub cancelled: bool,
    /// When the tablet sends it again, and how long it waits then.
    pub due_ms: u64,
    pub pause_ms: u64,
}

impl Asked {
    pub fn accepted(&self) -> bool {
        self.heard.contains_key("accepted")
    }
    pub fn ended(&self) -> bool {
        self.end().is_some()
    }
    pub fn end(&self) -> Option<&'static str> {
        ENDS.into_iter().find(|kind| self.heard.contains_key(kind))
    }
}

pub struct Book {
    began: Instant,
    lines: Vec<String>,
    pub seen: Seen,
    pub asked: Vec<Asked>,
    /// An admin's, or what a tablet that is none gave for one.
    pub orders: Vec<String>,
    pub control: Option<Control>,
    /// Kinds heard of each request since it was cleared.
    pub tally: BTreeMap<(usize, &'static str), u32>,
    pub topics: BTreeSet<String>,
    /// Of the daemon, once it has said that it listens.
    pub boots: BTreeSet<String>,
    pub last_word_ms: u64,
}

impl Book {
    pub fn new(control: Option<Control>) -> Self {
        Self {
            began: Instant::now(),
            lines: Vec::new(),
            seen: Seen::new(),
            asked: Vec::new(),
            orders: Vec::new(),
            control,
            tally: BTreeMap::new(),
            topics: BTreeSet::new(),
            boots: BTreeSet::new(),
            last_word_ms: 0,
        }
    }

    pub fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    pub fn note(&mut self, line: impl AsRef<str>) {
        self.lines.push(format!("{:>6} ms  {}", self.now_ms(), line.as_ref()));
    }

    pub fn count(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    pub fn lost(&mut self, Loss { pages, names }: Loss) {
        self.note(format!("{pages} pages and {names} names are lost"));
        (0..pages).for_each(|_| self.count("pages lost"));
        (0..names).for_each(|_| self.count("names lost"));
    }

    /// A request by its number in this book.
    pub fn find(&self, id: &Value) -> Option<usize> {
        self.asked.iter().position(|asked| asked.id == *id)
    }

    pub fn open(&self) -> impl Iterator<Item = usize> {
        (0..self.asked.len()).filter(|n| !self.asked[*n].ended())
    }

    /// Requests with a review that has not been heard back.
    pub fn unreviewed(&self) -> usize {
        self.asked.iter().filter(|asked| asked.reviews.iter().any(|review| !review.heard)).count()
    }

    /// What the tally has of a request.
    pub fn heard_of(&self, n: usize) -> Vec<(&'static str, u32)> {
        self.tally.iter().filter(|((of, _), _)| *of == n).map(|((_, kind), times)| (*kind, *times)).collect()
    }

    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}
