//! The real daemon and the real broker, while everything under them fails. Tablets ask, repeat, cancel, review, abuse and confirm; a
//! seeded nemesis kills, stops, cuts, fills and lies; then the world is kind, and the promises are looked at.
//!
//! ```text
//!   make crash ROUNDS=500        seeds 1, 2, 3 …            make crash SEED=17     one round again
//!   make crash MODEL=1           with llama.cpp and the demo model, half a minute a round
//!
//!   round.rs ── schedule.rs from the seed ─▶ tablet.rs ── wire.rs ──▶ Mosquitto ◀── proxy.rs ◀── consultd ── worker
//!    │ life.rs                           └▶ nemesis.rs ── world.rs ────┴────────────┴──────────────┴─▶ shim.c, disk.rs
//!      ├── promises.rs   P2, P4, P5, P10 of each message               book.rs   what was said and heard
//!      └── rest.rs       P9, the store, memory and files               platter.rs   what a power cut leaves
//! ```
//! A seed gives the same schedule of deeds and faults; what a machine's own speed makes of them differs a little from
//! run to run, so a rare find may need its seed several times. `SEED=17 ROUNDS=5` are the rounds 17 to 21; `KEEP=1` keeps
//! every round's record, logs and store, as a failed round does by itself.
//!
//! A new message of the tablets is an `Intent` in `tablet.rs`; a new lasting message or end a word in `book.rs`; a new
//! promise a function in `promises.rs` (of a message) or `rest.rs` (at the end); a new fault a line in `nemesis.rs`.

mod common;

#[path = "crash/book.rs"]
mod book;
#[path = "../daemon/decide/tests/lives/dice.rs"]
mod dice;
#[path = "crash/disk.rs"]
mod disk;
#[path = "crash/life.rs"]
mod life;
#[path = "crash/nemesis.rs"]
mod nemesis;
#[allow(dead_code)] // the rest is for tests/lost_writes.rs
#[path = "crash/platter.rs"]
mod platter;
#[path = "crash/promises.rs"]
mod promises;
#[path = "crash/proxy.rs"]
mod proxy;
#[path = "crash/rest.rs"]
mod rest;
#[path = "crash/round.rs"]
mod round;
#[path = "crash/schedule.rs"]
mod schedule;
#[allow(dead_code)] // as above
#[path = "crash/shim.rs"]
mod shim;
#[path = "crash/sorts.rs"]
mod sorts;
#[path = "crash/tablet.rs"]
mod tablet;
#[path = "crash/wire.rs"]
mod wire;
#[path = "crash/world.rs"]
mod world;

use book::Seen;
use nemesis::FAULTS;

/// What CI has time for: about six seconds each.
const ROUNDS: u64 = 20;

#[test]
fn whatever_fails_no_promise_does() {
    let number = |name| std::env::var(name).ok().filter(|v| !v.is_empty()).map(|v| v.parse().expect("a number"));
    let (seed, rounds): (Option<u64>, Option<u64>) = (number("SEED"), number("ROUNDS"));
    let rounds = rounds.unwrap_or(if seed.is_some() { 1 } else { ROUNDS });
    let first = seed.unwrap_or(1);

    let folder = tempfile::tempdir().expect("a temporary folder");
    let model = std::env::var("MODEL").is_ok_and(|v| !v.is_empty());
    assert!(cfg!(feature = "llama") || !model, "MODEL needs the feature llama: make crash MODEL=1");
    let means = world::means(folder.path(), model);
    let control = round::control(&means);
    let mut seen = Seen::new();
    for seed in first..first + rounds {
        let life = round::live(seed, &means, &control);
        life.into_iter().for_each(|(what, times)| *seen.entry(what).or_default() += times);
    }
    println!("all {rounds}: {seen:?}");
    if rounds >= ROUNDS {
        was_not_quiet(&seen, &means);
    }
}

/// A kind of fault that never happened was never survived.
fn was_not_quiet(seen: &Seen, means: &world::Means) {
    let happened = |what: &str| assert!(seen.get(what).is_some_and(|times| *times > 0), "never happened: {what}");
    let faults = FAULTS.into_iter().filter(|(fault, _)| nemesis::possible(*fault, means));
    faults.for_each(|(_, name)| happened(name));
    let talk = [
        "accepted",
        "alert",
        "answer",
        "cancelled",
        "reviewed",
        "repeated",
        "id conflict",
        "theft",
        "tablet reconnects",
        "report",
        "order refused",
    ];
    talk.into_iter().for_each(happened);
    match means.model {
        true => happened("served behind a death"),
        false => ["served behind poison", "served behind silence"].into_iter().for_each(happened),
    }
    if means.shim.is_some() {
        ["syncs failed", "writes failed", "pages lost"].into_iter().for_each(happened);
    }
    if means.shim.is_some() && means.small_disk {
        happened("writes without room");
    }
}
