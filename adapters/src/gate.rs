//! The examination of an adapter: base against adapter on held-out samples, by the box's own engine.
//!
//! ```text
//! held-out samples ─┬─ weighed (gate/weighed.rs)   how likely base and adapter find the reference, and wrong ones
//!   own department  │
//!   and the others  └─ filled  (gate/filled.rs)    what they write themselves: exclusions, dangers, forbidden lines, speed
//!                                      └─▶ measures with their goals ─▶ gate.json, table, page
//! ```
//! Not by the trainer's library: on a quantised base that computes otherwise than the box does.

mod filled;
mod page;
pub mod table;
mod weighed;

use crate::{
    dataset::Lesson,
    evaluate::{batch::default_program, progress::Progress},
    file,
    package::{ADAPTER_FILE, convert},
    render::Renderer,
    train::Run,
    worker::Worker,
};
use clap::Args;
use contract::{
    ids::Department,
    manifest::{Evaluation, Golden, MeasureName, Measured},
};
use engine::{
    prompt::PromptFormat,
    protocol::{AdapterFile, Branching, LlamaOrder, Residency},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// What an adapter must bring in its own department, and may cost in the others: changes of the negative log-likelihood.
pub const OWN_FALLS_BY: f32 = 0.05;
pub const OTHERS_RISE_BY: f32 = 0.02;
/// Below this mean change of a token's log-likelihood an adapter does nothing: rounding alone is a tenth of it.
const CHANGE_MIN: f32 = 0.005;
/// Share of forms in which the model names an exclusion itself. The form guarantees one in any case.
const EXCLUSION_NAMED_MIN: f32 = 0.9;
/// Share of lines that the box would leave out.
const FORBIDDEN_MAX: f32 = 0.02;

/// What is examined, and how.
pub struct Exam<'a> {
    pub program: &'a Path,
    pub base_model: &'a Path,
    pub base_sha256: &'a str,
    pub adapter: &'a Path,
    pub renderer: &'a Renderer,
    /// Department or task of the adapter.
    pub group: &'a str,
    pub held_out: &'a [Lesson],
    /// Samples with which a box will try the adapter; not of the held-out ones, which stay here.
    pub golden: &'a [Lesson],
    pub args: &'a ExamArgs,
}

/// What an examination found, and of what: another adapter, base or held-out set is another examination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    pub adapter_sha256: String,
    pub base_sha256: String,
    pub form_sha256: String,
    pub held_out_root: String,
    pub group: String,
    pub evaluation: Evaluation,
    pub golden: Vec<Golden>,
    /// For people: what was written for some of the cases.
    pub examples: Vec<Example>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    pub id: String,
    pub question: String,
    pub base: Vec<String>,
    pub adapter: Vec<String>,
    pub reference: Vec<String>,
}

impl Gate {
    /// The goals that were missed, in words.
    pub fn missed(&self) -> Vec<String> {
        self.evaluation.measures.iter().filter(|it| it.met == Some(false)).map(table::missed).collect()
    }
}

/// The two that are compared, as the worker knows them: departments that no contract has.
struct Sides {
    base: Department,
    adapter: Department,
}

impl Exam<'_> {
    pub fn run(&self) -> Result<Gate, String> {
        let adapter_sha256 = sha256(self.adapter)?;
        let asked = first_of_each(self.held_out, self.args.samples_max);
        let own: Vec<&Lesson> = asked.iter().filter(|lesson| lesson.group() == self.group).copied().collect();
        if own.is_empty() {
            return Err(format!("no held-out sample is of {}: there is nothing to examine it with", self.group));
        }
        let consultation = own[0].consult().is_some();
        let sides = Sides { base: code("gate-base"), adapter: code("gate-adapter") };
        let forms = if consultation { own.len().min(self.args.forms_max) } else { 0 };
        let mut progress = Progress::begin("questions", 2 * asked.len() + 2 * forms);
        let mut worker = Worker::open(self.program, self.order(&sides, &adapter_sha256))?;

        let mut measures = weighed::measures(self, &asked, &mut worker, &sides, &mut progress)?;
        let golden = weighed::golden(self, &mut worker, &sides)?;
        let mut examples = Vec::new();
        drop(worker);
        if forms > 0 {
            // Each alone: the other's context would take memory, and the first form pays for both.
            let filled = filled::measures(self, &own[..forms], &adapter_sha256, &mut progress)?;
            measures.extend(filled.measures);
            examples = filled.examples;
        }
        let passed = measures.iter().all(|measure| measure.met != Some(false));
        Ok(Gate {
            adapter_sha256,
            base_sha256: self.base_sha256.to_owned(),
            form_sha256: self.renderer.fingerprint(),
            held_out_root: root(self.held_out),
            group: self.group.to_owned(),
            evaluation: Evaluation { passed, measures },
            golden,
            examples,
        })
    }

    fn order(&self, sides: &Sides, adapter_sha256: &str) -> LlamaOrder {
        let path = self.adapter.to_owned();
        let adapter = AdapterFile { department: sides.adapter.clone(), path, sha256: adapter_sha256.to_owned() };
        LlamaOrder { adapters: vec![adapter], bare: vec![sides.base.clone()], ..self.engine() }
    }

    /// The base alone, for nobody yet.
    fn engine(&self) -> LlamaOrder {
        self.args.engine.order(self.base_model, self.base_sha256, self.renderer.format)
    }
}

