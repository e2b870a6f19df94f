//! What a worker takes of a machine's memory, computed from the model's header before anything is loaded.
//!
//! ```text
//! model          every tensor once; a tied output layer on a GPU is a copy of the embedding
//! adapters       their files
//! process        program, allocator, vocabulary
//! each context   KV       layers × cells × (keys + values) in F16
//!                compute  masks + hidden states + max(logits of a chunk, feed-forward of a chunk)
//!                output   one row of logits for each sequence
//! ```
//!
//! KV and output are llama.cpp's own arithmetic. The compute formula was fitted to what llama.cpp b11434 printed on
//! x86-64 with flash attention for seven shapes (see the tests); `tests/plan.rs` compares it with the demo model at
//! each run. Nothing here was measured on a GPU.
//!
//! Not counted: pages of the model's file that llama.cpp has copied, into another layout for the CPU or onto a GPU.
//! `top` shows them as the worker's, but the kernel takes them back when memory is short, before it ends anything.

mod facts;
mod machine;
#[cfg(test)]
mod tests;

use crate::{
    form::BRANCHES,
    protocol::{JOBS_MAX, LlamaOrder, Residency},
};
pub use facts::{Facts, Layer, NotAModel};
pub use machine::{default_budget, machine_memory};
use std::fmt;

/// Sequences of one form: its own, and one for each section behind the causes.
pub(crate) const SEQUENCES: usize = 1 + BRANCHES.len();
/// Forms beside `jobs_max` that may be open: two urgent ones.
const JOBS_URGENT: u32 = 2;
/// Sequences for the options of a question: one for each department, at most so many. Each costs a row of logits.
const OPTIONS_MAX: u32 = 24;
/// The least: a question without departments has three options.
const OPTIONS_MIN: u32 = 3;
/// KV cells that a full form can take: its bounds' sum with headers, rounded up.
pub(crate) const CELLS_FORM: u32 = 768;
/// Cells for the options of a question, which are gone again after one step.
pub(crate) const CELLS_QUESTION: u32 = 128;
/// Cells kept for a department's instructions: twice what they take in the tokenisers that we know.
pub(crate) const CELLS_PARKED: u32 = 256;
/// The least that must be left for a case.
const CELLS_CASE_MIN: u32 = 512;
/// Tokens of one step at most, but for wide contexts. A CPU reads fewer of them at a time (llama/seat.rs).
const CHUNK_CPU: u32 = 128;
const CHUNK_GPU: u32 = 512;
/// llama.cpp rounds contexts up to this many cells.
const CELLS_STEP: u32 = 256;

/// Program and allocator, without and with CUDA or Metal. The first was measured (10 to 14 MiB, and a margin);
/// the second was not: CUDA's own context takes some hundred MiB on the Jetsons.
const PROCESS: u64 = 16 << 20;
const PROCESS_GPU: u64 = 512 << 20;
/// Measured on vocabularies of 49,152 to 262,144 tokens: 205 bytes a token, and 105 a merge where there are merges.
const TOKEN_BYTES: u64 = 210;
const MERGE_BYTES: u64 = 110;

const F16: u64 = 2;
const F32: u64 = 4;

/// Bytes on either side. On the machines that we plan for both sides are the same memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bytes {
    pub cpu: u64,
    pub gpu: u64,
}

impl Bytes {
    pub fn total(self) -> u64 {
        self.cpu.saturating_add(self.gpu)
    }

    fn on(gpu: bool, bytes: u64) -> Self {
        if gpu { Self { cpu: 0, gpu: bytes } } else { Self { cpu: bytes, gpu: 0 } }
    }

    fn times(self, n: u64) -> Self {
        Self { cpu: self.cpu.saturating_mul(n), gpu: self.gpu.saturating_mul(n) }
    }
}

impl std::ops::Add for Bytes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { cpu: self.cpu.saturating_add(other.cpu), gpu: self.gpu.saturating_add(other.gpu) }
    }
}

