//! Signatures of adapters, with the demonstration's own.

use contract::signed::*;
use std::fs;

fn demo(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../adapters/demo/internal");
    fs::read_to_string(format!("{folder}/{name}")).expect("the demonstration is signed")
}

/// Any other key of this form; its secret half is thrown away.
const OTHER: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

#[test]
fn the_demonstrations_key_counts_in_a_demonstration_only() {
    let (manifest, signature) = (demo("manifest.json"), demo("manifest.json.minisig"));
    let check = |trusted: Trusted| trusted.check(manifest.as_bytes(), &signature);
    assert_eq!(check(Trusted::new([], true)), Ok(()));
    assert_eq!(check(Trusted::new([], false)), Err(Untrusted::Demonstration));
    assert_eq!(check(Trusted::new([key(OTHER).expect("a key")], false)), Err(Untrusted::Demonstration));
}

#[test]
fn nothing_that_was_changed_passes() {
    let (manifest, signature) = (demo("manifest.json").into_bytes(), demo("manifest.json.minisig"));
    let trusted = Trusted::new([], true);
    for at in 0..manifest.len() {
        let mut changed = manifest.clone();
        changed[at] ^= 1;
        assert_eq!(trusted.check(&changed, &signature), Err(Untrusted::Stranger), "byte {at}");
    }
    assert_eq!(trusted.check(&manifest[..manifest.len() - 1], &signature), Err(Untrusted::Stranger));
    let comment = signature.replace("demo-internal", "best-internal");
    assert_eq!(trusted.check(&manifest, &comment), Err(Untrusted::Stranger), "its comment is signed as well");
    for damaged in ["", "x", "untrusted comment: x\n\ntrusted comment: y\n", &signature[..signature.len() / 2], "\u{0}"]
    {
        assert_eq!(trusted.check(&manifest, damaged), Err(Untrusted::Damaged), "{damaged:?}");
    }
}

#[test]
fn a_key_is_a_key_or_refused() {
    assert!(key(&format!(" {DEMO_KEY}\n")).is_ok());
    for wrong in ["", "RW", "RWQ", &DEMO_KEY[..55], "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"] {
        assert!(key(wrong).is_err(), "{wrong}");
    }
}
