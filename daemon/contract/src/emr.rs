//! An answer as other systems read it: FHIR R4 resources, or CDS Hooks cards. Both are functions of the answer alone,
//! so the same answer gives the same bytes, and its parts the same names (UUIDs of version 5 below the answer's id).
//!
//! ```text
//!            ┌─ fhir::bundle ─▶ Bundle: GuidanceResponse, ClinicalImpression, DetectedIssue…, ServiceRequest…, Provenance
//!  Answer ───┤
//!            └─ cds::cards ───▶ {"cards": […]}: red flags, cannot exclude, cautions, missing information, opinion
//! ```
//! Neither holds anything that an answer does not: no patient, no dose, no order. What goes where, what is renamed and
//! what is lost stands in the README of this crate; `tests/emr.rs` looks for every text of an answer in both.

pub mod cds;
pub mod fhir;
mod instant;
mod text;
mod words;

use crate::{
    answer::Answer,
    reply::ErrorCode,
    request::{Envelope, Refusal},
};
use uuid::Uuid;

/// Reads one answer as the box sent it. What it refuses it does not quote: it may be clinical.
pub fn read(bytes: &[u8]) -> Result<Answer, Refusal> {
    let envelope = Envelope::open(bytes)?;
    match envelope.kind.as_str() {
        "answer" => envelope.read(),
        _ => Err(Refusal::new(ErrorCode::BadField, "a message, but no answer: its type is not `answer`").at("/type")),
    }
}

/// What is ours and has no name in any standard: code systems, extensions and kinds of cards.
fn own(name: &str) -> String {
    format!("urn:consultd:emr:1:{name}")
}

/// The name of a part of this answer's mapping, such as `red_flag/0`.
fn uuid(answer: &Answer, part: &str) -> Uuid {
    Uuid::new_v5(&answer.id.0, part.as_bytes())
}
