//! The hostile tablet: it has a certificate of this box, and wants what is another's. Or it has none.
//!
//! Real broker, real daemon, the broker's files as they ship in `image/`. After each row of each table the daemon is
//! up and has not lost its connection, another tablet's request is served, and that tablet has heard nothing else.
//! A spy with the daemon's own rights hears what got through to any topic of ours.
//!
//! The tablets here speak MQTT by hand (`hostile/wire.rs`) and not through `common::Tablet`: what they have to say
//! is what a library prevents.

mod common;
mod hostile {
    pub mod papers;
    pub mod village;
    pub mod wire;
}

use common::*;
use hostile::{
    papers::{Authority, Paper},
    village::*,
    wire::*,
};
use serde_json::{Value, json};
use std::{
    io::Write,
    net::TcpStream,
    time::{Duration, Instant},
};

/// The village with whom the rows are about.
struct Stage {
    village: Village,
    victim: Guest,
    spy: Guest,
    /// The victim's own requests since the last look.
    asked: Vec<String>,
}

impl Stage {
    fn new(village: Village) -> Self {
        let (victim, spy) = (village.tablet("victim"), village.spy());
        let mut stage = Self { village, victim, spy, asked: Vec::new() };
        stage.spy.heard();
        stage.all_is_well("before anything has happened");
        stage
    }

    fn paper(&self, name: &str) -> Paper {
        self.village.authority.tablet(name)
    }

    /// What must be so after each row. Gives all that the spy heard but for the victim's own conversations.
    fn all_is_well(&mut self, row: &str) -> Vec<(String, String)> {
        assert!(self.victim.is_in(), "{row}: the victim has been put out; {}", self.village.logs());
        self.asked.push(self.victim.consult()["id"].as_str().expect("an id").to_owned());
        let daemon = self.village.clinic.daemon.as_mut().expect("a daemon");
        assert!(daemon.0.try_wait().expect("a process").is_none(), "{row}: the daemon is dead");
        assert_eq!(self.village.daemon_connections(), 1, "{row}: the daemon was thrown off; {}", self.village.logs());
        let heard =
            self.spy.heard().into_iter().map(|(topic, payload)| (topic, String::from_utf8_lossy(&payload).into()));
        heard.filter(|(_, text): &(String, String)| !self.asked.iter().any(|id| text.contains(id))).collect()
    }

    /// As before, and nobody has heard a word of this.
    fn nothing_came_of(&mut self, row: &str, marker: &str) {
        let heard = self.all_is_well(row);
        let got_through: Vec<_> = heard.iter().filter(|(_, text)| text.contains(marker)).collect();
        assert!(got_through.is_empty(), "{row}: {got_through:?}");
    }
}

/// Messages that would do something if they came through, each with an id to be recognised by.
fn payloads(topic: &str) -> (String, String) {
    let mut request = consult("咳嗽");
    let id = request["id"].as_str().expect("an id").to_owned();
    if topic.contains("/receipt/") {
        request = json!({"v":1,"type":"receipt","id":id});
    }
    (request.to_string(), id)
}

#[test]
fn what_is_not_a_tablets_own_it_cannot_publish() {
    let mut stage = Stage::new(Village::with(Provisions { admins: &["chief"], ..Provisions::default() }, |_| vec![]));
    // The spy would hear it: what a tablet may say comes through.
    let mut t1 = stage.village.enter(Door::Mqtt, &stage.paper("t1"), hello(V5));
    for branch in ["req", "receipt", "review"] {
        let topic = format!("consult/1/{branch}/t1");
        let (payload, id) = payloads(&topic);
        assert_eq!(
            t1.publish(Message { topic: &topic, payload: payload.as_bytes(), ..Message::default() }),
            Fate::Taken
        );
        assert!(stage.all_is_well(&topic).iter().any(|(t, text)| *t == topic && text.contains(&id)), "{topic}");
    }
    let topics = [
        "consult/1/req/victim",
        "consult/1/receipt/victim",
        "consult/1/review/victim",
        "consult/1/res/victim",
        "consult/1/res/t1",
        "consult/1/box/status",
        "consult/1/box/info",
        "consult/1/box/load",
        "consult/1/admin/t1",
        "consult/1/admin/chief",
        "consult/1/echo", // by which the daemon knows that it hears
        "consult/1/req",
        "consult/1/req/",
        "consult/1/req/t1/deeper",
        "consult/1/req/T1",
        "consult/2/req/t1",
        "consult/1/other/t1",
        "$SYS/broker/version",
        "$share/consult/1/req/victim",
        "/consult/1/req/t1",
    ];
    for (door, version) in WAYS {
        let paper = stage.paper("t1");
        let mut t1 = stage.village.enter(door, &paper, hello(version));
        for (topic, qos, retain) in topics.into_iter().flat_map(|t| [(t, 1, false), (t, 1, true), (t, 0, true)]) {
            let row = format!("{topic}, QoS {qos}, retain {retain}, MQTT {version} by {door:?}");
            let (payload, id) = payloads(topic);
            let fate = t1.publish(Message { topic, payload: payload.as_bytes(), qos, retain, properties: &[] });
            // Version 3.1.1 has no word for "no".
            let said = if version == V5 && qos > 0 { Fate::Refused(NOT_AUTHORIZED) } else { Fate::Taken };
            assert!(fate == said || fate == Fate::PutOut, "{row}: {fate:?}");
            if fate == Fate::PutOut {
                t1 = stage.village.enter(door, &paper, hello(version));
            }
            stage.nothing_came_of(&row, &id);
        }
    }
    // Nor is anything of it kept for those who come later.
    let mut late = stage.village.spy();
    let kept: Vec<_> = late.heard().into_iter().map(|(topic, _)| topic).collect();
    assert!(
        kept.iter().all(|t| ["consult/1/box/status", "consult/1/box/info", "consult/1/box/load"].contains(&t.as_str())),
        "{kept:?}"
    );
}

