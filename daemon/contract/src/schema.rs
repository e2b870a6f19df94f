//! JSON Schemas of all messages, generated from the types. `cargo run -p contract --example schemas` writes them
//! to `daemon/contract/schema/`; a test fails when the types change and the files do not.

use crate::{admin, answer, info, load, manifest, reply, request, review, status};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// (file name without ending, schema) of every message and stored document.
pub fn all() -> Vec<(&'static str, Value)> {
    vec![
        of::<request::Consult>("consult", "Tablet to box, on consult/1/req/<tablet>."),
        of::<request::Cancel>("cancel", "Tablet to box, on consult/1/req/<tablet>."),
        of::<request::Resend>("resend", "Tablet to box, on consult/1/req/<tablet>."),
        of::<request::Receipt>("receipt", "Tablet to box, on consult/1/receipt/<tablet>."),
        of::<review::Review>("review", "Tablet to box, on consult/1/review/<tablet>. The doctor's verdict."),
        of::<admin::Admin>("admin", "Admin to box, on consult/1/admin/<admin>."),
        of::<reply::Accepted>("accepted", "Box to tablet, on consult/1/res/<tablet>."),
        of::<reply::Alert>("alert", "Box to tablet, on consult/1/res/<tablet>."),
        of::<reply::Progress>("progress", "Box to tablet, on consult/1/res/<tablet>."),
        of::<answer::Answer>("answer", "Box to tablet, on consult/1/res/<tablet>. The second opinion, and its end."),
        of::<reply::ErrorReply>("error", "Box to tablet, on consult/1/res/<tablet>. Why a message was not taken."),
        of::<review::Reviewed>("reviewed", "Box to tablet, on consult/1/res/<tablet>. A review is stored."),
        of::<admin::Report>("report", "Box to admin, on consult/1/res/<admin>. What was asked for is done, or is so."),
        of::<status::BoxStatus>("status", "Box to all, retained, on consult/1/box/status. How the box is."),
        of::<info::BoxInfo>("info", "Box to all, retained, on consult/1/box/info. What the box is."),
        of::<load::BoxLoad>("load", "Box to all, retained, QoS 0, on consult/1/box/load. How much there is to do."),
        of::<manifest::AdapterManifest>("adapter-manifest", "manifest.json beside an adapter. What it is."),
    ]
}

/// The type's schema under our name; where it travels comes before what the type says of itself.
fn of<T: JsonSchema>(name: &'static str, travels: &str) -> (&'static str, Value) {
    let mut body = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    let about = body.remove("description").and_then(|text| Some(format!("{travels} {}", text.as_str()?)));
    let head = [
        ("$schema", body.remove("$schema").expect("the settings name a draft")),
        ("$id", json!(format!("urn:consultd:contract:{}:{name}", crate::VERSION))),
        ("title", body.remove("title").expect("schemars titles a root by its type")),
        ("description", json!(about.as_deref().unwrap_or(travels))),
    ];
    let rest = std::mem::take(body.ensure_object());
    let schema: Map<_, _> = head.into_iter().map(|(key, value)| (key.to_owned(), value)).chain(rest).collect();
    (name, Value::Object(schema))
}
