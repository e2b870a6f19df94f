//! A round: a schedule from a seed, carried out while the tablets talk; then the world is kind, and what was promised is
//! looked at.

use crate::{
    book::{Book, Seen},
    common::degraded,
    dice::Dice,
    life::{KIND_MS_MAX, Life},
    nemesis,
    platter::Unsynced,
    promises::{CONFLICT, Control, Flags},
    rest,
    schedule::{self, Deed, Due},
    sorts::{self, COUGH, POISONOUS, SORTS},
    tablet::Tablet,
    world::{Means, Pace, SILENCE_S_MAX},
};
use rustix::process::Signal;
use serde_json::Value;
use std::time::Instant;

/// With a model whatever waits has to be written first.
const KIND_WITH_MODEL_MS_MAX: u64 = 180_000;
/// Nothing more is on its way.
const QUIET_MS: u64 = 250;
/// P8. A poison costs two workers, each of which is replaced within half a second; a silent one the patience with it.
const HELD_UP_MS_MAX: u64 = 8_000;
const HELD_UP_BY_SILENCE_MS_MAX: u64 = HELD_UP_MS_MAX + 2 * SILENCE_S_MAX * 1000;
/// A model is loaded anew.
const HELD_UP_BY_DEATH_MS_MAX: u64 = 60_000;
/// The last of so many lives meets a worker that hangs: it takes ten seconds.
const SILENT_LIVES: u64 = 20;

/// A life in which nothing fails: what the rules say of each sort.
pub fn control(means: &Means) -> Control {
    let mut life = begin(0, means, None);
    for (n, sort) in SORTS.iter().enumerate() {
        life.tablets[0].asks(sort.case(), Some(n), &mut life.dice, &mut life.book);
    }
    life.becomes_kind();
    let control = life.book.asked.iter().map(|asked| {
        let answer: Value = serde_json::from_slice(&asked.heard["answer"]).expect("JSON");
        Flags::of(&answer, asked.heard.contains_key("alert"))
    });
    control.collect()
}

pub fn live(seed: u64, means: &Means, control: &Control) -> Seen {
    let mut life = begin(seed, means, Some(control.clone()));
    life.goes_badly();
    let drained_ms = life.becomes_kind();
    life.loses_power();
    life.is_not_held_up();
    life.refuses_other_content();
    life.says_the_same_again("the resend", Tablet::wants_again);
    life.says_the_same_again("the repetition", |tablet, n, book| tablet.sends(n, "repeats at the end", book));
    life.reviews_the_same_again();
    life.ends_well(drained_ms)
}

fn begin(seed: u64, means: &Means, control: Option<Control>) -> Life {
    let mut dice = Dice::new(seed);
    let pace = Pace::of(&mut dice);
    Life::begin(seed, "make crash", means, pace, dice, control)
}

impl Life {
    fn goes_badly(&mut self) {
        let mut deeds = schedule::of(self.seed, &self.means, &mut self.dice);
        let bad_ms = schedule::bad_ms(&self.means);
        while let Some(due) = deeds.first().copied().filter(|due| due.at_ms <= bad_ms) {
            self.turn_until(|book| book.now_ms() >= due.at_ms, bad_ms * 2);
            deeds.remove(0);
            self.does(due, &mut deeds);
        }
    }

    fn does(&mut self, due: Due, deeds: &mut Vec<Due>) {
        let (now_ms, mut dice) = (self.book.now_ms(), Dice::new(due.roll));
        match due.deed {
            Deed::Tablet(tablet, intent) => self.tablets[tablet].does(intent, &mut dice, &mut self.book),
            Deed::Then(then) => nemesis::follow(then, &mut self.world, &mut dice, &mut self.book),
            Deed::Fault(fault, name) => {
                let Some(thens) = nemesis::strike(fault, &mut self.world, &mut dice) else {
                    return self.book.note(format!("({name}: not at this moment)"));
                };
                self.book.note(format!("** {name} {thens:?}"));
                self.book.count(name);
                for (ms, then) in thens {
                    deeds.push(Due::new(now_ms.saturating_add(ms), Deed::Then(then), &mut dice));
                }
                deeds.sort_by_key(|due| due.at_ms);
            }
        }
    }

    /// How long it took until all was answered.
    fn becomes_kind(&mut self) -> u64 {
        nemesis::relent(&mut self.world, &mut self.dice, &mut self.book);
        self.tablets.iter_mut().for_each(|tablet| tablet.forgetful = false);
        self.book.note("the world is kind");
        let (began, open) = (Instant::now(), self.book.open().count());
        let all_answered = self.turn_until(|book| book.open().count() + book.unreviewed() == 0, self.kind_ms_max());
        let waiting: Vec<String> = self.book.open().map(|n| self.book.asked[n].id.clone()).collect();
        assert!(all_answered, "P3: no end for {waiting:?}, {} reviews unheard", self.book.unreviewed());
        let drained_ms = began.elapsed().as_millis() as u64;
        self.book.note(format!("all answered, {open} of them in {drained_ms} ms"));
        drained_ms
    }

    /// Whatever was said by now must have been on the disk; of a review, at the moment when that is heard.
    fn loses_power(&mut self) {
        self.rests();
        if let Some(n) = self.book.asked.iter().position(|asked| asked.heard.contains_key("answer")) {
            self.tablets[self.book.asked[n].tablet].reviews(n, &mut self.dice, &mut self.book);
            assert!(self.turn_until(|book| book.unreviewed() == 0, self.kind_ms_max()), "nothing is said to a review");
        }
        let loss = self.world.cut_power(Unsynced::Lost, 0, &mut self.dice);
        self.book.note("the last power cut");
        self.book.lost(loss);
    }

