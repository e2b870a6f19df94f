//! `asyncapi.json`, held against the types: it is the generated one, it leaves out no message, topic or golden file, and
//! whatever it refers to is there. (That it is valid AsyncAPI 3.0 the official parser said when it was written.)

use contract::topic;
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::PathBuf};

/// Documents that lie in folders and travel on no topic.
const NO_MESSAGES: &[&str] = &["adapter-manifest"];

#[test]
fn the_document_on_disk_is_that_of_the_types() {
    let generated = format!("{:#}\n", document());
    let on_disk = fs::read_to_string(here().join("asyncapi.json")).expect("a document");
    assert!(generated == on_disk, "the types have changed: run `cargo run -p contract --example schemas`");
}

#[test]
fn whatever_is_referred_to_is_there() {
    let document = document();
    let references = strings(&document, "$ref");
    assert!(references.len() > 80, "{references:?}");
    for reference in references {
        match reference.strip_prefix('#') {
            Some(pointer) => assert!(document.pointer(pointer).is_some(), "{reference}"),
            None => assert!(here().join(&reference).is_file(), "{reference}"),
        }
    }
}

#[test]
fn every_message_and_every_golden_file_is_in_it() {
    let references = strings(&document(), "$ref");
    for (name, _) in contract::schema::all().iter().filter(|(name, _)| !NO_MESSAGES.contains(name)) {
        assert!(references.contains(&format!("schema/{name}.json")), "{name}");
    }
    let message = |golden: &str| golden.split('.').next().is_some_and(|name| !NO_MESSAGES.contains(&name));
    for golden in goldens().iter().filter(|golden| message(golden)) {
        assert!(references.contains(&format!("golden/{golden}.json")), "{golden}");
    }
}

#[test]
fn every_topic_is_a_channel_and_each_of_its_messages_is_received_or_sent() {
    let document = document();
    let channels = document["channels"].as_object().expect("channels");
    let addresses: BTreeSet<_> = channels.values().map(|channel| channel["address"].as_str().expect("text")).collect();
    let named = |topic: &str, whose: &str| topic.replace('+', whose);
    let [requests, responses, receipts, reviews] =
        [topic::REQUESTS, topic::RESPONSES, topic::RECEIPTS, topic::REVIEWS].map(|topic| named(topic, "{tablet}"));
    let admins = named(topic::ADMINS, "{admin}");
    let topics =
        [&*requests, &responses, &receipts, &reviews, &admins, topic::BOX_STATUS, topic::BOX_INFO, topic::BOX_LOAD];
    assert_eq!(addresses, topics.into());

    for (name, channel) in channels {
        let offered: BTreeSet<_> = channel["messages"].as_object().expect("messages").keys().cloned().collect();
        let prefix = format!("#/channels/{name}/messages/");
        let used: BTreeSet<_> = strings(&document["operations"], "$ref")
            .iter()
            .filter_map(|reference| reference.strip_prefix(&prefix).map(str::to_owned))
            .collect();
        assert_eq!(offered, used, "{name}");
    }
}

fn document() -> Value {
    contract::asyncapi::document(goldens().iter().map(String::as_str))
}

fn here() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

fn goldens() -> BTreeSet<String> {
    let names =
        fs::read_dir(here().join("golden")).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    names.filter_map(|name| Some(name.to_str()?.strip_suffix(".json")?.to_owned())).collect()
}

/// Every string under this key, at any depth.
fn strings(value: &Value, wanted: &str) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| match value {
                Value::String(text) if key == wanted => vec![text.clone()],
                other => strings(other, wanted),
            })
            .collect(),
        Value::Array(entries) => entries.iter().flat_map(|entry| strings(entry, wanted)).collect(),
        _ => vec![],
    }
}
