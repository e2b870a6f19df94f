//! The AsyncAPI 3 document: who says which message on which topic. Made from [`crate::topic`] and [`crate::schema`];
//! `cargo run -p contract --example schemas` writes it to `daemon/contract/asyncapi.json`, and a test fails when the
//! types change and the file does not.
//!
//! ```text
//! channel (topic) ◀── operation of the box: receive or send, QoS, retain, where the replies come
//!    └─ message ──▶ schema/<message>.json      examples ──▶ golden/<message>[.<variant>].json
//! ```
//! It describes the box: what it receives is what a tablet sends.

use crate::{ids::DEPARTMENTS, limits::*, schema, topic};
use serde_json::{Map, Value, json};

/// One topic, as the document names it.
struct Channel {
    name: &'static str,
    /// As in [`topic`], with a `+` where a name stands.
    topic: &'static str,
    /// Whose name that is; none on the box's own topics.
    named: Option<&'static str>,
    about: &'static str,
    messages: &'static [&'static str],
}

const CHANNELS: [Channel; 8] = [
    Channel {
        name: "req",
        topic: topic::REQUESTS,
        named: Some("tablet"),
        about: "Cases, and what becomes of them.",
        messages: &["consult", "cancel", "resend"],
    },
    Channel {
        name: "res",
        topic: topic::RESPONSES,
        named: Some("tablet"),
        about: "All that the box says to one tablet. An admin has such a topic too, under the admin's own name.",
        messages: &["accepted", "alert", "progress", "answer", "error", "reviewed", "report"],
    },
    Channel {
        name: "receipt",
        topic: topic::RECEIPTS,
        named: Some("tablet"),
        about: "The tablet has stored the answer.",
        messages: &["receipt"],
    },
    Channel {
        name: "review",
        topic: topic::REVIEWS,
        named: Some("tablet"),
        about: "The doctor's verdict on an answer.",
        messages: &["review"],
    },
    Channel {
        name: "admin",
        topic: topic::ADMINS,
        named: Some("admin"),
        about: "Orders of whoever looks after the box: only names that its settings list as box.admins.",
        messages: &["admin"],
    },
    Channel {
        name: "status",
        topic: topic::BOX_STATUS,
        named: None,
        about: "How the box is. Retained, and left with the broker as the box's will, whose state is offline.",
        messages: &["status"],
    },
    Channel { name: "info", topic: topic::BOX_INFO, named: None, about: "What the box is.", messages: &["info"] },
    Channel {
        name: "load",
        topic: topic::BOX_LOAD,
        named: None,
        about: "How much there is to do. A hint, and so at most once.",
        messages: &["load"],
    },
];

/// What the box does on a channel.
struct Operation {
    name: &'static str,
    does: Does,
    channel: &'static str,
    messages: &'static [&'static str],
    qos: u8,
    retain: bool,
}

enum Does {
    Send,
    /// What comes back on the sender's `res`.
    Receive(&'static [&'static str]),
}
use Does::{Receive, Send};

#[rustfmt::skip] // a table
const OPERATIONS: [Operation; 11] = [
    Operation { name: "takeConsult", does: Receive(&["accepted", "alert", "progress", "answer", "error"]),
        channel: "req", messages: &["consult"], qos: 1, retain: false },
    Operation { name: "takeCancel", does: Receive(&["accepted", "alert", "answer", "error"]),
        channel: "req", messages: &["cancel"], qos: 1, retain: false },
    Operation { name: "takeResend", does: Receive(&["accepted", "alert", "answer", "error"]),
        channel: "req", messages: &["resend"], qos: 1, retain: false },
    Operation { name: "takeReceipt", does: Receive(&["error"]),
        channel: "receipt", messages: &["receipt"], qos: 1, retain: false },
    Operation { name: "takeReview", does: Receive(&["reviewed", "error"]),
        channel: "review", messages: &["review"], qos: 1, retain: false },
    Operation { name: "obeyAdmin", does: Receive(&["report", "error"]),
        channel: "admin", messages: &["admin"], qos: 1, retain: false },
    Operation { name: "sayToTablet", does: Send, channel: "res", qos: 1, retain: false,
        messages: &["accepted", "alert", "progress", "answer", "error", "reviewed"] },
    Operation { name: "sayToAdmin", does: Send, channel: "res", messages: &["report", "error"], qos: 1, retain: false },
    Operation { name: "sayStatus", does: Send, channel: "status", messages: &["status"], qos: 1, retain: true },
    Operation { name: "sayInfo", does: Send, channel: "info", messages: &["info"], qos: 1, retain: true },
    Operation { name: "sayLoad", does: Send, channel: "load", messages: &["load"], qos: 0, retain: true },
];

