//! Cancellation, reviews, the chain, orders of an admin, and ends without an opinion: the real binary and broker with the
//! scripted engine.

mod common;

use common::*;
use rumqttc::v5::mqttbytes::v5::PublishProperties;
use serde_json::{Value, json};
use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

/// A form takes two seconds.
const SLOW: &str = "{ delay_ms_per_section = 400 }";

fn cancel(request: &Value) -> Value {
    json!({"v": 1, "type": "cancel", "id": request["id"]})
}

fn review(request: &Value, more: Value) -> Value {
    let mut review = json!({"v": 1, "type": "review", "id": request["id"], "clinician": "c-0417"});
    review.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    review
}

fn says(tablet: &Tablet, branch: &str, message: &Value) {
    tablet.send_to(branch, message.to_string().as_bytes());
}

fn becomes(true_soon: impl Fn() -> bool) -> bool {
    let began = Instant::now();
    while !true_soon() && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(50));
    }
    true_soon()
}

fn verify(clinic: &Clinic) -> Output {
    verify_with(clinic, &[])
}

fn verify_with(clinic: &Clinic, links: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consultd"));
    command.args(["verify", "--config"]).arg(&clinic.settings);
    command.args(links.iter().flat_map(|link| ["--link", link])).output().expect("runs")
}

#[test]
fn a_cancelled_case_ends_once_and_the_next_is_served() {
    let clinic = Clinic::scripted(SLOW, "");
    let tablet = clinic.ready();
    let (running, waiting, answered) = (consult("咳嗽"), consult("头晕"), consult("腹泻"));
    for request in [&running, &waiting, &answered] {
        tablet.ask(request);
        tablet.expect("accepted", request);
    }
    for request in [&waiting, &running] {
        tablet.ask(&cancel(request));
        let end = tablet.expect("error", request);
        assert_valid(&end);
        assert_eq!((&end["code"], &end["final"]), (&json!("cancelled"), &json!(true)));
        tablet.ask(&json!({"v": 1, "type": "resend", "id": request["id"]}));
        assert_eq!(tablet.expect("error", request), end, "it stays cancelled");
        says(&tablet, "review", &review(request, json!({"verdict": "accepted"})));
        assert_eq!(tablet.expect("error", request)["code"], "unknown_id", "there is no answer to review");
        tablet.receipt(request);
    }
    let answer = tablet.expect("answer", &answered);
    assert_eq!(answer["provenance"]["degraded"], json!(["scripted_engine"]));
    // Too late: the answer stands. And another tablet's case is none of its business.
    tablet.ask(&cancel(&answered));
    assert_eq!(tablet.expect("answer", &answered), answer);
    let thief = Tablet::new(&clinic, "thief");
    thief.ask(&cancel(&answered));
    assert_eq!(thief.expect("error", &answered)["code"], "unknown_id");
}

#[test]
fn a_doctors_review_is_kept_said_again_and_sealed_across_a_restart() {
    let mut clinic = Clinic::scripted("{}", "");
    let tablet = clinic.ready();
    let request = case("angina.zh");
    let edited = json!({"verdict": "edited", "patient_text": "请马上去县医院。", "final":
        {"possible_causes": ["心绞痛：活动后胸闷"], "cannot_exclude": ["急性心肌梗死：出汗；做心电图"]}});
    let early = review(&request, json!({"verdict": "accepted"}));
    says(&tablet, "review", &early);
    assert_eq!(tablet.expect("error", &request)["code"], "unknown_id", "there is nothing to review yet");

    tablet.ask(&request);
    let answer = tablet.expect("answer", &request);
    assert_valid(&answer);
    assert_eq!((&answer["audit"]["seq"], &answer["patient_text"]), (&json!(1), &Value::Null));
    let first = review(&request, json!({"verdict": "rejected", "reason": "先不用"}));
    let second = review(&request, edited);
    says(&tablet, "review", &first);
    let said = [tablet.expect("reviewed", &request), {
        says(&tablet, "review", &second);
        tablet.expect("reviewed", &request)
    }];
    said.iter().for_each(assert_valid);
    assert_eq!((&said[0]["number"], &said[0]["patient_text"]), (&json!(1), &Value::Null));
    assert_eq!((&said[1]["number"], &said[1]["patient_text"]), (&json!(2), &json!("请马上去县医院。")));
    assert_eq!(said[1]["audit"]["prev_hash"], said[0]["audit"]["hash"]);
    says(&Tablet::new(&clinic, "thief"), "review", &second);

    clinic.kill_daemon();
    clinic.start();
    says(&tablet, "review", &first);
    assert_eq!(tablet.expect("reviewed", &request), said[0], "the same bytes again bring the same again");
    let wrong = review(&request, json!({"verdict": "edited"}));
    says(&tablet, "review", &wrong);
    let error = tablet.expect("error", &request);
    assert_eq!((&error["code"], &error["pointer"]), (&json!("bad_field"), &json!("/final")));

    let good = verify(&clinic); // beside the running daemon
    let text = String::from_utf8(good.stdout).expect("text");
    assert!(good.status.success() && text.contains("3 links, all good"), "{text}");
    assert!(text.contains(said[1]["audit"]["hash"].as_str().expect("a hash")), "{text}");
}

