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
