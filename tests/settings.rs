//! What a technician meets at the command line.

mod common;

use common::*;
use std::{
    path::Path,
    process::{Command, Output},
};

fn consultd(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_consultd")).args(arguments).output().expect("runs")
}

#[test]
fn check_reports_every_fault_and_exits_with_its_number() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("c.toml");
    write(&file, "[box]\nstate_dir = \"x\"\n[engine]\nkind = \"llama\"\n[adapter]\n");
    let output = consultd(&["check", "--config", &file.to_string_lossy()]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{text}");
    for fault in ["box.state_dir", "engine.model", "engine.model_sha256", "adapter is not a setting"] {
        assert!(text.contains(fault), "{fault} not in {text}");
    }
}

#[test]
fn an_adapter_for_another_base_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("c.toml");
    let other = "0".repeat(64);
    write(
        &file,
        &format!(
            "[engine]\nmodel = \"/m.gguf\"\nmodel_sha256 = \"{other}\"\n{}",
            adapters(&[demo_adapter("internal")])
        ),
    );
    let output = consultd(&["check", "--config", &file.to_string_lossy()]);
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("made for another base model"));
}

#[test]
fn ask_says_plainly_that_no_box_is_there() {
    let output = consultd(&["ask", "胸闷", "--broker", "/nowhere/mqtt.sock"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is the box running?"));
}

#[test]
fn map_prints_what_other_systems_read_and_names_what_is_no_answer() {
    let contract = root().join("daemon/contract");
    let golden = |name: &str| contract.join("golden").join(name).to_string_lossy().into_owned();
    for to in ["fhir", "cds"] {
        let expected = std::fs::read(contract.join(format!("emr/answer.{to}.json"))).expect("a file");
        let output = consultd(&["map", "--to", to, &golden("answer.json")]);
        assert!(output.status.success() && output.stdout == expected, "{to}: {output:?}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let several = folder.path().join("several.jsonl");
    let read = |name: &str| std::fs::read_to_string(golden(name)).expect("text");
    write(&several, &(read("answer.json") + &read("alert.json") + &read("answer.rules-only.json")));
    let output = consultd(&["map", "--to", "cds", &several.to_string_lossy()]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((output.status.code(), out.lines().count()), (Some(3), 2), "{err}");
    assert!(err.contains("message 2: /type: a message, but no answer"), "{err}");
    assert_eq!(consultd(&["map", "--to", "fhir", "/nowhere.json"]).status.code(), Some(74));
}

fn copy_of(department: &str, folder: &Path) {
    for name in ["manifest.json", "manifest.json.minisig", "adapter.gguf"] {
        std::fs::copy(demo_adapter(department).join(name), folder.join(name)).expect("copies");
    }
}

/// Each by itself: who signed is told by the key, and a changed word by the signature.
#[test]
fn an_adapter_that_nobody_here_trusts_is_refused_and_told_why() {
    type Spoil = fn(&Path);
    let own = "keys = [\"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\"]";
    let ways: [(&str, &str, Spoil); 5] = [
        ("demonstration = true", "not signed by any", |folder| {
            let path = folder.join("manifest.json");
            let text = std::fs::read_to_string(&path).expect("reads").replacen("demo-internal", "best-internal", 1);
            write(&path, &text);
        }),
        ("demonstration = true", "cannot read manifest.json.minisig", |folder| {
            std::fs::remove_file(folder.join("manifest.json.minisig")).expect("was there")
        }),
        ("demonstration = true", "its signature is damaged", |folder| {
            write(&folder.join("manifest.json.minisig"), "x")
        }),
        (own, "the demonstration's key", |_| ()),
        ("", "the demonstration's key", |_| ()),
    ];
    for (trust, told, spoil) in ways {
        let folder = tempfile::tempdir().expect("a folder");
        copy_of("internal", folder.path());
        spoil(folder.path());
        let file = folder.path().join("c.toml");
        let settings = format!("[engine]\nkind = \"scripted\"\n[adapters]\nfolders = [{:?}]\n{trust}\n", folder.path());
        write(&file, &settings);
        let output = consultd(&["check", "--config", &file.to_string_lossy()]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(told) && output.status.code() == Some(78), "{trust}: {said}");
    }
}

#[test]
fn a_bad_adapter_takes_its_department_away_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    copy_of("obstetrics", folder.path());
    let damaged = std::fs::OpenOptions::new().append(true).open(folder.path().join("adapter.gguf"));
    std::io::Write::write_all(&mut damaged.expect("opens"), b"x").expect("writes");
    let adapters = adapters(&[demo_adapter("internal"), folder.path().to_owned()]);
    let clinic = Clinic::open(&format!("[engine]\nkind = \"scripted\"\n{adapters}"));
    let tablet = clinic.ready();
    let status = clinic.wait_for_status("degraded");
    assert_eq!(status["departments"], serde_json::json!(["internal"]));
    assert!(status["reasons"].as_array().is_some_and(|r| r.iter().any(|r| r == "adapter_refused")));

    let request = case("pregnancy-headache.zh");
    tablet.ask(&request);
    let answer = tablet.expect("answer", &request);
    assert_eq!(answer["abstained"]["reason"], "unsupported_department");
    assert_eq!(answer["red_flags"][0]["rule"], "RF020");
    let request = case("angina.zh");
    tablet.ask(&request);
    assert_eq!(tablet.expect("answer", &request)["abstained"], serde_json::Value::Null);
}