/// How the model is to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// KV cells of one context.
    pub cells: u32,
    /// Forms open at a time.
    pub jobs: u32,
    /// Departments with an adapter.
    pub departments: u32,
    /// Contexts at most.
    pub contexts_max: u32,
    pub residency: Residency,
    /// Counted from the end, the output layer first. 0 where there is no GPU, whatever the settings say.
    pub gpu_layers: u32,
}

impl Shape {
    /// `on_gpu`: there is one that this build can use.
    pub fn of(order: &LlamaOrder, on_gpu: bool) -> Self {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            cells: order.context_tokens,
            jobs: number(order.jobs_max),
            departments: number(order.adapters.len() + order.bare.len()),
            contexts_max: number(order.contexts_max),
            residency: order.residency,
            gpu_layers: if on_gpu { order.gpu_layers } else { 0 },
        }
    }

    /// Contexts when all are made: no more than departments.
    pub fn contexts(&self) -> u32 {
        match self.residency {
            Residency::Contexts => self.contexts_max.min(self.departments).max(1),
            Residency::Epochs => 1,
        }
    }

    /// What llama.cpp is asked for.
    pub fn context(&self) -> Context {
        let options = self.departments.clamp(OPTIONS_MIN, OPTIONS_MAX);
        let sequences = 2 * self.groups() + SEQUENCES as u32 * self.jobs_open() + options;
        let chunk = if self.gpu_layers > 0 { CHUNK_GPU } else { CHUNK_CPU }.max(sequences);
        Context { cells: self.cells, chunk, outputs_max: chunk, sequences }
    }

    /// Forms that may be open at a time, urgent ones included.
    pub(crate) fn jobs_open(&self) -> u32 {
        self.jobs.clamp(1, JOBS_MAX as u32) + JOBS_URGENT
    }

    /// Cells without which a context would be of no use: instructions in two languages, a form and a short case.
    pub fn cells_min(&self) -> u32 {
        CELLS_FORM + CELLS_QUESTION + 2 * self.groups() * CELLS_PARKED + CELLS_CASE_MIN
    }

    /// Departments of one context. No box has 64 of them (llama.cpp has 256 sequences), and the sums stay small.
    fn groups(&self) -> u32 {
        match self.residency {
            Residency::Contexts => 1,
            Residency::Epochs => self.departments.clamp(1, 64),
        }
    }
}

/// A context in llama.cpp's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// `n_ctx`.
    pub cells: u32,
    /// `n_batch` and `n_ubatch`: tokens of one step. Never fewer than sequences: llama.cpp would end the process.
    pub chunk: u32,
    /// `n_outputs_max`: rows of logits that it reserves for. The chunk, unless it is told otherwise.
    pub outputs_max: u32,
    /// `n_seq_max`, of which it keeps a row of logits each.
    pub sequences: u32,
}

impl Context {
    /// It rounds up.
    fn cells(&self) -> u64 {
        u64::from(self.cells).next_multiple_of(CELLS_STEP.into())
    }

    /// Its "output buffer", on the CPU.
    fn output(&self, facts: &Facts) -> u64 {
        facts.vocabulary * u64::from(self.sequences) * F32
    }

    /// Its "compute buffer". Fitted: see the table in the tests. Six hidden states are the most that were alive
    /// beside the largest tensor.
    fn compute(&self, facts: &Facts, gpu: bool) -> Bytes {
        let chunk = u64::from(self.chunk.min(self.cells));
        let tokens = chunk.next_multiple_of(u64::from(self.sequences.max(1)));
        let masks = if facts.sliding_window { 2 } else { 1 } * self.cells().saturating_mul(tokens).saturating_mul(F16);
        let hidden = facts.width * tokens * F32;
        let logits = facts.vocabulary * u64::from(self.outputs_max).min(chunk) * F32;
        let feed_forward = 3 * facts.feed_forward * tokens * F32;
        let all = masks.saturating_add(6 * hidden + logits.max(feed_forward));
        // The inputs of a GPU are made on the CPU.
        if gpu { Bytes { cpu: masks.saturating_add(hidden), gpu: all } } else { Bytes { cpu: all, gpu: 0 } }
    }
}

