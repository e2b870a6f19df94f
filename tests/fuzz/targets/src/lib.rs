//! What must hold whatever bytes come: from a tablet, from the worker, from a file, from the store.
//!
//! ```text
//!                    ┌─ fuzz_targets/<target>.rs   cargo-fuzz, coverage, hours        make fuzz SECONDS=600
//! corpus/<target>/ ──┤
//!                    └─ targets/tests/seeded.rs    seeded dice on a stable Rust       make test
//!                         both call  TARGETS[…].holds(bytes), which panics where something does not hold
//! ```
//! Each body takes any bytes. Most find out first whether the parser takes them: a refusal is a good end, and the
//! properties are about what was taken.

mod adapter;
mod answer;
#[path = "../../../../daemon/decide/tests/lives/dice.rs"]
mod dice;
mod documents;
mod frames;
mod model_file;
mod mutate;
mod requests;
mod sealed;
mod settings;
mod text;

pub use dice::Dice;
pub use mutate::mutate;

pub struct Target {
    /// Of the fuzz target, and of its folder in `corpus/`.
    pub name: &'static str,
    /// Panics where something does not hold. Whether the bytes were taken: a corpus of refusals would test little.
    pub holds: fn(&[u8]) -> bool,
    /// Of the seeded test: a few seconds each where the code is optimised, and a tenth of them where it is not.
    pub rounds: u32,
}

#[rustfmt::skip] // a table
pub const TARGETS: [Target; 9] = [
    Target { name: "adapter",    holds: adapter::holds,    rounds: 100_000 },
    Target { name: "answer",     holds: answer::holds,     rounds: 6_000 },
    Target { name: "documents",  holds: documents::holds,  rounds: 60_000 },
    Target { name: "frames",     holds: frames::holds,     rounds: 100_000 },
    Target { name: "model_file", holds: model_file::holds, rounds: 100_000 },
    Target { name: "requests",   holds: requests::holds,   rounds: 8_000 },
    Target { name: "sealed",     holds: sealed::holds,     rounds: 40_000 },
    Target { name: "settings",   holds: settings::holds,   rounds: 30_000 },
    Target { name: "text",       holds: text::holds,       rounds: 6_000 },
];

pub fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).expect("a target of the table")
}

/// Written and read again it is the same: written a second time it has the same bytes.
fn survives<T: serde::Serialize>(message: &T, read: impl Fn(&[u8]) -> Option<T>) {
    let bytes = |message: &T| serde_json::to_vec(message).expect("what was read can be written");
    let once = bytes(message);
    let again = read(&once).unwrap_or_else(|| panic!("not read again: {}", String::from_utf8_lossy(&once)));
    let twice = bytes(&again);
    assert!(once == twice, "{}\n{}", String::from_utf8_lossy(&once), String::from_utf8_lossy(&twice));
}
