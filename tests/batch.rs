//! `consultd batch`: a file of requests, answered by the real binary without a broker.

mod common;

use common::*;
use serde_json::{Value, json};
use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

fn batch(settings: &str, input: &str) -> (Output, Vec<Value>) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("consultd.toml");
    let state = folder.path().join("state");
    write(&config, &format!("[box]\nname = \"test-box\"\nstate_dir = {state:?}\n{settings}"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_consultd"));
    command.args(["batch", "--config"]).arg(&config);
    let mut running =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    running.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    let output = running.wait_with_output().expect("it ends");
    assert!(!state.exists(), "nothing is kept");
    let messages = String::from_utf8(output.stdout.clone()).expect("text");
    let messages = messages.lines().map(|line| serde_json::from_str(line).expect("a message a line")).collect();
    (output, messages)
}

fn of<'m>(messages: &'m [Value], request: &Value) -> Vec<&'m Value> {
    messages.iter().filter(|message| message["id"] == request["id"]).collect()
}

#[test]
fn a_file_of_requests_is_answered_as_a_tablet_would_be() {
    let cases = ["pregnancy-headache.zh", "angina.en", "child-ear-pain.zh", "shepherd-fever.zh"].map(case);
    let lines: Vec<String> = cases.iter().map(Value::to_string).collect();
    let input = format!("{}\n\nnot a request\n{}\n{}\n", lines.join("\n"), lines[0], json!({"v": 1, "type": "cancel"}));
    let (output, messages) = batch(&scripted_settings("{}", ""), &input);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    messages.iter().for_each(assert_valid);
    for request in &cases {
        let types: Vec<_> = of(&messages, request).into_iter().map(|message| message["type"].clone()).collect();
        let rules = of(&messages, request).into_iter().find(|message| message["type"] == "alert");
        let expected = if rules.is_some() { &["accepted", "alert", "answer"][..] } else { &["accepted", "answer"] };
        assert_eq!(types, expected, "once, though a line came twice");
    }
    let alert = of(&messages, &cases[0])[1];
    assert_eq!((&alert["triage"], &alert["red_flags"][0]["rule"]), (&json!("red"), &json!("RF020")));
    let refused: Vec<_> = messages.iter().filter(|message| message["type"] == "error").map(|e| &e["code"]).collect();
    assert_eq!(refused.len(), 2, "{refused:?}");
}

#[test]
fn a_case_that_ends_the_engine_takes_no_other_with_it() {
    let requests: Vec<Value> = (0..12).map(|n| consult(if n == 3 { "毒丸" } else { "咳嗽三天" })).collect();
    let input: String = requests.iter().map(|request| format!("{request}\n")).collect();
    let (output, messages) = batch(&scripted_settings("{ crash_on = \"毒丸\" }", ""), &input);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers = messages.iter().filter(|message| message["type"] == "answer");
    assert_eq!(answers.count(), requests.len());
    let poison = of(&messages, &requests[3]).into_iter().find(|message| message["type"] == "answer");
    assert!(degraded(poison.expect("an answer")).contains(&"engine_crashed"));
}

/// A model that comforts, one that crashes, one that hangs, one that cannot work: what the rules say is the same, byte for byte.
#[test]
fn red_flags_are_the_same_whatever_the_model_does() {
    let file = std::fs::read_to_string(root().join("adapters/demo/evaluation.jsonl")).expect("the cases");
    let cases: Vec<Value> = file.lines().map(|line| serde_json::from_str(line).expect("a case")).collect();
    // Three, because a hang is only known by its silence, which takes time.
    let dangers: Vec<Value> = ["pregnancy headache, in words", "angina, English", "shepherd's fever"]
        .into_iter()
        .map(|name| {
            let it = cases.iter().find(|case| case["name"] == name).expect("it is there");
            let mut case = it["case"].clone();
            case["complaint"]["text"] =
                json!(format!("{}。毒丸", it["case"]["complaint"]["text"].as_str().expect("text")));
            json!({"v": 1, "type": "consult", "id": uuid::Uuid::new_v4(), "lang": it["lang"],
                   "department": it["department"], "deadline_s": 30, "case": case})
        })
        .collect();
    let input: String = dangers.iter().map(|request| format!("{request}\n")).collect();
    let said = |script: &str| -> Vec<String> {
        let (output, messages) = batch(&scripted_settings(script, "[queue]\ndeaths_max = 2\n"), &input);
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        let of_rules = |request: &Value| {
            let own = of(&messages, request);
            let find =
                |kind: &str| *own.iter().find(|m| m["type"] == kind).unwrap_or_else(|| panic!("{script}: {kind}"));
            let (alert, answer) = (find("alert"), find("answer"));
            assert_eq!(alert["red_flags"], answer["red_flags"], "{script}");
            format!("{} {}", alert["triage"], alert["red_flags"])
        };
        dangers.iter().map(of_rules).collect()
    };
    let expected = said("{}");
    for script in [
        "{ lines = [\"无需检查：放心回家\", \"No tests needed: all is well\"] }",
        "{ crash_on = \"毒丸\" }",
        "{ hang_on = \"毒丸\" }",
        "{ unfit = \"no memory\" }",
    ] {
        assert_eq!(said(script), expected, "{script}");
    }
}

#[test]
fn faulty_settings_end_it() {
    let (output, messages) = batch("[engine]\nkind = \"scripted\"\nnonsense = 1\n", "");
    assert_eq!((output.status.code(), messages.len()), (Some(78), 0));
}
