//! A life of a few blows: the box starts, talks, and loses power at a sync; the next blow falls on what was left. Then the
//! world is kind, and all that was promised is asked for.

use crate::{
    blows::{self, Blow, When},
    book::{Asked, Book, Seen},
    dice::Dice,
    life::{KIND_MS_MAX, Life},
    platter::Unsynced,
    promises::CONFLICT,
    rest,
    shim::{Count, Shim},
    sorts::{POISONOUS, SORTS},
    tablet::{Intent, Tablet},
    world::{Means, Pace},
};
use rustix::process::Signal;
use std::{fs, time::Instant};

/// Between two deeds of the tablets.
const DEED_MS: u64 = 6;
/// A life costs a resend for each.
const ASKED_MAX: usize = 14;
/// No sync of this kind comes any more: then the blow falls between two of them.
const PATIENCE_MS: u64 = 500;
/// Before the box is told to stop.
const TALK_MS: usize = 60;

pub fn live(seed: u64, means: &Means) -> Seen {
    let mut dice = Dice::new(seed);
    let blows = blows::of(seed, &mut dice);
    let pace = Pace { delay_ms: dice.pick(&[0, 0, 2]), jobs_max: 4, queue_max: 200 };
    let mut life = Life::begin(seed, "make lost-writes", means, pace, dice, None);
    for blow in blows {
        let cuts = life.shim().count(Count::Cuts);
        life.lives_until(&blow);
        life.suffers(&blow, cuts);
    }
    life.becomes_kind();
    life.loses_power_once_more();
    life.keeps_its_promises();
    life.ends()
}

impl Life {
    fn lives_until(&mut self, blow: &Blow) {
        self.book.note(format!("** {blow:?}"));
        match blow.when {
            When::Copying => self.lets_a_week_pass(),
            When::LogFull => self.fills_the_log(),
            When::Starting | When::Serving | When::Stopping => {}
        }
        if matches!(blow.when, When::Starting | When::Copying) {
            self.shim().arm(blow.cut);
        }
        if !self.until_it_listens() {
            return;
        }
        match blow.when {
            When::Starting | When::Copying => {}
            When::Serving | When::LogFull => self.shim().arm(blow.cut),
            When::Stopping => {
                let talk_ms = self.dice.below(TALK_MS) as u64;
                self.talks_for(talk_ms);
                self.shim().arm(blow.cut);
                self.world.signal_daemon(Signal::TERM);
            }
        }
        self.talks_for(PATIENCE_MS);
    }

    /// False where the daemon has ended before.
    fn until_it_listens(&mut self) -> bool {
        let (boots, began) = (self.book.boots.len(), Instant::now());
        self.turn(); // it starts
        while self.book.boots.len() == boots {
            assert!(began.elapsed().as_millis() < KIND_MS_MAX.into(), "the daemon does not listen");
            if self.world.daemon_pid().is_none() {
                return false;
            }
            self.turn();
        }
        self.asks_at_once();
        true
    }

    /// The box is back: who knows that need not wait for a timer.
    fn asks_at_once(&mut self) {
        for asked in &mut self.book.asked {
            asked.due_ms = 0;
            asked.reviews.iter_mut().for_each(|review| review.due_ms = 0);
        }
    }

    /// Or until the daemon has ended.
    fn talks_for(&mut self, ms: u64) {
        let end_ms = self.book.now_ms() + ms;
        let mut deed_ms = 0;
        while self.world.daemon_pid().is_some() && self.book.now_ms() < end_ms {
            if self.book.now_ms() >= deed_ms {
                self.does_something();
                deed_ms = self.book.now_ms() + DEED_MS;
            }
            self.turn();
        }
    }

