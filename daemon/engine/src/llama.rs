//! llama.cpp. Nothing outside this module knows tokens, logits or contexts.
//!
//! One model, one context per adapter, its adapter set once when the context is made: KV of one adapter
//! can never be read under another, and no graph is built anew between requests.
//!
//! ```text
//! sequences of a context (unified KV: copying a sequence copies no data)
//!   0, 1      parked: the department's instructions, zh and en
//!   2         the job: parked prefix + case + causes
//!   3 … 6     branches: each continues the job with one more section, decoded together
//! ```

mod branch;
mod desk;

use crate::{
    file_sha256,
    protocol::*,
    worker::{Desk, Engine},
};
use contract::ids::Department;
use desk::Seat;
use llama_cpp_2::{
    llama_backend::LlamaBackend,
    model::{LlamaLoraAdapter, LlamaModel, params::LlamaModelParams},
};
use std::path::{Path, PathBuf};

/// Why these settings cannot work on this machine.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} has SHA-256 {found}, the settings say {expected}")]
    OtherFile { path: PathBuf, expected: String, found: String },
    #[error("llama.cpp does not start")]
    Backend(#[source] llama_cpp_2::LlamaCppError),
    #[error("llama.cpp does not load {path}: not a GGUF model that it knows, or not enough memory")]
    Model { path: PathBuf, source: llama_cpp_2::LlamaModelLoadError },
    #[error("{path} is a recurrent or hybrid model, whose state cannot be shared between sections: choose a dense one")]
    NotDense { path: PathBuf },
    #[error("llama.cpp does not load the adapter {path}: it does not fit this model, or is damaged")]
    Adapter { path: PathBuf, source: llama_cpp_2::LlamaLoraAdapterInitError },
    #[error("the context does not fit: {0}")]
    Context(#[source] llama_cpp_2::LlamaContextLoadError),
    #[error("context_tokens is {context_tokens}, the form alone needs {needed}")]
    ContextTooSmall { context_tokens: u32, needed: u32 },
}

/// Loads everything, then lends the engine to `serve`; model and contexts end with it.
pub(crate) fn with_engine<R>(order: &LlamaOrder, serve: impl FnOnce(&mut dyn Engine, Ready) -> R) -> Result<R, Unfit> {
    let needed = desk::CELLS_FORM + desk::CELLS_CASE_MIN;
    if order.context_tokens < needed {
        return Err(Unfit::ContextTooSmall { context_tokens: order.context_tokens, needed });
    }
    verify(&order.model, &order.model_sha256)?;
    let mut backend = LlamaBackend::init().map_err(Unfit::Backend)?;
    if std::env::var_os("CONSULTD_LLAMA_LOG").is_none() {
        backend.void_logs(); // hundreds of lines per start; the variable brings them back on stderr
    }
    let params = LlamaModelParams::default().with_n_gpu_layers(order.gpu_layers);
    let path = &order.model;
    let mut model = LlamaModel::load_from_file(&backend, path, &params)
        .map_err(|source| Unfit::Model { path: path.clone(), source })?;
    if model.is_recurrent() || model.is_hybrid() {
        return Err(Unfit::NotDense { path: path.clone() });
    }
    // Adapters before contexts: loading one borrows the model mutably.
    let (mut adapters, mut refused) = (Vec::new(), Vec::new());
    for file in &order.adapters {
        let department = file.department.clone();
        match load(&mut model, file) {
            Ok(adapter) => adapters.push((department, adapter)),
            Err(fault) => refused.push(Refused { department, reason: crate::chain(&fault) }),
        }
    }
    let ready = Ready {
        devices: devices(),
        model_params: model.n_params(),
        model_bytes: model.size(),
        layers: model.n_layer(),
        layers_offloaded: 0,
        contexts: 0,
        memory_bytes: 0,
        refused,
    };
    let mut engine = Llama { order, backend: &backend, model: &model, adapters, seats: Vec::new(), clock: 0 };
    // One context now: what does not fit shall say so at the start, not at the first patient.
    if let Some((department, _)) = engine.adapters.first() {
        let department = department.clone();
        engine.seat(&department).map_err(|fault| match fault {
            SeatFault::Context(source) => Unfit::Context(source),
            SeatFault::NoAdapter => unreachable!("the department was taken from the list"),
        })?;
    }
    Ok(serve(&mut engine, ready))
}

fn devices() -> Vec<Device> {
    let all = llama_cpp_2::list_llama_ggml_backend_devices().into_iter();
    all.map(|d| Device { name: d.name, description: d.description, memory_bytes: d.memory_total as u64 }).collect()
}

/// One adapter that does not load takes its department away and nothing else.
fn load(model: &mut LlamaModel, file: &AdapterFile) -> Result<LlamaLoraAdapter, Unfit> {
    verify(&file.path, &file.sha256)?;
    model.lora_adapter_init(&file.path).map_err(|source| Unfit::Adapter { path: file.path.clone(), source })
}

fn verify(path: &Path, expected: &str) -> Result<(), Unfit> {
    let found = file_sha256(path).map_err(|source| Unfit::Read { path: path.to_owned(), source })?;
    if found == expected {
        Ok(())
    } else {
        Err(Unfit::OtherFile { path: path.to_owned(), expected: expected.to_owned(), found })
    }
}

struct Llama<'m> {
    order: &'m LlamaOrder,
    backend: &'m LlamaBackend,
    model: &'m LlamaModel,
    adapters: Vec<(Department, LlamaLoraAdapter)>,
    /// Contexts that are alive, at most `contexts_max`.
    seats: Vec<(Department, u64, Seat<'m>)>,
    /// Counts uses, for the least recently used seat.
    clock: u64,
}

enum SeatFault {
    NoAdapter,
    Context(llama_cpp_2::LlamaContextLoadError),
}

impl<'m> Llama<'m> {
    fn seat(&mut self, department: &Department) -> Result<&mut Seat<'m>, SeatFault> {
        self.clock += 1;
        if let Some(at) = self.seats.iter().position(|(d, ..)| d == department) {
            let (_, used, seat) = &mut self.seats[at];
            *used = self.clock;
            return Ok(seat);
        }
        let (_, adapter) = self.adapters.iter_mut().find(|(d, _)| d == department).ok_or(SeatFault::NoAdapter)?;
        if self.seats.len() >= self.order.contexts_max.max(1)
            && let Some(oldest) = (0..self.seats.len()).min_by_key(|at| self.seats[*at].1)
        {
            self.seats.swap_remove(oldest);
        }
        let seat = Seat::new(self.order, self.backend, self.model, adapter, department).map_err(SeatFault::Context)?;
        self.seats.push((department.clone(), self.clock, seat));
        Ok(&mut self.seats.last_mut().expect("just pushed").2)
    }
}

impl Engine for Llama<'_> {
    fn fill(&mut self, order: &FillOrder, desk: &mut dyn Desk) -> Result<FillStats, FillFault> {
        let seat = self.seat(&order.department).map_err(|fault| match fault {
            SeatFault::NoAdapter => FillFault::NoAdapter,
            SeatFault::Context(_) => FillFault::NoContext,
        })?;
        let result = seat.fill(order, desk);
        seat.clear_job();
        result
    }
}