#[test]
fn whoever_changes_the_store_is_found_out() {
    let harms = [
        (
            "UPDATE message SET body = CAST(replace(CAST(body AS TEXT), 'green', 'black') AS BLOB)
             WHERE seq = 2 AND id = (SELECT id FROM chain WHERE seq = 2)",
            "link 2",
        ),
        ("UPDATE review SET body = CAST(replace(CAST(body AS TEXT), 'accepted', 'rejected') AS BLOB)", "link 4"),
        ("DELETE FROM chain WHERE seq = 2", "link 3"),
        ("UPDATE chain SET body = zeroblob(32) WHERE seq = 1", "link 1"),
        ("UPDATE chain SET id = (SELECT id FROM consult WHERE seq = 1) WHERE seq = 2", "link 2"),
        ("DELETE FROM message WHERE id = (SELECT id FROM chain WHERE seq = 2)", "link 2"),
        ("DELETE FROM chain", "no link"),
        ("DELETE FROM chain WHERE seq > 2", "no link"),
        (
            "INSERT INTO message SELECT id, 0, CAST(replace(CAST(body AS TEXT), 'green', 'black') AS BLOB)
             FROM message WHERE seq = 2 AND id = (SELECT id FROM chain WHERE seq = 2)",
            "does not belong there",
        ),
    ];
    for (harm, place) in harms {
        let mut clinic = Clinic::scripted("{}", "");
        let tablet = clinic.ready();
        let mut request = Value::Null;
        for complaint in ["咳嗽", "头晕", "腹泻"] {
            request = consult(complaint);
            tablet.ask(&request);
            tablet.expect("answer", &request);
        }
        says(&tablet, "review", &review(&request, json!({"verdict": "accepted"})));
        tablet.expect("reviewed", &request);
        clinic.kill_daemon();
        assert!(verify(&clinic).status.success());
        let store = rusqlite::Connection::open(clinic.folder.path().join("state/consultd.sqlite")).expect("opens");
        assert!(store.execute(harm, []).expect("changes it") > 0, "{harm}");
        drop(store);
        let found = verify(&clinic);
        let text = String::from_utf8(found.stdout).expect("text");
        assert_eq!(found.status.code(), Some(1), "{harm}: {text}");
        assert!(text.contains("BROKEN") && text.contains(place), "{harm}: {text}");
    }
}

#[test]
fn whoever_cuts_off_the_end_of_the_chain_is_found_out_by_a_link_that_was_written_down() {
    let mut clinic = Clinic::scripted("{}", "");
    let tablet = clinic.ready();
    let printed = || {
        let text = String::from_utf8(verify(&clinic).stdout).expect("text");
        text.trim_end().rsplit(' ').next().expect("a last word").to_owned()
    };
    let nothing = printed();
    let mut ends = Vec::new();
    for complaint in ["咳嗽", "头晕"] {
        let request = consult(complaint);
        tablet.ask(&request);
        tablet.expect("answer", &request);
        ends.push(printed());
    }
    let code = |links: &[&str]| verify_with(&clinic, links).status.code();
    assert_eq!(code(&[&ends[1], &ends[0], &nothing]), Some(0), "{ends:?}");
    let foreign = ends[1].replace("2:", "1:");
    assert_eq!(code(&[&ends[1], &foreign]), Some(1), "another link stands at its place");
    for rubbish in ["", "2", "2:ab", "two:ab", &ends[1].to_uppercase().replace(':', ""), &format!("{}0", ends[1])] {
        assert_eq!(code(&[rubbish]), Some(2), "{rubbish}");
    }

    clinic.kill_daemon();
    let store = rusqlite::Connection::open(clinic.folder.path().join("state/consultd.sqlite")).expect("opens");
    let cut = |harm: &str| assert!(store.execute(harm, []).expect("changes it") > 0, "{harm}");
    cut("DELETE FROM consult WHERE id = (SELECT id FROM chain WHERE seq = 2)");
    cut("DELETE FROM message WHERE id = (SELECT id FROM chain WHERE seq = 2)");
    cut("DELETE FROM chain WHERE seq = 2");
    drop(store);
    assert_eq!(verify(&clinic).status.code(), Some(0), "the rest of the chain shows nothing");
    let found = verify_with(&clinic, &[&ends[0], &ends[1]]);
    let text = String::from_utf8(found.stdout).expect("text");
    assert!(found.status.code() == Some(1) && text.contains(&format!("MISSING: {};", ends[1])), "{text}");
}

