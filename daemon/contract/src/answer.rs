//! The second opinion. An [`Answer`] cannot be built without its mandatory parts: the disclaimer, the label,
//! at least one condition that cannot be excluded, and the provenance are types without an empty value.

use crate::{
    bounded::{Hex, List, Text, finite},
    ids::{Department, Lang, RequestId},
    limits::*,
    manifest::{Calibration, Covers},
    words::*,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub type Line = Text<LINE_CHARS_MAX>;
pub type Lines<T> = List<T, ANSWER_LINES_MAX>;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    pub v: V1,
    #[serde(rename = "type")]
    pub kind: AnswerType,
    pub id: RequestId,
    pub lang: Lang,
    /// The department that answered; for `auto` the one that the box chose.
    pub department: Department,
    pub triage: Triage,
    pub red_flags: Vec<RedFlag>,
    pub cannot_exclude: AtLeastOne<Exclusion>,
    pub possible_causes: List<Cause, CAUSES_MAX>,
    pub suggested_checks: Lines<Check>,
    pub medication_cautions: Lines<Caution>,
    pub missing_information: Lines<Question>,
    /// Diseases that the law wants reported, suspected because a rule named them. Whether to report is the physician's word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notifiable: Vec<Notifiable>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abstained: Option<Abstained>,
    pub uncertainty: Uncertainty,
    pub provenance: Provenance,
    pub disclaimer: Disclaimer,
    pub ai_label: AiLabel,
    pub review: Review,
    /// Nothing reaches a patient before a clinician has accepted it: always null in a draft.
    pub patient_text: Option<Line>,
    /// Its link in the box's chain; added when the answer is sealed, as is the signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
    /// Ed25519 over the words `consultd/1/answer ` and `audit.hash`'s 32 bytes, by the box's key (`box/info`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sig: Option<Hex<64>>,
}

/// A link of the chain over all answers and reviews of a box. How it is made stands in `decide/src/seal.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Audit {
    /// 1 for the first of the box.
    pub seq: u64,
    pub prev_hash: Hex<32>,
    pub hash: Hex<32>,
}

/// A list that cannot be empty.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct AtLeastOne<T>(Vec<T>);

impl<T> AtLeastOne<T> {
    pub fn new(first: T, rest: impl IntoIterator<Item = T>) -> Self {
        Self(std::iter::once(first).chain(rest).collect())
    }
    pub fn from_vec(entries: Vec<T>) -> Option<Self> {
        if entries.is_empty() { None } else { Some(Self(entries)) }
    }
}

impl<T> std::ops::Deref for AtLeastOne<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for AtLeastOne<T> {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::from_vec(Vec::deserialize(d)?).ok_or_else(|| serde::de::Error::custom("at least one entry"))
    }
}

impl<T: JsonSchema> JsonSchema for AtLeastOne<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("AtLeastOne{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "array", "minItems": 1, "items": generator.subschema_for::<T>()})
    }
}

/// A danger that a rule saw; the model has no part in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RedFlag {
    pub rule: String,
    pub title: Bilingual,
    pub must_not_miss: Vec<Disease>,
    pub checks: Vec<FlagCheck>,
    pub urgency: Urgency,
    pub source: String,
    /// What in the case made the rule fire: finding codes, vitals, or the words of the complaint.
    pub because: Vec<Line>,
}

/// A check that a rule asks for, and what it takes. (The first boxes say only the name.)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlagCheck {
    #[serde(flatten)]
    pub name: Bilingual,
    /// Whether a village clinic can usually make it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub here: Option<bool>,
    /// The code in `case.resources` without which it cannot be made here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Disease {
    pub name: Bilingual,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icd10: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    Rule,
    Model,
    /// The department's own standing exclusion: it holds in every case, and comes last. (The first boxes named it only
    /// where neither rule nor model named one.)
    Standing,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Exclusion {
    pub condition: Line,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icd10: Option<String>,
    pub because: Line,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_check: Option<Line>,
    pub urgency: Urgency,
    pub origin: Origin,
    /// The rule's id where `origin` is `rule`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    pub name: Line,
    pub band: Band,
    pub because: Line,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Band {
    Likely,
    Possible,
    MustNotMiss,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    pub what: Line,
    pub why: Line,
    pub origin: Origin,
    /// Where it can be made, by the clinic's own `resources`, or where those are unknown by what a village clinic
    /// usually has. Absent: not known.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    Here,
    Refer,
}

/// Never a dose, never a prescription: what to do about it is the physician's to decide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Caution {
    pub drug: Line,
    pub risk: Line,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Line>,
    pub origin: Origin,
    /// The rule's id where `origin` is `rule`, and with it the next three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub urgency: Option<CautionUrgency>,
    /// What in this case makes the drug a risk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<Line>,
    /// Of the risk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icd10: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CautionUrgency {
    /// To be weighed.
    Weigh,
    /// Not to be given before a physician has confirmed it.
    BlockAndConfirm,
}

