//! The two files: `drugs.json` (the rules and what they ask about) and `drug_classes.json` (the names). Every field is
//! known; a file that says more or less is refused.

use contract::{
    answer::{AtLeastOne, CautionUrgency, Disease},
    words::Bilingual,
};
use serde::Deserialize;
use std::collections::BTreeMap;

pub use crate::rules::data::{Fault, Review, Source, json};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesText {
    pub contexts: BTreeMap<String, ContextText>,
    pub rules: Vec<RuleText>,
}

/// A condition that makes a drug a risk, and the words that state it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContextText {
    pub label: Bilingual,
    /// Codes of `findings.json`, or codes that a tablet may send, that say the same.
    pub findings: Vec<String>,
    pub phrases_zh: Vec<String>,
    pub phrases_en: Vec<String>,
    pub unless: Vec<String>,
    /// Words that say, in the same clause or at the beginning of the next, that it is over: 饮酒史20年，已戒3年.
    pub over: Vec<String>,
    /// Asked where it is unknown.
    pub question: Bilingual,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(test), expect(dead_code, reason = "version, title and source are for readers and tests"))]
pub struct RuleText {
    pub id: String,
    pub version: u32,
    pub title: Bilingual,
    /// Classes of `drug_classes.json`.
    pub drug: Vec<String>,
    /// Classes for which the lower urgency is enough.
    #[serde(default)]
    pub weigh: Vec<String>,
    /// One is enough.
    pub when: Vec<Atom>,
    #[serde(default)]
    pub forms: Forms,
    pub risk: Disease,
    pub action: Bilingual,
    pub urgency: CautionUrgency,
    pub source: AtLeastOne<Source>,
    pub review: Review,
    pub examples: DrugExamples,
}

/// Cases as a tablet sends them: the rule speaks, is silent, is silent and something is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrugExamples {
    pub positive: AtLeastOne<serde_json::Value>,
    pub negative: AtLeastOne<serde_json::Value>,
    pub asks: AtLeastOne<serde_json::Value>,
}

/// Which ways of giving a drug a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forms {
    Any,
    /// All but those on skin, eye, ear and nose.
    #[default]
    Systemic,
    /// Not those that are swallowed either.
    Injected,
}

/// `pregnant`, `pregnant>=20` (weeks), `lactating`, `age<18` (years), `allergy:<class>`, `is:<context>`,
/// `with:<class>` (another drug), `twice:<class>` (another product with the same).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub enum Atom {
    Pregnant { weeks_from: u8 },
    Lactating,
    AgeBelow(f32),
    Allergy(String),
    Is(String),
    With(String),
    Twice(String),
}

impl TryFrom<String> for Atom {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        let fault = || format!("no such atom: {word}");
        if let Some((kind, name)) = word.split_once(':') {
            let name = name.to_owned();
            return match kind {
                "allergy" => Ok(Self::Allergy(name)),
                "is" => Ok(Self::Is(name)),
                "with" => Ok(Self::With(name)),
                "twice" => Ok(Self::Twice(name)),
                _ => Err(fault()),
            };
        }
        match (word.strip_prefix("pregnant>="), word.strip_prefix("age<"), word.as_str()) {
            (Some(weeks), _, _) => Ok(Self::Pregnant { weeks_from: weeks.parse().map_err(|_| fault())? }),
            (_, Some(years), _) => Ok(Self::AgeBelow(years.parse().map_err(|_| fault())?)),
            (_, _, "pregnant") => Ok(Self::Pregnant { weeks_from: 0 }),
            (_, _, "lactating") => Ok(Self::Lactating),
            _ => Err(fault()),
        }
    }
}
