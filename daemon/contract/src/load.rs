//! `consult/1/box/load`: retained, QoS 0. How much there is to do. For choosing between boxes and for a waiting doctor; a
//! hint, like `box/status`.

use crate::words::{LoadType, V1};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BoxLoad {
    pub v: V1,
    #[serde(rename = "type")]
    pub kind: LoadType,
    /// The start of the daemon that said this, as in `box/status`.
    pub boot: String,
    /// Cases accepted and not yet answered.
    pub queue: u32,
    /// Of these, with the engine at this moment.
    pub running: u32,
    /// Estimate of the seconds that a routine case sent now would take; absent until the box has answered once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<u32>,
    /// Absent where no sensor speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<TemperatureClass>,
}

/// Of the hottest sensor. Machines of this kind slow themselves down between 85 and 100 °C.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TemperatureClass {
    /// Below 70 °C.
    Normal,
    /// 70 to 84 °C.
    Warm,
    /// 85 °C and more: expect answers to be slower, and look at the box's air.
    Hot,
}

impl TemperatureClass {
    pub fn of(temperature_c: i16) -> Self {
        match temperature_c {
            ..70 => Self::Normal,
            70..85 => Self::Warm,
            _ => Self::Hot,
        }
    }
}