#[test]
fn an_admin_lists_holds_and_releases_and_nobody_else_does() {
    let clinic = Clinic::scripted_for("{ crash_on = \"毒药\" }", "county");
    let (tablet, admin) = (clinic.ready(), Tablet::new(&clinic, "county"));
    let order = |what: Value| {
        let mut message = json!({"v": 1, "type": "admin", "id": uuid::Uuid::new_v4()});
        message.as_object_mut().expect("an object").extend(what.as_object().expect("an object").clone());
        message
    };
    let list = order(json!({"do": "list"}));
    says(&tablet, "admin", &list);
    assert_eq!(tablet.expect("error", &list)["code"], "not_allowed");

    let hold = order(json!({"do": "hold", "for_s": 3600}));
    says(&admin, "admin", &hold);
    let report = admin.expect("report", &hold);
    assert_valid(&report);
    assert_eq!(report["held_s"], 3600);
    assert_valid(&clinic.wait_for_status("updating"));
    let request = case("angina.zh");
    tablet.ask(&request);
    assert_eq!(tablet.expect("alert", &request)["triage"], "red", "danger is said even while the box takes nothing");
    let refusal = tablet.expect("error", &request);
    assert_valid(&refusal);
    assert_eq!((&refusal["code"], &refusal["final"]), (&json!("updating"), &json!(false)));
    says(&admin, "admin", &order(json!({"do": "resume"})));
    clinic.wait_for_status("degraded");
    tablet.ask(&request);
    tablet.expect("answer", &request);

    // Poison is kept from the engine, whatever its id, until it is released.
    let poison = consult("毒药");
    tablet.ask(&poison);
    assert!(degraded(&tablet.expect("answer", &poison)).contains(&"engine_crashed"));
    let innocent = consult("咳嗽");
    tablet.ask(&innocent);
    assert_eq!(degraded(&tablet.expect("answer", &innocent)), ["scripted_engine"], "the next one is served");
    let mut again = poison.clone();
    again["id"] = json!(uuid::Uuid::new_v4());
    again["without_model"] = json!("error");
    let worker = clinic.worker_pid();
    tablet.ask(&again);
    let end = tablet.expect("error", &again);
    assert_eq!((&end["code"], &end["final"]), (&json!("quarantined"), &json!(true)));
    assert_eq!(clinic.worker_pid(), worker, "the engine has not seen it");
    let listed = order(json!({"do": "list"}));
    says(&admin, "admin", &listed);
    assert_eq!(admin.expect("report", &listed)["quarantined_cases"], json!([poison["id"]]));
    let release = order(json!({"do": "release", "case": poison["id"]}));
    says(&admin, "admin", &release);
    assert_eq!(admin.expect("report", &release)["quarantined"], 0);
    let gone = order(json!({"do": "release", "case": poison["id"]}));
    says(&admin, "admin", &gone);
    assert_eq!(admin.expect("error", &gone)["code"], "unknown_id");
}

#[test]
fn who_wants_nothing_without_the_model_gets_the_reason() {
    let clinic = Clinic::scripted("{ hang_on = \"停住\" }", "");
    let tablet = clinic.ready();
    clinic.wait_for_status("degraded");
    let wants = |mut request: Value, deadline_s: u32, department: &str| {
        request["without_model"] = json!("error");
        request["deadline_s"] = json!(deadline_s);
        request["department"] = json!(department);
        request
    };
    let served = wants(consult("咳嗽"), 60, "internal");
    let first = (0..50).find_map(|_| {
        tablet.ask(&served);
        let end =
            tablet.wait(PATIENCE, |m| m["id"] == served["id"] && (m["type"] == "answer" || m["type"] == "error"))?;
        (end["code"] != "model_loading").then_some(end).or_else(|| {
            std::thread::sleep(Duration::from_millis(100));
            None
        })
    });
    assert_eq!(first.expect("an end")["type"], "answer");
    let nobodys = wants(consult("皮疹"), 60, "dermatology");
    tablet.ask(&nobodys);
    assert_eq!(tablet.expect("error", &nobodys)["code"], "unknown_department");
    let late = wants(consult("停住"), 5, "internal");
    tablet.ask(&late);
    let end = tablet.expect("error", &late);
    assert_valid(&end);
    assert_eq!((&end["code"], &end["final"]), (&json!("deadline"), &json!(true)));
}

