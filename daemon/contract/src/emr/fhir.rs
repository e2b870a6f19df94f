//! A FHIR R4 (4.0.1) Bundle of type `collection`: everything that an answer says, to be read and not to be executed.
//!
//! ```text
//! Bundle urn:uuid:<the answer's id>
//!  ├─ GuidanceResponse     that there is an answer, how far it goes, triage, what is still to ask, what went wrong
//!  ├─ ClinicalImpression   cannot exclude, possible causes; in-progress while the review is a draft
//!  ├─ DetectedIssue        each red flag, then each medication caution; preliminary
//!  ├─ ServiceRequest       each suggested check; a draft of a proposal, never an order
//!  └─ Provenance           of all of the above: box, base model, adapter, rule set, seal
//! ```
//! The patient and the box are logical references: an answer knows no patient, and the EMR registers its own devices.

mod element;
mod guidance;
mod impression;
mod issue;
mod provenance;
mod request;

use super::{instant::instant, own, text, uuid, words};
use crate::answer::{AiLabel, Answer, Disclaimer};
use element::{prune, resource};
use serde_json::{Value, json};

/// The Bundle. Nothing in it is empty or null, as FHIR wants it.
pub fn bundle(answer: &Answer) -> Value {
    let entries: Vec<(String, Value)> = [guidance::entry(answer), impression::entry(answer)]
        .into_iter()
        .chain(issue::entries(answer))
        .chain(request::entries(answer))
        .collect();
    let provenance = provenance::entry(answer, entries.iter().map(|(part, _)| part.as_str()));
    let entry = |(part, resource): (String, Value)| json!({"fullUrl": url(answer, &part), "resource": resource});
    prune(json!({
        "resourceType": "Bundle",
        "meta": element::meta(answer),
        "identifier": consultation(answer),
        "type": "collection",
        "timestamp": instant(answer.provenance.at_unix_s),
        "entry": entries.into_iter().chain([provenance]).map(entry).collect::<Vec<_>>(),
    }))
}

fn url(answer: &Answer, part: &str) -> String {
    format!("urn:uuid:{}", uuid(answer, part))
}

/// Of another part of the same bundle.
fn refer(answer: &Answer, part: &str) -> Value {
    json!({"reference": url(answer, part)})
}

fn consultation(answer: &Answer) -> Value {
    json!({"system": "urn:ietf:rfc:3986", "value": format!("urn:uuid:{}", answer.id)})
}

/// For the EMR to replace.
fn subject(answer: &Answer) -> Value {
    json!({
        "type": "Patient",
        "identifier": consultation(answer),
        "display": words::say(answer.lang, words::PATIENT),
    })
}

fn device(answer: &Answer) -> Value {
    let made_by = &answer.provenance;
    json!({
        "type": "Device",
        "identifier": {"system": own("box"), "value": element::string(&made_by.box_name)},
        "display": element::string(&format!("consultd {}", made_by.daemon)),
    })
}

/// Annotations in both languages, for resources that have a place for them.
fn notes() -> Value {
    json!([
        {"text": format!("{}。{}", AiLabel::ZH, Disclaimer::ZH)},
        {"text": format!("{}. {}", AiLabel::EN, Disclaimer::EN)},
    ])
}
