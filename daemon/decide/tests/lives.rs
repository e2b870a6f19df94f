//! Thousands of seeded lives of a box: everything that can come in comes in, in any order, and the power fails
//! at any point. Whatever happens, the promises hold; and once the world is kind, every case is answered.
//!
//! ```text
//! SEED=17 cargo test --release -p decide --test lives     one life again
//! ```
//! `lives/world.rs` is the life, `lives/promises.rs` what must hold, `lives/tables.rs` the subtle rules one by one,
//! `lives/assembly.rs` what goes into an answer.

#[path = "lives/assembly.rs"]
mod assembly;
#[path = "lives/cases.rs"]
mod cases;
#[path = "lives/dice.rs"]
mod dice;
#[path = "lives/disk.rs"]
mod disk;
#[path = "lives/promises.rs"]
mod promises;
#[path = "lives/tables.rs"]
mod tables;
#[path = "lives/world.rs"]
mod world;

use std::thread;
use world::{Seen, World};

/// A debug build is ten times slower, and its developer waits.
const LIVES: u64 = if cfg!(debug_assertions) { 100 } else { 2000 };
const EVENTS: usize = 250;

#[test]
fn every_life_keeps_every_promise() {
    if let Ok(seed) = std::env::var("SEED") {
        live(seed.parse().expect("SEED is a number"));
        return;
    }
    let threads = thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let shares: Vec<_> =
        (0..threads).map(|share| thread::spawn(move || live_all((share..LIVES).step_by(threads as usize)))).collect();
    let mut seen = Seen::new();
    for share in shares {
        let lives = share.join().expect("a life ended badly; its seed is printed above");
        lives.into_iter().for_each(|(what, times)| *seen.entry(what).or_default() += times);
    }
    println!("{seen:?}");
    for what in MUST_HAVE_BEEN_SEEN {
        assert!(seen.get(what).is_some_and(|times| *times > LIVES / 20), "hardly ever seen: {what}");
    }
}

/// Without these the lives would have been quiet, and their promises easy to keep.
const MUST_HAVE_BEEN_SEEN: [&str; 43] = [
    "accepted",
    "alert",
    "progress",
    "answer",
    "opinion",
    "no opinion",
    "stored messages again",
    "answer again",
    "attempt",
    "death",
    "death in company",
    "several at once",
    "alone under suspicion",
    "innocent beside poison",
    "cancel",
    "busy",
    "id conflict",
    "unknown id",
    "refused",
    "deadline",
    "engine down",
    "engine crashed",
    "form incomplete",
    "no adapter",
    "case cut",
    "scripted engine",
    "cut before the records",
    "cut before the acknowledgements",
    "cut amid the effects",
    "cut after the effects",
    "cancelled",
    "reviewed",
    "report",
    "not allowed",
    "updating",
    "storage full",
    "model loading",
    "no opinion in place of one",
    "alert without room",
    "ends with a worker",
    "ends unfit",
    "ends hanging",
    "ends starting",
];

fn live_all(seeds: impl Iterator<Item = u64>) -> Seen {
    let mut seen = Seen::new();
    for seed in seeds {
        live(seed).into_iter().for_each(|(what, times)| *seen.entry(what).or_default() += times);
    }
    seen
}

fn live(seed: u64) -> Seen {
    let _last_words = LastWords(seed);
    let mut world = World::new(seed);
    for _ in 0..EVENTS {
        world.something_happens();
        world.the_power_may_fail();
    }
    world.becomes_kind();
    world.has_kept_its_word();
    world.seen
}

/// Names the seed of a life that ends by a panic.
struct LastWords(u64);

impl Drop for LastWords {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("again with: SEED={} cargo test --release -p decide --test lives", self.0);
        }
    }
}