#[test]
fn an_engine_that_is_not_there_yet_is_worth_waiting_for() {
    let clinic = Clinic::scripted("{ die_at_open = true }", "");
    let tablet = clinic.ready();
    let mut request = case("angina.zh");
    request["without_model"] = json!("error");
    tablet.ask(&request);
    assert_eq!(tablet.expect("alert", &request)["triage"], "red", "danger is said meanwhile");
    let error = tablet.expect("error", &request);
    assert_valid(&error);
    assert_eq!((&error["code"], &error["final"]), (&json!("model_loading"), &json!(false)));
    assert!(error["retry_after_s"].as_u64().is_some_and(|s| (1..=60).contains(&s)), "{error}");
}

#[test]
fn an_engine_that_does_not_work_or_says_nothing_is_internal_to_whom_rules_are_not_enough() {
    for script in ["{ unfit = \"为了测试\" }", "{ lines = [\"阿莫西林：口服500mg，每日三次\"] }"] {
        let clinic = Clinic::scripted(script, "");
        let tablet = clinic.ready();
        let mut request = consult("咳嗽");
        request["without_model"] = json!("error");
        let error = (0..600).find_map(|_| {
            tablet.ask(&request);
            let error = tablet.expect("error", &request);
            assert_valid(&error);
            (error["code"] != "model_loading").then_some(error).or_else(|| {
                std::thread::sleep(Duration::from_millis(100));
                None
            })
        });
        assert_eq!(error.expect("another error in time")["code"], "internal", "{script}");
        // The same case, to whom rules are enough.
        let request = consult("咳嗽");
        tablet.ask(&request);
        assert_eq!(tablet.expect("answer", &request)["abstained"]["reason"], "no_model_opinion", "{script}");
    }
}

#[test]
fn a_tablet_that_floods_is_told_so_and_waits_behind_the_others() {
    let clinic = Clinic::scripted(SLOW, "[queue]\nqueue_max = 32\ntablet_max = 6\n");
    let (noisy, quiet) = (clinic.ready(), Tablet::new(&clinic, "quiet"));
    let load = Tablet::listen(&clinic, "watcher", "consult/1/box/load");
    let flood: Vec<Value> = (0..8).map(|n| consult(&format!("咳嗽{n}"))).collect();
    flood.iter().for_each(|request| noisy.ask(request));
    for request in &flood[6..] {
        assert_eq!(noisy.expect("error", request)["code"], "busy");
    }
    let one = consult("头晕");
    quiet.ask(&one);
    assert_eq!(quiet.expect("accepted", &one)["queue"], 4, "behind the flood's first four, before its last two");
    let seen = load.wait(PATIENCE, |m| m["queue"] == 7).expect("a load");
    assert_valid(&seen);
    quiet.expect("answer", &one);
    let late = noisy.wait(PATIENCE, |m| m["type"] == "answer" && m["id"] == flood[5]["id"]);
    assert!(late.is_some(), "it is answered all the same");
}

