//! Names of things. Two kinds of id never share a type.

use crate::{bounded::Code, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// The tablet's own UUID for one consultation; the key of idempotence.
///
/// Read in its hyphenated form only, in either case; written in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct RequestId(#[schemars(with = "String", extend("format" = "uuid", "pattern" = UUID_PATTERN))] pub Uuid);

/// Validators may leave `format` unchecked, so the schema says it again as a pattern.
const UUID_PATTERN: &str = "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$";

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        // The parser takes other forms too, with braces or without hyphens: 36 characters are the hyphenated one.
        let uuid = Some(&*text).filter(|t| t.len() == 36).and_then(|t| Uuid::parse_str(t).ok());
        uuid.map(Self).ok_or_else(|| serde::de::Error::custom("not a UUID with hyphens"))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A tablet's name: the last level of its topics, and the common name of its certificate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TabletName(heapless::String<{ limits::ID_BYTES_MAX }>);

impl TabletName {
    pub fn new(name: &str) -> Option<Self> {
        let fits =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        if fits { heapless::String::try_from(name).ok().map(Self) } else { None }
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TabletName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A department's code, such as `internal`. Known ones stand in [`DEPARTMENTS`].
pub type Department = Code<{ limits::DEPARTMENT_BYTES_MAX }>;

/// Departments that the contract knows, with their Chinese names. A box serves those that it has an adapter for;
/// for the others it answers from the rules and says that it abstained. Anything else is `unknown_department`.
pub const DEPARTMENTS: &[(&str, &str)] = &[
    ("internal", "内科"),
    ("obstetrics", "妇产科"),
    ("pediatrics", "儿科"),
    ("surgery", "外科"),
    ("infectious", "感染科"),
    ("emergency", "急诊科"),
    ("ent", "耳鼻喉科"),
    ("ophthalmology", "眼科"),
    ("stomatology", "口腔科"),
    ("dermatology", "皮肤科"),
    ("psychiatry", "精神科"),
    ("neurology", "神经科"),
    ("orthopedics", "骨科"),
    ("urology", "泌尿科"),
    ("oncology", "肿瘤科"),
    ("tcm", "中医科"),
    ("rehabilitation", "康复科"),
    ("general", "全科"),
];

/// Asks the box to choose the department itself.
pub const DEPARTMENT_AUTO: &str = "auto";

/// What a `consult` may name as its department, for the schema.
pub(crate) fn departments_asked() -> Vec<&'static str> {
    DEPARTMENTS.iter().map(|(code, _)| *code).chain([DEPARTMENT_AUTO]).collect()
}

pub fn department_name_zh(code: &str) -> Option<&'static str> {
    DEPARTMENTS.iter().find(|(known, _)| *known == code).map(|(_, zh)| *zh)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    #[default]
    Zh,
    En,
}

impl Lang {
    pub const ALL: [Self; 2] = [Self::Zh, Self::En];
}
