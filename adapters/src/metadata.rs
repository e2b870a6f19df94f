//! What a data set says of itself: `metadata.yaml`, read by `check` and `train`.
//!
//! ```yaml
//! name: County hospital, outpatients 2026
//! licenses: [clinic data; not for redistribution]   # those that a sample may have
//! review: required                                  # or demonstration: unreviewed samples pass, and the adapter says so
//! shares: {internal: 40, obstetrics: 30, pediatrics: 30}   # percent; left out: no plan
//! topics_required: true                             # every red-flag topic of a department has a sample
//! ```

use crate::yaml;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    pub name: String,
    pub licenses: Vec<String>,
    #[serde(default)]
    pub review: ReviewPlan,
    #[serde(default)]
    pub shares: Option<BTreeMap<String, f64>>,
    #[serde(default)]
    pub topics_required: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewPlan {
    #[default]
    Required,
    Demonstration,
}

impl Metadata {
    pub fn read(path: &Path) -> Result<Self, String> {
        let metadata: Self = yaml::read(path)?;
        let fault = |what: &str| Err(format!("{}: {what}", path.display()));
        if metadata.licenses.iter().all(|license| license.trim().is_empty()) {
            return fault("licenses names none: a sample without a licence cannot be taught");
        }
        if let Some(shares) = &metadata.shares {
            let sum: f64 = shares.values().sum();
            if shares.values().any(|share| !share.is_finite() || *share < 0.0) || (sum - 100.0).abs() > 0.5 {
                return fault(&format!("shares sum to {sum}, and percent should to 100"));
            }
        }
        Ok(metadata)
    }
}
