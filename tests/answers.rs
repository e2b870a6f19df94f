//! The whole way on real parts: Mosquitto, the daemon, llama.cpp, the demo model and its adapters.

mod common;

use common::*;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::Duration;

/// (case, rule that must fire, department whose adapter must have answered)
const CASES: [(&str, &str, &str); 5] = [
    ("angina.zh", "RF001", "internal"),
    ("pregnancy-headache.zh", "RF020", "obstetrics"),
    ("child-ear-pain.zh", "RF042", "pediatrics"),
    ("shepherd-fever.zh", "RF080", "internal"),
    ("angina.en", "RF001", "internal"),
];

/// What the model wrote, without times and ids.
fn opinion(answer: &Value) -> Value {
    let of_model = |list: &Value| -> Vec<Value> {
        list.as_array().into_iter().flatten().filter(|e| e["origin"] == "model").cloned().collect()
    };
    json!([
        answer["possible_causes"],
        of_model(&answer["cannot_exclude"]),
        of_model(&answer["suggested_checks"]),
        answer["medication_cautions"],
        of_model(&answer["missing_information"]),
    ])
}

#[test]
fn the_products_own_cases_are_answered_in_full() {
    let clinic = Clinic::real("");
    let tablet = clinic.ready();
    for (name, rule, department) in CASES {
        let request = case(name);
        tablet.ask(&request);
        let heard = tablet.conversation(&request);
        heard.iter().for_each(assert_valid);
        let kinds: Vec<&str> = heard.iter().filter_map(|m| m["type"].as_str()).collect();
        assert_eq!(kinds[..2], ["accepted", "alert"], "{name}");
        let finished = heard.iter().filter(|m| m["type"] == "progress" && m["complete"] == true).count();
        assert_eq!(finished, 5, "{name}: each section is said to be finished, once");

        let (alert, answer) = (&heard[1], &heard[heard.len() - 1]);
        assert!(
            alert["red_flags"].as_array().is_some_and(|f| f.iter().any(|f| f["rule"] == rule)),
            "{name}: {alert:#}"
        );
        assert_eq!(answer["type"], "answer", "{name}");
        assert_eq!(answer["red_flags"], alert["red_flags"], "{name}: the answer repeats the alert");
        assert_eq!(answer["provenance"]["adapter"]["id"], format!("demo-{department}"), "{name}");
        assert_eq!(answer["provenance"]["degraded"], json!([]), "{name}");
        assert_eq!(answer["abstained"], Value::Null, "{name}");
        assert!(!answer["possible_causes"].as_array().expect("a list").is_empty(), "{name}");
        assert!(answer["provenance"]["timings"]["tokens_written"].as_u64() > Some(10), "{name}");
        tablet.receipt(&request);
    }
}

#[test]
fn the_box_says_what_it_is() {
    let clinic = Clinic::real("contexts_max = 2");
    let watcher = Tablet::listen(&clinic, "watcher", "consult/1/box/info");
    let info = watcher.wait(PATIENCE, |m| !m["engine"].is_null()).expect("an engine");
    assert_valid(&info);
    let engine = &info["engine"];
    assert_eq!((&engine["kind"], &engine["model_sha256"]), (&json!("llama"), &json!(DEMO_MODEL_SHA256)));
    assert_eq!(
        (&engine["layers"], &engine["layers_offloaded"], &engine["contexts"]),
        (&json!(18), &json!(0), &json!(2))
    );
    assert!(engine["devices"].as_array().is_some_and(|devices| !devices.is_empty()), "{engine:#}");
    assert_eq!(info["departments"].as_array().map(Vec::len), Some(3));
}

#[test]
fn a_device_is_chosen_on_the_command_line() {
    let mut clinic = Clinic::real("");
    clinic.kill_daemon();
    clinic.start_with(&["--device", "NoSuch0"]);
    let watcher = Tablet::listen(&clinic, "watcher", "consult/1/box/status");
    assert!(watcher.wait(PATIENCE, |m| m["ambition"] == "rules_only").is_some(), "{}", clinic.log_text());
    let said = || clinic.log_text().contains("there is no device NoSuch0; there are: CPU");
    let began = std::time::Instant::now();
    // The log has a thread of its own: a line comes a moment after what it tells of.
    while !said() && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(said(), "{}", clinic.log_text());

    clinic.kill_daemon();
    clinic.start_with(&["--device", "CPU"]);
    assert_eq!(clinic.wait_for_status("online")["ambition"], "full");
}

#[test]
fn adapters_change_the_text_and_nothing_leaks_between_them() {
    // With room for both contexts, and with room for one only, which is then built anew at each change.
    for contexts_max in [4, 1] {
        let clinic = Clinic::real(&format!("contexts_max = {contexts_max}"));
        let tablet = clinic.ready();
        let answer_of = |department: &str| {
            let mut request = case("angina.zh");
            request["department"] = json!(department);
            tablet.ask(&request);
            let answer = tablet.expect("answer", &request);
            assert_eq!(answer["provenance"]["adapter"]["id"], format!("demo-{department}"));
            opinion(&answer)
        };
        let (alone, other, again) = (answer_of("internal"), answer_of("obstetrics"), answer_of("internal"));
        assert_ne!(alone, other, "another adapter, another text");
        assert_eq!(alone, again, "the same adapter, the same text, byte for byte");
    }
}

