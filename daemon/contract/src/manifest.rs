//! `manifest.json` beside an adapter: what it is, what it was made for, and from what.

use crate::{answer::ReviewState, bounded::finite, ids::Department};
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
    pub review: ReviewState,
    pub license: String,
    pub note: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ManifestFormat {
    #[serde(rename = "consultd-adapter/1")]
    V1,
}