/// The document. `goldens`: names of the golden files, without `.json`; each is an example of its message.
pub fn document<'a>(goldens: impl IntoIterator<Item = &'a str> + Clone) -> Value {
    let schemas = schema::all();
    let travelling = schemas.iter().filter(|(name, _)| CHANNELS.iter().any(|channel| channel.messages.contains(name)));
    let messages = travelling.map(|(name, schema)| ((*name).to_owned(), message(name, schema, goldens.clone())));
    json!({
        "asyncapi": "3.0.0",
        "id": format!("urn:consultd:contract:{}", crate::VERSION),
        "info": info(),
        "defaultContentType": "application/json",
        "servers": servers(),
        "channels": object(CHANNELS.iter().map(|it| (it.name, it.described()))),
        "operations": object(OPERATIONS.iter().map(|it| (it.name, it.described()))),
        "components": {
            "messages": messages.collect::<Map<_, _>>(),
            "parameters": { "tablet": parameter("tablet"), "admin": parameter("admin") },
            "securitySchemes": { "certificate": {
                "type": "X509",
                "description": "A client certificate for each tablet; its common name is the name in the tablet's topics.",
            }},
        },
    })
}

fn info() -> Value {
    let departments: Vec<_> = DEPARTMENTS.iter().map(|(code, _)| *code).collect();
    json!({
        "title": "consultd: the contract between tablets and the box",
        "version": format!("{}.0.0", crate::VERSION),
        "description": format!(
            "Second opinions for village doctors. How a tablet should behave stands in README.md beside this file. A \
             message is at most {MESSAGE_BYTES_MAX} bytes of JSON and nests at most {JSON_DEPTH_MAX} deep. The major \
             version stands in each topic and in `v`; inside it only fields and words are added, so readers pass over \
             what they do not know. The payloads are JSON Schemas of draft 2020-12. Departments: {}.",
            departments.join(", ")
        ),
        "license": { "name": "MIT OR Apache-2.0" },
    })
}

/// Where tablets come in. The box itself reaches its broker over a Unix socket, which is nobody else's matter.
fn servers() -> Value {
    let security = json!([{ "$ref": "#/components/securitySchemes/certificate" }]);
    let host = json!({ "box": { "description": "The box's name or address in the clinic's network.", "default": "consultd.local" }});
    json!({
        "tls": {
            "host": "{box}:8883", "protocol": "secure-mqtt", "protocolVersion": "3.1.1", "variables": host,
            "security": security, "bindings": session(),
            "description": "MQTT over TLS. MQTT 5 is served as well; nothing essential stands in its properties.",
        },
        "websocket": {
            "host": "{box}:8884", "protocol": "wss", "protocolVersion": "3.1.1", "variables": host,
            "security": security, "bindings": session(),
            "description": "The same over WebSockets with TLS, for browsers.",
        },
    })
}

/// How a tablet should connect: the broker keeps for it what is said while it is away.
fn session() -> Value {
    json!({ "mqtt": { "cleanSession": false, "bindingVersion": BINDING_VERSION } })
}

const BINDING_VERSION: &str = "0.2.0";

impl Channel {
    fn address(&self) -> String {
        match self.named {
            Some(named) => self.topic.replace('+', &format!("{{{named}}}")),
            None => self.topic.to_owned(),
        }
    }

    fn described(&self) -> Value {
        let messages = self.messages.iter().map(|name| (*name, reference("components/messages", name)));
        let parameters = self.named.map(|named| (named, reference("components/parameters", named)));
        let mut channel = json!({ "address": self.address(), "description": self.about, "messages": object(messages) });
        if parameters.is_some() {
            channel["parameters"] = object(parameters);
        }
        channel
    }
}

impl Operation {
    fn described(&self) -> Value {
        let action = match self.does {
            Send => "send",
            Receive(_) => "receive",
        };
        let mut operation = json!({
            "action": action,
            "channel": reference("channels", self.channel),
            "messages": on_channel(self.channel, self.messages),
            "bindings": { "mqtt": { "qos": self.qos, "retain": self.retain, "bindingVersion": BINDING_VERSION } },
        });
        if let Receive(replies) = self.does {
            operation["reply"] =
                json!({ "channel": reference("channels", "res"), "messages": on_channel("res", replies) });
        }
        operation
    }
}

fn message<'a>(name: &str, schema: &Value, goldens: impl IntoIterator<Item = &'a str>) -> Value {
    let own = |golden: &&str| golden.split('.').next() == Some(name);
    let example = |golden: &str| json!({ "name": golden, "payload": { "$ref": format!("golden/{golden}.json") } });
    let mut message = json!({
        "name": name,
        "title": schema["title"],
        "description": schema["description"],
        "contentType": "application/json",
        "payload": { "$ref": format!("schema/{name}.json") },
        "examples": goldens.into_iter().filter(own).map(example).collect::<Vec<_>>(),
    });
    if schema["properties"].get("id").is_some() {
        let about = "The consultation's UUID, which makes each message idempotent; of an order its own.";
        message["correlationId"] = json!({ "location": "$message.payload#/id", "description": about });
    }
    message
}

fn parameter(whose: &str) -> Value {
    json!({
        "description": format!(
            "The {whose}'s name: letters, digits, `_`, `-`, `.`; at most {ID_BYTES_MAX}. Nothing about a patient ever is in a topic."
        ),
        "examples": [if whose == "admin" { "county-it" } else { "clinic-7" }],
    })
}

fn on_channel(channel: &str, messages: &[&str]) -> Value {
    messages.iter().map(|name| reference(&format!("channels/{channel}/messages"), name)).collect()
}

fn reference(place: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/{place}/{name}") })
}

fn object<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
