//! One life of a box: a schedule from a seed, carried out while the tablets talk; then the world is kind, and what was
//! promised is looked at.

use crate::{
    book::{Book, Seen},
    common::degraded,
    dice::Dice,
    nemesis,
    platter::Unsynced,
    promises::{CONFLICT, Control, Flags},
    rest,
    schedule::{self, Deed, Due},
    sorts::{self, COUGH, POISONOUS, SORTS},
    tablet::{NAMES, Tablet},
    wire::{Heard, Wire},
    world::{Means, SILENCE_S_MAX, World},
};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

/// From the first kind moment to the last answer: shorter than the 30 s after which the box repeats by itself, because
/// all that is owed must come with the connection. A worker that was stopped costs five of them.
const KIND_MS_MAX: u64 = 25_000;
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

/// The mark of whoever listens to all topics.
const WATCHER: usize = usize::MAX;

pub struct Life {
    seed: u64,
    dice: Dice,
    book: Book,
    tablets: Vec<Tablet>,
    _watcher: Wire,
    heard: Receiver<(usize, Heard)>,
    /// By time.
    deeds: Vec<Due>,
    drained_ms: u64,
    means: Means,
    world: World,
}

/// A life in which nothing fails: what the rules say of each sort.
pub fn control(means: &Means) -> Control {
    let mut life = Life::begin(0, means, None);
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
    let mut life = Life::begin(seed, means, Some(control.clone()));
    life.goes_badly();
    life.becomes_kind();
    life.loses_power();
    life.is_not_held_up();
    life.refuses_other_content();
    life.says_the_same_again("the resend", Tablet::wants_again);
    life.says_the_same_again("the repetition", |tablet, n, book| tablet.sends(n, "repeats at the end", book));
    life.reviews_the_same_again();
    life.ends_well()
}

impl Life {
    fn begin(seed: u64, means: &Means, control: Option<Control>) -> Self {
        let mut dice = Dice::new(seed);
        let world = World::new(means, &mut dice);
        let (tell, heard) = channel();
        let runtime = world.runtime.handle();
        let tablets = (0..NAMES.len()).map(|n| {
            let seed = dice.below(usize::MAX) as u64;
            Tablet::new(n, runtime, world.socket(), tell.clone(), seed)
        });
        let tablets = tablets.collect();
        let watcher = Wire::join(runtime, &world.socket(), "#", WATCHER, tell);
        let book = Book::new(control);
        Self {
            seed,
            dice,
            book,
            tablets,
            _watcher: watcher,
            heard,
            deeds: Vec::new(),
            drained_ms: 0,
            means: means.clone(),
            world,
        }
    }

    fn goes_badly(&mut self) {
        self.deeds = schedule::of(self.seed, &self.means, &mut self.dice);
        let bad_ms = schedule::bad_ms(&self.means);
        while let Some(due) = self.deeds.first().copied().filter(|due| due.at_ms <= bad_ms) {
            self.turn_until(|book| book.now_ms() >= due.at_ms, bad_ms * 2);
            self.deeds.remove(0);
            self.does(due);
        }
    }

    fn does(&mut self, due: Due) {
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
                    self.deeds.push(Due::new(now_ms.saturating_add(ms), Deed::Then(then), &mut dice));
                }
                self.deeds.sort_by_key(|due| due.at_ms);
            }
        }
    }

    fn becomes_kind(&mut self) {
        self.deeds.clear();
        nemesis::relent(&mut self.world, &mut self.dice, &mut self.book);
        self.tablets.iter_mut().for_each(|tablet| tablet.forgetful = false);
        self.book.note("the world is kind");
        let (began, open) = (Instant::now(), self.book.open().count());
        let all_answered = self.turn_until(|book| book.open().count() + book.unreviewed() == 0, self.kind_ms_max());
        let waiting: Vec<String> = self.book.open().map(|n| self.book.asked[n].id.clone()).collect();
        assert!(all_answered, "P3: no end for {waiting:?}, {} reviews unheard", self.book.unreviewed());
        self.drained_ms = began.elapsed().as_millis() as u64;
        self.book.note(format!("all answered, {open} of them in {} ms", self.drained_ms));
    }

    /// Whatever was said by now must have been on the disk; of a review, at the moment when that is heard.
    fn loses_power(&mut self) {
        self.rests();
        if let Some(n) = self.book.asked.iter().position(|asked| asked.heard.contains_key("answer")) {
            self.tablets[self.book.asked[n].tablet].reviews(n, &mut self.dice, &mut self.book);
            assert!(self.turn_until(|book| book.unreviewed() == 0, self.kind_ms_max()), "nothing is said to a review");
        }
        let lost = self.world.cut_power(Unsynced::Lost, 0, &mut self.dice);
        self.book.note(format!("the last power cut; {lost} pages are lost"));
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

    fn ends_well(mut self) -> Seen {
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
        println!("seed {}: {took:.1} s, {ids} ids, drained in {} ms; {}", self.seed, self.drained_ms, line(&seen));
        seen
    }

    fn kind_ms_max(&self) -> u64 {
        self.means.ms(KIND_MS_MAX, KIND_WITH_MODEL_MS_MAX)
    }

    /// Until nothing is on its way.
    fn rests(&mut self) {
        self.book.last_word_ms = self.book.now_ms();
        self.turn_until(|book| book.now_ms() - book.last_word_ms > QUIET_MS, self.kind_ms_max());
    }

    /// Says whether it has come true.
    fn turn_until(&mut self, come: impl Fn(&Book) -> bool, ms_max: u64) -> bool {
        let began_ms = self.book.now_ms();
        while !come(&self.book) {
            if self.book.now_ms() - began_ms > ms_max {
                return false;
            }
            self.turn();
        }
        true
    }

    fn turn(&mut self) {
        let mut next = self.heard.recv_timeout(Duration::from_millis(4));
        loop {
            match next {
                Ok((WATCHER, Heard::Message { topic, bytes })) => rest::of_a_topic(topic, &bytes, &mut self.book),
                Ok((WATCHER, _)) => {}
                Ok((tablet, heard)) => self.tablets[tablet].hears(heard, &mut self.book),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => panic!("the tablets' clients are gone"),
            }
            next = self.heard.try_recv().map_err(|_| RecvTimeoutError::Timeout);
        }
        self.tablets.iter().for_each(|tablet| tablet.looks_at_the_clock(&mut self.book));
        self.world.look_after(&mut self.book);
    }
}

fn line(seen: &Seen) -> String {
    let parts: Vec<String> = seen.iter().map(|(what, times)| format!("{what} {times}")).collect();
    parts.join(", ")
}

/// Of a life that ends by a panic (with `KEEP=1` of each): its seed, its last hours, and where its folder is kept.
impl Drop for Life {
    fn drop(&mut self) {
        if !thread::panicking() && std::env::var_os("KEEP").is_none() {
            return;
        }
        let lines = self.book.lines();
        eprintln!("\nthe last of {} lines of seed {}:", lines.len(), self.seed);
        lines.iter().skip(lines.len().saturating_sub(120)).for_each(|line| eprintln!("{line}"));
        self.world.folder.disable_cleanup(true);
        let folder = self.world.folder.path();
        let record: String = lines.iter().map(|line| format!("{line}\n")).collect();
        crate::common::write(&folder.join("record"), &record);
        let _ = self.world.disk.keep(&folder.join("state-kept"));
        eprintln!("logs, record and state are kept in {}", folder.display());
        eprintln!("again with: make crash SEED={}   (the same schedule; the machine's own jitter differs)", self.seed);
    }
}