/// What a worker takes, in bytes.
#[derive(Debug, Clone)]
pub struct Need {
    facts: Facts,
    shape: Shape,
    pub model: Bytes,
    pub adapters: Bytes,
    pub process: Bytes,
    pub kv_per_context: Bytes,
    /// llama.cpp's "compute buffer".
    pub compute_per_context: Bytes,
    /// llama.cpp's "output buffer".
    pub output_per_context: Bytes,
}

/// `adapters`: the sizes of their files.
pub fn need(facts: &Facts, shape: &Shape, adapters: &[u64]) -> Need {
    let offloaded = |layer: usize| layer as u64 + u64::from(shape.gpu_layers) > facts.layers.len() as u64;
    let gpu = shape.gpu_layers > 0;
    let context = shape.context();
    let sum = |of: &dyn Fn(&Layer) -> u64| {
        let each = facts.layers.iter().enumerate().map(|(at, layer)| Bytes::on(offloaded(at), of(layer)));
        each.fold(Bytes::default(), std::ops::Add::add)
    };
    let output = facts.output + if gpu && facts.tied { facts.embedding } else { 0 };
    Need {
        model: sum(&|layer| layer.weights) + Bytes::on(false, facts.embedding) + Bytes::on(gpu, output),
        adapters: Bytes::on(gpu, adapters.iter().fold(0, |all, size| all.saturating_add(*size))),
        process: Bytes {
            cpu: PROCESS + facts.vocabulary * TOKEN_BYTES + facts.merges * MERGE_BYTES,
            gpu: if gpu { PROCESS_GPU } else { 0 },
        },
        kv_per_context: sum(&|layer| layer.kv_per_cell.saturating_mul(context.cells())),
        compute_per_context: context.compute(facts, gpu),
        output_per_context: Bytes::on(false, context.output(facts)),
        facts: facts.clone(),
        shape: *shape,
    }
}

impl Need {
    pub fn fixed(&self) -> Bytes {
        self.model + self.adapters + self.process
    }

    pub fn per_context(&self) -> Bytes {
        self.kv_per_context + self.compute_per_context + self.output_per_context
    }

    pub fn total(&self, contexts: u32) -> Bytes {
        self.fixed() + self.per_context().times(contexts.into())
    }

    /// How many of `wanted` contexts fit into `budget` bytes. The error is for whom can change the settings: not even
    /// one fits.
    pub fn contexts_that_fit(&self, budget: u64, wanted: u32) -> Result<u32, Short> {
        let each = self.per_context().total().max(1);
        match budget.checked_sub(self.fixed().total()).map(|left| left / each) {
            None | Some(0) => Err(Short { needed: self.total(1).total(), budget, advice: self.advice(budget, 1) }),
            Some(fitting) => Ok(u32::try_from(fitting).unwrap_or(u32::MAX).min(wanted)),
        }
    }

    /// Changes each of which makes `wanted` contexts fit, the gentlest first.
    pub fn advice(&self, budget: u64, wanted: u32) -> Vec<Advice> {
        let fits = |shape: Shape, contexts| self.with(shape).total(contexts).total() <= budget;
        let mut advice = Vec::new();
        let most = self.shape.cells.saturating_sub(1) / CELLS_STEP;
        let least = self.shape.cells_min().div_ceil(CELLS_STEP);
        let smaller = (least..=most).rev().map(|steps| steps * CELLS_STEP);
        if let Some(cells) = { smaller }.find(|cells| fits(Shape { cells: *cells, ..self.shape }, wanted)) {
            advice.push(Advice::ContextTokens(cells));
        }
        if let Some(contexts) = (1..wanted).rev().find(|contexts| fits(self.shape, *contexts)) {
            advice.push(Advice::ContextsMax(contexts));
        }
        let epochs = Shape { residency: Residency::Epochs, ..self.shape };
        if wanted > 1 && epochs.cells_min() <= epochs.cells && fits(epochs, 1) {
            advice.push(Advice::Epochs);
        }
        if self.shape.gpu_layers > 0 && fits(Shape { gpu_layers: 0, ..self.shape }, wanted) {
            advice.push(Advice::NothingOnGpu);
        }
        let beside = self.total(wanted).total() - self.model.total();
        if let Some(weights_max @ 1..) = budget.checked_sub(beside) {
            advice.push(Advice::SmallerModel { weights_max });
        }
        if advice.is_empty() {
            advice.push(Advice::MoreMemory);
        }
        advice
    }

