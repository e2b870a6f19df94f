//! The real daemon on a disk that drops what was not synced, while the power goes at exact syncs: before one, in the
//! middle of one, or when one is done and nobody has heard of it. So every border of a commit is reached, and those of the
//! first start, of the key, of the reserve, of a restart, of a checkpoint and of the weekly copy. Whatever a tablet has
//! heard by then must be there afterwards.
//!
//! ```text
//!   make lost-writes LIVES=1000      seeds 1, 2, 3 …          make lost-writes SEED=17     one life again
//!
//!   story.rs ── blows.rs from the seed ──▶ crash/shim.c   counts syncs, and ends the daemon at the one meant
//!     │ crash/life.rs                        off.rs, crash/platter.rs   what is left of the state folder
//!     └── crash/promises.rs, crash/rest.rs   what must hold
//! ```
//! The crash test (`crash.rs`) has the same world and more faults, at any moment; here is only one fault, at each of the
//! moments that matter. What a cut at a sync leaves: the platter, the platter and some of the page cache, or all of it
//! (only the process was killed; the next cut finds what nobody synced since).

#![allow(dead_code)] // what only the crash test does is compiled here, too

mod common;

#[path = "lost_writes/blows.rs"]
mod blows;
#[path = "crash/book.rs"]
mod book;
#[path = "../daemon/decide/tests/lives/dice.rs"]
mod dice;
#[path = "crash/disk.rs"]
mod disk;
#[path = "crash/life.rs"]
mod life;
#[path = "lost_writes/off.rs"]
mod off;
#[path = "crash/platter.rs"]
mod platter;
#[path = "crash/promises.rs"]
mod promises;
#[path = "crash/proxy.rs"]
mod proxy;
#[path = "crash/rest.rs"]
mod rest;
#[path = "crash/shim.rs"]
mod shim;
#[path = "crash/sorts.rs"]
mod sorts;
#[path = "lost_writes/story.rs"]
mod story;
#[path = "crash/tablet.rs"]
mod tablet;
#[path = "crash/wire.rs"]
mod wire;
#[path = "crash/world.rs"]
mod world;

use book::Seen;
use std::{
    panic::catch_unwind,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};
use world::Means;

/// What CI has time for: about thirty seconds on two cores.
const LIVES: u64 = 60;
/// A life is waiting for most of its time.
const THREADS: usize = 4;

#[test]
fn what_was_heard_is_on_the_disk_at_whatever_sync_the_power_goes() {
    let number = |name| std::env::var(name).ok().filter(|v| !v.is_empty()).map(|v| v.parse().expect("a number"));
    let (seed, lives): (Option<u64>, Option<u64>) = (number("SEED"), number("LIVES"));
    let lives = lives.unwrap_or(if seed.is_some() { 1 } else { LIVES });
    let first = seed.unwrap_or(1);

    let folder = tempfile::tempdir().expect("a temporary folder");
    let shim = match shim::build(folder.path()) {
        Ok(library) => library,
        Err(why) => return println!("skipped: {why}"),
    };
    // A disk of its own would only cost time: none is full here.
    let means = Means { shim: Some(shim), small_disk: false, model: false };
    let began = Instant::now();
    let seen = live_all(first..first + lives, &means);
    println!("{lives} lives in {:.0} s: {seen:?}", began.elapsed().as_secs_f64());
    if lives >= LIVES {
        let happened = |what: &str| assert!(seen.get(what).is_some_and(|times| *times > 0), "never happened: {what}");
        blows::NAMES.into_iter().for_each(happened);
        shim::PLACES[..blows::PLACES_REACHED].iter().for_each(|place| happened(place));
        let talk = ["accepted", "answer", "reviewed", "repeated", "other content"];
        talk.into_iter().for_each(happened);
        ["pages lost", "names lost", "and the broker"].into_iter().for_each(happened);
    }
}

fn live_all(seeds: std::ops::Range<u64>, means: &Means) -> Seen {
    let next = AtomicU64::new(seeds.start);
    let (seen, failed) = (Mutex::new(Seen::new()), Mutex::new(Vec::new()));
    let lives = || {
        while failed.lock().expect("no panic inside").is_empty() {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if !seeds.contains(&seed) {
                return;
            }
            match catch_unwind(|| story::live(seed, means)) {
                Ok(life) => {
                    let mut seen = seen.lock().expect("no panic inside");
                    life.into_iter().for_each(|(what, times)| *seen.entry(what).or_default() += times);
                }
                Err(_) => failed.lock().expect("no panic inside").push(seed),
            }
        }
    };
    thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(lives))));
    let failed = failed.into_inner().expect("no panic inside");
    assert!(
        failed.is_empty(),
        "lost in the lives of the seeds {failed:?}; again with: make lost-writes SEED={}",
        failed[0]
    );
    seen.into_inner().expect("no panic inside")
}
