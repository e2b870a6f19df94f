//! One training sample: a case in the request's own shape, and the form as it should be filled.

use crate::{
    bounded::{Code, Text},
    case::{Case, Complaint},
    ids::{Department, Lang},
    limits::{self, COMPLAINT_CHARS_MAX},
    reply::Section,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// As it stands in a line of JSON: a case in the request's own shape or, where nobody filled one in, free text as `prompt`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Sample {
    pub id: String,
    pub department: Department,
    pub lang: Lang,
    /// Of a `prompt` there is the complaint alone, which is how the box would be told of it.
    pub case: Case,
    pub completion: Completion,
    /// What the doctor changed into `completion`: the other half of a before/after pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Completion>,
    pub review: SampleReview,
    pub source: String,
    pub license: String,
    /// Free of anything that identifies a patient.
    pub deid: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: String,
    department: Department,
    lang: Lang,
    case: Option<Case>,
    prompt: Option<Text<COMPLAINT_CHARS_MAX>>,
    completion: Completion,
    rejected: Option<Completion>,
    review: SampleReview,
    source: String,
    license: String,
    deid: bool,
}

impl TryFrom<Written> for Sample {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, &'static str> {
        let Written { id, department, lang, case, prompt, completion, rejected, review, source, license, deid } =
            written;
        let case = match (case, prompt) {
            (Some(case), None) => case,
            (None, Some(text)) => Case { complaint: Complaint { text, duration: None }, ..Case::default() },
            (Some(_), Some(_)) => return Err("both `case` and `prompt`: one of them is the question"),
            (None, None) => return Err("neither `case` nor `prompt`: there is no question"),
        };
        Ok(Self { id, department, lang, case, completion, rejected, review, source, license, deid })
    }
}

/// A sample of another task than the consultation: free text in, a form's lines out. Which sections there are, and what
/// stands before them, is the task's form (`adapters/README.md`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSample {
    pub id: String,
    pub task: Code<{ limits::DEPARTMENT_BYTES_MAX }>,
    pub lang: Lang,
    pub prompt: Text<COMPLAINT_CHARS_MAX>,
    /// Lines by the key of their section.
    pub completion: BTreeMap<String, Vec<String>>,
    pub review: SampleReview,
    pub source: String,
    pub license: String,
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sample(question: serde_json::Value) -> Result<Sample, String> {
        let lines = json!({"causes": ["a：b"], "exclusions": ["c：d；e"], "checks": ["无"], "cautions": ["无"], "missing": ["无"]});
        let mut line = json!({"id": "1", "department": "internal", "lang": "zh", "completion": lines, "source": "s",
            "review": {"by": null, "at": null, "verdict": "unreviewed"}, "license": "l", "deid": true});
        line.as_object_mut().expect("an object").extend(question.as_object().expect("an object").clone());
        serde_json::from_str(&line.to_string()).map_err(|e| e.to_string())
    }

    #[test]
    fn free_text_is_a_case_of_its_complaint() {
        let told = sample(json!({"prompt": "头痛三天"})).expect("a sample");
        assert_eq!(told, sample(json!({"case": {"complaint": {"text": "头痛三天"}}})).expect("a sample"));
        let again: Sample = serde_json::from_str(&serde_json::to_string(&told).expect("JSON")).expect("a sample");
        assert_eq!(again, told);
    }

    #[test]
    fn there_is_one_question() {
        assert!(sample(json!({})).expect_err("none").contains("neither"));
        assert!(
            sample(json!({"prompt": "a", "case": {"complaint": {"text": "a"}}})).expect_err("two").contains("both")
        );
        assert!(sample(json!({"prompt": "a", "rating": 5})).expect_err("unknown").contains("rating"));
    }
}
