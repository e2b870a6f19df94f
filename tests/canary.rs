//! P9: what a patient says is in the store and in what the box says to that tablet, and nowhere else. The real binary and
//! broker with the scripted engine.

mod common;
mod canary {
    pub mod scene;
    pub mod words;
}
use canary::{scene, words};

use common::*;
use rumqttc::v5::mqttbytes::v5::PublishProperties;
use rustix::process::{Pid, Signal, kill_process};
use scene::{COUNTY, Scene, WARD};
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use words::*;

fn says(tablet: &Tablet, branch: &str, message: &Value) {
    tablet.send_to(branch, message.to_string().as_bytes());
}

fn list() -> Value {
    json!({"v": 1, "type": "admin", "id": uuid::Uuid::new_v4(), "do": "list", "note": text("zh", "order"), "电话13800138000": 1})
}

/// All that MQTT 5 has beside a message. The mark comes back on the tablet's own branch; a topic is no place for words.
fn in_the_margin() -> PublishProperties {
    PublishProperties {
        correlation_data: Some(text("en", "mark").into_bytes().into()),
        response_topic: Some(format!("consult/1/res/{WARD}/{}", text("zh", "topic"))),
        content_type: Some(text("zh", "kind")),
        user_properties: vec![(text("zh", "name"), text("en", "value"))],
        ..PublishProperties::default()
    }
}

#[test]
fn what_a_patient_says_is_in_the_store_and_with_its_tablet_and_nowhere_else() {
    let mut scene = Scene::new("{ crash_on = \"毒药\" }");
    let (ward, county) = (scene.tablet(WARD), scene.tablet(COUNTY));
    let mut marks = Vec::new();
    for lang in ["zh", "en"] {
        let (request, planted) = full_case(lang);
        ward.send_with(in_the_margin(), "req", request.to_string().as_bytes());
        assert_eq!(ward.expect("alert", &request)["triage"], "red", "what is medicine is still there");
        let answer = ward.expect("answer", &request);
        // Of what was sent, and not of what is kept.
        ward.ask(&request);
        assert_eq!(ward.expect("answer", &request), answer, "the same bytes are the same request");
        let (review, said) = full_review(lang, &request["id"]);
        ward.send_with(in_the_margin(), "review", review.to_string().as_bytes());
        ward.expect("reviewed", &request);
        for kind in ["cancel", "resend"] {
            ward.ask(&json!({"v": 1, "type": kind, "id": request["id"], "note": text(lang, kind)}));
            ward.expect("answer", &request);
        }
        says(&ward, "receipt", &json!({"v": 1, "type": "receipt", "id": request["id"], "note": text(lang, "receipt")}));
        marks.extend(planted.into_iter().chain(said));
    }
    // One for the list of the quarantined.
    let mut poison = consult(&format!("毒药，{}", text("zh", "poison")));
    poison["id"] = json!(uuid::Uuid::new_v4());
    ward.ask(&poison);
    assert!(degraded(&ward.expect("answer", &poison)).contains(&"engine_crashed"));
    let order = list();
    says(&county, "admin", &order);
    assert_eq!(county.expect("report", &order)["quarantined_cases"], json!([poison["id"]]));
    says(&ward, "admin", &order);
    assert_eq!(ward.expect("error", &order)["code"], "not_allowed");

    let usb = scene.clinic.folder.path().join("usb");
    for (command, more) in
        [("check", vec![]), ("verify", vec![]), ("export", vec!["--to", usb.to_str().expect("text")])]
    {
        scene.run(command, &more);
    }
    assert_eq!(fs::read_dir(&usb).expect("the export's folder").count(), 1, "encrypted, and looked into like the rest");

    // The copy of the store is made at a start, once the box has run for an hour.
    scene.clinic.kill_daemon();
    let store = rusqlite::Connection::open(scene.clinic.folder.path().join("state/consultd.sqlite")).expect("opens");
    store.execute("UPDATE box SET ran_s = 3600", []).expect("an hour passes");
    drop(store);
    let copy = scene.clinic.folder.path().join("state/snapshot.sqlite");
    scene.start();
    let began = Instant::now();
    while !copy.exists() {
        assert!(began.elapsed() < PATIENCE, "no copy; {}", scene.clinic.log_text());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(WORDS.iter().all(|word| holds(&fs::read(&copy).expect("the copy"), word)), "it is a copy");
    scene.nothing_is_told(&marks);
}

#[test]
fn no_refusal_repeats_what_it_refuses() {
    let scene = Scene::new("{}");
    let (ward, county) = (scene.tablet(WARD), scene.tablet(COUNTY));
    for (what, branch, bytes) in refused() {
        let who = if branch == "admin" { &county } else { &ward };
        who.send_with(in_the_margin(), branch, &bytes);
        let said = who.next_bytes(PATIENCE).unwrap_or_else(|| panic!("{what}: nothing is said"));
        assert_eq!(parse(&said)["type"], "error", "{what}");
        assert_eq!(planted(&said), None, "{what}");
    }
    let good = consult("咳嗽");
    ward.ask(&good);
    ward.expect("answer", &good);
    scene.nothing_is_told(&[]);
}

#[test]
fn whatever_ends_the_worker_or_the_daemon_spills_nothing() {
    let mut scene = Scene::new("{ crash_on = \"毒药\", hang_on = \"沉默\" }");
    let ward = scene.tablet(WARD);
    let mut marks = Vec::new();
    let mut with_the_engine = |word: &str| {
        let (mut request, planted) = full_case("zh");
        request["case"]["complaint"]["text"] = json!(format!("{word}，{}", text("zh", "complaint")));
        request["deadline_s"] = json!(if word == "沉默" { 6 } else { 60 });
        marks.extend(planted);
        ward.ask(&request);
        request
    };
    for signal in [Signal::TERM, Signal::KILL, Signal::ABORT] {
        let open = with_the_engine("沉默");
        scene.is_with_the_engine(&open);
        scene.processes_tell_nothing();
        let mut daemon = scene.clinic.daemon.take().expect("a daemon");
        let pid = Pid::from_raw(daemon.0.id() as i32).expect("a process number");
        kill_process(pid, signal).expect("it can be signalled");
        daemon.0.wait().expect("it ends");
        scene.start();
        // There it is with the engine again, whose silence ends the worker.
        ward.expect("answer", &open);
    }
    let poison = with_the_engine("毒药");
    assert!(degraded(&ward.expect("answer", &poison)).contains(&"engine_crashed"));
    scene.nothing_is_told(&marks);
}

/// As a developer or launchd starts it: with a limit that allows cores, which goes into the file `limit`.
fn start_with_cores_allowed(clinic: &mut Clinic, folder: &Path) {
    let log = fs::OpenOptions::new().append(true).create(true).open(clinic.log()).expect("a log file");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -S -c $(ulimit -H -c); ulimit -c >limit; exec \"$1\" run --config \"$2\"", "sh"]);
    command.arg(env!("CARGO_BIN_EXE_consultd")).arg(&clinic.settings);
    clinic.daemon = Some(Running::start(command.current_dir(folder).stderr(log).stdin(Stdio::null())));
}

