//! What whoever looks after a fleet may ask of a box, and its reports. Ids and counts only: nothing of a patient.

use crate::{
    bounded::List,
    ids::RequestId,
    limits::{HOLD_S_DEFAULT, HOLD_S_MAX, REPORT_CASES_MAX},
    words::*,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Taken from names that the box's settings list as admins; to others it is `not_allowed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Admin {
    pub v: V1,
    #[serde(rename = "type")]
    pub kind: AdminType,
    /// Of this message; the report carries it.
    pub id: RequestId,
    #[serde(flatten)]
    pub command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Command {
    /// What is open, and what is quarantined.
    List,
    /// Take no new cases for a while: they are refused with `updating`. What was accepted is answered.
    Hold {
        #[serde(default = "hold_s_default")]
        #[schemars(range(min = 1, max = HOLD_S_MAX))]
        for_s: u32,
    },
    /// End the hold before its time.
    Resume,
    /// Let the engine see this quarantined case again: under a new id, since the answer under the old one stands.
    Release { case: RequestId },
}

fn hold_s_default() -> u32 {
    HOLD_S_DEFAULT
}

/// How the box is after the command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    pub v: V1,
    #[serde(rename = "type")]
    pub kind: ReportType,
    /// Of the `admin` message.
    pub id: RequestId,
    /// Seconds that the hold still lasts; absent when the box is not held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_s: Option<u32>,
    /// How many cases are accepted and not yet answered.
    pub open: u32,
    /// The first of them, in the order of their arrival.
    pub open_cases: List<OpenCase, REPORT_CASES_MAX>,
    /// How many answers wait for their receipt.
    pub owed: u32,
    pub quarantined: u32,
    /// The ids that the quarantined cases had when they killed the engine, the oldest first.
    pub quarantined_cases: List<RequestId, REPORT_CASES_MAX>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OpenCase {
    pub id: RequestId,
    pub tablet: String,
    pub waited_s: u32,
    pub running: bool,
    /// Times that the engine died with it open.
    pub deaths: u32,
}
