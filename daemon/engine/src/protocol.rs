//! What daemon and worker say to each other. The worker knows nothing of tablets, rules or records.

use crate::prompt::{PromptFormat, Segment, TaughtSegment};
use contract::{
    bounded::finite,
    case::Case,
    ids::{Department, Lang, RequestId},
    reply::Section,
};
use serde::{Deserialize, Deserializer, Serialize};
use std::path::PathBuf;

/// Daemon → worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Order {
    /// The first order, once.
    Open(OpenOrder),
    Fill(Box<FillOrder>),
    /// Answered before anything else is done: for those who measure an adapter, not for a box with patients.
    Weigh(Box<WeighOrder>),
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
    /// Departments that the base model serves alone: to measure an adapter against.
    #[serde(default)]
    pub bare: Vec<Department>,
    /// KV cells of one context, shared by the parked prefixes and all forms that are open in it.
    pub context_tokens: u32,
    /// Contexts kept at a time; the least recently used one makes room.
    pub contexts_max: usize,
    /// Forms open at a time, over all departments. An urgent case may come on top of them.
    pub jobs_max: usize,
    pub branches: Branching,
    pub residency: Residency,
    /// What the worker may take, in MiB; what cannot fit is refused at the start. `None`: the machine is the limit.
    pub memory_mb_max: Option<u64>,
    pub threads: u32,
    /// Added to the worker's niceness: broker, intake and alerts go before the model.
    pub nice: i32,
    pub gpu_layers: u32,
    /// Names as `consultd devices` prints them; empty: all that llama.cpp finds.
    pub devices: Vec<String>,
}

/// Most forms open at a time: llama.cpp takes 256 sequences a context, and a form takes up to six.
pub const JOBS_MAX: usize = 32;

/// In which order a form's sections are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Branching {
    /// The causes, then the other four together: they read the causes and share the case.
    #[default]
    CausesFirst,
    /// All five together; none reads another.
    AllAtOnce,
    /// One after the other; each reads those before it.
    Sequential,
}

/// What departments share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Residency {
    /// A context each, its adapter set once: switching is free, each context takes its KV and compute memory.
    #[default]
    Contexts,
    /// One context for all; the adapter is changed between quanta, and each sequence stays its adapter's own.
    Epochs,
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
    /// Says at its opening that it cannot work, for this reason.
    pub unfit: Option<String>,
    /// Aborts the worker before it is ready.
    pub die_at_open: bool,
    /// Written instead of the built-in lines, into each section.
    pub lines: Option<Vec<String>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FillOrder {
    pub job: RequestId,
    pub department: Department,
    pub lang: Lang,
    /// Smaller goes first, before any larger: 0 danger, 1 urgent, 2 routine.
    pub class: u8,
    /// Time left; inside a class the earliest goes first.
    pub deadline_ms: u64,
    /// Asked on the way, by probability and not by writing.
    pub questions: Vec<Question>,
    pub case: Case,
}

/// How likely the model finds given texts behind a common beginning.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WeighOrder {
    pub job: RequestId,
    pub department: Department,
    pub shared: Vec<Segment>,
    pub options: Vec<Vec<TaughtSegment>>,
    /// Nothing is evaluated: only how many tokens it would be.
    #[serde(default)]
    pub only_count: bool,
}

/// Of one option's segments that are `train`; the others only stand before them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Weight {
    /// Tokens that were counted, and all of them with the shared beginning.
    pub tokens: u32,
    pub tokens_read: u32,
    /// Sum over the counted tokens, natural logarithm.
    #[serde(deserialize_with = "finite")]
    pub logprob: f32,
}

/// A choice between given words, scored by their probability behind the case and its causes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum Question {
    /// Which of these departments the case belongs to.
    Department { options: Vec<Department> },
    /// How soon it must be seen.
    Urgency,
    /// How likely the first of the causes is.
    Band,
}

/// One question's options with their probabilities, which sum to one over the options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    pub question: Question,
    #[serde(deserialize_with = "finite_each")]
    pub options: Vec<(String, f32)>,
}

fn finite_each<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<(String, f32)>, D::Error> {
    #[derive(Deserialize)]
    struct Scored(String, #[serde(deserialize_with = "finite")] f32);
    Ok(Vec::deserialize(d)?.into_iter().map(|Scored(option, probability)| (option, probability)).collect())
}

/// Worker → daemon.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum Report {
    Ready(Ready),
    /// These settings cannot work; starting again would not help.
    Unfit {
        reason: String,
        /// Fewer contexts or layers would help.
        short_of_memory: bool,
    },
    /// A sign of life between two steps while a job runs. A step is one token of each branch, or a chunk of a case:
    /// on a slow processor with a large model that takes seconds.
    Beat,
    /// The lines of a section so far; each report has all of them.
    Section {
        job: RequestId,
        section: Section,
        lines: Vec<WrittenLine>,
        /// No more will come.
        complete: bool,
    },
    Filled {
        job: RequestId,
        stats: FillStats,
        scores: Vec<Score>,
    },
    /// A weight for each option, in order.
    Weighed {
        job: RequestId,
        options: Vec<Weight>,
    },
    Failed {
        job: RequestId,
        fault: FillFault,
    },
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    pub devices: Vec<Device>,
    pub model_params: u64,
    pub model_bytes: u64,
    pub layers: u32,
    /// How many of them are on a GPU.
    pub layers_offloaded: u32,
    /// Contexts that fit, at most `contexts_max`.
    pub contexts: u32,
    /// What all of it takes when every context is made, in bytes.
    pub memory_bytes: u64,
    /// Adapters that could not be loaded, and why: their departments get `NoAdapter`.
    pub refused: Vec<Refused>,
}

/// A processor that llama.cpp can compute on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// As `devices` in the settings names it: CPU, CUDA0, MTL0 …
    pub name: String,
    pub description: String,
    pub memory_bytes: u64,
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
    #[serde(deserialize_with = "finite")]
    pub logprob: f32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillStats {
    /// Tokens of the case that were evaluated for it; the parked prefix is not among them.
    pub tokens_read: u32,
    pub tokens_written: u32,
    /// From the order to the first token, waiting for others included.
    pub read_ms: u64,
    pub write_ms: u64,
    /// Of these, in steps that read: headers, and sections put back as training showed them.
    pub headers_ms: u64,
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
    #[error("the text is longer than the context")]
    TooLong,
}