#[test]
fn only_an_admin_can_publish_to_the_admins_branch_and_only_to_its_own() {
    let provisions = Provisions { admins: &["chief", "deputy"], barred: &["stolen"], ..Provisions::default() };
    let mut stage = Stage::new(Village::with(provisions, |_| vec![]));
    let rows = [
        ("chief", "consult/1/admin/chief", true),
        ("chief", "consult/1/req/chief", true), // an admin's certificate is a tablet's, too
        ("chief", "consult/1/admin/deputy", false),
        ("chief", "consult/1/req/victim", false),
        ("chief", "consult/1/box/status", false),
        ("t1", "consult/1/admin/t1", false),
        ("t1", "consult/1/admin/chief", false),
        ("CHIEF", "consult/1/admin/chief", false),
        ("stolen", "consult/1/req/stolen", false),
        ("stolen", "consult/1/admin/chief", false),
        ("chief", "consult/1/review/deputy", false),
        ("chief", "consult/1/res/t1", false),
    ];
    for (door, version, (name, topic, allowed)) in matrix(rows) {
        let row = format!("{name} to {topic}, MQTT {version} by {door:?}");
        let (payload, id) = payloads(topic);
        let mut guest = stage.village.enter(door, &stage.paper(name), hello(version));
        guest.publish(Message { topic, payload: payload.as_bytes(), ..Message::default() });
        let came = stage.all_is_well(&row).iter().any(|(t, text)| t == topic && text.contains(&id));
        assert_eq!(came, allowed, "{row}");
    }
    // Answers to an admin go where a tablet's go, and a barred name hears nothing.
    for (name, hears) in [("chief", true), ("stolen", false)] {
        let mut guest = stage.village.enter(Door::Mqtt, &stage.paper(name), hello(V5));
        let topic = format!("consult/1/res/{name}");
        guest.subscribe(&topic);
        stage.spy.publish(Message { topic: &topic, payload: b"done", ..Message::default() });
        assert_eq!(guest.heard().contains(&(topic, b"done".to_vec())), hears, "{name}");
    }
}

/// Messages about an id, by the branch that they belong to, and what is said to a tablet whose id it is not.
fn about(id: &Value) -> [(&'static str, Value, Option<&'static str>); 7] {
    let review = |more: Value| {
        let mut review = json!({"v":1,"type":"review","id":id,"clinician":"c-7"});
        review.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        review
    };
    let final_text = json!({"possible_causes":["感冒"],"cannot_exclude":["感冒：休息"]});
    let mut again = consult("头痛");
    again["id"] = id.clone();
    [
        ("review", review(json!({"verdict":"rejected","reason":"错"})), Some("unknown_id")),
        ("review", review(json!({"verdict":"edited","final":final_text,"patient_text":"没事"})), Some("unknown_id")),
        ("req", json!({"v":1,"type":"cancel","id":id}), Some("unknown_id")),
        ("req", json!({"v":1,"type":"resend","id":id}), Some("unknown_id")),
        ("receipt", json!({"v":1,"type":"receipt","id":id}), None), // a receipt is answered to nobody
        ("req", again, Some("id_conflict")),
        ("req", review(json!({"verdict":"accepted"})), Some("bad_field")), // not on this branch
    ]
}

#[test]
fn what_was_said_to_another_it_can_neither_review_nor_end_nor_confirm_nor_hear() {
    let script = "{ delay_ms_per_section = 30 }";
    let mut stage = Stage::new(Village::with(Provisions { script, ..Provisions::default() }, |_| vec![]));
    let answered = consult("咳嗽");
    stage.victim.ask(&answered);
    stage.victim.expect("answer", &answered); // without a receipt: it is still owed
    stage.spy.heard();
    let rows =
        matrix([0, 1, 2, 3, 4, 5, 6]).into_iter().flat_map(|(d, v, row)| [(d, v, row, "t1"), (d, v, row, "victim")]);
    for (door, version, row, branch_of) in rows {
        // One that is answered, and one that the engine has.
        let open = consult("头晕");
        stage.victim.ask(&open);
        stage.victim.expect("accepted", &open);
        let mut t1 = stage.village.enter(door, &stage.paper("t1"), hello(version));
        t1.subscribe("consult/1/res/t1");
        for request in [&answered, &open] {
            let (branch, message, said) = &about(&request["id"])[row];
            let topic = format!("consult/1/{branch}/{branch_of}");
            let row = format!("{message} to {topic}, MQTT {version} by {door:?}");
            t1.publish(Message { topic: &topic, payload: message.to_string().as_bytes(), ..Message::default() });
            match said {
                Some(code) if branch_of == "t1" => t1.is_told(code),
                _ => assert_eq!(t1.heard(), [], "{row}"),
            }
        }
        stage.victim.expect("answer", &open);
        stage.asked.push(open["id"].as_str().expect("an id").to_owned());
        let id = answered["id"].as_str().expect("an id");
        let heard = stage.all_is_well(&format!("row {row} to {branch_of}'s branch, MQTT {version} by {door:?}"));
        for (topic, text) in heard.iter().filter(|(_, text)| text.contains(id)) {
            let own = branch_of == "t1" && topic.ends_with("/t1");
            assert!(own && !text.contains("reviewed") && !text.contains("\"answer\""), "{topic}: {text}");
        }
        // One for `answered`, one for each that the victim has asked since, and none for anybody's review.
        assert_eq!(stage.village.links(), 1 + stage.asked.len(), "row {row}");
    }
    // It is owed to the victim still, and is the victim's to review, for the first time.
    stage.village.clinic.kill_daemon();
    stage.village.clinic.start();
    stage.victim.expect("answer", &answered);
    let review = about(&answered["id"])[1].1.to_string();
    stage.victim.publish(Message {
        topic: "consult/1/review/victim",
        payload: review.as_bytes(),
        ..Message::default()
    });
    let said = stage.victim.expect("reviewed", &answered).pop().expect("it");
    assert_eq!(said["number"], 1);
}

