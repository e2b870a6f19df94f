//! Old readers and new messages, new readers and old messages: inside version 1 each must take the other's.
//!
//! ```text
//!                        messages of the first boxes and tablets      messages of today
//! readers of the first         (they were made for each other)        versions/first.rs, frozen
//! readers of today             golden.rs, on files that are frozen    golden.rs
//! ```
//! No golden file has been changed since it was added, so the first ones are those of the first commit. That they stay
//! so is held by their digests below.

#[path = "versions/first.rs"]
mod first;

use contract::{
    mask,
    request::{Request, parse_request},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fs, path::Path};

#[test]
fn no_golden_file_has_ever_been_changed() {
    let digest = |text: &String| Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let now: BTreeMap<String, String> = goldens().iter().map(|(name, text)| (name.clone(), digest(text))).collect();
    for (name, digest) in FROZEN {
        assert_eq!(
            now.get(*name).map(String::as_str),
            Some(*digest),
            "{name} was published as it was: add a file instead"
        );
    }
    let new: Vec<_> = now.iter().filter(|(name, _)| !FROZEN.iter().any(|(known, _)| known == name)).collect();
    assert!(new.is_empty(), "freeze them, with a line each in FROZEN: {new:?}");
}

#[test]
fn the_first_tablets_read_what_todays_box_says() {
    for (name, text) in goldens() {
        first::tablet_reads(&text).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        // And what a later box will say: fields more, everywhere.
        let later = with_more(&serde_json::from_str(&text).expect("JSON")).to_string();
        first::tablet_reads(&later).unwrap_or_else(|fault| panic!("{name} of a later box: {fault}"));
    }
}

#[test]
fn the_first_tablets_show_words_that_they_do_not_know() {
    let mut answer = golden("answer");
    answer["triage"] = json!("violet");
    answer["cannot_exclude"][0]["urgency"] = json!("yesterday");
    answer["provenance"]["degraded"] = json!(["moonlight"]);
    let Ok(first::Said::Answer(read)) = first::tablet_reads(&answer.to_string()) else { panic!("an answer") };
    assert_eq!((&*read.triage, &*read.cannot_exclude[0].urgency), ("violet", "yesterday"));
    assert_eq!(read.provenance.degraded, ["moonlight"]);
}

#[test]
fn the_first_boxes_read_what_todays_tablets_send() {
    for (name, text) in goldens().iter().filter(|(name, _)| name.starts_with("consult.")) {
        first::box_reads(text).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    }
}

/// Today's messages of tablets, with a field more in every object: taken, and stored with all that is in them.
#[test]
fn fields_and_words_of_a_later_tablet_are_stored_as_they_came() {
    let mut later = with_more(&golden("consult.newer"));
    let bytes = later.to_string().into_bytes();
    assert!(matches!(parse_request(&bytes), Ok(Request::Consult(_))));
    let (kept, places) = mask::bytes(&bytes);
    assert!((places, &*kept) == (0, &bytes[..]), "the very bytes");

    // Where something has to be masked, that alone is.
    later["case"]["history"] = json!("电话13812345678");
    let bytes = later.to_string().into_bytes();
    let (kept, places) = mask::bytes(&bytes);
    later["case"]["history"] = json!("电话〔电话〕");
    assert_eq!((places, serde_json::from_slice::<Value>(&kept).expect("JSON")), (1, later));
    assert!(matches!(parse_request(&kept), Ok(Request::Consult(_))), "and what is stored is read again");
}

/// Every object of the message with a field that nobody knows yet.
fn with_more(message: &Value) -> Value {
    match message {
        Value::Object(fields) => {
            let known = fields.iter().map(|(key, value)| (key.clone(), with_more(value)));
            known.chain([("of_a_later_version".to_owned(), json!({"more": [1, "二"]}))]).collect()
        }
        Value::Array(entries) => entries.iter().map(with_more).collect(),
        other => other.clone(),
    }
}

fn golden(name: &str) -> Value {
    serde_json::from_str(&goldens()[name]).expect("JSON")
}

/// (file name without `.json`, text)
fn goldens() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let files = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    files
        .map(|path| {
            let name = path.file_stem().and_then(|name| name.to_str()).expect("a name");
            (name.to_owned(), fs::read_to_string(&path).expect("text"))
        })
        .collect()
}

/// The first 16 digits of each file's SHA-256.
const FROZEN: &[(&str, &str)] = &[
    ("accepted", "13b8caa79039ae41"),
    ("adapter-manifest", "da85ef8edfa05167"),
    ("adapter-manifest.calibrated", "8041b9a6f433a563"),
    ("adapter-manifest.covers", "2228060b4136e947"),
    ("adapter-manifest.made", "7096de9e057168d2"),
    ("admin.hold", "919979eca5219a4a"),
    ("admin.list", "0b96de88fdcf35d6"),
    ("admin.release", "6b57d4573f9cb532"),
    ("admin.resume", "a9c43e36aa4b39ad"),
    ("alert", "ceef964ca2685320"),
    ("alert.drug", "7083ce2f3ac102d8"),
    ("alert.checks", "b0466d244865c648"),
    ("answer.checks", "9c90f4738fb6720a"),
    ("answer.hinted", "bc50ed78ea1d322b"),
    ("answer.notifiable", "b7663b00040f4a17"),
    ("answer.raised", "586d5178959226ec"),
    ("answer", "990de960e91e3b71"),
    ("answer.calibrated", "0ef1bafc715955f2"),
    ("answer.cautions", "df3dcb7258486c0a"),
    ("answer.rules-only", "d83f75f3c19f8c2d"),
    ("answer.sealed", "4271591f1cc0a2b9"),
    ("cancel", "9fa334b7de4accc3"),
    ("consult.en", "9afa78fc931d1a0e"),
    ("consult.least", "918d6b5d6b1997ee"),
    ("consult.model-or-error", "8e70e74efd64fdd0"),
    ("consult.newer", "b3a97841c6b9c867"),
    ("consult.zh", "429212da6da4a7e3"),
    ("error.busy", "4ff2ec37c768644c"),
    ("error.cancelled", "4c62716d6e91b0fa"),
    ("error", "4f14a3931a7871c7"),
    ("error.quarantined", "500cf6ca34ef0825"),
    ("error.storage-full", "b33adcd1ae81534f"),
    ("info", "ec11cd2eda2f3904"),
    ("info.covers", "dd895572ddcb822b"),
    ("info.signing", "84b3608b9a7a6dea"),
    ("info.starting", "b7039757298f5f7b"),
    ("load", "57a023b0b84882d2"),
    ("progress.begun", "7bcc3f82287d1e3d"),
    ("progress", "1b6a0c7794a8ed1a"),
    ("receipt", "2b05138efaa00c92"),
    ("report", "7a424a2a497220fb"),
    ("resend", "2feb2b82d97603dc"),
    ("review.accepted", "f5f01327b56ec837"),
    ("review", "f7bd730a6c648842"),
    ("review.rejected", "36318abf4740e665"),
    ("reviewed", "1db902db544695f1"),
    ("status", "9d6f2acb3e263dd4"),
    ("status.reduced", "d63c90bd8be501ba"),
    ("status.updating", "8792b4e6fc933814"),
];
