//! Messages as bytes. Each is serialised once and stored; what is sent later is that, byte for byte.

use contract::{
    answer::{AiLabel, Caution, Disclaimer, Line, RedFlag},
    ids::RequestId,
    reply::{Accepted, Alert, ErrorCode, ErrorReply, Progress, Section},
    review::{Review, Reviewed},
    words::*,
};
use serde::Serialize;

pub(crate) fn bytes(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).expect("messages hold no maps with odd keys and no failing serialisers")
}

pub(crate) fn accepted(id: RequestId, ahead: usize, eta_s: Option<u32>) -> Vec<u8> {
    let queue = u32::try_from(ahead).unwrap_or(u32::MAX);
    bytes(&Accepted { v: V1, kind: AcceptedType::Word, id, queue, eta_s })
}

pub(crate) fn alert(
    id: RequestId,
    triage: Triage,
    red_flags: Vec<RedFlag>,
    medication_cautions: Vec<Caution>,
) -> Vec<u8> {
    bytes(&Alert { v: V1, kind: AlertType::Word, id, triage, red_flags, medication_cautions })
}

pub(crate) fn progress(id: RequestId, section: Section, lines: Vec<Line>, complete: bool) -> Vec<u8> {
    bytes(&Progress { v: V1, kind: ProgressType::Word, id, section, lines, complete })
}

pub(crate) fn error(code: ErrorCode, id: Option<RequestId>, retry_after_s: Option<u32>) -> Vec<u8> {
    bytes(&ErrorReply { retry_after_s, ..ErrorReply::new(code, id) })
}

/// What is said to a review, still without its seal.
pub(crate) fn reviewed(review: &Review, number: u32) -> Reviewed {
    Reviewed {
        v: V1,
        kind: ReviewedType::Word,
        id: review.id,
        number,
        clinician: review.clinician.clone(),
        verdict: review.verdict,
        patient_text: review.patient_text.clone(),
        disclaimer: Disclaimer,
        ai_label: AiLabel,
        audit: None,
        sig: None,
    }
}