fn order(what: &str) -> Value {
    json!({"v":1,"type":"admin","id":uuid::Uuid::new_v4(),"do":what,"for_s":3600,"case":uuid::Uuid::new_v4()})
}

/// The broker's rules and the daemon's settings both have to name an admin.
#[test]
fn orders_are_taken_from_who_is_an_admin_to_broker_and_daemon() {
    let provisions = Provisions { admins: &["chief", "former"], obeyed: &["chief", "coming"], ..Provisions::default() };
    let mut stage = Stage::new(Village::with(provisions, |_| vec![]));
    let rows = [
        ("former", "consult/1/admin/former", Some("not_allowed")), // the settings do not know it
        ("former", "consult/1/admin/chief", None),
        ("coming", "consult/1/admin/coming", None), // the broker does not
        ("coming", "consult/1/req/coming", Some("bad_field")),
        ("t1", "consult/1/admin/t1", None),
        ("t1", "consult/1/admin/chief", None),
        ("t1", "consult/1/req/t1", Some("bad_field")), // no order is taken there, whoever gives it
        ("t1", "consult/1/review/t1", Some("bad_field")),
        ("t1", "consult/1/receipt/t1", Some("bad_field")),
        ("chief", "consult/1/req/chief", Some("bad_field")),
    ];
    for (door, version, (name, topic, said)) in matrix(rows) {
        let mut guest = stage.village.enter(door, &stage.paper(name), hello(version));
        guest.subscribe(&format!("consult/1/res/{name}"));
        // `sync` is none yet; it must not become one that anybody may give.
        for (what, retain) in
            ["hold", "list", "resume", "release", "sync"].into_iter().flat_map(|w| [(w, false), (w, true)])
        {
            let row = format!("{what} by {name} to {topic}, retain {retain}, MQTT {version} by {door:?}");
            let order = order(what);
            let (id, text) = (order["id"].as_str().expect("an id"), order.to_string());
            guest.publish(Message { topic, payload: text.as_bytes(), retain, ..Message::default() });
            match said {
                Some("not_allowed") if what == "sync" => guest.is_told("bad_field"),
                Some(code) => guest.is_told(code),
                None => {
                    assert!(guest.rest().iter().all(|(_, told)| !told.windows(36).any(|w| w == id.as_bytes())), "{row}")
                }
            }
            // The victim is served: nothing holds the box.
            let heard = stage.all_is_well(&row);
            assert!(
                heard.iter().all(|(_, text)| !text.contains("report") && !text.contains("updating")),
                "{row}: {heard:?}"
            );
            assert!(said.is_some() || heard.iter().all(|(_, text)| !text.contains(id)), "{row}: {heard:?}");
            if retain {
                guest.publish(Message { topic, retain, ..Message::default() });
                guest.rest();
            }
            if !guest.is_in() {
                guest = stage.village.enter(door, &stage.paper(name), hello(version));
                guest.subscribe(&format!("consult/1/res/{name}"));
            }
        }
    }
    // And so it is when they are taken.
    for (door, version) in WAYS {
        let mut chief = stage.village.enter(door, &stage.paper("chief"), hello(version));
        chief.subscribe("consult/1/res/chief");
        for what in ["hold", "list", "resume"] {
            let order = order(what);
            let text = order.to_string();
            chief.publish(Message { topic: "consult/1/admin/chief", payload: text.as_bytes(), ..Message::default() });
            let report = chief.expect("report", &order).pop().expect("a report");
            assert_eq!(report["held_s"].is_null(), what == "resume", "{report}");
            let request = consult("咳嗽");
            if what == "hold" {
                stage.victim.ask(&request);
                stage.victim.is_told("updating");
            }
        }
        stage.all_is_well("after the hold");
    }
}