#[test]
fn a_full_disk_takes_no_new_case_and_loses_none_that_was_accepted() {
    let script = "{ delay_ms_per_section = 100 }";
    let Some(clinic) = Clinic::scripted_on_a_disk_of("48m", script) else {
        return println!("no mounts of its own here: not tried");
    };
    let tablet = clinic.ready();
    let filler = clinic.state_inside().join("filler");
    let mut file = std::fs::File::create(&filler).expect("a file beside the store");
    for piece in [1 << 20, 1 << 12, 1] {
        while file.write_all(&vec![1; piece]).is_ok() {}
    }
    let mut accepted = Vec::new();
    let refused = (0..100).find_map(|n| {
        let mut request = case("angina.zh");
        request["case"]["history"] = json!("长".repeat(3000 + n));
        tablet.ask(&request);
        assert_eq!(tablet.expect("alert", &request)["triage"], "red", "said in any case");
        let end =
            tablet.wait(PATIENCE, |m| m["id"] == request["id"] && (m["type"] == "answer" || m["type"] == "error"))?;
        accepted.push(request);
        (end["type"] == "error").then_some(end)
    });
    let refusal = refused.expect("the disk is full");
    assert_valid(&refusal);
    assert_eq!((&refusal["code"], &refusal["final"]), (&json!("storage_full"), &json!(false)), "{}", clinic.log_text());
    let refused = accepted.pop().expect("the refused one");
    let status = Tablet::listen(&clinic, "watcher", "consult/1/box/status");
    assert!(status.wait(PATIENCE, |m| m["reasons"].to_string().contains("storage_full")).is_some());
    for request in &accepted {
        tablet.ask(&json!({"v": 1, "type": "resend", "id": request["id"]}));
        tablet.expect("answer", request);
    }
    std::fs::remove_file(&filler).expect("makes room");
    drop(file);
    let began = std::time::Instant::now();
    let end = loop {
        tablet.ask(&refused);
        let end =
            tablet.wait(PATIENCE, |m| m["id"] == refused["id"] && (m["type"] == "answer" || m["type"] == "error"));
        match end {
            Some(end) if end["type"] == "answer" => break end,
            _ => assert!(began.elapsed() < PATIENCE, "there is room again; the log:\n{}", clinic.log_text()),
        }
        std::thread::sleep(Duration::from_millis(500));
    };
    assert_valid(&end);
}

#[test]
fn a_box_that_is_started_on_a_full_disk_answers_what_it_had_accepted() {
    let Some(clinic) = Clinic::scripted_on_a_disk_that_fills("48m", SLOW) else {
        return println!("no mounts of its own here: not tried");
    };
    let tablet = clinic.ready();
    let accepted = consult("咳嗽");
    tablet.ask(&accepted);
    tablet.expect("accepted", &accepted);
    let daemon = worker_of(clinic.daemon_pid()).and_then(|pid| rustix::process::Pid::from_raw(pid as i32));
    rustix::process::kill_process(daemon.expect("a daemon"), rustix::process::Signal::TERM).expect("ends it");
    tablet.expect("answer", &accepted);
    assert!(clinic.log_text().contains("the disk's reserve is spent"), "{}", clinic.log_text());
    let new = case("angina.zh");
    tablet.ask(&new);
    assert_eq!(tablet.expect("alert", &new)["triage"], "red", "said in any case");
    let refusal = tablet.expect("error", &new);
    assert_eq!((&refusal["code"], &refusal["final"]), (&json!("storage_full"), &json!(false)));
}

