//! A rule set as files: those of `adapters/rules/`, built into the program, because a box without its rules would be
//! worse than no box; or those of a folder that replaces them. Every field is known and required; a file that says more
//! or less is refused.

use super::{
    drugs::DrugRules,
    language::{Language, LanguageFault, Lasting, WordText},
    notifiable::NotifiableTable,
    trigger::Trigger,
};
use contract::{
    answer::{AtLeastOne, Disease, FlagCheck},
    case::Sex,
    words::{Bilingual, Urgency},
};
use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Name and content.
pub type File<'f> = (&'f str, &'f str);

pub const MANIFEST: &str = "manifest.json";
const WORDS: &str = "words.json";
const FINDINGS: &str = "findings.json";
const STANDING: &str = "standing.json";
pub const DRUG_NAMES: &str = "drug_classes.json";
pub const DRUGS: &str = "drugs.json";
pub const NOTIFIABLE: &str = "notifiable.json";

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../../adapters/rules/", $name)))),*]
    };
}

pub const BUILTIN: [File; 24] = files![
    "manifest.json",
    "words.json",
    "findings.json",
    "standing.json",
    "drug_classes.json",
    "drugs.json",
    "notifiable.json",
    "abdomen.json",
    "blood.json",
    "cardiac.json",
    "emergency.json",
    "endocrine.json",
    "ent.json",
    "eyes.json",
    "gynaecology.json",
    "infectious.json",
    "mind.json",
    "neuro.json",
    "obstetrics.json",
    "paediatrics.json",
    "respiratory.json",
    "surgery.json",
    "toxicology.json",
    "urology.json",
];

/// `manifest.json`: which files belong to the set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: Format,
    /// Raised with every change of a rule file; it stands in each answer's provenance beside the digest.
    pub version: String,
    /// The files with red-flag rules; all the others always belong to a set.
    pub rules: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Format {
    #[serde(rename = "consultd_rules/1")]
    One,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(test), expect(dead_code, reason = "version and exclusion are for the physician who reviews the file"))]
pub struct RuleText {
    pub id: String,
    pub version: u32,
    pub title: Bilingual,
    pub trigger: Trigger,
    pub must_not_miss: AtLeastOne<Disease>,
    pub minimum_checks: AtLeastOne<FlagCheck>,
    pub urgency: Urgency,
    /// The rule as one sentence, for the physician who reviews the file.
    pub exclusion: Bilingual,
    pub source: AtLeastOne<Source>,
    pub review: Review,
    /// Cases as a tablet sends them. Kept as JSON here: only the proof of a set reads them, and a `Case` is large.
    pub examples: Examples,
}

