//! `consult/1/box/status`: retained, and left as the will with the broker.

use crate::words::{StatusType, V1};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BoxStatus {
    pub v: V1,
    #[serde(rename = "type")]
    pub kind: StatusType,
    pub state: BoxState,
    /// Changes at each start of the daemon. A status of another boot replaces the former, whatever its connection.
    pub boot: String,
    /// Counts the connections to the broker within this boot, from 1. Within one boot a status with a lower
    /// number is old news: the will of a connection that has been replaced.
    pub connection: u32,
    /// Departments with a working adapter.
    pub departments: Vec<String>,
    /// Why the box is degraded; empty otherwise.
    pub reasons: Vec<StatusReason>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BoxState {
    Online,
    /// Rules answer, the model does not.
    Degraded,
    Stopping,
    Offline,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatusReason {
    /// The worker is loading the model.
    EngineStarting,
    /// The worker died and is being started again.
    EngineRestarting,
    /// The worker cannot start with these settings; somebody must look.
    EngineFailed,
    /// The test engine is in place of the model.
    ScriptedEngine,
    /// An adapter of the settings was left out; its department is answered from the rules.
    AdapterRefused,
}