/// Suspected, by rule; never a diagnosis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Notifiable {
    pub disease: Bilingual,
    pub class: NotifiableClass,
    /// The rule that named it.
    pub rule: String,
}

/// Classes of the Law of the People's Republic of China on the Prevention and Treatment of Infectious Diseases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotifiableClass {
    /// 甲类
    A,
    /// 乙类
    B,
    /// 丙类
    C,
    /// Not in the law's list; the health authority wants it reported as class B is.
    AsB,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Question {
    pub question: Line,
    pub why: Line,
    pub origin: Origin,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Abstained {
    pub reason: AbstainReason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AbstainReason {
    /// This box has no adapter for the department: only rules and standing exclusions are given.
    UnsupportedDepartment,
    /// The engine gave nothing that could be used: only rules and standing exclusions are given.
    NoModelOpinion,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Uncertainty {
    pub level: UncertaintyLevel,
    pub basis: UncertaintyBasis,
    /// Mean natural logarithm of the probability of the model's own tokens; absent without a model.
    #[serde(default, deserialize_with = "finite", skip_serializing_if = "Option::is_none")]
    pub mean_logprob: Option<f32>,
    /// The calibrated probability that the case is one of the department's that answered; absent where the adapter's
    /// manifest has no calibration. It says nothing of whether a cause is right.
    #[serde(default, deserialize_with = "finite", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub in_department: Option<f32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UncertaintyLevel {
    Moderate,
    High,
}

/// None is calibrated against outcomes, and they are named so that nobody takes them for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UncertaintyBasis {
    UncalibratedLogprob,
    /// And the calibrated probability of the department.
    CalibratedDepartment,
    RulesOnly,
    Scripted,
}

/// Who made this answer, from what, and what went wrong on the way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Provenance {
    #[serde(rename = "box")]
    pub box_name: String,
    pub daemon: String,
    /// SHA-256 of the base model's file; absent when no model took part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<AdapterRef>,
    pub rules: RulesRef,
    pub degraded: Vec<Degraded>,
    /// The tablet said `auto`, the case's plain facts named no department, and the model clearly prefers this one to
    /// the one that answered. The doctor may ask again under that one; the box does not by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department_hint: Option<Department>,
    /// Why this department answered. (The first boxes do not say it.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department_choice: Option<DepartmentChoice>,
    /// The triage is higher than the red flags made it, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub triage_raised: Option<TriageRaised>,
    /// In what this case lies outside of what the adapter was trained on; nothing where no model took part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outside_training: Vec<Outside>,
    /// Model lines that were left out because they held a dose, a prescription or no meaning.
    pub lines_dropped: u32,
    /// The same by kind; the numbers add up to `lines_dropped`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<DroppedLines>,
    pub timings: Timings,
    /// The box's clock when the answer was written, in seconds since 1970; it may be wrong, nothing depends on it.
    pub at_unix_s: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DepartmentChoice {
    pub by: ChosenBy,
    /// What the model, asked by probability, gives this department among those of the box; absent where it was not asked
    /// or did not say.
    #[serde(default, deserialize_with = "finite", skip_serializing_if = "Option::is_none")]
    pub probability: Option<f32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChosenBy {
    /// The tablet named it.
    Stated,
    /// A red flag of its specialty fired.
    Rule,
    /// Pregnancy, age, or words of the complaint.
    Facts,
    /// Nothing in the case named one, and the model clearly prefers the one that answered.
    Model,
    /// Nothing in the case named one, and the model was not asked, did not know, or prefers another (`department_hint`).
    Default,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TriageRaised {
    /// What the red flags said.
    pub from: Triage,
    pub by: RaisedBy,
    /// The model's, that the case should be seen soon.
    #[serde(default, deserialize_with = "finite", skip_serializing_if = "Option::is_none")]
    pub probability: Option<f32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RaisedBy {
    /// A drug that is planned or taken must not be given before a physician has confirmed it.
    DrugRule,
    /// From green to yellow at most.
    Model,
}

/// One thing in which the training data had too few cases like this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outside {
    pub what: OutsideWhat,
    /// Samples that were like it; absent where the adapter's manifest does not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutsideWhat {
    Department,
    Language,
    AgeGroup,
    Pregnancy,
}

/// How many lines of the model's were left out for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DroppedLines {
    pub kind: Dropped,
    pub lines: u32,
}

/// Why a line of the model's was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dropped {
    /// An amount or a frequency.
    Dose,
    Prescription,
    /// That no test, visit or referral is needed.
    NoTests,
    Certainty,
    /// Comfort that ends the search.
    Reassurance,
    /// What identifies somebody: a case holds nothing of the kind, so it is another's.
    OtherPatient,
    Link,
    /// Marks, roles and code that are no line of the form.
    OutsideForm,
    OwnDisclaimer,
    /// The prompt's own words.
    Instructions,
    /// A line without a name says nothing.
    NoName,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AdapterRef {
    pub id: String,
    pub version: String,
    pub sha256: String,
    /// Number of training samples per department.
    pub trained_on: BTreeMap<String, u32>,
    /// The same samples, counted otherwise; absent where the manifest does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covers: Option<Covers>,
    /// See `manifest.rs`.
    #[serde(default, deserialize_with = "finite", skip_serializing_if = "Option::is_none")]
    pub urgency_clear_at: Option<f32>,
    /// See `manifest.rs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    pub review: ReviewState,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RulesRef {
    pub version: String,
    pub sha256: String,
    pub review: ReviewState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviewState {
    NotPhysicianReviewed,
    PhysicianReviewed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Degraded {
    /// The test engine wrote the model's part. It is no opinion at all.
    ScriptedEngine,
    /// No working engine when the answer was due.
    EngineDown,
    /// The engine died on this case too often; it was taken away from it.
    EngineCrashed,
    /// The deadline came first.
    Deadline,
    /// A section of the form is missing, unfinished or unusable. What was written of it is in the answer.
    FormIncomplete,
    /// No adapter for the department on this box.
    NoAdapter,
    /// The case was longer than the model's context: its end was left out.
    CaseCut,
}

/// Milliseconds of the box's monotonic clock, from the moment the request was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Timings {
    pub queued_ms: u64,
    /// Until the first section was finished; its lines were sent before that, as they were written.
    pub first_section_ms: Option<u64>,
    pub total_ms: u64,
    pub tokens_read: u32,
    pub tokens_written: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Review {
    pub state: ReviewVerdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviewVerdict {
    Draft,
}

/// Constant texts as types: serialised in full, refused on reading when they differ.
macro_rules! constant_text {
    ($(#[$doc:meta])* $name:ident, $zh:literal, $en:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name;

        impl $name {
            pub const ZH: &'static str = $zh;
            pub const EN: &'static str = $en;
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                Bilingual::new(Self::ZH, Self::EN).serialize(s)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = Bilingual::deserialize(d)?;
                if text.zh == Self::ZH && text.en == Self::EN {
                    Ok(Self)
                } else {
                    Err(serde::de::Error::custom(concat!("not the constant text of ", stringify!($name))))
                }
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"const": {"zh": Self::ZH, "en": Self::EN}})
            }
        }
    };
}

constant_text!(
    /// Says who decides. Every answer carries it.
    Disclaimer,
    "本建议由AI辅助生成，最终决策权归执业医师所有。",
    "This suggestion was generated with AI assistance; the final decision rests with the licensed physician."
);
constant_text!(
    /// The explicit label of AI-generated content.
    AiLabel,
    "AI生成内容",
    "AI-generated content"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_of_exclusions_does_not_exist() {
        assert!(AtLeastOne::<u8>::from_vec(vec![]).is_none());
        assert!(serde_json::from_str::<AtLeastOne<u8>>("[]").is_err());
        assert_eq!(AtLeastOne::new(1, [2]).len(), 2);
    }

    #[test]
    fn another_disclaimer_is_refused() {
        let ours = serde_json::to_string(&Disclaimer).expect("serialises");
        assert!(serde_json::from_str::<Disclaimer>(&ours).is_ok());
        assert!(serde_json::from_str::<Disclaimer>(r#"{"zh":"放心用药","en":"trust me"}"#).is_err());
    }
}
