//! The README is what tablets are built from: what it lists must be what the types say.

use contract::{ids::TabletName, reply::ErrorCode, topic};

const README: &str = include_str!("../README.md");

#[test]
fn the_table_of_errors_is_that_of_the_types() {
    let (_, after) = README.split_once("## Errors\n").expect("a chapter on errors");
    let (chapter, _) = after.split_once("\n## ").expect("a chapter after it");
    let listed: Vec<_> = chapter.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(listed, ErrorCode::ALL.map(row));
}

fn row(code: ErrorCode) -> String {
    let word = serde_json::to_value(code).expect("a word");
    let word = word.as_str().expect("a word");
    let stop = if code.is_final() { "yes" } else { "no" };
    format!("| `{word}` | {} | {stop} | {} |", code.status(), code.message().en)
}

#[test]
fn every_message_and_every_topic_is_named() {
    for (name, _) in contract::schema::all().iter().filter(|(name, _)| *name != "adapter-manifest") {
        assert!(README.contains(&format!("`{name}`")), "{name}");
    }
    let tablet = TabletName::new("clinic-7").expect("a name");
    let theirs = [topic::request, topic::response, topic::receipt, topic::review];
    for topic in theirs.map(|topic| topic(&tablet)) {
        let general = topic.replace("clinic-7", "<tablet>");
        assert!(README.contains(&topic) && README.contains(&general), "{topic}");
    }
    for topic in [topic::BOX_STATUS, topic::BOX_INFO, topic::BOX_LOAD, "consult/1/admin/<admin>"] {
        assert!(README.contains(topic), "{topic}");
    }
}
