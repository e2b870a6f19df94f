//! The doctors' corrections leave the box: `consultd export` beside the running daemon, opened with the region's key.

mod common;

use age::x25519::Identity;
use common::*;
use contract::sample::{Sample, SampleVerdict};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn export(clinic: &Clinic, to: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consultd"));
    command.args(["export", "--config"]).arg(&clinic.settings).arg("--to").arg(to).args(more).output().expect("runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
}

fn opened(path: &Path, key: &Identity) -> Vec<Sample> {
    let text = age::decrypt(key, &fs::read(path).expect("the file")).expect("the region's key opens it");
    let lines = String::from_utf8(text).expect("text");
    lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// Asks, waits for the answer, and reviews it.
fn reviewed(tablet: &Tablet, request: &Value, reviews: &[Value]) {
    tablet.ask(request);
    tablet.expect("answer", request);
    for more in reviews {
        let mut review = json!({"v": 1, "type": "review", "id": request["id"], "clinician": "c-0417"});
        review.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        tablet.send_to("review", review.to_string().as_bytes());
        assert_valid(&tablet.expect("reviewed", request));
    }
}

fn edited(cause: &str) -> Value {
    json!({"verdict": "edited", "final": {
        "possible_causes": [format!("{cause}：患者张建国说活动后胸闷，电话13812345678")],
        "cannot_exclude": ["急性心肌梗死：出汗；做心电图"]}})
}

#[test]
fn reviewed_cases_leave_the_box_for_the_regions_key_only_and_without_a_name() {
    let (region, other) = (Identity::generate(), Identity::generate());
    let clinic = Clinic::scripted("{}", &format!("[export]\nrecipients = [\"{}\"]", region.to_public()));
    let tablet = clinic.ready();
    let usb = clinic.folder.path().join("usb");

    let none = export(&clinic, &usb, &[]);
    assert!(none.status.success() && said(&none).contains("no new samples"), "{}", said(&none));

    let twice = consult("胸闷，身份证11010519491231002X，住庙子镇王庄村3组");
    reviewed(&tablet, &twice, &[json!({"verdict": "accepted"}), edited("心绞痛")]);
    reviewed(&tablet, &consult("头痛"), &[json!({"verdict": "accepted"})]);

    let first = export(&clinic, &usb, &[]);
    assert!(first.status.success(), "{}", said(&first));
    assert!(
        said(&first).contains("1 samples in") && said(&first).contains("1 reviewed answers left out"),
        "{}",
        said(&first)
    );
    let written = files(&usb);
    assert_eq!(written.len(), 1);
    assert!(age::decrypt(&other, &fs::read(&written[0]).expect("the file")).is_err(), "another key opens it");
    let samples = opened(&written[0], &region);
    let [sample] = &*samples else { panic!("of a case that was reviewed twice the newest counts: {samples:?}") };
    assert_eq!((sample.review.verdict, sample.deid), (SampleVerdict::Edited, true));
    assert!(sample.completion.causes[0].starts_with("心绞痛："));

    // Neither in the samples nor in the store, nor anywhere else on the box: the review was masked on its way in.
    let told = serde_json::to_string(sample).expect("JSON");
    let id = twice["id"].as_str().expect("an id");
    for secret in ["张建国", "13812345678", "11010519491231002X", "王庄村", "c-0417", id, "test-box"] {
        assert!(!told.contains(secret), "{secret} is told: {told}");
    }
    let store = fs::read(clinic.folder.path().join("state/consultd.sqlite-wal")).expect("the log of the store");
    for secret in ["张建国", "13812345678", "11010519491231002X", "王庄村"] {
        assert!(!store.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} is stored");
    }

    // What was written is not written again; what is reviewed again is, under the same pseudonym.
    let printed = said(&first);
    let after = printed.trim().rsplit(' ').next().expect("a number");
    let again = export(&clinic, &usb, &["--after", after]);
    assert!(again.status.success() && said(&again).contains("no new samples"), "{}", said(&again));
    assert_eq!(files(&usb), written);
    reviewed(&tablet, &twice, &[edited("胃食管反流")]);
    let second = export(&clinic, &usb, &["--after", after, "--recipient", &other.to_public().to_string()]);
    assert!(second.status.success(), "{}", said(&second));
    let newest = files(&usb).into_iter().find(|path| *path != written[0]).expect("a second file");
    let newest = opened(&newest, &other);
    assert_eq!((newest.len(), &newest[0].id), (1, &sample.id));
    assert!(newest[0].completion.causes[0].starts_with("胃食管反流："));
}

#[test]
fn without_a_key_to_encrypt_to_nothing_leaves_the_box() {
    let clinic = Clinic::scripted("{}", "");
    reviewed(&clinic.ready(), &consult("头痛"), &[edited("偏头痛")]);
    let usb = clinic.folder.path().join("usb");
    let refused = export(&clinic, &usb, &[]);
    assert_eq!(refused.status.code(), Some(78), "{}", said(&refused));
    assert!(files(&usb).is_empty());
    let garbage = export(&clinic, &usb, &["--recipient", "age1nonsense"]);
    assert!(!garbage.status.success() && said(&garbage).contains("age-keygen"), "{}", said(&garbage));
    let key = Identity::generate().to_public().to_string();
    let full = export(&clinic, Path::new("/dev/full"), &["--recipient", &key]);
    assert_eq!(full.status.code(), Some(74), "{}", said(&full));
}