/// Who has signed the rule, and on which day.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Review {
    Unreviewed(Unreviewed),
    By { by: String, on: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unreviewed {
    NotPhysicianReviewed,
}

impl Review {
    pub fn is_signed(&self) -> bool {
        matches!(self, Self::By { .. })
    }

    /// A signature without a name or a day is none.
    pub fn is_complete(&self) -> bool {
        match self {
            Self::Unreviewed(_) => true,
            Self::By { by, on } => {
                let day = on.len() == 10
                    && on
                        .bytes()
                        .enumerate()
                        .all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() });
                !by.trim().is_empty() && day
            }
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
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
    TitleSeenContentFromMemory,
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
    /// Phrases as in `phrase.rs`, found inside one clause.
    pub phrases_zh: Vec<String>,
    pub phrases_en: Vec<String>,
    /// Words that hold a phrase and mean something else: 骨头痛 is no 头痛.
    #[serde(default)]
    pub unless: Vec<String>,
    /// Codes of `case.exposures` that say the same.
    #[serde(default)]
    pub exposures: Vec<String>,
    /// A background: it counts although it is past.
    #[serde(default)]
    pub past: bool,
    /// Stated also where another finding has lasted for so long.
    #[serde(default)]
    pub lasting: Option<Lasting>,
    /// Only one sex can have it, so it tells the patient's.
    #[serde(default)]
    pub only: Option<Sex>,
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

/// A rule set that is not taken, and why.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("the set has no {0}")]
    NoFile(String),
    #[error("{0} is in the folder and not in the manifest")]
    Unnamed(String),
    #[error("cannot read {file}")]
    Json { file: String, source: serde_json::Error },
    #[error("a phrase cannot be read")]
    Language(#[from] LanguageFault),
    #[error("{rule} speaks of {finding}, and no file says what that is")]
    UnknownFinding { rule: String, finding: String },
    #[error("{rule} stands in the set twice")]
    RuleTwice { rule: String },
    #[error("{rule} would fire for everybody")]
    Empty { rule: String },
    #[error("{rule} is signed without a name or a day")]
    Signature { rule: String },
    #[error("{rule}: its example is no case")]
    NoCase { rule: String, source: serde_json::Error },
    #[error("{rule} should {} for its own example: {example}", if *.fires { "be silent" } else { "fire" })]
    Example { rule: String, example: String, fires: bool },
    #[error("no class of drugs and no drug is called {name}")]
    UnknownDrug { name: String },
    #[error("{name} stands for two drugs")]
    DrugTwice { name: String },
    #[error("a name or phrase of {finding} cannot be read")]
    Phrase { finding: String, source: Box<regex::Error> },
    #[error("the set has no rules")]
    NoRules,
}

pub struct Parsed {
    pub manifest: Manifest,
    pub language: Language,
    pub standing: StandingText,
    pub rules: Vec<RuleText>,
    pub drugs: DrugRules,
    pub notifiable: NotifiableTable,
    pub sha256: String,
}

pub fn parse(files: &[File]) -> Result<Parsed, Fault> {
    let content = |name: &str| {
        let found = files.iter().find(|(file, _)| *file == name);
        found.copied().ok_or_else(|| Fault::NoFile(name.to_owned()))
    };
    let manifest: Manifest = json(content(MANIFEST)?)?;
    let fixed = [MANIFEST, WORDS, FINDINGS, STANDING, DRUG_NAMES, DRUGS, NOTIFIABLE];
    let named = |name: &str| fixed.contains(&name) || manifest.rules.iter().any(|rule| rule == name);
    if let Some((name, _)) = files.iter().find(|(name, _)| !named(name)) {
        return Err(Fault::Unnamed((*name).to_owned()));
    }
    let language = Language::build(json::<WordText>(content(WORDS)?)?, json(content(FINDINGS)?)?)?;
    let mut rules: Vec<RuleText> = Vec::new();
    for name in &manifest.rules {
        rules.extend(json::<Vec<RuleText>>(content(name)?)?);
    }
    fit(&rules, &language)?;
    let standing = json(content(STANDING)?)?;
    let drugs = DrugRules::load(content(DRUG_NAMES)?, content(DRUGS)?)?;
    let notifiable = json(content(NOTIFIABLE)?)?;
    let order = fixed.iter().copied().chain(manifest.rules.iter().map(String::as_str));
    let sha256 = sha256(&order.map(content).collect::<Result<Vec<_>, _>>()?);
    Ok(Parsed { manifest, language, standing, rules, drugs, notifiable, sha256 })
}

/// The rules fit together, and speak of what is known.
fn fit(rules: &[RuleText], language: &Language) -> Result<(), Fault> {
    let mut ids = BTreeSet::new();
    for rule in rules {
        let id = || rule.id.clone();
        if !ids.insert(&rule.id) {
            return Err(Fault::RuleTwice { rule: id() });
        }
        if let Some(finding) = rule.trigger.findings().find(|code| !language.findings.contains_key(*code)) {
            return Err(Fault::UnknownFinding { rule: id(), finding: finding.into() });
        }
        if rule.trigger.is_empty() {
            return Err(Fault::Empty { rule: id() });
        }
        if !rule.review.is_complete() {
            return Err(Fault::Signature { rule: id() });
        }
    }
    if rules.is_empty() { Err(Fault::NoRules) } else { Ok(()) }
}

/// One digest over all files; name and length go in first, so that text cannot move from one file to the next.
pub fn sha256(files: &[File]) -> String {
    let mut hash = Sha256::new();
    for (name, content) in files {
        hash.update(format!("{name} {}\n", content.len()));
        hash.update(content);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn json<T: DeserializeOwned>((file, content): File) -> Result<T, Fault> {
    serde_json::from_str(content).map_err(|source| Fault::Json { file: file.to_owned(), source })
}
