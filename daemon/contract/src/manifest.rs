//! `manifest.json` beside an adapter: what it is, what it was made for, and from what.

use crate::{
    answer::ReviewState,
    bounded::finite,
    case::{Age, Case, PregnancyStatus},
    ids::{Department, Lang},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdapterManifest {
    pub format: ManifestFormat,
    pub id: String,
    pub version: String,
    pub department: Department,
    /// File name beside the manifest; never a path.
    pub file: String,
    pub sha256: String,
    /// The base model's file that this adapter was trained on. llama.cpp would load it onto any model
    /// of the same shape without a word, so the box compares this before it loads.
    pub base_sha256: String,
    pub rank: u32,
    #[serde(deserialize_with = "finite")]
    pub alpha: f32,
    pub target_modules: Vec<String>,
    /// The form and prompt that it was trained with; the box refuses another one.
    pub form_sha256: String,
    pub trained_on: BTreeMap<String, u32>,
    /// The same samples, counted by what a case must have in common with some of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covers: Option<Covers>,
    /// From this probability on, its word that a case should be seen soon counts, and a green triage becomes yellow. It
    /// has to be measured on cases that the adapter has not seen; without it the adapter is not asked.
    #[serde(default, deserialize_with = "finite", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.5, max = 1.0))]
    pub urgency_clear_at: Option<f32>,
    /// How far its word on the department can be believed; without it the word is not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    pub review: ReviewState,
    pub license: String,
    pub note: String,
    /// How it was made and what it was found to be worth. Without it: an adapter of before there was an examination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Made>,
}

impl AdapterManifest {
    /// `file`, if it is a name and no path: a manifest must not point out of its folder.
    pub fn file_name(&self) -> Result<&str, String> {
        let plain = std::path::Path::new(&self.file).file_name().is_some_and(|name| name == self.file.as_str());
        plain.then_some(&*self.file).ok_or_else(|| format!("file is not a plain file name: {:?}", self.file))
    }
}

/// What whoever trusts an adapter wants to know, written by the tools from the data and not typed in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// Counts up with each adapter of a department.
    pub sequence: u64,
    /// The least version of consultd that understands it.
    pub daemon_min: String,
    /// Major version of the contract.
    pub contract: u8,
    /// Of the base model: GGUF's `general.architecture`, and the hash of all that its file says of its tokenizer.
    pub architecture: String,
    pub tokenizer_sha256: String,
    pub base_license: String,
    /// Of the samples: each licence once.
    pub data_licenses: Vec<String>,
    /// What the data set calls itself.
    pub dataset: String,
    /// Root of a Merkle tree (RFC 9162) over the hashes of the training samples; none of an adapter of several regions,
    /// whose samples nobody has together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trained_root: Option<String>,
    /// The same over the samples of the examination.
    pub held_out_root: String,
    /// The same weights for other servers, in the folder `peft` beside this file.
    pub peft_sha256: String,
    pub evaluation: Evaluation,
    /// Cases with which a box tries whether the adapter does there what it did where it was made.
    pub golden: Vec<Golden>,
    /// Who let it pass although the examination did not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approval>,
}

/// Base against adapter on held-out samples, by the box's own engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    pub passed: bool,
    pub measures: Vec<Measured>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    pub measure: MeasureName,
    /// A department or task, or a group of patients: `pregnant`, `children`.
    pub of: String,
    /// Samples, or choices.
    pub n: u32,
    #[serde(default, deserialize_with = "finite", skip_serializing_if = "Option::is_none")]
    pub base: Option<f32>,
    #[serde(deserialize_with = "finite")]
    pub adapter: f32,
    /// Whether the goal is met; none: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub met: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MeasureName {
    /// Mean negative log-likelihood of a token of the reference answer, in nats. Less is better.
    Nll,
    /// Share of samples whose own causes are likelier than those of two others of the department.
    RightOfThree,
    /// Share of samples whose department is the likeliest.
    DepartmentChosen,
    /// Largest change of a sample's mean log-likelihood: 0 means that the adapter does nothing.
    Change,
    /// Share of filled forms in which the model itself names something that cannot be excluded.
    ExclusionNamed,
    /// Share of the reference's exclusions that the model names among its causes and exclusions.
    DangerNamed,
    /// Share of the model's lines that the box would not show.
    ForbiddenLines,
    /// Tokens written in a second, one form at a time.
    TokensPerSecond,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    pub lang: Lang,
    pub case: Case,
    /// Lines of the first section that it was taught for such a case.
    pub causes: Vec<String>,
    /// Their mean log-likelihood a token where it was made. Another processor rounds otherwise; another adapter or model
    /// is far off.
    #[serde(deserialize_with = "finite")]
    pub logprob: f32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    pub by: String,
    pub reason: String,
}

/// Platt's scaling of a probability p that the model gives: 1 ÷ (1 + exp(−(slope · ln(p ÷ (1 − p)) + offset))). Fitted on
/// cases whose department is known, those of this adapter's department and as many of others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Calibration {
    #[serde(deserialize_with = "finite")]
    pub slope: f32,
    #[serde(deserialize_with = "finite")]
    pub offset: f32,
    /// Cases that it was fitted on.
    pub cases: u32,
}

/// A model that is sure says 0 or 1, and the logarithm of that is no number.
const SURE: f32 = 1e-6;

impl Calibration {
    /// None for what is no probability.
    pub fn of(&self, probability: f32) -> Option<f32> {
        let p = (0.0..=1.0).contains(&probability).then(|| probability.clamp(SURE, 1.0 - SURE))?;
        Some(1.0 / (1.0 + (-(self.slope * (p / (1.0 - p)).ln() + self.offset)).exp()))
    }
}

/// Numbers of training samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Covers {
    pub lang: ByLang,
    pub age: ByAge,
    pub pregnant: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ByLang {
    pub zh: u32,
    pub en: u32,
}

/// Samples of unknown age are in none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ByAge {
    /// Under one year.
    pub infants: u32,
    /// From one, under 14.
    pub children: u32,
    /// From 14, under 65.
    pub adults: u32,
    pub elderly: u32,
}

impl Covers {
    pub fn of<'a>(samples: impl IntoIterator<Item = (Lang, &'a Case)>) -> Self {
        let mut covers = Self::default();
        for (lang, case) in samples {
            *covers.lang.mut_of(lang) += 1;
            if let Some(age) = case.age {
                *covers.age.mut_of(age) += 1;
            }
            covers.pregnant += u32::from(case.pregnancy.is_some_and(|p| p.status == PregnancyStatus::Pregnant));
        }
        covers
    }
}

impl ByLang {
    pub fn of(mut self, lang: Lang) -> u32 {
        *self.mut_of(lang)
    }
    fn mut_of(&mut self, lang: Lang) -> &mut u32 {
        match lang {
            Lang::Zh => &mut self.zh,
            Lang::En => &mut self.en,
        }
    }
}

impl ByAge {
    /// How many were of this one's group.
    pub fn of(mut self, age: Age) -> u32 {
        *self.mut_of(age)
    }
    fn mut_of(&mut self, age: Age) -> &mut u32 {
        match age.years() {
            years if years < 1.0 => &mut self.infants,
            years if years < 14.0 => &mut self.children,
            years if years < 65.0 => &mut self.adults,
            _ => &mut self.elderly,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ManifestFormat {
    #[serde(rename = "consultd-adapter/1")]
    V1,
}
