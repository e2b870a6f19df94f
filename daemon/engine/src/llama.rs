//! llama.cpp. Nothing outside this module knows tokens, logits or contexts.
//!
//! One model, one context per adapter, its adapter set once when the context is made: KV of one adapter
//! can never be read under another, and no graph is built anew between requests.
//!
//! ```text
//! llama.rs    which seat an order gets, whose turn it is          seat.rs   one context, one step
//! job.rs      one form: its sections and what follows them        branch.rs one section    logits.rs
//! weigh.rs    given texts, how likely each is
//! ```

mod branch;
mod job;
mod logits;
mod seat;
mod weigh;

use crate::{
    file_sha256, gguf,
    memory::{self, Shape},
    protocol::*,
    schedule::{Schedule, Want},
    worker::Engine,
};
use contract::ids::RequestId;
use job::due;
use llama_cpp_2::{
    LlamaBackendDevice, LlamaBackendDeviceType,
    llama_backend::LlamaBackend,
    model::{LlamaLoraAdapter, LlamaModel, params::LlamaModelParams},
};
use seat::{Failed, Group, Seat};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use weigh::Scales;

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
    #[error("{path}: not a model")]
    Header { path: PathBuf, source: gguf::GgufError },
    #[error("{path}")]
    Facts { path: PathBuf, source: memory::NotAModel },
    #[error("not enough memory")]
    Short(#[source] memory::Short),
    #[error("no memory for a context, although it should have fitted")]
    Context,
    #[error("context_tokens is {context_tokens}; instructions, a short case and its form need {needed}")]
    ContextTooSmall { context_tokens: u32, needed: u32 },
    #[error("there is no device {wanted}; there are: {found}")]
    NoDevice { wanted: String, found: String },
}

impl Unfit {
    pub(crate) fn report(&self) -> Report {
        // Fewer contexts, or less of the model on the GPU, would help: the file is whole and of its hash when llama.cpp
        // gets it, so what then fails is most often an allocation.
        let short_of_memory = matches!(self, Self::Short(_) | Self::Context | Self::Model { .. });
        Report::Unfit { reason: crate::chain(self), short_of_memory }
    }
}

/// The class of a case that can wait.
const ROUTINE: u8 = 2;

/// Loads everything, then lends the engine to `serve`; model and contexts end with it.
pub(crate) fn with_engine<R>(order: &LlamaOrder, serve: impl FnOnce(&mut dyn Engine, Ready) -> R) -> Result<R, Unfit> {
    verify(&order.model, &order.model_sha256)?;
    let mut backend = LlamaBackend::init().map_err(Unfit::Backend)?;
    if std::env::var_os("CONSULTD_LLAMA_LOG").is_none() {
        backend.void_logs(); // hundreds of lines per start; the variable brings them back on stderr
    }
    let params = LlamaModelParams::default().with_n_gpu_layers(order.gpu_layers);
    let (params, on_gpu) = on_devices(order, params)?;
    let shape = Shape::of(order, on_gpu);
    if order.context_tokens < shape.cells_min() {
        return Err(Unfit::ContextTooSmall { context_tokens: order.context_tokens, needed: shape.cells_min() });
    }
    let path = || order.model.clone();
    let header = gguf::Header::read(&order.model).map_err(|source| Unfit::Header { path: path(), source })?;
    let facts = memory::Facts::of(&header).map_err(|source| Unfit::Facts { path: path(), source })?;
    let (need, contexts) = plan(order, &shape, &facts)?;
    let path = &order.model;
    let mut model = LlamaModel::load_from_file(&backend, path, &params)
        .map_err(|source| Unfit::Model { path: path.clone(), source })?;
    if model.is_recurrent() || model.is_hybrid() {
        return Err(Unfit::NotDense { path: path.clone() });
    }
    // Adapters before contexts: loading one borrows the model mutably.
    let (mut groups, mut refused) = (Vec::new(), Vec::new());
    for file in &order.adapters {
        let department = file.department.clone();
        match load(&mut model, file) {
            Ok(adapter) => groups.push(Group { department, adapter: Some(adapter) }),
            Err(fault) => refused.push(Refused { department, reason: crate::chain(&fault) }),
        }
    }
    groups.extend(order.bare.iter().map(|department| Group { department: department.clone(), adapter: None }));
    let ready = Ready {
        devices: devices(),
        model_params: model.n_params(),
        model_bytes: model.size(),
        layers: model.n_layer(),
        layers_offloaded: shape.gpu_layers.min(model.n_layer()),
        contexts,
        memory_bytes: need.total(contexts).total(),
        refused,
    };
    let quantum = if order.residency == Residency::Epochs { QUANTUM_EPOCH } else { QUANTUM };
    let mut engine = Llama {
        order,
        backend: &backend,
        model: &model,
        shape,
        few_cost_more: !on_gpu && few_cost_more(&header),
        groups,
        seats: Vec::new(),
        scales: Vec::new(),
        contexts_max: contexts as usize,
        clock: 0,
        waiting: Vec::new(),
        schedule: Schedule::new(quantum.as_micros() as u64),
        born: Instant::now(),
        short_of_memory: false,
    };
    // One context now: what does not fit shall say so at the start, not at the first patient.
    if !engine.groups.is_empty() && engine.seat(0, ROUTINE).is_none() {
        return Err(Unfit::Context);
    }
    Ok(serve(&mut engine, ready))
}

