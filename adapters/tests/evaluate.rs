//! The real program: against a box that is a shell script, and on saved conversations of a played one.
#![cfg(unix)]

#[path = "../src/evaluate/tests/played.rs"]
mod played;

use decide::rules::{
    RuleSet,
    recall::{Paraphrase, Recall, Told},
};
use serde_json::{Value, json};
use std::{
    fs::{self, File, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Says far more than a pipe holds, before and after it has read, and answers each request with an error.
const LOUD: &str = r#"#!/bin/sh
[ "$1 $2" = "batch --config" ] || exit 9
i=0; while [ $i -lt 3000 ]; do echo '{"v":1,"type":"error","code":"busy","status":429,"message":{"zh":"忙","en":"busy"},"final":false}'; i=$((i+1)); done
while read -r line; do
  rest=${line#*\"id\":\"}
  echo "{\"v\":1,\"type\":\"error\",\"id\":\"${rest%%\"*}\",\"code\":\"model_loading\",\"status\":503,\"message\":{\"zh\":\"等\",\"en\":\"wait\"},\"final\":false}"
done
"#;

fn evaluate(args: &[&Path], flags: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_adapterctl"));
    command.arg("evaluate").args(flags).args(args).output().expect("runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn write(path: &Path, text: &str) {
    File::create(path).and_then(|mut file| file.write_all(text.as_bytes())).expect("written");
}

fn script(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("box.sh");
    write(&path, text);
    fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("executable");
    path
}

fn paraphrases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/paraphrases.jsonl")
}

/// What the played box says to the requests of a saved conversation, behind them.
fn play(saved: &Path, change: impl Fn(usize, &mut Value)) {
    let requests: Vec<String> = fs::read_to_string(saved).expect("saved").lines().map(str::to_owned).collect();
    let requests: Vec<_> = requests.into_iter().filter(|line| line.contains(r#""type":"consult""#)).collect();
    let mut said = requests.clone();
    for (at, request) in requests.iter().enumerate() {
        for mut message in played::said_to(request) {
            change(at, &mut message);
            said.push(message.to_string());
        }
    }
    write(saved, &said.join("\n"));
}

/// The requests of these cases, saved: the box that they were put to said nothing of use.
fn saved(folder: &Path, cases: &[&Path]) -> PathBuf {
    let (program, saved) = (script(folder, LOUD), folder.join("conversation.jsonl"));
    let flags = [
        "--config",
        "/dev/null",
        "--box",
        program.to_str().expect("a path"),
        "--save",
        saved.to_str().expect("a path"),
    ];
    let ran = evaluate(cases, &flags);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    saved
}

#[test]
fn no_pipe_blocks_and_every_request_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = script(folder.path(), LOUD);
    let ran =
        evaluate(&[&paraphrases()], &["--config", "/dev/null", "--box", program.to_str().expect("a path"), "--json"]);
    let report: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    let requests = report["requests"].as_u64().expect("a number");
    assert_eq!(report["errors"], json!({"model_loading": requests}));
    assert_eq!(report["notes"], json!(["3000 messages belong to no request"]));
    assert!(text(&ran.stderr).contains(&format!("{requests} of {requests}")), "{}", text(&ran.stderr));
}

#[test]
fn a_box_that_dies_is_told_and_what_it_said_is_judged() {
    let folder = tempfile::tempdir().expect("a folder");
    let half = LOUD.replace("while read -r line; do", "n=0\nwhile read -r line; do n=$((n+1)); [ $n -gt 5 ] && exit 3");
    let program = script(folder.path(), &half);
    let run = |program: &Path| {
        evaluate(
            &[&paraphrases()],
            &["--config", "/dev/null", "--box", program.to_str().expect("a path"), "--json", "--check"],
        )
    };
    let ran = run(&program);
    let report: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    assert_eq!((ran.status.code(), &report["errors"]), (Some(1), &json!({"model_loading": 5})));
    assert!(report["notes"][0].as_str().expect("a note").contains("exit status: 3"), "{}", report["notes"]);

    let silent = script(folder.path(), "#!/bin/sh\nexit 3\n");
    let ran = run(&silent);
    assert!(ran.status.code() == Some(1) && text(&ran.stderr).contains("said nothing"), "{}", text(&ran.stderr));
}

#[test]
fn a_conversation_is_judged_as_the_rules_judge_themselves() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")); // conversation and page stay there to be looked at
    let cases = paraphrases();
    let saved = saved(folder, &[&cases]);
    play(&saved, |_, _| {});
    let page = folder.join("report.html");
    let (messages, html) = (saved.to_str().expect("a path"), page.to_str().expect("a path"));
    let ran = evaluate(&[&cases], &["--messages", messages, "--json", "--html", html]);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    let report: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    let measure = |id: &str| {
        let it = report["measures"].as_array().expect("a list").iter().find(|it| it["id"] == id).expect("a measure");
        (it["hits"].as_u64().expect("a number") as u32, it["of"].as_u64().expect("a number") as u32)
    };
    let lines = fs::read_to_string(&cases).expect("there");
    let lines: Vec<Paraphrase> = lines.lines().map(|line| serde_json::from_str(line).expect("a line")).collect();
    for (told, id) in [(Told::Text, "recall_text"), (Told::Coded, "recall_coded")] {
        let known = Recall::of(&RuleSet::builtin(), &lines, told).total();
        assert_eq!(measure(id), (known.hits, known.of), "{id}");
    }
    let (hits, of) = measure("independent");
    assert!(hits == of && of as usize == 2 * lines.len());
    assert!(fs::read_to_string(&page).expect("a page").starts_with("<!DOCTYPE html>"));
}

#[test]
fn check_fails_where_a_goal_is_missed_and_only_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let cases = folder.path().join("cases.jsonl");
    write(&cases, r#"{"case": {"complaint": {"text": "流清鼻涕一天"}}}"#);
    let saved = saved(folder.path(), &[&cases]);
    let messages = saved.to_str().expect("a path");
    let status = |flags: &[&str]| evaluate(&[&cases], &[&["--messages", messages], flags].concat()).status.code();
    play(&saved, |_, _| {});
    assert_eq!([status(&["--check"]), status(&[])], [Some(0), Some(0)]);
    play(&saved, |_, message| {
        if message["type"] == "answer" {
            message["disclaimer"]["en"] = json!("Trust me.");
        }
    });
    assert_eq!([status(&["--check"]), status(&[])], [Some(1), Some(0)]);
    let table = evaluate(&[&cases], &["--messages", messages]);
    assert!(text(&table.stdout).contains("MISSED: Messages valid by schema; Disclaimer"), "{}", text(&table.stdout));
}

#[test]
fn messages_of_other_cases_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, other) = (folder.path().join("one.jsonl"), folder.path().join("other.jsonl"));
    write(&one, r#"{"case": {"complaint": {"text": "流清鼻涕一天"}}}"#);
    write(&other, r#"{"case": {"complaint": {"text": "咳嗽一天"}}}"#);
    let saved = saved(folder.path(), &[&one]);
    let messages = saved.to_str().expect("a path");
    let ran = evaluate(&[&other], &["--messages", messages]);
    assert!(ran.status.code() == Some(1) && text(&ran.stderr).contains("of other cases"), "{}", text(&ran.stderr));
    let ran = evaluate(&[&one, &other], &["--messages", messages]);
    assert!(text(&ran.stderr).contains("holds 1 requests, and these cases make 2"), "{}", text(&ran.stderr));
}

#[test]
fn a_faulty_case_stops_all_before_a_box_is_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let (cases, marker) = (folder.path().join("cases.jsonl"), folder.path().join("ran"));
    write(&cases, "{\"case\": {\"complaint\": {\"text\": \"咳\"}}}\n{\"cas\": {}}\n");
    let program = script(folder.path(), &format!("#!/bin/sh\ntouch {}\n", marker.display()));
    let ran = evaluate(&[&cases], &["--config", "/dev/null", "--box", program.to_str().expect("a path")]);
    assert!(ran.status.code() == Some(1) && text(&ran.stderr).contains("cases.jsonl line 2"), "{}", text(&ran.stderr));
    assert!(!marker.exists());
}
