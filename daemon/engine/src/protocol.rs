//! What daemon and worker say to each other. The worker knows nothing of tablets, rules or records.

use crate::prompt::PromptFormat;
use contract::{
    case::Case,
    ids::{Department, Lang, RequestId},
    reply::Section,
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Daemon → worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Order {
    /// The first order, once.
    Open(OpenOrder),
    Fill(Box<FillOrder>),
    /// Heard between two decode steps at the latest.
    Cancel {
        job: RequestId,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "engine", rename_all = "snake_case")]
pub enum OpenOrder {
    Llama(LlamaOrder),
    Scripted(Script),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LlamaOrder {
    pub model: PathBuf,
    pub model_sha256: String,
    pub prompt_format: PromptFormat,
    pub adapters: Vec<AdapterFile>,
    /// KV cells of one context, shared by parked prefixes, case and form.
    pub context_tokens: u32,
    /// Contexts kept at a time; the least recently used one makes room.
    pub contexts_max: usize,
    pub threads: u32,
    pub gpu_layers: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AdapterFile {
    pub department: Department,
    pub path: PathBuf,
    pub sha256: String,
}

/// The test engine: says what it is told to, and fails when it is told to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    pub delay_ms_per_section: u64,
    /// Aborts the worker on a case whose complaint holds this text.
    pub crash_on: Option<String>,
    /// Goes silent for ever on a case whose complaint holds this text.
    pub hang_on: Option<String>,
    /// Written instead of the built-in lines, into each section.
    pub lines: Option<Vec<String>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FillOrder {
    pub job: RequestId,
    pub department: Department,
    pub lang: Lang,
    pub case: Case,
}

/// Worker → daemon.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum Report {
    Ready(Ready),
    /// These settings cannot work; starting again would not help.
    Unfit {
        reason: String,
    },
    /// A sign of life between two steps while a job runs. A step is one token of each branch, or 128 of the case:
    /// on a slow processor with a large model that takes seconds.
    Beat,
    Section {
        job: RequestId,
        section: Section,
        lines: Vec<WrittenLine>,
    },
    Filled {
        job: RequestId,
        stats: FillStats,
    },
    Failed {
        job: RequestId,
        fault: FillFault,
    },
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    /// Devices that hold layers, as llama.cpp names them.
    pub devices: Vec<String>,
    pub model_params: u64,
    pub model_bytes: u64,
    /// Adapters that could not be loaded, and why: their departments get `NoAdapter`.
    pub refused: Vec<Refused>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    pub department: Department,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WrittenLine {
    pub text: String,
    /// Mean natural logarithm of the probabilities of its tokens.
    pub logprob: f32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillStats {
    /// Tokens of the case that were evaluated for it; the parked prefix is not among them.
    pub tokens_read: u32,
    pub tokens_written: u32,
    pub read_ms: u64,
    pub write_ms: u64,
    /// The case was too long for the context and lost its end.
    pub case_cut: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum FillFault {
    #[error("cancelled")]
    Cancelled,
    #[error("no adapter for this department")]
    NoAdapter,
    #[error("the model's output is not a number: weights or adapter are damaged")]
    NotFinite,
    #[error("llama.cpp refused a step")]
    Decode,
    #[error("no memory for another context")]
    NoContext,
}