fn core_limit(pid: u32) -> Vec<String> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("a process");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).expect("the kernel's line");
    line.split_whitespace().take(2).map(str::to_owned).collect()
}

#[test]
#[cfg(target_os = "linux")]
fn a_daemon_and_a_worker_that_crash_leave_no_core_behind() {
    use std::os::{linux::fs::MetadataExt, unix::process::ExitStatusExt};
    let mut clinic = Clinic::scripted("{ delay_ms_per_section = 60000 }", "");
    clinic.kill_daemon();
    let here = tempfile::tempdir().expect("a working folder");
    start_with_cores_allowed(&mut clinic, here.path());
    let tablet = clinic.ready();
    let request = consult("咳嗽");
    tablet.ask(&request);
    tablet.expect("accepted", &request);
    clinic.wait_for_status("degraded");
    let allowed = fs::read_to_string(here.path().join("limit")).expect("what the shell was given");
    if allowed.trim() == "0" {
        println!("no cores are allowed here, whoever starts it: not tried that the daemon gives them up");
    }
    let (daemon, worker) = (clinic.daemon_pid(), clinic.worker_pid().expect("a worker"));
    assert_eq!(core_limit(daemon), ["0", "0"], "the daemon's");
    assert_eq!(core_limit(worker), ["0", "0"], "the worker's");
    // What is not dumpable is root's. To root itself it looks like everything else.
    if !rustix::process::geteuid().is_root() {
        for pid in [daemon, worker] {
            let owner = fs::metadata(format!("/proc/{pid}/environ")).expect("a process").st_uid();
            assert_eq!(
                owner, 0,
                "{pid} is dumpable: where the kernel gives cores to a program, it does not ask for the limit"
            );
        }
    }
    for pid in [worker, daemon] {
        let pid = Pid::from_raw(pid as i32).expect("a process number");
        kill_process(pid, Signal::ABORT).expect("it can be signalled");
    }
    let end = clinic.daemon.take().expect("a daemon").0.wait().expect("it ends");
    assert_eq!((end.signal(), end.core_dumped()), (Some(6), false), "to whomever it was given");
    wait_for_its_end(worker);
    let left: Vec<_> = fs::read_dir(here.path()).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["limit"], "left by a crash");
}

/// A dump is written before its process is gone.
fn wait_for_its_end(pid: u32) {
    let began = Instant::now();
    while fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(began.elapsed() < PATIENCE, "{pid} does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}