/// The devices of the settings, and whether one of them is a GPU that is to be used.
fn on_devices(order: &LlamaOrder, params: LlamaModelParams) -> Result<(LlamaModelParams, bool), Unfit> {
    let found = llama_cpp_2::list_llama_ggml_backend_devices();
    let is_gpu = |device: &&LlamaBackendDevice| {
        matches!(device.device_type, LlamaBackendDeviceType::Gpu | LlamaBackendDeviceType::IntegratedGpu)
    };
    if order.devices.is_empty() {
        return Ok((params, order.gpu_layers > 0 && found.iter().any(|device| is_gpu(&device))));
    }
    let by_name = |name: &String| {
        found.iter().find(|device| device.name == *name).ok_or_else(|| Unfit::NoDevice {
            wanted: name.clone(),
            found: found.iter().map(|device| device.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    };
    let chosen = order.devices.iter().map(by_name).collect::<Result<Vec<_>, _>>()?;
    // The CPU is always there and is not to be named to llama.cpp; an empty list means "no GPU" to it.
    let gpus: Vec<usize> = chosen.iter().filter(|device| is_gpu(device)).map(|device| device.index).collect();
    Ok((params.with_devices(&gpus).map_err(Unfit::Backend)?, order.gpu_layers > 0 && !gpus.is_empty()))
}

/// What all this will take, told on stderr; how many contexts fit. Refused before anything is loaded.
fn plan(order: &LlamaOrder, shape: &Shape, facts: &memory::Facts) -> Result<(memory::Need, u32), Unfit> {
    // An adapter that cannot be read is refused by name later, and takes nothing.
    let size = |file: &AdapterFile| std::fs::metadata(&file.path).map_or(0, |meta| meta.len());
    let need = memory::need(facts, shape, &order.adapters.iter().map(size).collect::<Vec<_>>());
    let machine = || memory::machine_memory().map_or(u64::MAX, memory::default_budget);
    let budget = order.memory_mb_max.map_or_else(machine, |mb| mb << 20);
    let contexts = need.contexts_that_fit(budget, shape.contexts()).map_err(Unfit::Short)?;
    eprint!("worker: memory\n{}", memory::Table { need: &need, contexts });
    if contexts < shape.contexts() {
        let advice = memory::or(&need.advice(budget, shape.contexts()));
        eprintln!(
            "worker: {contexts} of {} contexts fit; departments will make room for each other. For all: {advice}",
            shape.contexts()
        );
    }
    Ok((need, contexts))
}

/// Whether two or three rows of this model in one step cost more than one by one. From two rows on ggml takes
/// llamafile's kernels for Q5_0 and Q8_0, and on x86-64 those earn their keep only from four on: 1, 2, 3, 4, 6, 8 and 16
/// rows of the demo model took 13, 28, 43, 34, 41, 41 and 79 ms on two cores (`make bench-rows`). (Filling up odd numbers
/// of rows with one that nobody reads brought nothing.) A rule by type and not a measurement at the start, so that the
/// same box gives the same answer tomorrow.
fn few_cost_more(header: &gguf::Header) -> bool {
    const Q5_0: u32 = 6;
    const Q8_0: u32 = 8;
    let bytes = |of: &dyn Fn(&&gguf::Tensor) -> bool| header.tensors.iter().filter(of).map(|t| t.bytes).sum::<u64>();
    let all = bytes(&|_| true);
    cfg!(target_arch = "x86_64") && 2 * bytes(&|tensor| matches!(tensor.kind, Q5_0 | Q8_0)) > all
}

pub(crate) fn devices() -> Vec<Device> {
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
    shape: Shape,
    few_cost_more: bool,
    groups: Vec<Group>,
    /// Contexts that are alive, with the moment of their last use; at most `contexts_max`.
    seats: Vec<(u64, Seat<'m>)>,
    /// By group, made by its first order to weigh something.
    scales: Vec<(usize, Scales<'m>)>,
    contexts_max: usize,
    /// Counts uses, for the least recently used seat.
    clock: u64,
    /// Orders that have no place yet.
    waiting: Vec<(FillOrder, Instant)>,
    schedule: Schedule,
    born: Instant,
    /// A context could not be made that should have fitted.
    short_of_memory: bool,
}

/// What a department may spend before another of its rank has its turn. With a context each a turn costs nothing,
/// and a quantum is a few steps. Where the adapter must be changed (20 to 85 ms), a turn must be worth it.
const QUANTUM: Duration = Duration::from_millis(250);
const QUANTUM_EPOCH: Duration = Duration::from_millis(1500);

impl<'m> Llama<'m> {
    /// The seat that serves a department: where it sits, in place of the one that was idle for longest, or none now.
    /// For a case of a class better than all that is open in a seat, that seat is cleared.
    fn seat(&mut self, group: usize, class: u8) -> Option<usize> {
        self.clock += 1;
        if let Some(at) = self.seats.iter().position(|(_, seat)| seat.groups.contains(&group)) {
            self.seats[at].0 = self.clock;
            return Some(at);
        }
        if self.seats.len() >= self.contexts_max {
            let oldest = |may_go: &dyn Fn(&Seat) -> bool| {
                let those = self.seats.iter().enumerate().filter(|(_, (_, seat))| may_go(seat));
                those.min_by_key(|(_, (used, _))| *used).map(|(at, _)| at)
            };
            let idle = oldest(&|seat| seat.jobs.is_empty());
            let worse = || oldest(&|seat| seat.jobs.iter().all(|job| job.order.class > class));
            let (_, mut seat) = self.seats.swap_remove(idle.or_else(worse)?);
            self.waiting.extend(seat.set_aside(class));
        }
        let groups = match self.order.residency {
            Residency::Contexts => vec![group],
            Residency::Epochs => (0..self.groups.len()).collect(),
        };
        let seat = Seat::new(self.order, self.backend, self.model, groups, &self.shape, self.few_cost_more);
        self.short_of_memory |= seat.is_err();
        self.seats.push((self.clock, seat.ok()?));
        Some(self.seats.len() - 1)
    }

    /// Opens what has a place, best class and earliest deadline first. Who finds none keeps its turn: nobody of its
    /// class or a worse one slips in before it.
    fn admit(&mut self) -> Vec<Failed> {
        let mut failed = Vec::new();
        self.waiting.sort_by_key(|(order, arrived)| (order.class, due(order, *arrived)));
        for (order, arrived) in std::mem::take(&mut self.waiting) {
            if self.waiting.iter().any(|(before, _)| before.class <= order.class) {
                self.waiting.push((order, arrived));
                continue;
            }
            let job = order.job;
            if let Err(fault) = self.place(order, arrived) {
                failed.push(Failed { job, fault });
            }
        }
        failed
    }

    fn place(&mut self, order: FillOrder, arrived: Instant) -> Result<(), FillFault> {
        let group = self.groups.iter().position(|group| group.department == order.department);
        let group = group.ok_or(FillFault::NoAdapter)?;
        let class = order.class;
        let Some(at) = self.seat(group, class) else {
            self.waiting.push((order, arrived));
            return Ok(());
        };
        let seat = &mut self.seats[at].1;
        let Some(order) = seat.open(group, &mut self.groups, order, arrived)? else { return Ok(()) };
        // No room. An urgent case takes the room of routine ones, which begin again later.
        let aside = seat.set_aside(class);
        let left = if aside.is_empty() { Some(order) } else { seat.open(group, &mut self.groups, order, arrived)? };
        self.waiting.extend(aside);
        self.waiting.extend(left.map(|order| (order, arrived)));
        Ok(())
    }

    fn weighed(&mut self, order: &WeighOrder) -> Result<Vec<Weight>, FillFault> {
        let at = self.groups.iter().position(|group| group.department == order.department);
        let at = at.ok_or(FillFault::NoAdapter)?;
        if self.scales.iter().all(|(group, _)| *group != at) {
            self.scales.push((at, Scales::new(self.order, self.backend, self.model, &mut self.groups[at])?));
        }
        let scales = self.scales.iter_mut().find(|(group, _)| *group == at);
        scales.expect("made just now").1.weigh(order)
    }

    fn now_us(&self) -> u64 {
        self.born.elapsed().as_micros() as u64
    }

    fn wants(&self) -> Vec<Want> {
        let mut wants: Vec<Want> = Vec::new();
        for job in self.seats.iter().flat_map(|(_, seat)| &seat.jobs) {
            match wants.iter_mut().find(|want| want.flow == job.flow()) {
                Some(want) => want.unheard |= !job.heard,
                None => wants.push(Want { flow: job.flow(), unheard: !job.heard }),
            }
        }
        wants
    }
}

impl Engine for Llama<'_> {
    fn begin(&mut self, order: FillOrder) {
        self.waiting.push((order, Instant::now()));
    }

    fn cancel(&mut self, job: RequestId, tell: &mut dyn FnMut(Report)) {
        let waited = self.waiting.iter().position(|(order, _)| order.job == job);
        let failed = match waited {
            Some(at) => Some(Failed { job: self.waiting.remove(at).0.job, fault: FillFault::Cancelled }),
            None => self.seats.iter_mut().find_map(|(_, seat)| seat.cancel(job)),
        };
        if let Some(Failed { job, fault }) = failed {
            tell(Report::Failed { job, fault });
        }
    }

    fn weigh(&mut self, order: WeighOrder, tell: &mut dyn FnMut(Report)) {
        let job = order.job;
        tell(match self.weighed(&order) {
            Ok(options) => Report::Weighed { job, options },
            Err(fault) => Report::Failed { job, fault },
        });
    }

    fn unfit(&self) -> Option<Report> {
        self.short_of_memory.then(|| Unfit::Context.report())
    }

    fn idle(&self) -> bool {
        self.waiting.is_empty() && self.seats.iter().all(|(_, seat)| seat.jobs.is_empty())
    }

    fn step(&mut self, tell: &mut dyn FnMut(Report)) {
        let mut failed = self.admit();
        let wants = self.wants();
        let began = self.now_us();
        if let Some(flow) = self.schedule.pick(began, &wants) {
            let seat = self.seats.iter_mut().find(|(_, seat)| seat.groups.contains(&flow.group));
            let (_, seat) = seat.expect("a flow is of open forms, and those sit in a seat");
            failed.extend(seat.step(flow, &mut self.groups[flow.group], tell));
            let now = self.now_us();
            self.schedule.charge(flow, now, now - began);
        }
        for Failed { job, fault } in failed {
            tell(Report::Failed { job, fault });
        }
    }

    /// Makes the contexts that fit and reads their instructions while nobody waits, so that the first case of a
    /// department is no slower than the second.
    fn prepare(&mut self) -> bool {
        for group in 0..self.groups.len() {
            let sits = self.seats.iter().position(|(_, seat)| seat.groups.contains(&group));
            let at = match sits {
                Some(at) => at,
                None if self.seats.len() < self.contexts_max => return self.seat(group, ROUTINE).is_some(),
                None => continue,
            };
            if self.seats[at].1.park_next(&mut self.groups).unwrap_or(false) {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