#[test]
fn a_killed_worker_costs_a_retry_and_no_answer() {
    let clinic = Clinic::real("");
    let tablet = clinic.ready();
    let undisturbed = case("shepherd-fever.zh");
    tablet.ask(&undisturbed);
    let undisturbed = tablet.expect("answer", &undisturbed);

    let request = case("shepherd-fever.zh");
    tablet.ask(&request);
    tablet.expect("progress", &request);
    clinic.signal_worker(Signal::KILL);
    let answer = tablet.expect("answer", &request);
    assert_eq!(answer["provenance"]["degraded"], json!([]));
    assert_eq!(opinion(&answer), opinion(&undisturbed), "as if nothing had happened");
}

/// Three tablets of three departments, each with so many of the product's own cases.
fn ward(clinic: &Clinic, each: usize) -> [(Tablet, Vec<Value>); 3] {
    let cases = ["angina.zh", "pregnancy-headache.zh", "child-ear-pain.zh"];
    cases.map(|name| {
        let requests: Vec<Value> = (0..each).map(|_| case(name)).collect();
        (Tablet::new(clinic, name), requests)
    })
}

#[test]
fn whatever_ends_the_worker_under_load_nothing_is_lost_or_doubled() {
    let clinic = Clinic::real("silence_s_max = 5");
    drop(clinic.ready());
    let ward = ward(&clinic, 8);
    let mut seed = 20_261_123;
    let signals = [Signal::KILL, Signal::SEGV, Signal::STOP, Signal::ABORT, Signal::KILL];
    let mut requests = ward.iter().flat_map(|(tablet, requests)| requests.iter().map(move |r| (tablet, r)));
    for signal in signals {
        requests.by_ref().take(4).for_each(|(tablet, request)| tablet.ask(request));
        std::thread::sleep(Duration::from_millis(200 + dice(&mut seed) % 3000));
        // Between two workers there is nothing to kill; that is a moment too.
        if clinic.worker_pid().is_some() {
            clinic.signal_worker(signal);
        }
    }
    requests.for_each(|(tablet, request)| tablet.ask(request));
    let mut whole = 0;
    for (tablet, requests) in &ward {
        let answers = answers(tablet, requests);
        whole += answers.values().filter(|answer| degraded(answer).is_empty()).count();
    }
    assert!(whole > 12, "{whole} of 24 whole; the log:\n{}", clinic.log_text());
}

/// The machine has less than it had when the worker made its plan.
#[test]
#[cfg(target_os = "linux")]
fn a_worker_out_of_memory_under_load_is_replaced_by_one_that_asks_for_less() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    // Room for two departments' contexts; the third's has to be made while others are served.
    let clinic = Clinic::real("contexts_max = 2");
    drop(clinic.ready());
    let ward = ward(&clinic, 3);
    let (first, others) = ward.split_first().expect("three");
    first.1.iter().for_each(|request| first.0.ask(request));
    first.0.expect("progress", &first.1[0]);
    let worker = clinic.worker_pid().and_then(|pid| Pid::from_raw(pid as i32)).expect("a worker");
    let none = Some(1 << 20);
    prlimit(Some(worker), Resource::Data, Rlimit { current: none, maximum: none }).expect("the limit can be set");
    others.iter().for_each(|(tablet, requests)| requests.iter().for_each(|request| tablet.ask(request)));
    for (tablet, requests) in &ward {
        let answers = answers(tablet, requests);
        for answer in answers.values() {
            assert_eq!(degraded(answer), [""; 0], "{answer:#}; the log:\n{}", clinic.log_text());
        }
    }
    assert_ne!(clinic.worker_pid(), Some(worker.as_raw_nonzero().get() as u32), "it could not go on");
}

#[test]
fn a_daemon_killed_after_accepted_answers_once_after_its_restart() {
    let mut clinic = Clinic::real("");
    drop(clinic.ready());
    let tablet = Tablet::new(&clinic, "ward");
    let request = case("pregnancy-headache.zh");
    tablet.ask(&request);
    tablet.expect("accepted", &request);
    clinic.kill_daemon();
    assert!(tablet.rest(Duration::from_millis(300)).iter().all(|m| m["type"] != "answer"), "killed too late");

    clinic.start();
    let answer = tablet.expect("answer", &request);
    assert_valid(&answer);
    assert_eq!(answer["provenance"]["adapter"]["id"], "demo-obstetrics");
    tablet.receipt(&request);
    let rest = tablet.rest(Duration::from_secs(2));
    assert!(rest.iter().all(|m| m["type"] != "answer"), "a second answer: {rest:#?}");

    // And what a resend brings is what was sent, byte for byte.
    tablet.ask(&json!({"v":1,"type":"resend","id":request["id"]}));
    let stored = tablet.expect("answer", &request);
    assert_eq!(stored.to_string(), answer.to_string());
}