/// An admin's tablet that is stolen, or whose app is careless. A box must not be held anew at each start.
#[test]
fn an_order_that_the_broker_keeps_is_obeyed_once() {
    let provisions = Provisions { admins: &["chief"], obeyed: &["chief"], ..Provisions::default() };
    let mut stage = Stage::new(Village::with(provisions, |_| vec![]));
    let mut chief = stage.village.enter(Door::Mqtt, &stage.paper("chief"), hello(V5));
    chief.subscribe("consult/1/res/chief");
    for (what, retain) in [("hold", true), ("resume", false)] {
        let order = order(what);
        let text = order.to_string();
        let topic = "consult/1/admin/chief";
        chief.publish(Message { topic, payload: text.as_bytes(), retain, ..Message::default() });
        chief.expect("report", &order);
    }
    stage.village.clinic.kill_daemon();
    stage.village.clinic.start();
    answered_in_the_end(&mut stage.victim, &consult("咳嗽"));
    assert!(chief.heard().is_empty(), "what was obeyed once is not reported again");
    assert!(stage.village.clinic.log_text().contains("an order that the broker kept"), "{}", stage.village.logs());
}

fn matrix<T: Copy, const N: usize>(rows: [T; N]) -> Vec<(Door, u8, T)> {
    WAYS.into_iter().flat_map(|(door, version)| rows.map(|row| (door, version, row))).collect()
}

#[test]
fn a_tablet_hears_its_own_answers_and_the_box_and_nothing_else() {
    let mut stage = Stage::new(Village::new());
    // Something to be stolen that the broker keeps.
    for (topic, teller) in [("consult/1/res/absent", &mut stage.spy), ("consult/1/review/victim", &mut stage.victim)] {
        let kept = Message { topic, payload: b"secret", retain: true, ..Message::default() };
        assert_eq!(teller.publish(kept), Fate::Taken);
    }
    stage.victim.is_told("bad_json"); // no review is spelt so
    // The broker takes each of these subscriptions, and checks when there is something to deliver.
    let filters = [
        "consult/1/res/victim",
        "consult/1/res/#",
        "consult/1/res/+",
        "consult/1/req/victim",
        "consult/1/req/#",
        "consult/1/req/+",
        "consult/1/req/t1",
        "consult/1/receipt/+",
        "consult/1/review/#",
        "consult/1/admin/#",
        "consult/#",
        "consult/+/+/victim",
        "+/+/+/+",
        "#",
        "/#",
        "$SYS/#",
        "$SYS/broker/clients/total",
        "$share/all/consult/1/res/victim",
        "$share/all/consult/1/res/+",
        "$share/all/consult/1/req/+",
        "$share/all/#",
    ];
    for (door, version, filter) in matrix(filters) {
        let row = format!("{filter}, MQTT {version} by {door:?}");
        // Under its own name, and with the victim's for its client id.
        let hello = Hello { client_id: "victim", ..hello(version) };
        let mut t1 = stage.village.enter(door, &stage.paper("t1"), hello);
        t1.subscribe(filter);
        stage.all_is_well(&row);
        for (topic, payload) in t1.heard() {
            let own = topic == "consult/1/res/t1" || topic.starts_with("consult/1/box/");
            assert!(own, "{row}: heard on {topic}: {}", String::from_utf8_lossy(&payload));
        }
    }
}

#[test]
fn nobody_takes_anothers_place() {
    let mut stage = Stage::new(Village::new());
    let rows = [("victim", None), ("box/test-box", None), ("spy", None), ("", None), ("any", Some("victim"))];
    for (door, version, ((client_id, user), clean)) in
        matrix(rows).into_iter().flat_map(|(d, v, row)| [(d, v, (row, true)), (d, v, (row, false))])
    {
        let row = format!("client id {client_id:?}, user {user:?}, clean {clean}, MQTT {version} by {door:?}");
        let hello = Hello { version, client_id, user, clean, ..Hello::default() };
        if let Ok(mut t1) = stage.village.try_enter(door, Some(&stage.paper("t1")), hello) {
            assert!(stage.spy.is_in(), "{row}");
            // Had it another's name or session, it would hear the victim's answer now, or every request.
            stage.all_is_well(&row);
            assert_eq!(t1.heard(), [], "{row}");
            let (payload, id) = payloads("");
            let topic = "consult/1/req/victim";
            t1.publish(Message { topic, payload: payload.as_bytes(), ..Message::default() });
            stage.nothing_came_of(&row, &id);
        }
        stage.all_is_well(&row);
    }
    // The price: a certificate is one connection, and the second ends the first.
    let paper = stage.paper("t2");
    let mut first = stage.village.enter(Door::Mqtt, &paper, Hello { client_id: "first", ..Hello::default() });
    let mut second = stage.village.enter(Door::WebSocket, &paper, Hello { client_id: "second", ..Hello::default() });
    assert!(!first.is_in() && second.is_in());
    stage.all_is_well("the second connection of a certificate");
}

#[test]
fn what_waits_for_the_daemon_waits_for_no_other() {
    let mut village = Village::new();
    let mut victim = village.tablet("victim");
    for (door, version, clean) in matrix([true, false]) {
        village.clinic.kill_daemon();
        let request = consult("咳嗽");
        victim.ask(&request); // the broker keeps it for the daemon
        let hello = Hello { version, clean, client_id: "box/test-box", ..Hello::default() };
        let mut t1 = village.enter(door, &village.authority.tablet("t1"), hello);
        t1.subscribe("consult/1/req/+");
        assert_eq!(t1.heard(), []);
        drop(t1);
        village.clinic.start();
        victim.expect("answer", &request);
    }
}

