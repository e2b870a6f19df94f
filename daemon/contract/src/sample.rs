//! One training sample: a case in the request's own shape, and the form as it should be filled.

use crate::{
    case::Case,
    ids::{Department, Lang},
    reply::Section,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    pub id: String,
    pub department: Department,
    pub lang: Lang,
    pub case: Case,
    pub completion: Completion,
    pub review: SampleReview,
    pub source: String,
    pub license: String,
    /// Free of anything that identifies a patient.
    pub deid: bool,
}

/// The form's sections, each a list of lines as the model should write them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Completion {
    pub causes: Vec<String>,
    pub exclusions: Vec<String>,
    pub checks: Vec<String>,
    pub cautions: Vec<String>,
    pub missing: Vec<String>,
}

impl Completion {
    pub fn lines(&self, section: Section) -> &[String] {
        match section {
            Section::PossibleCauses => &self.causes,
            Section::CannotExclude => &self.exclusions,
            Section::SuggestedChecks => &self.checks,
            Section::MedicationCautions => &self.cautions,
            Section::MissingInformation => &self.missing,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleReview {
    pub by: Option<String>,
    pub at: Option<String>,
    pub verdict: SampleVerdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleVerdict {
    Unreviewed,
    Accepted,
    Edited,
    Rejected,
}
