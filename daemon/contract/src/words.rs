//! Small words that several messages share.

use crate::ids::Lang;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The contract's major version as a value that can only be 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct V1;

impl Serialize for V1 {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u8(crate::VERSION)
    }
}

impl<'de> Deserialize<'de> for V1 {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match u64::deserialize(d)? {
            1 => Ok(V1),
            other => Err(serde::de::Error::custom(format!("version {other} is not 1"))),
        }
    }
}

impl JsonSchema for V1 {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "V1".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "integer", "const": 1})
    }
}

/// For words that a newer tablet may add to (`#[serde(other)]`): the schema lists those known and takes any other.
pub(crate) fn open_to_new_words(schema: &mut schemars::Schema) {
    let known: serde_json::Map<_, _> =
        ["type", "enum"].into_iter().filter_map(|key| Some((key.to_owned(), schema.remove(key)?))).collect();
    schema.insert("anyOf".into(), serde_json::json!([known, {"type": "string"}]));
}

/// The `type` word of a message, as a type with one value.
macro_rules! message_type {
    ($($name:ident = $word:literal;)*) => {$(
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
        pub enum $name {
            #[default]
            #[serde(rename = $word)]
            Word,
        }
    )*};
}

message_type! {
    ConsultType = "consult";
    ResendType = "resend";
    CancelType = "cancel";
    ReviewType = "review";
    AdminType = "admin";
    ReceiptType = "receipt";
    AcceptedType = "accepted";
    AlertType = "alert";
    ProgressType = "progress";
    AnswerType = "answer";
    ErrorType = "error";
    ReviewedType = "reviewed";
    ReportType = "report";
    LoadType = "load";
    StatusType = "status";
    InfoType = "info";
}

/// A sentence in both languages. Not clinical: codes, constants and texts of the rule set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bilingual {
    pub zh: String,
    pub en: String,
}

impl Bilingual {
    pub fn new(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { zh: zh.into(), en: en.into() }
    }

    pub fn get(&self, lang: Lang) -> &str {
        match lang {
            Lang::Zh => &self.zh,
            Lang::En => &self.en,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Triage {
    /// No red-flag rule fired, and nothing else raised it (`provenance.triage_raised`). It does not say that all is well,
    /// nor that the model saw the case.
    Green,
    Yellow,
    Red,
}

/// How soon somebody must act on a red flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// Worth a look at the next visit.
    Routine,
    /// Referral within two weeks: a cancer may be behind it. Yellow, because what stays green is not looked at.
    Soon,
    /// Within the day.
    Urgent,
    /// Now; referral while treating.
    Immediate,
}

impl Urgency {
    pub fn triage(self) -> Triage {
        match self {
            Self::Routine => Triage::Green,
            Self::Soon | Self::Urgent => Triage::Yellow,
            Self::Immediate => Triage::Red,
        }
    }
}