#[test]
fn the_door_opens_to_the_boxs_own_tablets_only() {
    let mut lost = Vec::new();
    let village = Village::with(Provisions { barred: &["lost"], ..Provisions::default() }, |authority| {
        lost.push(authority.tablet("lost"));
        lost.clone()
    });
    let mut stage = Stage::new(village);
    let authority = &stage.village.authority;
    let rows = [
        ("no certificate", None),
        ("another authority's", Some(Authority::new().tablet("t1"))),
        ("its own signature", Some(Paper::signed_by_itself("t1"))),
        ("expired", Some(authority.expired("t1"))),
        ("not yet valid", Some(authority.sign("t1", |p| p.not_before = rcgen::date_time_ymd(2999, 1, 1)))),
        ("a server's", Some(authority.server())),
        ("without a name", Some(authority.sign("t1", |p| p.distinguished_name = rcgen::DistinguishedName::new()))),
        ("revoked", lost.pop()),
    ];
    for (door, version) in WAYS {
        for (what, paper) in &rows {
            let row = format!("{what}, MQTT {version} by {door:?}");
            // The name in the packet is not asked, here either.
            let hello = Hello { user: Some("victim"), client_id: "victim", ..hello(version) };
            match stage.village.try_enter(door, paper.as_ref(), hello) {
                Err(_) => {}
                // The browsers' door has no list of the revoked. What is left is that the name is barred.
                Ok(mut lost) if *what == "revoked" && door == Door::WebSocket => {
                    assert_eq!(stage.village.deaf_and_mute(&mut lost), Ok(()), "{row}");
                }
                Ok(_) => panic!("{row}: let in"),
            }
            stage.victim.consult();
        }
    }
    stage.all_is_well("after all of them");
}

#[test]
fn a_tablet_that_is_lost_is_put_away() {
    let mut village = Village::new();
    let lost: Vec<Paper> = (0..WAYS.len()).map(|n| village.authority.tablet(&format!("lost-{n}"))).collect();
    let mut inside: Vec<Guest> =
        lost.iter().zip(WAYS).map(|(paper, (door, version))| village.enter(door, paper, hello(version))).collect();
    for guest in &mut inside {
        assert_ne!(village.deaf_and_mute(guest), Ok(()), "{} is a tablet still", guest.name);
    }
    village.put_away(&lost);
    assert!(inside.iter_mut().all(|guest| !guest.is_in()));
    for (paper, (door, version)) in lost.iter().flat_map(|paper| WAYS.map(|way| (paper, way))) {
        let row = format!("{}, MQTT {version} by {door:?}", paper.name);
        match village.try_enter(door, Some(paper), hello(version)) {
            Ok(mut guest) if door == Door::WebSocket => assert_eq!(village.deaf_and_mute(&mut guest), Ok(()), "{row}"),
            Ok(_) => panic!("{row}: let in"),
            Err(_) => {}
        }
    }
    village.tablet("victim").consult();
}

#[test]
fn a_name_that_is_no_tablets_reaches_nobody() {
    let mut stage = Stage::new(Village::new());
    let long = "x".repeat(200);
    let names = [
        "+",
        "#",
        "a/b",
        "victim/",
        "victim/#",
        "../victim",
        "victim ",
        "victim\n",
        "a b",
        "王医生",
        "%u",
        "%c",
        "$SYS",
        "",
        &long,
    ];
    for (door, version, name) in matrix(names) {
        let row = format!("{name:?}, MQTT {version} by {door:?}");
        let Ok(mut odd) = stage.village.try_enter(door, Some(&stage.paper(name)), hello(version)) else { continue };
        ["#", "consult/1/res/#", "consult/1/req/+"].iter().for_each(|filter| odd.subscribe(filter));
        stage.all_is_well(&row);
        // The box's own words are for all; with + or # in its name it does not hear even those.
        let heard = odd.heard();
        assert!(heard.iter().all(|(topic, _)| topic.starts_with("consult/1/box/")), "{row}: {heard:?}");
        assert!(heard.is_empty() || !name.contains(['+', '#']), "{row}");

        let (payload, id) = payloads("");
        for topic in ["consult/1/req/victim", &format!("consult/1/req/{name}")] {
            odd.publish(Message { topic, payload: payload.as_bytes(), ..Message::default() });
            let came: Vec<_> = stage.all_is_well(&row).into_iter().filter(|(_, text)| text.contains(&id)).collect();
            // What reaches a topic of its own is no tablet's for the daemon, which answers nowhere.
            assert!(
                came.iter().all(|(t, text)| *t == format!("consult/1/req/{name}") && *text == payload),
                "{row}: {came:?}"
            );
        }
    }
}

/// A browser's page that is loaded anew, an app that comes back before its old connection is known to be dead.
///
/// Not in the table, because it does not hold on Mosquitto 2.0.11: a connection with a session that lasts (`clean`
/// false) after a WebSocket connection without one stays deaf for good, whatever it subscribes to.
#[test]
fn a_tablet_that_comes_in_a_second_time_hears_at_once() {
    let village = Village::new();
    let mut spy = village.spy();
    let before_and_after =
        WAYS.iter().flat_map(|before| matrix([true, false]).into_iter().map(|after| (*before, after)));
    for (before, (door, version, clean)) in before_and_after {
        let after = (door, version);
        let row = format!("{before:?}, then {after:?}, clean {clean}");
        let paper = village.authority.tablet("t1");
        let inbox = "consult/1/res/t1";
        let hello = |version| Hello { version, clean, ..Hello::default() };
        let mut first = village.enter(before.0, &paper, hello(before.1));
        first.subscribe(inbox);
        let mut second = village.enter(after.0, &paper, hello(after.1));
        second.subscribe(inbox);
        assert!(!first.is_in(), "{row}");
        spy.publish(Message { topic: inbox, payload: b"{}", ..Message::default() });
        assert_eq!(second.heard(), [(inbox.to_owned(), b"{}".to_vec())], "{row}");
    }
}

