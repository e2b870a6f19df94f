//! JSON Schemas of all messages, generated from the types. `cargo run -p contract --example schemas` writes them
//! to `daemon/contract/schema/`; a test fails when the types change and the files do not.

use crate::{manifest, reply, request, status};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

/// (file name without ending, schema) of every message and stored document.
pub fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("consult", of::<request::Consult>()),
        ("resend", of::<request::Resend>()),
        ("receipt", of::<request::Receipt>()),
        ("accepted", of::<reply::Accepted>()),
        ("alert", of::<reply::Alert>()),
        ("progress", of::<reply::Progress>()),
        ("answer", of::<crate::answer::Answer>()),
        ("error", of::<reply::ErrorReply>()),
        ("status", of::<status::BoxStatus>()),
        ("adapter-manifest", of::<manifest::AdapterManifest>()),
    ]
}

fn of<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value()
}
