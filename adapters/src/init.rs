//! `adapterctl init`: the adapter from which several regions train.
//!
//! ```text
//! the base's GGUF header, or a PEFT folder ─ shapes ─▶ A drawn at random, B zero ─▶ PEFT folder
//! ```
//!
//! With B zero it changes nothing yet. Regions that start from one A, and not each from its own, can be combined with
//! less loss (see `combine`). A is drawn as PEFT draws it: uniform within ±1/√in, which is Kaiming's bound for a = √5.

use crate::{
    convert::{Architecture, ConvertError, Half, MODULES, Matrices, Matrix, Module, Place, last_part},
    peft::{self, Peft, WriteError},
};
use clap::Args;
use engine::gguf::{GgufError, Header};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

#[derive(Args)]
pub struct Init {
    /// Folder to write; must not be there, or be empty.
    out: PathBuf,
    /// A PEFT folder whose settings and shapes are taken over, not its weights.
    #[arg(long, conflicts_with_all = ["base", "rank", "alpha", "target_modules"])]
    like: Option<PathBuf>,
    /// The base model's GGUF file; only its header is read.
    #[arg(long, required_unless_present = "like")]
    base: Option<PathBuf>,
    #[arg(long, required_unless_present = "like")]
    rank: Option<u32>,
    /// Twice the rank when it is not given, as training has it.
    #[arg(long)]
    alpha: Option<u32>,
    /// Such as q_proj,v_proj.
    #[arg(long, value_delimiter = ',', required_unless_present = "like")]
    target_modules: Vec<String>,
    /// The same seed gives the same bytes on every machine.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error("{}", .0.display())]
    Base(PathBuf, #[source] GgufError),
    #[error("{}: general.architecture is missing", .0.display())]
    ArchitectureMissing(PathBuf),
    #[error("{}", .0.display())]
    Peft(PathBuf, #[source] ConvertError),
    #[error("target module {0:?} is not one of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj")]
    Module(String),
    #[error("rank and alpha must be above 0")]
    Zero,
    #[error("the base has no layers")]
    NoLayers,
    #[error("the base has no tensor {0}")]
    NoTensor(String),
    #[error("the base's {tensor} has the shape {dimensions:?}, which is not a matrix of at least rank {rank}")]
    Shape { tensor: String, dimensions: Vec<u64>, rank: u32 },
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Init {
    pub fn run(&self) -> Result<(), InitError> {
        peft::is_free(&self.out)?;
        let (settings, mut matrices) = match (&self.like, &self.base, self.rank) {
            (Some(folder), ..) => like(folder)?,
            (None, Some(base), Some(rank)) => {
                let alpha = self.alpha.unwrap_or(rank.saturating_mul(2));
                of_base(base, rank, alpha, &self.target_modules)?
            }
            (None, ..) => unreachable!("clap asks for --base and --rank where --like is not given"),
        };
        draw(&mut matrices, self.seed);
        peft::write(&self.out, &settings, &matrices, &[])?;
        println!("{}: {} tensors, seed {}", self.out.display(), matrices.len(), self.seed);
        Ok(())
    }
}

fn like(folder: &Path) -> Result<(Map<String, Value>, Matrices), InitError> {
    let peft = Peft::read(folder).map_err(|fault| InitError::Peft(folder.to_owned(), fault))?;
    Ok((peft.settings, peft.matrices))
}

fn of_base(
    base: &Path,
    rank: u32,
    alpha: u32,
    targets: &[String],
) -> Result<(Map<String, Value>, Matrices), InitError> {
    if rank == 0 || alpha == 0 {
        return Err(InitError::Zero);
    }
    let header = Header::read(base).map_err(|fault| InitError::Base(base.to_owned(), fault))?;
    let word = header.text("general.architecture").ok_or_else(|| InitError::ArchitectureMissing(base.to_owned()))?;
    let architecture: Architecture = word.parse().map_err(|fault| InitError::Peft(base.to_owned(), fault))?;
    let matrices = zeros(&header, architecture, rank, targets)?;
    // As training names it; the folder would differ from region to region.
    let file = base.file_name().unwrap_or_default().to_string_lossy();
    let name = header.text("general.name").unwrap_or(&file);
    let Value::Object(settings) = json!({
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": name,
        "r": rank, "lora_alpha": alpha, "lora_dropout": 0.0, "bias": "none", "target_modules": targets,
        "init_lora_weights": true, "inference_mode": true,
    }) else {
        unreachable!("an object was written");
    };
    Ok((settings, matrices))
}

fn zeros(header: &Header, architecture: Architecture, rank: u32, targets: &[String]) -> Result<Matrices, InitError> {
    let modules: Vec<Module> = targets.iter().map(|name| module(name)).collect::<Result<_, _>>()?;
    let mut shapes = BTreeMap::new();
    for layer in 0..layers(header)? {
        for module in modules.iter().copied() {
            let [input, output] = dimensions(header, layer, module, rank)?;
            shapes.insert(Place { layer, module, half: Half::A }, [rank as usize, input]);
            shapes.insert(Place { layer, module, half: Half::B }, [output, rank as usize]);
        }
    }
    peft::fits(shapes.values().copied())?;

    let prefix = architecture.layer_prefixes()[0]; // models that transformers loads from GGUF have no vision part
    let zeros = |(place, [rows, columns]): (Place, [usize; 2])| {
        let tensor = place.peft_name(prefix);
        (place, Matrix { tensor, rows, columns, values: vec![0.0; rows * columns] })
    };
    Ok(shapes.into_iter().map(zeros).collect())
}

fn module(name: &str) -> Result<Module, InitError> {
    let found = MODULES.iter().find(|(_, hf, _)| last_part(hf) == name);
    found.map(|row| row.0).ok_or_else(|| InitError::Module(name.to_owned()))
}

fn layers(header: &Header) -> Result<u32, InitError> {
    let number = |name: &str| name.strip_prefix("blk.")?.split('.').next()?.parse::<u32>().ok();
    // A header has at most 65,536 tensors, and a layer that is missing below the last is named when it is asked for.
    let last = header.tensors.iter().filter_map(|tensor| number(&tensor.name)).max().ok_or(InitError::NoLayers)?;
    Ok(last.saturating_add(1))
}

/// `[in, out]`, as the header has them: the fast dimension is the input.
fn dimensions(header: &Header, layer: u32, module: Module, rank: u32) -> Result<[usize; 2], InitError> {
    let name = format!("blk.{layer}.{}.weight", module.names().1);
    let found = header.tensors.iter().find(|tensor| tensor.name == name);
    let Some(tensor) = found else { return Err(InitError::NoTensor(name)) };
    let shape = || InitError::Shape { tensor: name.clone(), dimensions: tensor.dimensions.clone(), rank };
    let &[input, output] = &tensor.dimensions[..] else { return Err(shape()) };
    if input.min(output) < rank.into() {
        return Err(shape());
    }
    // The values are in the file, so the sides are far below what a usize holds.
    Ok([input, output].map(|side| side as usize))
}

fn draw(matrices: &mut Matrices, seed: u64) {
    for (place, matrix) in matrices {
        match place.half {
            Half::A => {
                let bound = 1.0 / (matrix.columns as f64).sqrt();
                let draws = Draws::new(seed, &place.gguf_name());
                matrix.values = draws.take(matrix.values.len()).map(|unit| (bound * unit) as f32).collect();
            }
            Half::B => matrix.values.fill(0.0),
        }
    }
}

/// Evenly spread over [-1, 1): SHA-256 of seed, name and a counter, four bytes each. A hash because its values are the
/// same everywhere and for ever, and those of a module do not depend on which others are trained.
pub(crate) struct Draws {
    key: Sha256,
    counter: u64,
    block: Vec<u8>,
}

impl Draws {
    pub fn new(seed: u64, name: &str) -> Self {
        let key = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(name);
        Self { key, counter: 0, block: Vec::new() }
    }
}

impl Iterator for Draws {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        if self.block.is_empty() {
            self.block = self.key.clone().chain_update(self.counter.to_le_bytes()).finalize().to_vec();
            self.counter += 1;
        }
        let four = self.block.split_off(self.block.len() - 4);
        let number = u32::from_le_bytes(four.try_into().expect("a block is eight times four bytes"));
        Some(f64::from(number) / f64::from(1u32 << 31) - 1.0)
    }
}

#[cfg(test)]
mod tests;