/// How the box's engine is used by the tools.
#[derive(Args)]
pub struct EngineArgs {
    /// The consultd whose engine examines; beside this program or in PATH by default.
    #[arg(long = "box", value_name = "PROGRAM")]
    program: Option<PathBuf>,
    /// Threads of the engine; the processor's cores by default.
    #[arg(long)]
    threads: Option<u32>,
    /// Layers on a GPU, where there is one.
    #[arg(long, default_value_t = 999)]
    gpu_layers: u32,
}

/// How much is asked in an examination.
#[derive(Args)]
pub struct ExamArgs {
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Held-out samples of each department that are asked about, base and adapter each.
    #[arg(long, default_value_t = 16)]
    samples_max: usize,
    /// Forms that are filled in an examination, each with and without the adapter.
    #[arg(long, default_value_t = 16)]
    forms_max: usize,
}

impl EngineArgs {
    pub fn program(&self) -> PathBuf {
        self.program.clone().unwrap_or_else(default_program)
    }

    /// The base model alone.
    pub fn order(&self, base_model: &Path, base_sha256: &str, prompt_format: PromptFormat) -> LlamaOrder {
        LlamaOrder {
            model: base_model.to_owned(),
            model_sha256: base_sha256.to_owned(),
            prompt_format,
            adapters: Vec::new(),
            bare: Vec::new(),
            context_tokens: 4096,
            contexts_max: 1,
            jobs_max: 1,
            branches: Branching::CausesFirst,
            residency: Residency::Contexts,
            memory_mb_max: None,
            threads: self.threads.unwrap_or_else(threads),
            nice: 0,
            gpu_layers: self.gpu_layers,
            devices: Vec::new(),
        }
    }
}

/// Examines a trained adapter against its base on the held-out samples: gate.json, a table, gate.html.
///
/// Exit status: 0 when it passed, 1 when not.
#[derive(Args)]
pub struct GateArgs {
    /// The training's output_dir.
    run: PathBuf,
    #[command(flatten)]
    exam: ExamArgs,
}

impl GateArgs {
    pub fn run(&self) -> Result<ExitCode, String> {
        let settings = Run::read(&self.run)?.settings;
        convert(&self.run.join("peft"), &settings.base_model, &self.run.join(ADAPTER_FILE))?;
        let gate = examine(&self.run, &self.exam)?;
        print!("{}", table::table(&gate));
        Ok(if gate.evaluation.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Cases of the validation part that go to the boxes.
const GOLDEN: usize = 3;

/// The adapter in a training's folder, converted; what comes out is kept there.
pub fn examine(run: &Path, args: &ExamArgs) -> Result<Gate, String> {
    let settings = Run::read(run)?.settings;
    let renderer = Renderer::new(settings.prompt_format, settings.form_path.as_deref())?;
    let held_out = Run::part(run, "held-out")?;
    let mut golden = Run::part(run, "validation")?;
    golden.retain(|lesson| lesson.group() == settings.group() && lesson.consult().is_some());
    golden.truncate(GOLDEN);
    let gate = Exam {
        program: &args.engine.program(),
        base_model: &settings.base_model,
        base_sha256: &sha256(&settings.base_model)?,
        adapter: &run.join(ADAPTER_FILE),
        renderer: &renderer,
        group: settings.group(),
        held_out: &held_out,
        golden: &golden,
        args,
    }
    .run()?;
    keep(&gate, run)?;
    Ok(gate)
}

/// So many of each department at most: a large set costs no more than it must.
fn first_of_each(lessons: &[Lesson], most: usize) -> Vec<&Lesson> {
    let mut taken: ByGroup<usize> = BTreeMap::new();
    let mut first = |lesson: &&Lesson| {
        let taken = taken.entry(lesson.group().to_owned()).or_default();
        *taken += 1;
        *taken <= most
    };
    lessons.iter().filter(|lesson| first(lesson)).collect()
}

pub fn root(lessons: &[Lesson]) -> String {
    engine::hex(&crate::merkle::root(lessons.iter().map(Lesson::sha256)))
}

pub fn sha256(path: &Path) -> Result<String, String> {
    engine::file_sha256(path).map_err(|e| format!("{}: {e}", path.display()))
}

fn code(word: &str) -> Department {
    Department::new(word).expect("a code")
}

fn measured(measure: MeasureName, of: &str, n: usize, base: Option<f32>, adapter: f32, met: Option<bool>) -> Measured {
    Measured { measure, of: of.to_owned(), n: n as u32, base, adapter, met }
}

/// The processor's cores: the box has as many threads in its settings.
fn threads() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| n.get() as u32)
}

/// Writes `gate.json` and `gate.html` into a folder.
pub fn keep(gate: &Gate, folder: &Path) -> Result<(), String> {
    file::replace_json(&folder.join("gate.json"), gate)?;
    file::replace(&folder.join("gate.html"), page::page(gate).into_string().as_bytes())
}

pub fn read(folder: &Path) -> Result<Gate, String> {
    file::read_json(&folder.join("gate.json"))
}

type ByGroup<T> = BTreeMap<String, T>;
