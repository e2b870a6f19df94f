//! `consultd plan`: does this model fit on that machine, before anybody buys or downloads either.

use crate::{
    Exit,
    settings::{self, EngineSettings, LlamaSettings},
    shelf,
};
use clap::{Args, ValueEnum};
use engine::{
    gguf::Header,
    memory::{self, Facts, Need, Shape, Size, Table},
    protocol::{JOBS_MAX, Residency},
};
use std::path::{Path, PathBuf};

/// Computes what a model takes of a machine's memory, from its file's header alone.
///
/// Exit code 0: it fits. 78: it does not, or the file is no model; the last line says what to change.
#[derive(Args)]
pub struct Plan {
    /// The model's file (GGUF). Default: the one that --config names.
    #[arg(long, value_name = "FILE", required_unless_present = "config")]
    model: Option<PathBuf>,
    /// Takes model, adapters and the engine's settings from this file; what is said here goes before it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The machine to plan for. Default: this one with --config, else a line for each that is known.
    #[arg(long, value_enum, conflicts_with = "memory")]
    machine: Option<Machine>,
    /// What the worker may take, as in 12G or 900M. Default: three quarters of the machine's memory.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<u64>,
    /// Departments, each with its adapter [default: 8].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    adapters: Option<u32>,
    /// Size of an adapter's file in MiB.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u64).range(0..=65_536))]
    adapter_mb: u64,
    /// KV cells of one context [default: 8192].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1920..=131_072))]
    context_tokens: Option<u32>,
    /// Contexts kept at a time [default: 8].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    contexts: Option<u32>,
    /// Forms open at a time [default: 8].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=JOBS_MAX as i64))]
    jobs: Option<u32>,
    /// Layers on the GPU [default: all; none where the machine has no GPU that this build can use].
    #[arg(long, value_name = "N")]
    gpu_layers: Option<u32>,
    /// A context for each department, or one for all [default: contexts].
    #[arg(long, value_enum)]
    residency: Option<ResidencyWord>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ResidencyWord {
    Contexts,
    Epochs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Machine {
    /// Jetson AGX Orin, 64 GB.
    #[value(name = "orin-64")]
    Orin64,
    /// Jetson AGX Orin, 32 GB.
    #[value(name = "orin-32")]
    Orin32,
    /// Jetson AGX Thor, 128 GB.
    #[value(name = "thor-128")]
    Thor128,
    /// Mac mini M4, 16 GB.
    #[value(name = "m4-16")]
    M4With16,
    /// Mac mini M4, 24 GB.
    #[value(name = "m4-24")]
    M4With24,
    /// Mac mini M4 Pro, 48 GB.
    #[value(name = "m4pro-48")]
    M4ProWith48,
    /// The one that this runs on.
    This,
}

impl Machine {
    const KNOWN: [Self; 6] =
        [Self::Orin32, Self::Orin64, Self::Thor128, Self::M4With16, Self::M4With24, Self::M4ProWith48];

    /// GiB of memory, and its bandwidth in GB/s as the maker publishes it.
    fn figures(self) -> Option<(u64, f64)> {
        match self {
            Self::Orin32 => Some((32, 204.8)),
            Self::Orin64 => Some((64, 204.8)),
            Self::Thor128 => Some((128, 273.0)),
            Self::M4With16 => Some((16, 120.0)),
            Self::M4With24 => Some((24, 120.0)),
            Self::M4ProWith48 => Some((48, 273.0)),
            Self::This => None,
        }
    }

    fn place(self) -> Result<Place, String> {
        let name = self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        let (memory, bandwidth) = match self.figures() {
            Some((gib, bandwidth)) => (gib << 30, Some(bandwidth)),
            None => {
                (memory::machine_memory().ok_or("this system does not say how much memory it has: --memory")?, None)
            }
        };
        Ok(Place { name, budget: memory::default_budget(memory), bandwidth })
    }
}

/// Where the worker is to live.
struct Place {
    name: String,
    /// Bytes that the worker may take.
    budget: u64,
    bandwidth: Option<f64>,
}

/// Tokens behind which a form's middle is written: instructions, a case, half of the form.
const CELLS_READ: u32 = 1024;

impl Plan {
    pub fn main(&self) -> Exit {
        match self.plan() {
            Ok(true) => Exit::Done,
            Ok(false) => Exit::Settings,
            Err(fault) => {
                eprintln!("{fault}");
                Exit::Settings
            }
        }
    }

    /// Whether it fits on any of the places.
    fn plan(&self) -> Result<bool, String> {
        let (settings, files) = self.settings()?;
        let model = self.model.as_ref().or(settings.as_ref().map(|s| &s.model)).ok_or("--model is missing")?;
        let facts = facts(model)?;
        let places = self.places(settings.as_ref())?;
        let adapters = match (self.adapters, files) {
            (None, Some(files)) => files,
            (count, _) => vec![self.adapter_mb << 20; count.unwrap_or(8) as usize],
        };
        let shape = self.shape(settings.as_ref(), adapters.len() as u32);
        if shape.cells < shape.cells_min() {
            return Err(format!("context_tokens is {}, at least {} are needed", shape.cells, shape.cells_min()));
        }
        let need = memory::need(&facts, &shape, &adapters);

        let contexts = shape.contexts();
        println!(
            "{}: {}, {} layers, {} of weights",
            model.display(),
            facts.architecture,
            facts.layers.len(),
            Size(facts.weights())
        );
        print!("{}", Table { need: &need, contexts });
        let read = facts.read_per_token(CELLS_READ, adapters.iter().max().copied().unwrap_or(0));
        println!("\nread for each token of one form: {} of weights, adapter and KV", Size(read));
        let fitting = places.iter().filter(|place| place.tell(&need, read)).count();
        Ok(fitting > 0)
    }

    /// The settings' engine and the sizes of their adapters' files.
    fn settings(&self) -> Result<(Option<LlamaSettings>, Option<Vec<u64>>), String> {
        let Some(path) = &self.config else { return Ok((None, None)) };
        let settings = settings::load(path).map_err(|faults| format!("{}: {faults}", path.display()))?;
        let shelf = shelf::read(&settings);
        shelf.faults.iter().for_each(|fault| eprintln!("an adapter is left out: {fault}"));
        let sizes = shelf.files.iter().map(|file| {
            let metadata = std::fs::metadata(&file.path).map_err(|e| format!("{}: {e}", file.path.display()))?;
            Ok(metadata.len())
        });
        match settings.engine {
            EngineSettings::Llama(llama) => Ok((Some(llama), Some(sizes.collect::<Result<_, String>>()?))),
            EngineSettings::Scripted(_) => Err("the scripted engine takes no memory worth a plan".to_owned()),
        }
    }

    fn places(&self, settings: Option<&LlamaSettings>) -> Result<Vec<Place>, String> {
        let said = |budget| Ok(vec![Place { name: "memory as said".to_owned(), budget, bandwidth: None }]);
        match (self.memory, self.machine, settings) {
            (Some(bytes), ..) => said(bytes),
            (_, Some(machine), _) => Ok(vec![machine.place()?]),
            (.., Some(LlamaSettings { memory_mb_max: Some(mb), .. })) => said(mb << 20),
            (.., Some(_)) => Ok(vec![Machine::This.place()?]),
            _ => Machine::KNOWN.into_iter().map(Machine::place).collect(),
        }
    }

    fn shape(&self, settings: Option<&LlamaSettings>, departments: u32) -> Shape {
        let residency = match self.residency {
            Some(ResidencyWord::Contexts) => Residency::Contexts,
            Some(ResidencyWord::Epochs) => Residency::Epochs,
            None => settings.map_or(Residency::default(), |s| s.residency),
        };
        Shape {
            cells: self.context_tokens.or(settings.map(|s| s.context_tokens)).unwrap_or(8192),
            jobs: self.jobs.or(settings.map(|s| s.jobs_max as u32)).unwrap_or(8),
            departments,
            contexts_max: self.contexts.or(settings.map(|s| s.contexts_max as u32)).unwrap_or(8),
            residency,
            gpu_layers: self.gpu_layers(settings),
        }
    }

    fn gpu_layers(&self, settings: Option<&LlamaSettings>) -> u32 {
        let wanted = self.gpu_layers.or(settings.map(|s| s.gpu_layers));
        // Known machines have a GPU. Of other memory we know nothing, and of this machine what llama.cpp finds.
        let has_gpu = match self.machine {
            Some(Machine::This) => finds_gpu(),
            Some(_) => true,
            None if settings.is_some() => finds_gpu(),
            None => self.memory.is_none() || self.gpu_layers.is_some(),
        };
        if has_gpu { wanted.unwrap_or(999) } else { 0 }
    }
}

impl Place {
    /// Says whether the need fits here, and what to change where it does not.
    fn tell(&self, need: &Need, read: u64) -> bool {
        let wanted = need.shape().contexts();
        let verdict = need.contexts_that_fit(self.budget, wanted);
        let speed = self.bandwidth.map_or_else(String::new, |bandwidth| {
            let tokens = bandwidth * 1e9 / read as f64;
            format!(" At most {tokens:.0} tokens/s for one form, an upper limit from {bandwidth} GB/s.")
        });
        match &verdict {
            Ok(fitting) if *fitting == wanted => {
                let spare = Size(self.budget - need.total(wanted).total());
                let contexts =
                    if wanted == 1 { "the context fits".to_owned() } else { format!("all {wanted} contexts fit") };
                println!("{}: fits; {contexts} into {}, {spare} to spare.{speed}", self.name, Size(self.budget));
            }
            Ok(fitting) => {
                let advice = memory::or(&need.advice(self.budget, wanted));
                println!(
                    "{}: fits; {fitting} of {wanted} contexts into {}, where departments take turns; what would fit: {advice}.{speed}",
                    self.name,
                    Size(self.budget)
                );
            }
            Err(short) => println!("{}: does not fit; {short}.", self.name),
        }
        verdict.is_ok()
    }
}

/// Prints the processors that llama.cpp finds, by the names that `devices` in the settings takes.
pub fn devices() -> Exit {
    match engine::devices() {
        Ok(devices) => {
            for device in devices {
                println!("{:<10}{:>12}  {}", device.name, Size(device.memory_bytes).to_string(), device.description);
            }
            Exit::Done
        }
        Err(fault) => {
            eprintln!("{fault}");
            Exit::Settings
        }
    }
}

fn finds_gpu() -> bool {
    // Beside GPUs, llama.cpp lists the processor itself and its helpers (BLAS).
    engine::devices().is_ok_and(|devices| devices.iter().any(|d| !matches!(d.name.as_str(), "CPU" | "BLAS")))
}

fn facts(model: &Path) -> Result<Facts, String> {
    let say = |fault: &dyn std::error::Error| format!("{}: {}", model.display(), engine::chain(fault));
    let header = Header::read(model).map_err(|fault| say(&fault))?;
    Facts::of(&header).map_err(|fault| say(&fault))
}

/// Bytes from "900M", "12G" or "12GiB"; a gigabyte of memory has 2³⁰ bytes.
fn size(text: &str) -> Result<u64, String> {
    let upper = text.to_ascii_uppercase();
    let number = upper.trim_end_matches("IB").trim_end_matches('B');
    let (number, shift) = match number.char_indices().last() {
        Some((at, 'M')) => (&number[..at], 20),
        Some((at, 'G')) => (&number[..at], 30),
        Some((at, 'T')) => (&number[..at], 40),
        _ => return Err("a size such as 900M, 12G or 1T".to_owned()),
    };
    match number.trim().parse::<u32>() {
        Ok(number @ 1..) => Ok(u64::from(number) << shift),
        _ => Err("a whole number before M, G or T".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in
            [("900M", 900 << 20), ("12G", 12 << 30), ("12gb", 12 << 30), ("12GiB", 12 << 30), ("1T", 1 << 40)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "G", "12", "-1G", "0G", "1.5G", "12K", "99999999999G", "一G"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
