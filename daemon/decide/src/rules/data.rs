//! The rule files as they stand in `adapters/rules/`, built into the program: a box without its rules
//! would be worse than no box. Every field is known and required; a file that says more or less is refused.

use super::{patient::Finding, trigger::Trigger};
use contract::{
    answer::{AtLeastOne, Disease, ReviewState},
    words::{Bilingual, Urgency},
};
use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Raised with every change of a rule file; it stands in each answer's provenance beside the digest.
pub const VERSION: &str = "0.1.0";

/// Name and content.
pub type File = (&'static str, &'static str);

macro_rules! file {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../../adapters/rules/", $name)))
    };
}

pub const FINDINGS: File = file!("findings.json");
pub const STANDING: File = file!("standing.json");
pub const DRUG_NAMES: File = file!("drug_classes.json");
pub const DRUGS: File = file!("drugs.json");
pub const NOTIFIABLE: File = file!("notifiable.json");
pub const RULES: [File; 8] = [
    file!("abdomen.json"),
    file!("cardiac.json"),
    file!("emergency.json"),
    file!("infectious.json"),
    file!("neuro.json"),
    file!("obstetrics.json"),
    file!("paediatrics.json"),
    file!("toxicology.json"),
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(test), expect(dead_code, reason = "version, exclusion and examples are for readers and tests"))]
pub struct RuleText {
    pub id: String,
    pub version: u32,
    pub title: Bilingual,
    pub trigger: Trigger,
    pub must_not_miss: AtLeastOne<Disease>,
    pub minimum_checks: AtLeastOne<Bilingual>,
    pub urgency: Urgency,
    /// The rule as one sentence, for the physician who reviews the file.
    pub exclusion: Bilingual,
    pub source: AtLeastOne<Source>,
    pub review: ReviewState,
    /// Cases as a tablet sends them. Kept as JSON here: only tests read them, and a `Case` is large.
    pub examples: Examples,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(test), expect(dead_code, reason = "only tests run the examples"))]
pub struct Examples {
    pub positive: AtLeastOne<serde_json::Value>,
    pub negative: AtLeastOne<serde_json::Value>,
}

/// Where a physician should verify the rule, and whether its author read it or wrote from memory.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "org, url and basis are for the physician who reviews the file")]
pub struct Source {
    name: String,
    year: String,
    org: String,
    url: Option<String>,
    basis: Basis,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Basis {
    Read,
    ExcerptRead,
    FromMemory,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.year)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindingText {
    pub label: Bilingual,
    /// Regular expressions, matched inside one clause.
    pub phrases_zh: Vec<String>,
    /// The same, as whole words; a plural `s` is allowed for.
    pub phrases_en: Vec<String>,
    /// Words that hold a phrase and mean something else: 骨头痛 is no 头痛.
    #[serde(default)]
    pub unless: Vec<String>,
    /// Codes of `case.exposures` that say the same.
    #[serde(default)]
    pub exposures: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandingText {
    pub departments: BTreeMap<String, StandingExclusion>,
    pub general: StandingExclusion,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandingExclusion {
    pub condition: Disease,
    pub because: Bilingual,
    pub next_check: Bilingual,
}

/// A rule file that cannot be used. It can only be met while developing.
#[derive(Debug)]
#[allow(dead_code, reason = "the fields are read by the Debug of a failed test")]
pub enum Fault {
    Json { file: &'static str, source: serde_json::Error },
    Phrase { finding: String, source: Box<regex::Error> },
    UnknownFinding { rule: String, finding: String },
    RuleTwice { rule: String },
    UnknownDrug { name: String },
    DrugTwice { name: String },
}

pub fn findings(file: File) -> Result<BTreeMap<String, Finding>, Fault> {
    parse::<BTreeMap<String, FindingText>>(file)?
        .into_iter()
        .map(|(code, text)| match Finding::compile(text) {
            Ok(finding) => Ok((code, finding)),
            Err(source) => Err(Fault::Phrase { finding: code, source: Box::new(source) }),
        })
        .collect()
}

pub fn standing(file: File) -> Result<StandingText, Fault> {
    parse(file)
}

pub fn rules(files: &[File], findings: &BTreeMap<String, Finding>) -> Result<Vec<RuleText>, Fault> {
    let mut rules: Vec<RuleText> = vec![];
    let mut ids = BTreeSet::new();
    for file in files {
        rules.extend(parse::<Vec<RuleText>>(*file)?);
    }
    for rule in &rules {
        if !ids.insert(&rule.id) {
            return Err(Fault::RuleTwice { rule: rule.id.clone() });
        }
        if let Some(finding) = rule.trigger.findings().find(|code| !findings.contains_key(*code)) {
            return Err(Fault::UnknownFinding { rule: rule.id.clone(), finding: finding.into() });
        }
    }
    Ok(rules)
}

/// One digest over all files; name and length go in first, so that text cannot move from one file to the next.
pub fn sha256<'a>(files: impl IntoIterator<Item = &'a File>) -> String {
    let mut hash = Sha256::new();
    for (name, content) in files {
        hash.update(format!("{name} {}\n", content.len()));
        hash.update(content);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse<T: DeserializeOwned>((file, content): File) -> Result<T, Fault> {
    serde_json::from_str(content).map_err(|source| Fault::Json { file, source })
}