#[test]
fn a_hangup_ends_nothing_and_what_is_kept_is_nobody_elses_to_read() {
    let clinic = Clinic::scripted("{}", "");
    let tablet = clinic.ready();
    let pid = rustix::process::Pid::from_raw(clinic.daemon_pid() as i32).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("it is sent");
    let request = consult("咳嗽三天");
    tablet.ask(&request);
    tablet.expect("answer", &request);
    let state = clinic.folder.path().join("state");
    let open = fs::read_dir(&state).expect("the folder").flatten().map(|entry| entry.path()).chain([state.clone()]);
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode();
    let open: Vec<_> = open.filter(|path| mode(path) & 0o077 != 0).collect();
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn a_log_that_nobody_reads_costs_no_answer() {
    for closed in [true, false] {
        let mut clinic = Clinic::scripted("{}", "");
        clinic.kill_daemon();
        let mut command = Command::new(env!("CARGO_BIN_EXE_consultd"));
        command.args(["run", "--config"]).arg(&clinic.settings).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut daemon = Running::start(&mut command);
        let reader = daemon.0.stderr.take();
        clinic.daemon = Some(daemon);
        let kept = reader.filter(|_| !closed);
        let tablet = clinic.ready();
        // A line for each, and more than the pipe's 64 KiB.
        (0..2000).for_each(|_| tablet.send(b"{\"v\":1,\"type\":\"nonsense\"}"));
        let request = consult("咳嗽");
        tablet.ask(&request);
        tablet.expect("answer", &request);
        drop(kept);
    }
}

#[test]
fn what_the_disk_has_changed_is_said_to_nobody_and_ends() {
    let mut clinic = Clinic::scripted(SLOW, "");
    let tablet = clinic.ready();
    let (answered, open) = (consult("咳嗽"), consult("头晕"));
    tablet.ask(&answered);
    tablet.expect("answer", &answered);
    tablet.ask(&open);
    tablet.expect("accepted", &open);
    clinic.kill_daemon();
    let store = rusqlite::Connection::open(clinic.folder.path().join("state/consultd.sqlite")).expect("opens");
    let harms = [
        "UPDATE consult SET request = x'00' WHERE ended = 0",
        "UPDATE message SET body = CAST(replace(CAST(body AS TEXT), 'green', 'black') AS BLOB)
         WHERE seq = 2 AND id = (SELECT id FROM chain WHERE seq = 1)",
        "UPDATE message SET body = x'ff7b' WHERE seq = 2 AND id = (SELECT id FROM chain WHERE seq = 1)",
    ];
    for harm in harms {
        assert!(store.execute(harm, []).expect("changes it") > 0, "{harm}");
        clinic.start();
        for request in [&answered, &open] {
            for kind in ["resend", "cancel"] {
                let correlated = PublishProperties { correlation_data: Some("c".into()), ..Default::default() };
                let asks = json!({"v": 1, "type": kind, "id": request["id"]}).to_string();
                tablet.send_with(correlated, "req", asks.as_bytes());
                let sound = request == &answered && harm.contains("request");
                let end = tablet.wait(PATIENCE, |m| m["id"] == request["id"] && m["type"] != "accepted");
                let end = end.expect("an end");
                assert_valid(&end);
                match sound {
                    true => assert_eq!(end["type"], "answer", "{harm}"),
                    false => assert_eq!(end["code"], "internal", "{harm}: {end}"),
                }
            }
        }
        clinic.kill_daemon();
        tablet.rest(Duration::from_millis(300));
    }
}

#[test]
fn a_damaged_store_is_kept_aside_said_in_the_status_and_the_next_case_is_served() {
    let mut clinic = Clinic::scripted("{}", "");
    let tablet = clinic.ready();
    let before = consult("咳嗽");
    tablet.ask(&before);
    tablet.expect("answer", &before);
    clinic.kill_daemon();
    let file = clinic.folder.path().join("state/consultd.sqlite");
    let damaged = std::fs::File::options().write(true).open(&file).expect("opens");
    damaged.set_len(1000).expect("cuts it");
    clinic.start();
    let status = Tablet::listen(&clinic, "watcher", "consult/1/box/status");
    assert!(status.wait(PATIENCE, |m| m["reasons"].to_string().contains("store_replaced")).is_some());
    let after = consult("头晕");
    tablet.ask(&after);
    tablet.expect("answer", &after);
    assert!(verify(&clinic).status.success());
}

#[test]
fn after_fifteen_years_the_text_goes_and_the_id_is_not_served_again() {
    let mut clinic = Clinic::scripted("{}", "");
    let tablet = clinic.ready();
    let (old, young) = (consult("咳嗽"), consult("头晕"));
    tablet.ask(&old);
    tablet.expect("answer", &old);
    says(&tablet, "review", &review(&old, json!({"verdict": "accepted"})));
    tablet.expect("reviewed", &old);
    clinic.kill_daemon();
    let store = rusqlite::Connection::open(clinic.folder.path().join("state/consultd.sqlite")).expect("opens");
    store.execute("UPDATE box SET ran_s = ran_s + 15 * 31557600 - 3600", []).expect("almost 15 years pass");
    clinic.start();
    tablet.ask(&young);
    tablet.expect("answer", &young);
    let resend = |request: &Value| json!({"v": 1, "type": "resend", "id": request["id"]});
    tablet.ask(&resend(&old));
    tablet.expect("answer", &old);
    clinic.kill_daemon();
    store.execute("UPDATE box SET ran_s = ran_s + 3600", []).expect("the last hour");
    clinic.start();
    let deleted = || clinic.log_text().contains("kept for long enough");
    assert!(becomes(deleted), "{}", clinic.log_text());
    for again in [&resend(&old), &old, &review(&old, json!({"verdict": "accepted"}))] {
        says(&tablet, if again["type"] == "review" { "review" } else { "req" }, again);
        let error = tablet.expect("error", &old);
        assert_eq!((&error["code"], &error["final"]), (&json!("unknown_id"), &json!(true)), "{again}");
    }
    tablet.ask(&resend(&young));
    tablet.expect("answer", &young);
    let verified = verify(&clinic);
    let text = String::from_utf8(verified.stdout).expect("text");
    assert!(verified.status.success() && text.contains("3 links, all good; the text of 2 is no longer kept"), "{text}");
    let copied = clinic.folder.path().join("state/snapshot.sqlite");
    assert!(becomes(|| copied.exists()), "{}", clinic.log_text());
}
