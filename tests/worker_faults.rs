//! The worker killed, stopped, poisoned and unable to start, under load of several tablets: the real binary and broker
//! with the scripted engine. Whatever happens to it, each request has one answer.

mod common;

use common::*;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Several forms open in the worker at any moment.
const MANY: &str = "\njobs_max = 4";

#[test]
fn whatever_ends_the_worker_under_load_nothing_is_lost_or_doubled() {
    let clinic = Clinic::scripted(&format!("{{ delay_ms_per_section = 15 }}{MANY}"), "[queue]\nqueue_max = 200\n");
    drop(clinic.ready());
    let tablets = ["ward-1", "ward-2", "ward-3"].map(|name| Tablet::new(&clinic, name));
    let mut requests = [const { Vec::new() }; 3];
    let mut seed = 20_261_123;
    for signal in [Signal::KILL, Signal::SEGV, Signal::ABORT, Signal::STOP, Signal::KILL, Signal::SEGV] {
        for (tablet, requests) in tablets.iter().zip(&mut requests) {
            for n in 0..3 {
                let mut request = consult(&format!("咳嗽{n}"));
                request["priority"] = json!(if dice(&mut seed).is_multiple_of(4) { "urgent" } else { "routine" });
                tablet.ask(&request);
                requests.push(request);
            }
        }
        std::thread::sleep(Duration::from_millis(dice(&mut seed) % 700));
        // Between two workers there is nothing to kill; that is a moment too.
        if let Some(pid) = clinic.worker_pid().and_then(|pid| Pid::from_raw(pid as i32)) {
            let _ = kill_process(pid, signal);
        }
    }
    let mut served = 0;
    for (tablet, requests) in tablets.iter().zip(&requests) {
        let answers = answers(tablet, requests);
        served += answers.values().filter(|answer| degraded(answer) == ["scripted_engine"]).count();
        for request in requests {
            // What the box has stored is what it has sent.
            tablet.ask(&json!({"v":1,"type":"resend","id":request["id"]}));
            let stored = tablet.expect("answer", request);
            assert_eq!(stored.to_string(), answers[&request["id"].to_string()].to_string());
        }
    }
    assert!(served > 30, "{served} of 54 served; the log:\n{}", clinic.log_text());
}

#[test]
fn poison_among_innocents_is_the_only_one_taken_away() {
    let clinic = Clinic::scripted(&format!("{{ crash_on = \"毒药\", delay_ms_per_section = 5 }}{MANY}"), "");
    drop(clinic.ready());
    let tablets = ["ward-1", "ward-2", "ward-3"].map(|name| Tablet::new(&clinic, name));
    let requests: Vec<Vec<Value>> = ["咳嗽", "毒药", "头晕"]
        .iter()
        .zip(&tablets)
        .map(|(complaint, tablet)| {
            let innocent = (0..4).map(|n| consult(&format!("感冒{n}")));
            let requests: Vec<Value> = innocent.chain([consult(complaint)]).collect();
            requests.iter().rev().for_each(|request| tablet.ask(request));
            requests
        })
        .collect();
    for (tablet, requests) in tablets.iter().zip(&requests) {
        let answers = answers(tablet, requests);
        for request in requests {
            let answer = &answers[&request["id"].to_string()];
            let poison = request["case"]["complaint"]["text"] == "毒药";
            assert_eq!(degraded(answer).contains(&"engine_crashed"), poison, "{answer:#}");
        }
    }
    let killed = clinic.log_text().lines().filter(|line| line.contains("the worker is gone")).count();
    assert_eq!(killed, 2, "once in company, once alone: {}", clinic.log_text());
}

#[test]
fn two_wordings_of_poison_in_a_row_leave_the_engine_to_the_others() {
    let clinic = Clinic::scripted("{ crash_on = \"毒药\" }", "");
    let tablet = clinic.ready();
    for complaint in ["毒药", "一种毒药", "毒药两种"] {
        let poison = consult(complaint);
        tablet.ask(&poison);
        assert!(degraded(&tablet.expect("answer", &poison)).contains(&"engine_crashed"));
    }
    let other = consult("咳嗽");
    tablet.ask(&other);
    assert_eq!(degraded(&tablet.expect("answer", &other)), ["scripted_engine"], "{}", clinic.log_text());
}

/// Waits for a status that says so.
fn status(clinic: &Clinic, ambition: &str) -> Value {
    let watcher = Tablet::listen(clinic, "watcher", "consult/1/box/status");
    let status = watcher.wait(PATIENCE, |m| m["ambition"] == ambition);
    status.unwrap_or_else(|| panic!("never {ambition}; the daemon's log:\n{}", clinic.log_text()))
}

fn gone(clinic: &Clinic) -> usize {
    clinic.log_text().lines().filter(|line| line.contains("the worker is gone") || line.contains("cannot work")).count()
}

#[test]
fn an_engine_that_cannot_start_leaves_the_rules_and_no_crash_loop() {
    for (script, workers) in [("{ die_at_open = true }", 3), ("{ unfit = \"the file is damaged\" }", 1)] {
        let clinic = Clinic::scripted(script, "");
        let tablet = clinic.ready();
        let said = status(&clinic, "rules_only");
        assert_valid(&said);
        assert_eq!((&said["state"], &said["reasons"]), (&json!("degraded"), &json!(["engine_failed"])), "{script}");

        let (request, began) = (case("angina.zh"), Instant::now());
        tablet.ask(&request);
        let answer = tablet.expect("answer", &request);
        assert!(degraded(&answer).contains(&"engine_down"), "{script}: {answer:#}");
        assert!(began.elapsed() < Duration::from_secs(5), "{script}: nobody waits for an engine that rests");
        assert_eq!(answer["red_flags"][0]["rule"], "RF001");

        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(gone(&clinic), workers, "{script}: {}", clinic.log_text());
    }
}

#[test]
fn a_worker_that_is_ready_says_with_what_ambition() {
    let clinic = Clinic::scripted("{}", "");
    drop(clinic.ready());
    let said = status(&clinic, "full");
    assert_valid(&said);
    assert!(!said["reasons"].as_array().expect("a list").contains(&json!("engine_reduced")));
}
