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
    /// Why the box is degraded, or does less than its settings ask for; empty otherwise.
    pub reasons: Vec<StatusReason>,
    /// How much is asked of the engine at present. Absent where no daemon speaks (`offline`, `stopping`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ambition: Option<Ambition>,
}

/// What the box asks of its machine, from the top. It goes down by itself when the engine fails, and up again when
/// that serves well. Below `full` answers come later; only under `rules_only` are they without the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ambition {
    /// All that the settings allow.
    Full,
    /// One department in memory at a time.
    OneContext,
    /// Half of the model's layers on the GPU.
    HalfOfTheLayers,
    /// No GPU.
    Cpu,
    /// No model: the rules answer alone, and the box tries again by itself.
    RulesOnly,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BoxState {
    Online,
    /// Rules answer, the model does not.
    Degraded,
    /// Held by an admin, for an update say: what was accepted is answered, new cases are refused with `updating`.
    Updating,
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
    /// No worker can work with these settings. The box tries again by itself, and somebody must look.
    EngineFailed,
    /// The engine works with less than the settings ask for; `ambition` says with what.
    EngineReduced,
    /// The test engine is in place of the model.
    ScriptedEngine,
    /// An adapter of the settings was left out; its department is answered from the rules.
    AdapterRefused,
    /// The folder of rules in the settings holds no set that keeps its own examples; the rules before it go on.
    RulesRefused,
    /// The disk is full but for a reserve: what was accepted is answered, new cases are refused with `storage_full`.
    StorageFull,
    /// The store was damaged: it lies beside a new one, with what it held. Somebody must look, and take it away.
    StoreReplaced,
}
