//! What a tablet with MQTT 5 may ask for its replies: a topic of its own branch, and its mark on each.

mod common;

use common::*;
use rumqttc::v5::mqttbytes::v5::{Publish, PublishProperties};
use serde_json::{Value, json};

fn wants(response_topic: Option<&str>, mark: &str) -> PublishProperties {
    PublishProperties {
        response_topic: response_topic.map(str::to_owned),
        correlation_data: Some(mark.as_bytes().to_vec().into()),
        ..PublishProperties::default()
    }
}

/// Where it came to, with which mark, and what it is.
fn read(publish: &Publish) -> (String, Option<String>, Value) {
    let correlation = publish.properties.as_ref().and_then(|p| p.correlation_data.as_ref());
    (
        String::from_utf8(publish.topic.to_vec()).expect("a topic"),
        correlation.map(|mark| String::from_utf8(mark.to_vec()).expect("our mark")),
        parse(&publish.payload),
    )
}

/// Up to the first message of this type.
fn until(tablet: &Tablet, kind: &str) -> Vec<(String, Option<String>, Value)> {
    let mut heard = Vec::new();
    loop {
        heard.push(read(&tablet.next_publish(PATIENCE).unwrap_or_else(|| panic!("no {kind} after {heard:?}"))));
        if heard.last().is_some_and(|(.., message)| message["type"] == kind) {
            return heard;
        }
    }
}

#[test]
fn replies_bear_the_mark_of_their_request_and_go_where_it_says() {
    let clinic = Clinic::scripted("{}", "");
    drop(clinic.ready());
    let tablet = Tablet::listen(&clinic, "t1", "consult/1/res/#");
    let (first, second) = (consult("咳嗽"), consult("胸痛"));
    tablet.send_with(wants(Some("consult/1/res/t1/ward"), "first"), "req", first.to_string().as_bytes());
    let heard = until(&tablet, "answer");
    for (topic, mark, message) in &heard {
        assert_eq!((topic.as_str(), mark.as_deref()), ("consult/1/res/t1/ward", Some("first")), "{message}");
        assert_eq!(message["id"], first["id"]);
    }
    assert!(heard.len() > 2, "{heard:?}");
    tablet.receipt(&first);

    // Another's branch and the box's own: the mark is kept, the topic is not.
    for elsewhere in ["consult/1/res/t2", "consult/1/res/t2/ward", "consult/1/box/status", "consult/1/res/t1/+"] {
        let request = consult("咳嗽");
        tablet.send_with(wants(Some(elsewhere), "second"), "req", request.to_string().as_bytes());
        for (topic, mark, _) in until(&tablet, "answer") {
            assert_eq!((topic.as_str(), mark.as_deref()), ("consult/1/res/t1", Some("second")), "{elsewhere}");
        }
        tablet.receipt(&request);
    }

    // Without properties, as ever.
    tablet.ask(&second);
    for (topic, mark, _) in until(&tablet, "answer") {
        assert_eq!((topic.as_str(), mark), ("consult/1/res/t1", None));
    }
    // What is stored comes again with the mark of who asks for it again.
    let resend = json!({"v":1,"type":"resend","id":second["id"]});
    tablet.send_with(wants(None, "again"), "req", resend.to_string().as_bytes());
    for (topic, mark, message) in until(&tablet, "answer") {
        assert_eq!((topic.as_str(), mark.as_deref()), ("consult/1/res/t1", Some("again")), "{message}");
    }
}

/// The one case in which the tablet has nothing else to know it by.
#[test]
fn an_error_without_an_id_bears_the_mark_of_its_message() {
    let clinic = Clinic::scripted("{}", "");
    drop(clinic.ready());
    let tablet = Tablet::new(&clinic, "t1");
    let marks: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    for mark in &marks {
        tablet.send_with(wants(None, mark), "req", b"{");
    }
    tablet.send(b"{");
    let told: Vec<_> = std::iter::repeat_with(|| read(&tablet.next_publish(PATIENCE).expect("an error")))
        .take(marks.len() + 1)
        .map(|(_, mark, message)| {
            assert_eq!(message["code"], "bad_json");
            mark
        })
        .collect();
    assert_eq!(told, marks.into_iter().map(Some).chain([None]).collect::<Vec<_>>());
}
