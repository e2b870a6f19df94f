//! The targets on a stable Rust: every file of the corpus as it is, then as many changed ones as there is time for.
//!
//! `FUZZ_ROUNDS=50` multiplies the rounds, `FUZZ_SECONDS=60` goes on for so long with each target (CI does), `FUZZ_SEED=…`
//! chooses other dice. What fails is printed with its seed and
//! written to a file, which belongs into the corpus once its fault is mended.

use fuzz_targets::{Dice, mutate, target};
use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::Instant,
};

macro_rules! seeded {
    ($($name:ident),*) => {$(
        #[test]
        fn $name() {
            holds(stringify!($name));
        }
    )*};
}

seeded!(adapter, answer, documents, frames, model_file, requests, sealed, settings, text);

#[test]
fn every_target_has_a_test_a_fuzz_target_and_a_corpus() {
    let here = include_str!("seeded.rs");
    let tested = here.split("\nseeded!(").nth(1).and_then(|rest| rest.split(')').next()).expect("the list above");
    let names: Vec<_> = fuzz_targets::TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names.join(", "), tested);
    for name in names {
        let fuzz_target = folder().join(format!("fuzz_targets/{name}.rs"));
        assert!(fuzz_target.is_file() && !corpus(name).is_empty(), "{name}");
    }
}

#[test]
fn every_corpus_holds_inputs_that_are_taken() {
    for target in &fuzz_targets::TARGETS {
        let taken = corpus(target.name).iter().filter(|(_, bytes)| (target.holds)(bytes)).count();
        assert!(taken >= 2, "{}: {taken} are taken; make the seeds anew", target.name);
    }
}

#[test]
fn the_corpus_stays_small() {
    let files = fuzz_targets::TARGETS.iter().flat_map(|target| corpus(target.name));
    let bytes: usize = files.map(|(_, bytes)| bytes.len()).sum();
    assert!(bytes < 1 << 20, "{bytes} bytes: minimise it (make fuzz-corpus)");
}

fn holds(name: &str) {
    let target = target(name);
    let files = corpus(name);
    let inputs: Vec<Vec<u8>> = files.iter().map(|(_, bytes)| bytes.clone()).collect();
    for (path, bytes) in &files {
        attempt(name, bytes, &path.display().to_string());
    }
    let seed: u64 = number("FUZZ_SEED").unwrap_or(20_261_124);
    let usual = u64::from(target.rounds) / if cfg!(debug_assertions) { 10 } else { 1 };
    let rounds = usual * number("FUZZ_ROUNDS").unwrap_or(1);
    let (began, seconds) = (Instant::now(), number("FUZZ_SECONDS").unwrap_or(0));
    let goes_on = |round: &u64| *round < rounds || began.elapsed().as_secs() < seconds;
    let mut done = 0;
    for round in (0_u64..).take_while(goes_on) {
        let mut dice = Dice::new(seed ^ round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let input = &inputs[dice.below(inputs.len())];
        attempt(name, &mutate(input, &inputs, &mut dice), &format!("FUZZ_SEED={seed}, round {round}"));
        done = round + 1;
    }
    println!("{name}: {} files, {done} rounds, FUZZ_SEED={seed}", files.len());
}

#[expect(clippy::disallowed_methods, reason = "a file for the developer who looks")]
fn attempt(name: &str, bytes: &[u8], from: &str) {
    if catch_unwind(AssertUnwindSafe(|| (target(name).holds)(bytes))).is_err() {
        let path = std::env::temp_dir().join(format!("consultd-fuzz-{name}"));
        let kept = fs::write(&path, bytes);
        panic!("{name} does not hold for {from}; the input is in {} ({kept:?})", path.display());
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty());
    text.map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/fuzz").to_owned()
}

/// Sorted, so that a seed means the same everywhere.
fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder().join("corpus").join(name)).expect("a corpus");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(&path).expect("a file"))).collect()
}