    /// The same model and adapters, used otherwise.
    pub fn with(&self, shape: Shape) -> Self {
        need(&self.facts, &shape, &[self.adapters.total()])
    }

    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    pub fn shape(&self) -> Shape {
        self.shape
    }
}

/// A change of the settings, in their words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    ContextTokens(u32),
    ContextsMax(u32),
    Epochs,
    NothingOnGpu,
    /// Bytes of weights at most.
    SmallerModel {
        weights_max: u64,
    },
    MoreMemory,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ContextTokens(cells) => write!(f, "context_tokens = {cells}"),
            Self::ContextsMax(contexts) => write!(f, "contexts_max = {contexts}"),
            Self::Epochs => f.write_str("residency = \"epochs\""),
            Self::NothingOnGpu => f.write_str("gpu_layers = 0"),
            Self::SmallerModel { weights_max } => write!(f, "a model of at most {}", Size(*weights_max)),
            Self::MoreMemory => f.write_str("more memory"),
        }
    }
}

/// Not even one context fits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "model and one context need {}, {} may be taken, so {} are missing; what would fit: {}",
    Size(*needed), Size(*budget), Size(self.missing()), or(advice)
)]
pub struct Short {
    pub needed: u64,
    pub budget: u64,
    pub advice: Vec<Advice>,
}

impl Short {
    pub fn missing(&self) -> u64 {
        self.needed.saturating_sub(self.budget)
    }
}

/// "a, or b, or c".
pub fn or(advice: &[Advice]) -> String {
    advice.iter().map(Advice::to_string).collect::<Vec<_>>().join(", or ")
}

/// Bytes in the unit that a person would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const GIB: u64 = 1 << 30;
        const MIB: u64 = 1 << 20;
        f.pad(&match self.0 {
            0 => "–".to_owned(),
            bytes @ GIB.. => format!("{:.2} GiB", bytes as f64 / GIB as f64),
            bytes => format!("{:.1} MiB", bytes as f64 / MIB as f64),
        })
    }
}

/// The table of a need, lines that end with a newline; a column for the GPU where something is on it.
pub struct Table<'n> {
    pub need: &'n Need,
    pub contexts: u32,
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let need = self.need;
        let gpu = need.total(1).gpu > 0;
        if gpu {
            writeln!(f, "{:<34}{:>12}{:>12}", "", "CPU", "GPU")?;
        }
        let mut row = |name: &str, bytes: Bytes| match gpu {
            true => writeln!(f, "{name:<34}{:>12}{:>12}", Size(bytes.cpu), Size(bytes.gpu)),
            false => writeln!(f, "{name:<34}{:>12}", Size(bytes.cpu)),
        };
        row("model", need.model)?;
        row("adapters", need.adapters)?;
        row("process and vocabulary", need.process)?;
        row(&format!("a context: KV, {} cells", need.shape.cells), need.kv_per_context)?;
        row("a context: compute buffers", need.compute_per_context)?;
        row(&format!("a context: output, {} sequences", need.shape.context().sequences), need.output_per_context)?;
        row(&format!("{} × context", self.contexts), need.per_context().times(self.contexts.into()))?;
        row("in all", need.total(self.contexts))
    }
}