    /// P8: the next is served within a bound, behind a case that ends its worker or makes it silent. No case is known
    /// to end llama.cpp, so there the worker is killed as soon as it has one.
    fn is_not_held_up(&mut self) {
        let silent = self.seed.is_multiple_of(SILENT_LIVES);
        let (poison, ms_max, served) = match (self.means.model, silent) {
            (true, _) => (SORTS[COUGH].case(), HELD_UP_BY_DEATH_MS_MAX, "served behind a death"),
            (false, true) => (sorts::silent(), HELD_UP_BY_SILENCE_MS_MAX, "served behind silence"),
            (false, false) => (SORTS[POISONOUS].case(), HELD_UP_MS_MAX, "served behind poison"),
        };
        self.rests();
        let (first, next) = (0, 1);
        let poisoned = self.tablets[first].asks(poison, None, &mut self.dice, &mut self.book);
        let n = self.tablets[next].asks(SORTS[COUGH].case(), Some(COUGH), &mut self.dice, &mut self.book);
        if self.means.model {
            self.turn_until(|book| book.asked[poisoned].accepted(), ms_max);
            self.world.signal_worker(Signal::KILL);
        }
        self.turn_until(|book| book.asked[n].ended(), ms_max);
        let asked = &self.book.asked[n];
        assert!(asked.ended(), "P8: a case waits for more than {ms_max} ms behind a poison one");
        let answer: Value = serde_json::from_slice(&asked.heard["answer"]).expect("JSON");
        let whole = self.means.whole(&degraded(&answer));
        self.book.count(if whole { served } else { "answered behind poison by the rules" });
        assert!(self.turn_until(|book| book.open().count() == 0, self.kind_ms_max()), "P3: poison has no end");
    }

    /// P4, before it is looked at what is stored.
    fn refuses_other_content(&mut self) {
        self.rests();
        self.book.tally.clear();
        let all = self.book.asked.len();
        for n in 0..all {
            self.tablets[self.book.asked[n].tablet].abuses(n, &mut self.book);
        }
        self.turn_until(|book| (0..all).all(|n| book.tally.contains_key(&(n, CONFLICT))), self.kind_ms_max());
        self.rests();
        for (n, asked) in self.book.asked.iter().enumerate() {
            assert_eq!(self.book.heard_of(n), [(CONFLICT, 1)], "P4: other content under {}", asked.id);
        }
    }

    /// P1, P2, P3: each request is there, has one end, and brings the bytes that were heard first (`promises.rs`).
    fn says_the_same_again(&mut self, what: &str, ask: fn(&Tablet, usize, &mut Book)) {
        self.rests();
        self.book.tally.clear();
        for n in 0..self.book.asked.len() {
            ask(&self.tablets[self.book.asked[n].tablet], n, &mut self.book);
        }
        let all = self.book.asked.len();
        let end = |book: &Book, n: usize| book.asked[n].end().expect("it has ended");
        self.turn_until(|book| (0..all).all(|n| book.tally.contains_key(&(n, end(book, n)))), self.kind_ms_max());
        self.rests();
        for (n, asked) in self.book.asked.iter().enumerate() {
            let quiet = asked.sort.zip(self.book.control.as_ref()).map(|(sort, control)| control[sort].alert);
            let alert = quiet.unwrap_or(asked.heard.contains_key("alert"));
            let whole = [("accepted", 1), ("alert", 1), (end(&self.book, n), 1)];
            let wanted: Vec<(&str, u32)> = whole.into_iter().filter(|(kind, _)| alert || *kind != "alert").collect();
            assert_eq!(self.book.heard_of(n), wanted, "P1, P2, P3, P10: what {what} of {} brings", asked.id);
        }
    }

    /// P2 of the reviews: the same bytes again bring the same again, and no new link (`promises.rs`).
    fn reviews_the_same_again(&mut self) {
        self.rests();
        let reviews = self.book.asked.iter_mut().flat_map(|asked| &mut asked.reviews);
        reviews.for_each(|review| (review.heard, review.due_ms) = (false, 0));
        assert!(self.turn_until(|book| book.unreviewed() == 0, self.kind_ms_max()), "a review that was heard is lost");
    }

    fn kind_ms_max(&self) -> u64 {
        self.means.ms(KIND_MS_MAX, KIND_WITH_MODEL_MS_MAX)
    }

    /// Until nothing is on its way.
    fn rests(&mut self) {
        self.book.last_word_ms = self.book.now_ms();
        self.turn_until(|book| book.now_ms() - book.last_word_ms > QUIET_MS, self.kind_ms_max());
    }

    fn ends_well(mut self, drained_ms: u64) -> Seen {
        let pid = self.world.daemon_pid().expect("a running daemon");
        rest::is_sane(pid);
        self.world.stop_daemon();
        rest::store_is_whole(&self.world.disk);
        rest::chain_is_whole(&self.world, &self.book);
        rest::nothing_is_told(&self.world, &self.book);
        if let Some(shim) = &self.world.shim {
            rest::count(shim, &mut self.book.seen);
        }
        let took = self.book.now_ms() as f64 / 1000.0;
        let (ids, seen) = (self.book.asked.len(), std::mem::take(&mut self.book.seen));
        println!("seed {}: {took:.1} s, {ids} ids, drained in {drained_ms} ms; {}", self.seed, line(&seen));
        seen
    }
}

fn line(seen: &Seen) -> String {
    let parts: Vec<String> = seen.iter().map(|(what, times)| format!("{what} {times}")).collect();
    parts.join(", ")
}