    fn does_something(&mut self) {
        let mut dice = Dice::new(self.dice.below(usize::MAX) as u64);
        let tablet = dice.below(self.tablets.len());
        let intents = [Intent::Ask, Intent::Ask, Intent::AskAgain, Intent::Resend, Intent::Review, Intent::Cancel];
        match dice.pick(&intents) {
            Intent::Ask if self.book.asked.len() >= ASKED_MAX => {}
            Intent::Ask => {
                let sort = dice.below(POISONOUS); // a poison costs a worker, and that is the crash test's affair
                self.tablets[tablet].asks(SORTS[sort].case(), Some(sort), &mut dice, &mut self.book);
            }
            intent => self.tablets[tablet].does(intent, &mut dice, &mut self.book),
        }
    }

    fn becomes_kind(&mut self) {
        self.book.note("the world is kind");
        self.tablets.iter_mut().for_each(|tablet| tablet.forgetful = false);
        assert!(self.until_it_listens(), "the daemon has ended by itself");
        let ended = self.turn_until(|book| book.open().count() + book.unreviewed() == 0, KIND_MS_MAX);
        let waiting: Vec<&str> = self.book.open().map(|n| &*self.book.asked[n].id).collect();
        assert!(ended, "P3: no end for {waiting:?}, {} reviews unheard", self.book.unreviewed());
    }

    /// Whatever was said by now must be on the disk, and nothing else may be needed.
    fn loses_power_once_more(&mut self) {
        self.book.note("the last power cut");
        self.leaves_nobody();
        let loss = self.world.cut_power(Unsynced::Lost, 0, &mut self.dice);
        self.book.lost(loss);
        rest::store_is_whole(&self.world.disk);
        rest::nothing_is_told(&self.world, &self.book);
        let log = fs::read_to_string(self.world.log()).expect("a log");
        assert!(!log.contains("damaged"), "a power cut has damaged the store or the key");
        // By the key that the box has now: with another one, no link of before would be good.
        if self.book.asked.iter().any(|asked| asked.heard.contains_key("answer")) {
            rest::chain_is_whole(&self.world, &self.book);
        }
        assert!(self.until_it_listens(), "the daemon has ended by itself");
        self.until(|life| life.tablets.iter().all(|tablet| tablet.connected));
    }

    fn keeps_its_promises(&mut self) {
        self.asks_of_each("resend", Tablet::wants_again, |asked| vec!["accepted", asked.end().expect("it has ended")]);
        self.asks_of_each("other content", |tablet, n, book| tablet.abuses(n, book), |_| vec![CONFLICT]);
        let reviews = self.book.asked.iter_mut().flat_map(|asked| &mut asked.reviews);
        reviews.for_each(|review| (review.heard, review.due_ms) = (false, 0));
        assert!(self.turn_until(|book| book.unreviewed() == 0, KIND_MS_MAX), "P2: a review that was heard is lost");
    }

    /// That the bytes are those that were heard first is looked at as they come (`promises.rs`).
    fn asks_of_each(
        &mut self,
        what: &str,
        ask: fn(&Tablet, usize, &mut Book),
        brings: fn(&Asked) -> Vec<&'static str>,
    ) {
        self.book.tally.clear();
        let all = 0..self.book.asked.len();
        all.clone().for_each(|n| ask(&self.tablets[self.book.asked[n].tablet], n, &mut self.book));
        let brought =
            |book: &Book, n: usize| brings(&book.asked[n]).into_iter().all(|kind| book.tally.contains_key(&(n, kind)));
        self.turn_until(|book| all.clone().all(|n| brought(book, n)), KIND_MS_MAX);
        let lost: Vec<&str> = all.filter(|n| !brought(&self.book, *n)).map(|n| &*self.book.asked[n].id).collect();
        assert!(lost.is_empty(), "P1, P2, P4: {what} does not bring what it must of {lost:?}");
    }

    fn ends(mut self) -> Seen {
        self.leaves_nobody();
        let mut seen = std::mem::take(&mut self.book.seen);
        rest::count(self.shim(), &mut seen);
        seen
    }

    fn until(&mut self, come: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !come(self) {
            assert!(began.elapsed().as_millis() < KIND_MS_MAX.into(), "it does not come");
            self.turn();
        }
    }

    pub fn shim(&self) -> &Shim {
        self.world.shim.as_ref().expect("without it there is no such test")
    }
}
