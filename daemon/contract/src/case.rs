//! The patient's case as the tablet states it. Every clinical field has an explicit *unknown*:
//! an absent (or null) field. An empty list means "asked, and there is none".
//!
//! There is no field for a name or an identity number, and there never will be.

use crate::{
    bounded::{Code, List, Text, finite},
    limits::*,
    words::open_to_new_words,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub type Item = Text<ITEM_CHARS_MAX>;
pub type Items = List<Item, ITEMS_MAX>;
pub type FindingCode = Code<CODE_BYTES_MAX>;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
// A complaint or a finding: what `request::check` says of a case without either.
#[schemars(extend("anyOf" = [
    {"properties": {"complaint": {"properties": {"text": {"pattern": "\\S"}}}}, "required": ["complaint"]},
    {"properties": {"findings": {"minItems": 1}}, "required": ["findings"]},
]))]
pub struct Case {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<Age>,
    #[serde(deserialize_with = "null_is_unknown", skip_serializing_if = "Sex::is_unknown")]
    #[schemars(with = "Option<Sex>")]
    pub sex: Sex,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pregnancy: Option<Pregnancy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lactating: Option<bool>,
    #[serde(deserialize_with = "finite", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.2, max = 400.0))]
    pub weight_kg: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allergies: Option<Items>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Items>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_drugs: Option<Items>,
    /// What the patient was exposed to: `livestock`, `raw_milk`, `travel`, `tick`, `pesticide`, `coal_stove`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposures: Option<List<FindingCode, ITEMS_MAX>>,
    pub complaint: Complaint,
    #[serde(deserialize_with = "null_is_unknown", skip_serializing_if = "no_entries")]
    #[schemars(with = "Option<List<Finding, FINDINGS_MAX>>")]
    pub findings: List<Finding, FINDINGS_MAX>,
    #[serde(deserialize_with = "null_is_unknown", skip_serializing_if = "Vitals::is_unknown")]
    #[schemars(with = "Option<Vitals>")]
    pub vitals: Vitals,
    #[serde(deserialize_with = "null_is_unknown", skip_serializing_if = "no_entries")]
    #[schemars(with = "Option<List<Lab, ITEMS_MAX>>")]
    pub labs: List<Lab, ITEMS_MAX>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<Text<HISTORY_CHARS_MAX>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// What this clinic has: `ecg`, `glucose_meter`, `urine_strip`, `otoscope`, … Absent: unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<List<FindingCode, ITEMS_MAX>>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Complaint {
    /// The complaint in the patient's or the doctor's own words.
    pub text: Text<COMPLAINT_CHARS_MAX>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Item>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("anyOf" = [
    {"properties": {"unit": {"const": "day"}, "value": {"maximum": 54787.5}}},
    {"properties": {"unit": {"const": "month"}, "value": {"maximum": 1800}}},
    {"properties": {"unit": {"const": "year"}, "value": {"maximum": 150}}},
]))]
pub struct Age {
    #[serde(deserialize_with = "finite")]
    #[schemars(range(min = 0.0))]
    pub value: f32,
    pub unit: AgeUnit,
}

impl Age {
    pub fn years(&self) -> f32 {
        match self.unit {
            AgeUnit::Day => self.value / 365.25,
            AgeUnit::Month => self.value / 12.0,
            AgeUnit::Year => self.value,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgeUnit {
    Day,
    Month,
    Year,
}

/// A value that a newer tablet may know and this box does not reads as unknown;
/// the request's own bytes, which are stored, keep the original word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(transform = open_to_new_words)]
pub enum Sex {
    Male,
    Female,
    #[default]
    #[serde(other)]
    Unknown,
}

impl Sex {
    pub fn is_unknown(&self) -> bool {
        *self == Self::Unknown
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pregnancy {
    pub status: PregnancyStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 45))]
    pub weeks: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(transform = open_to_new_words)]
pub enum PregnancyStatus {
    Pregnant,
    NotPregnant,
    Postpartum,
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// A code of the rule set, such as `fever` or `chest_pain`; unknown codes are kept and match no rule.
    pub code: FindingCode,
    pub state: FindingState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(transform = open_to_new_words)]
pub enum FindingState {
    Present,
    Absent,
    #[serde(other)]
    Unknown,
}

/// Measured at the visit. Units: °C, beats and breaths per minute, mmHg, %, mmol/L.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Vitals {
    #[serde(deserialize_with = "finite", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 20.0, max = 45.0))]
    pub t_c: Option<f32>,
    #[serde(deserialize_with = "finite", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 350.0))]
    pub hr: Option<f32>,
    #[serde(deserialize_with = "finite", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 150.0))]
    pub rr: Option<f32>,
    #[serde(deserialize_with = "finite", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 350.0))]
    pub sbp: Option<f32>,
    #[serde(deserialize_with = "finite", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 250.0))]
    pub dbp: Option<f32>,
    #[serde(deserialize_with = "finite", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 100.0))]
    pub spo2: Option<f32>,
    #[serde(deserialize_with = "finite", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 100.0))]
    pub glucose: Option<f32>,
}

impl Vitals {
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Lab {
    pub name: Item,
    pub value: Item,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Item>,
}

/// What the village doctor has in mind. The box comments on it and never completes it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Plan {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_diagnosis: Option<Item>,
    #[serde(skip_serializing_if = "no_entries")]
    pub checks: Items,
    #[serde(skip_serializing_if = "no_entries")]
    pub drugs: Items,
}

/// A null says the same as an absent field.
fn null_is_unknown<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

fn no_entries<T, const MAX: usize>(list: &List<T, MAX>) -> bool {
    list.is_empty()
}

/// A number outside these ranges is a slip of the finger, and a rule must not fire on it.
/// Returns the JSON pointer of the first such field and what is wrong with it.
pub fn implausible(case: &Case) -> Option<(&'static str, &'static str)> {
    let v = &case.vitals;
    let checks: [(&str, &str, Option<f32>, f32, f32); 10] = [
        ("/case/age/value", "age is 0 to 150 years", case.age.map(|a| a.years()), 0.0, 150.0),
        ("/case/pregnancy/weeks", "weeks are 0 to 45", case.pregnancy.and_then(|p| p.weeks).map(f32::from), 0.0, 45.0),
        ("/case/weight_kg", "weight is 0.2 to 400 kg", case.weight_kg, 0.2, 400.0),
        ("/case/vitals/t_c", "temperature is 20 to 45 °C", v.t_c, 20.0, 45.0),
        ("/case/vitals/hr", "heart rate is 0 to 350 per minute", v.hr, 0.0, 350.0),
        ("/case/vitals/rr", "breaths are 0 to 150 per minute", v.rr, 0.0, 150.0),
        ("/case/vitals/sbp", "systolic pressure is 0 to 350 mmHg", v.sbp, 0.0, 350.0),
        ("/case/vitals/dbp", "diastolic pressure is 0 to 250 mmHg", v.dbp, 0.0, 250.0),
        ("/case/vitals/spo2", "oxygen saturation is 0 to 100 %", v.spo2, 0.0, 100.0),
        ("/case/vitals/glucose", "glucose is 0 to 100 mmol/L", v.glucose, 0.0, 100.0),
    ];
    checks
        .into_iter()
        .find(|(_, _, value, min, max)| value.is_some_and(|v| !(*min..=*max).contains(&v)))
        .map(|(pointer, message, ..)| (pointer, message))
}
