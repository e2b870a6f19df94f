//! One line that the box said, held against its schema, and read where it can be.

use contract::{ids::RequestId, reply::Reply, schema};
use jsonschema::Validator;
use serde_json::Value;
use std::collections::BTreeMap;

pub struct Message {
    /// Null where the line was no JSON.
    pub value: Value,
    /// Absent where its type cannot read it, which is then a fault of its form as well.
    pub reply: Option<Reply>,
    /// What is wrong with its form.
    pub fault: Option<String>,
}

/// The schema of each message that a box says to a tablet. A test of `contract` holds them equal to the files in
/// `daemon/contract/schema`.
pub struct Schemas(BTreeMap<&'static str, Validator>);

const SAID: [&str; 5] = ["accepted", "alert", "progress", "answer", "error"];

impl Schemas {
    pub fn all() -> Self {
        let said = schema::all().into_iter().filter(|(name, _)| SAID.contains(name));
        let compiled = said.map(|(name, schema)| {
            let validator = jsonschema::validator_for(&schema);
            (name, validator.expect("the contract's own tests hold that its schemas are valid"))
        });
        Self(compiled.collect())
    }

    /// The first thing that the schema of this message's `type` objects to, and where.
    fn fault(&self, message: &Value) -> Option<String> {
        let kind = message.get("type").and_then(Value::as_str).unwrap_or("");
        let Some(schema) = self.0.get(kind) else { return Some("no message of the contract".to_owned()) };
        // The place alone: the error's own text would quote what the message says.
        schema.validate(message).err().map(|fault| format!("{kind}: {}", place(&fault.instance_path().to_string())))
    }
}

fn place(pointer: &str) -> &str {
    if pointer.is_empty() { "/" } else { pointer }
}

impl Message {
    pub fn read(line: &str, schemas: &Schemas) -> Self {
        let Ok(value) = serde_json::from_str::<Value>(line) else {
            return Self { value: Value::Null, reply: None, fault: Some("no JSON".to_owned()) };
        };
        let reply = Reply::parse(line.as_bytes()).ok();
        let unread = || reply.is_none().then(|| "its type cannot read it".to_owned());
        let fault = schemas.fault(&value).or_else(unread);
        Self { value, reply, fault }
    }

    pub fn id(&self) -> Option<RequestId> {
        serde_json::from_value(self.value.get("id")?.clone()).ok()
    }

    pub fn is(&self, kind: &str) -> bool {
        self.value.get("type").and_then(Value::as_str) == Some(kind)
    }

    /// Nothing more will be said of this request.
    pub fn ends(&self) -> bool {
        self.is("answer") || self.is("error")
    }
}