/// No name of a tablet holds a slash. Here is what holds even where the authority signed such a name.
#[test]
fn a_certificate_with_the_daemons_client_id_learns_nothing() {
    let village = Village::new();
    let mut victim = village.tablet("victim");
    for (door, version) in WAYS {
        let hello = Hello { version, clean: false, ..Hello::default() };
        let mut impostor = village.enter(door, &village.authority.tablet("box/test-box"), hello);
        impostor.wire.subscribe("consult/1/req/+", 1);
        // The daemon comes back, and the impostor does not try again here.
        answered_in_the_end(&mut victim, &consult("咳嗽"));
        let heard = impostor.rest();
        assert!(heard.iter().all(|(topic, _)| topic.starts_with("consult/1/box/")), "{heard:?}");
    }
}

#[test]
fn a_certificate_in_the_boxs_name_does_not_touch_the_daemon() {
    let mut stage = Stage::new(Village::new());
    for (door, version, clean) in matrix([true, false]) {
        let hello = Hello { version, clean, ..Hello::default() };
        let _impostor = stage.village.enter(door, &stage.paper("test-box"), hello);
        stage.all_is_well(&format!("clean {clean}, MQTT {version} by {door:?}"));
    }
}

/// A connection that stands, pings, and brings nothing, as 2.0.11 has been seen to leave one after a take-over. Here by a
/// rule: the broker takes the subscriptions and does not say that it will not serve them.
#[test]
fn a_daemon_that_does_not_hear_itself_connects_anew() {
    let mut village = Village::new();
    let rules = village.folder().join("mosquitto-socket.acl");
    let shipped = std::fs::read_to_string(&rules).expect("the rules");
    for (text, connections) in [(format!("{shipped}topic deny consult/1/echo\n"), 2), (shipped, 3)] {
        village.restart_the_broker(|| write(&rules, &text));
        // Four keep-alives when it is deaf; at once when the broker is another.
        let began = Instant::now();
        while village.daemon_connections() <= connections {
            assert!(began.elapsed() < Duration::from_secs(60) + PATIENCE, "{}", village.logs());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    let mut victim = village.tablet("victim");
    answered_in_the_end(&mut victim, &consult("咳嗽"));
}

/// As a tablet does: the same bytes again until there is an answer.
fn answered_in_the_end(tablet: &mut Guest, request: &Value) {
    let began = Instant::now();
    while tablet.wait(Duration::from_millis(300), "answer", request).is_none() {
        assert!(began.elapsed() < PATIENCE, "no answer to {}", tablet.name);
        tablet.ask(request);
    }
}

#[test]
fn a_will_reaches_only_what_its_tablet_may_write() {
    let mut stage = Stage::new(Village::new());
    let topics = [
        ("consult/1/req/t1", true),
        ("consult/1/req/victim", false),
        ("consult/1/res/victim", false),
        ("consult/1/receipt/victim", false),
        ("consult/1/res/t1", false),
        ("consult/1/box/status", false),
        ("consult/1/box/info", false),
        ("consult/1/admin/t1", false),
    ];
    for (door, version, (topic, own)) in matrix(topics) {
        for retain in [false, true] {
            let row = format!("a will for {topic}, retain {retain}, MQTT {version} by {door:?}");
            let (payload, id) = payloads(topic);
            let will = Message { topic, payload: payload.as_bytes(), retain, ..Message::default() };
            let paper = stage.paper("t1");
            let entered =
                stage.village.try_enter(door, Some(&paper), Hello { version, will: Some(will), ..Hello::default() });
            assert!(entered.is_ok() || !own, "{row}");
            drop(entered); // without a goodbye
            // Once the same certificate is in again, its former connection has ended for the broker as well.
            let mut again = stage.village.enter(door, &paper, hello(version));
            let came = stage.all_is_well(&row).iter().any(|(t, text)| t == topic && text.contains(&id));
            assert_eq!(came, own, "{row}");
            if own && retain {
                again.publish(Message { topic, retain: true, ..Message::default() });
            }
        }
    }
}

#[test]
fn a_retained_request_comes_at_each_connection_and_is_worked_on_once() {
    let mut village = Village::new();
    let mut t1 = village.tablet("t1");
    let request = consult("咳嗽");
    let id = request["id"].as_str().expect("an id").to_owned();
    let text = request.to_string();
    t1.publish(Message { topic: "consult/1/req/t1", payload: text.as_bytes(), retain: true, ..Message::default() });
    let first = t1.expect("answer", &request).pop();
    t1.publish(Message {
        topic: "consult/1/receipt/t1",
        payload: json!({"v":1,"type":"receipt","id":id}).to_string().as_bytes(),
        ..Message::default()
    });
    village.tablet("somebody").consult();
    for round in 0..3 {
        village.clinic.kill_daemon();
        village.clinic.start();
        // The same bytes from the store, and nothing for others to wait behind.
        assert_eq!(t1.expect("answer", &request).pop(), first);
        village.tablet(&format!("somebody-{round}")).consult();
    }
    let orders = village.clinic.log_text().lines().filter(|l| l.contains("to the engine") && l.contains(&id)).count();
    assert_eq!(orders, 1, "{}", village.clinic.log_text());
    let late = village.tablet("late").heard();
    assert!(late.iter().all(|(topic, _)| topic.starts_with("consult/1/box/")), "{late:?}");
}

#[test]
fn what_is_too_large_or_no_mqtt_harms_its_sender_alone() {
    let mut stage = Stage::new(Village::new());
    const LIMIT: usize = 1 << 20;
    for (door, version, bytes) in matrix([0, LIMIT, LIMIT + 1, LIMIT + (64 << 10), 3 * LIMIT]) {
        let row = format!("{bytes} bytes, MQTT {version} by {door:?}");
        let mut t1 = stage.village.enter(door, &stage.paper("t1"), hello(version));
        t1.subscribe("consult/1/res/t1");
        let payload = vec![b'x'; bytes];
        let fate = t1.publish(Message { topic: "consult/1/req/t1", payload: &payload, ..Message::default() });
        stage.all_is_well(&row);
        match bytes {
            // It reaches the daemon, which says what is wrong with it.
            ..=LIMIT => {
                assert_eq!(fate, Fate::Taken, "{row}");
                wait_until(&row, || t1.heard().iter().any(|(topic, _)| topic == "consult/1/res/t1"));
            }
            // Over `max_packet_size`, which the WebSocket door does not keep.
            _ if bytes > LIMIT + (32 << 10) && door == Door::Mqtt => assert_eq!(fate, Fate::PutOut, "{row}"),
            _ if version == V5 => assert_eq!(fate, Fate::Refused(TOO_LARGE), "{row}"),
            _ => assert_eq!((fate, t1.heard()), (Fate::Taken, vec![]), "{row}"), // and dropped
        }
    }
    let packets: [(&str, &[u8]); 15] = [
        ("256 MiB announced", b"\x30\xff\xff\xff\x7f\x00\x10consult/1/req/t1"),
        ("a length of five bytes", b"\x30\xff\xff\xff\xff\x7f"),
        ("kind 0", b"\x00\x00"),
        ("kind 15", b"\xf0\x00"),
        ("QoS 3", b"\x36\x05\x00\x01a\x00\x01"),
        ("a topic that is no UTF-8", b"\x30\x04\x00\x02\xff\xfe"),
        ("a topic with a wildcard", b"\x30\x12\x00\x0fconsult/1/req/#\x00"),
        ("a topic longer than its packet", b"\x30\x04\xff\xffab"),
        ("an empty subscription", b"\x82\x02\x00\x01"),
        ("the release of what was never sent", b"\x62\x02\x00\x07"),
        ("the acknowledgement of what was never received", b"\x40\x02\x00\x07"),
        ("a second CONNECT, as another", b"\x10\x12\x00\x04MQTT\x04\x02\x00\x3c\x00\x06victim"),
        ("a broker's packet", b"\x20\x02\x00\x00"),
        ("another protocol", b"GET / HTTP/1.1\r\nHost: box\r\n\r\n"),
        ("half a packet", b"\x30\x20\x00\x10consult"),
    ];
    for (door, version, (what, bytes)) in matrix(packets) {
        let mut t1 = stage.village.enter(door, &stage.paper("t1"), hello(version));
        t1.wire.raw(bytes);
        stage.all_is_well(&format!("{what}, MQTT {version} by {door:?}"));
    }
}

#[test]
fn properties_lead_nowhere_but_home() {
    let mut stage = Stage::new(Village::new());
    let topics =
        ["consult/1/res/victim", "consult/1/req/victim", "consult/1/box/status", "consult/1/res/t1", "elsewhere"];
    for door in [Door::Mqtt, Door::WebSocket] {
        for response_topic in topics {
            let row = format!("an answer wanted on {response_topic} by {door:?}");
            let mut t1 = stage.village.enter(door, &stage.paper("t1"), hello(V5));
            t1.subscribe("consult/1/res/t1");
            let (payload, id) = payloads("");
            let properties = properties(response_topic);
            let fate = t1.publish(Message {
                topic: "consult/1/req/t1",
                payload: payload.as_bytes(),
                properties: &properties,
                ..Message::default()
            });
            assert_eq!(fate, Fate::Taken, "{row}");
            let mut home = Vec::new();
            wait_until(&row, || {
                home.extend(t1.heard());
                home.iter().any(|(topic, bytes)| {
                    topic == "consult/1/res/t1" && ["answer", "error"].iter().any(|kind| parse(bytes)["type"] == *kind)
                })
            });
            let came = stage.all_is_well(&row);
            let strayed: Vec<_> =
                came.iter().filter(|(topic, text)| text.contains(&id) && !topic.ends_with("/t1")).collect();
            assert!(strayed.is_empty(), "{row}: {strayed:?}");
        }
        // Another name for a topic, given and used at once.
        for (topic, what) in [("consult/1/req/t1", "an alias given"), ("", "an alias used that was never given")] {
            let mut t1 = stage.village.enter(door, &stage.paper("t1"), hello(V5));
            let (payload, id) = payloads("");
            let fate = t1.publish(Message {
                topic,
                payload: payload.as_bytes(),
                properties: &topic_alias(1),
                ..Message::default()
            });
            assert_eq!(fate, Fate::PutOut, "{what}");
            stage.nothing_came_of(what, &id);
        }
    }
}

#[test]
fn qos_2_is_not_let_in_and_does_not_reach_the_daemon_as_such() {
    let mut stage = Stage::new(Village::new());
    for (door, version) in WAYS {
        let row = format!("QoS 2, MQTT {version} by {door:?}");
        let mut t1 = stage.village.enter(door, &stage.paper("t1"), hello(version));
        let (payload, id) = payloads("");
        let fate = t1.publish(Message {
            topic: "consult/1/req/t1",
            payload: payload.as_bytes(),
            qos: 2,
            ..Message::default()
        });
        assert_eq!(fate, Fate::PutOut, "{row}");
        stage.nothing_came_of(&row, &id);
        // To ask for it in a subscription is to get less.
        let mut t1 = stage.village.enter(door, &stage.paper("t1"), hello(version));
        t1.wire.subscribe("consult/1/res/t1", 2);
        t1.consult();
    }
    // On the box's own socket it is let in. The daemon has subscribed at QoS 1 and gets it at QoS 1, so it never meets
    // the repeated PUBREL at which its library would fail for ever.
    let mut local = stage.village.on_the_socket("local");
    local.subscribe("consult/1/res/local");
    for _ in 0..3 {
        let request = consult("咳嗽");
        let text = request.to_string();
        let id = local.wire.publish(Message {
            topic: "consult/1/req/local",
            payload: text.as_bytes(),
            qos: 2,
            ..Message::default()
        });
        assert_eq!(local.acknowledged(), PUBREC);
        for _ in 0..3 {
            local.wire.release(id);
            assert_eq!(local.acknowledged(), PUBCOMP);
        }
        local.expect("answer", &request);
        stage.all_is_well("QoS 2 on the socket");
    }
}

/// The broker keeps 256 messages for the daemon and drops what is over; the daemon takes `limits.tablet_max` cases of one
/// tablet and is busy for its rest. So another tablet that repeats its request gets a place: shares help against a full
/// queue of the daemon's, repetition against one of the broker's.
#[test]
fn a_flood_from_one_tablet_does_not_keep_another_from_its_answer() {
    let village =
        Village::with(Provisions { script: "{ delay_ms_per_section = 10 }", ..Provisions::default() }, |_| vec![]);
    let mut victim = village.tablet("victim");
    let mut t1 = village.tablet("t1");
    let flood: Vec<Value> = (0..2000).map(|_| consult("咳嗽")).collect();
    std::thread::scope(|scope| {
        let flooding = scope.spawn(|| {
            for requests in flood.chunks(20) {
                for request in requests {
                    let text = request.to_string();
                    t1.wire.publish(Message {
                        topic: "consult/1/req/t1",
                        payload: text.as_bytes(),
                        ..Message::default()
                    });
                }
                t1.heard(); // who does not read is sent 20 messages and no more
            }
        });
        answered_in_the_end(&mut victim, &consult("咳嗽"));
        flooding.join().expect("the flood ends");
    });
    for request in (0..100).map(|_| consult("咳嗽")) {
        t1.ask(&request);
    }
    t1.is_told("busy"); // as it was before: it was a flood
    assert!(t1.is_in());
    village.tablet("calm").consult();
    assert_eq!(village.daemon_connections(), 1);
}

#[test]
fn connections_that_say_nothing_keep_neither_the_daemon_nor_who_is_in_from_talking() {
    let mut stage = Stage::new(Village::new());
    // Every other one stops in the middle of its handshake.
    let knock = |village: &Village, door: Door, many: usize| -> Vec<TcpStream> {
        let mut knocking: Vec<_> =
            (0..many).map(|_| TcpStream::connect(("127.0.0.1", village.port(door))).expect("a listener")).collect();
        for half in knocking.iter_mut().step_by(2) {
            let _ = half.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"); // refused when the house is full
        }
        knocking
    };
    let few = [Door::Mqtt, Door::WebSocket].map(|door| knock(&stage.village, door, 30));
    WAYS.iter().for_each(|(door, version)| drop(stage.village.enter(*door, &stage.paper("t1"), hello(*version))));
    stage.all_is_well("30 at each door");
    drop(few);

    let many = knock(&stage.village, Door::Mqtt, 300);
    stage.all_is_well("300 at the tablets' door");
    let files = stage.village.broker_files();
    // 64 are let stand, beside the broker's own files and those of the few that it has not yet seen go.
    assert!(files < 150, "the broker holds {files} files");
    let more = knock(&stage.village, Door::WebSocket, 300);
    drop(stage.village.on_the_socket("a technician"));
    stage.all_is_well("300 at the browsers' door, too");
    drop((many, more));
    let paper = stage.paper("t1");
    wait_until("the door opens again", || stage.village.try_enter(Door::Mqtt, Some(&paper), hello(V5)).is_ok());

    // One certificate is one connection, however often it comes.
    for door in [Door::Mqtt, Door::WebSocket] {
        let _all: Vec<Guest> = (0..20).map(|_| stage.village.enter(door, &paper, hello(V5))).collect();
        wait_until("the former ones have ended", || stage.village.broker_files() < 30);
        stage.all_is_well("one certificate twenty times");
    }
}
