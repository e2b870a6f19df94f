//! The doctor's word on an answer. Nothing reaches a patient before it: `patient_text` comes into being here only.

use crate::{
    answer::{AiLabel, Audit, Disclaimer, Line, Lines},
    bounded::{Hex, Text},
    ids::RequestId,
    limits::*,
    reply::Section,
    words::*,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub type PatientText = Text<PATIENT_TEXT_CHARS_MAX>;

/// The doctor's verdict on an answer, of which there may be several: the last one counts, all are kept.
/// What is accepted or edited may become a training sample, without anything that identifies the patient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
// What `Review::contradiction` says.
#[schemars(extend("anyOf" = [
    {"properties": {"verdict": {"const": "accepted"}, "final": {"type": "null"}}},
    {"properties": {"verdict": {"const": "edited"}, "final": {"type": "object"}}, "required": ["final"]},
    {"properties": {"verdict": {"const": "rejected"}, "final": {"type": "null"}, "patient_text": {"type": "null"}}},
]))]
pub struct Review {
    pub v: V1,
    #[serde(rename = "type")]
    pub kind: ReviewType,
    /// The consultation's.
    pub id: RequestId,
    /// Who answers for it: an opaque reference of the clinic's own; never a name.
    #[schemars(extend("minLength" = 1))]
    pub clinician: Text<ID_BYTES_MAX>,
    pub verdict: Verdict,
    /// The text as the doctor lets it stand; with `edited` only.
    #[serde(default, rename = "final", skip_serializing_if = "Option::is_none")]
    pub final_text: Option<FinalText>,
    /// What the patient is told, in the doctor's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_text: Option<PatientText>,
    /// Why it was edited or rejected, for those who train.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Line>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it is.
    Accepted,
    /// As `final` says.
    Edited,
    /// Not at all.
    Rejected,
}

/// The form's sections, a line an entry: `name：reason`, or `name：reason；what to do`, as the model writes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FinalText {
    pub possible_causes: Lines<Line>,
    /// At least one: no second opinion is without it, whoever wrote it.
    #[schemars(extend("minItems" = 1))]
    pub cannot_exclude: Lines<Line>,
    #[serde(default)]
    pub suggested_checks: Lines<Line>,
    #[serde(default)]
    pub medication_cautions: Lines<Line>,
    #[serde(default)]
    pub missing_information: Lines<Line>,
}

impl FinalText {
    pub fn lines(&self, section: Section) -> &[Line] {
        match section {
            Section::PossibleCauses => &self.possible_causes,
            Section::CannotExclude => &self.cannot_exclude,
            Section::SuggestedChecks => &self.suggested_checks,
            Section::MedicationCautions => &self.medication_cautions,
            Section::MissingInformation => &self.missing_information,
        }
    }
}

impl Review {
    /// What does not go together: the pointer of the field at fault, and the reason.
    pub(crate) fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        if self.clinician.trim().is_empty() {
            return Some(("/clinician", "a review needs somebody who answers for it"));
        }
        match (self.verdict, &self.final_text) {
            (Verdict::Edited, None) => return Some(("/final", "an edited answer needs its final text")),
            (Verdict::Edited, Some(text)) if text.cannot_exclude.is_empty() => {
                return Some(("/final/cannot_exclude", "at least one entry"));
            }
            (Verdict::Accepted | Verdict::Rejected, Some(_)) => {
                return Some(("/final", "a final text goes with the verdict `edited` only"));
            }
            _ => {}
        }
        match (self.verdict, &self.patient_text) {
            (Verdict::Rejected, Some(_)) => Some(("/patient_text", "nothing of a rejected answer reaches the patient")),
            _ => None,
        }
    }
}

/// The review is on the box's disk. The same bytes again bring the same bytes again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reviewed {
    pub v: V1,
    #[serde(rename = "type")]
    pub kind: ReviewedType,
    pub id: RequestId,
    /// Which review of this consultation it is, from 1.
    pub number: u32,
    pub clinician: Text<ID_BYTES_MAX>,
    pub verdict: Verdict,
    /// As the doctor wrote it, but masked where it named somebody; to be shown with the two below.
    pub patient_text: Option<PatientText>,
    pub disclaimer: Disclaimer,
    pub ai_label: AiLabel,
    /// As in an answer, over the review's bytes as they are stored: `audit.hash` covers them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sig: Option<Hex<64>>,
}
