//! `adapterctl aggregate` and `merge`: several adapters become one, without the data that they were trained on.
//!
//! ```text
//! adapter i changes a weight by   Δᵢ = (alphaᵢ / rᵢ) · Bᵢ · Aᵢ
//! together                        Δ  = Σ wᵢ · Δᵢ          aggregate: Σ wᵢ = 1; merge: as given
//! exactly                         Δ  = [w₁s₁B₁ w₂s₂B₂ …] · [A₁; A₂; …]      rank Σ rᵢ
//! back to rank r                  the best approximation of Δ, by SVD (`stack`)
//! ```
//!
//! Not the average of the A and of the B: B̄·Ā holds every Bᵢ·Aⱼ, and of two adapters that learnt the same from different
//! starts it is √½ wrong. It is exact where all share one A, which is noticed, and then done.
//!
//! The result keeps the scale alpha / r of the adapters if they have one in common, so that the next round trains on as
//! before; otherwise its scale is 1.

mod agree;
mod region;
mod stack;

pub use region::counted_samples;

use crate::{
    convert::{ConvertError, Half, Matrices, Matrix, Module, Place, last_part},
    peft::{self, Peft, WriteError},
};
use agree::Unlike;
use clap::Args;
use region::{COUNTS, IDS, Region, counts, regions};
use serde_json::{Map, Value, json};
use stack::{Joined, Keep, Loss, NotConverged, Part};
use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    io,
    path::{Path, PathBuf},
};

#[derive(Args)]
pub struct Aggregate {
    /// Folder to write; must not be there, or be empty.
    out: PathBuf,
    /// PEFT folders, one of each region.
    #[arg(required = true)]
    adapters: Vec<PathBuf>,
    /// One for each, brought to a sum of one. Not given: the numbers of samples that they were trained on.
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true)]
    weights: Option<Vec<f64>>,
    /// Of the result; the largest of the adapters' when it is not given.
    #[arg(long)]
    rank: Option<u32>,
    /// Keeps the exact sum, whose rank is the sum of all ranks.
    #[arg(long, conflicts_with = "rank")]
    plain_sum: bool,
}

#[derive(Args)]
pub struct Merge {
    /// Folder to write; must not be there, or be empty.
    out: PathBuf,
    /// PEFT folders.
    #[arg(required = true)]
    adapters: Vec<PathBuf>,
    /// One for each, taken as they are; a negative one takes away what an adapter adds.
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true, required = true)]
    weights: Vec<f64>,
    /// Of the result; the exact sum, whose rank is the sum of all ranks, when it is not given.
    #[arg(long)]
    rank: Option<u32>,
}

/// 32 regions of rank 16. The work grows with its square, that of the eigenvectors with its cube.
const RANK_SUM_MAX: u32 = 512;

#[derive(Debug, thiserror::Error)]
pub enum CombineError {
    #[error("{}", .0.display())]
    Peft(PathBuf, #[source] ConvertError),
    #[error("there is one adapter only, and nothing to combine it with")]
    Single,
    #[error("{} and {} differ in {what}", .one.display(), .other.display())]
    Unlike { one: PathBuf, other: PathBuf, what: Box<Unlike> },
    #[error("{given} weights for {adapters} adapters")]
    WeightCount { given: usize, adapters: usize },
    #[error("the weight {0} is not a finite number")]
    WeightNotFinite(f64),
    #[error("the weight {0} is negative; `merge` takes such")]
    WeightNegative(f64),
    #[error("all weights are zero")]
    WeightsZero,
    #[error("{} has neither {IDS} nor {COUNTS}: how many samples it was trained on must be said by --weights", .0.display())]
    SamplesUnknown(PathBuf),
    #[error("{} is not what training or a server writes", .0.display())]
    Samples(PathBuf, #[source] serde_json::Error),
    #[error("rank 0 holds nothing")]
    RankZero,
    #[error("rank {asked} is more than the {sum} that the exact sum has")]
    RankAbove { asked: u32, sum: u32 },
    #[error("the ranks sum to {0}, more than {RANK_SUM_MAX}: combine fewer at a time")]
    RankSum(u64),
    #[error("layer {layer}, {module}")]
    Svd { layer: u32, module: &'static str, source: NotConverged },
    #[error("{} cannot be read", .0.display())]
    Read(PathBuf, #[source] io::Error),
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Aggregate {
    pub fn run(&self) -> Result<(), CombineError> {
        peft::is_free(&self.out)?;
        let regions = regions(&self.adapters)?;
        let weights = match &self.weights {
            Some(weights) => shares(weights, regions.len())?,
            None => shares(&counts(&regions)?, regions.len())?,
        };
        let largest = regions.iter().map(|region| region.peft.rank).max().expect("two regions at least");
        let rank = self.rank.unwrap_or(largest);
        write(&self.out, &regions, &weights, if self.plain_sum { None } else { Some(rank) })
    }
}

impl Merge {
    pub fn run(&self) -> Result<(), CombineError> {
        peft::is_free(&self.out)?;
        let regions = regions(&self.adapters)?;
        finite(&self.weights, regions.len())?;
        write(&self.out, &regions, &self.weights, self.rank)
    }
}

/// Brought to a sum of one.
fn shares(weights: &[f64], adapters: usize) -> Result<Vec<f64>, CombineError> {
    finite(weights, adapters)?;
    if let Some(negative) = weights.iter().find(|weight| **weight < 0.0) {
        return Err(CombineError::WeightNegative(*negative));
    }
    let largest = weights.iter().copied().fold(0.0, f64::max); // first by it, or the sum of the largest numbers is infinite
    let sum: f64 = weights.iter().map(|weight| weight / largest).sum();
    Ok(weights.iter().map(|weight| weight / largest / sum).collect())
}

fn finite(weights: &[f64], adapters: usize) -> Result<(), CombineError> {
    if weights.len() != adapters {
        return Err(CombineError::WeightCount { given: weights.len(), adapters });
    }
    if let Some(strange) = weights.iter().find(|weight| !weight.is_finite()) {
        return Err(CombineError::WeightNotFinite(*strange));
    }
    if weights.iter().all(|weight| *weight == 0.0) { Err(CombineError::WeightsZero) } else { Ok(()) }
}

/// `rank`: of the result; without it the exact sum.
fn write(out: &Path, regions: &[Region], weights: &[f64], rank: Option<u32>) -> Result<(), CombineError> {
    let combined = combine(regions, weights, rank)?;
    let samples: Option<u64> = regions.iter().map(|region| region.samples).sum();
    let mut beside = vec![("aggregate.json", combined.record(regions, weights)?)];
    beside.extend(samples.map(|samples| (COUNTS, json!({ "samples": samples }))));
    peft::write(out, &combined.settings, &combined.matrices, &beside)?;
    println!("{combined}{}: {} tensors, rank {}", out.display(), combined.matrices.len(), combined.rank);
    Ok(())
}

struct Combined {
    settings: Map<String, Value>,
    matrices: Matrices,
    rank: u32,
    losses: BTreeMap<Module, Loss>,
    shared_a: bool,
}

fn combine(regions: &[Region], weights: &[f64], asked: Option<u32>) -> Result<Combined, CombineError> {
    let sum: u32 = regions.iter().map(|region| region.peft.rank).sum();
    let (rank, keep) = match asked {
        Some(0) => return Err(CombineError::RankZero),
        Some(asked) if asked > sum => return Err(CombineError::RankAbove { asked, sum }),
        Some(rank) => (rank, Keep::Rank(rank as usize)),
        None => (sum, Keep::Stack),
    };
    let first = &regions[0].peft;
    let (settings, scale) = settings(regions, rank);

    let (mut matrices, mut losses, mut shared_a) = (Matrices::new(), BTreeMap::new(), true);
    for place in first.matrices.keys().filter(|place| place.half == Half::A) {
        let parts: Vec<Part> =
            regions.iter().zip(weights).map(|(region, weight)| part(region, *place, *weight)).collect();
        let joined = stack::join(&parts, keep, scale).map_err(|source| {
            let module = last_part(place.module.names().0);
            CombineError::Svd { layer: place.layer, module, source }
        })?;
        let Joined { a, b, loss, shared_a: shared } = joined;
        losses.entry(place.module).and_modify(|sum| *sum += loss).or_insert(loss);
        shared_a &= shared;
        for (half, product) in [(Half::A, a), (Half::B, b)] {
            let place = Place { half, ..*place };
            matrices.insert(place, matrix(&first.matrices[&place].tensor, &product));
        }
    }
    Ok(Combined { settings, matrices, rank, losses, shared_a })
}

/// The first adapter's settings with the new rank, and the scale that they give.
fn settings(regions: &[Region], rank: u32) -> (Map<String, Value>, f64) {
    let scales: Vec<f64> = regions.iter().map(|region| scale(&region.peft)).collect();
    let scale = if scales.iter().all(|scale| *scale == scales[0]) { scales[0] } else { 1.0 };
    let alpha = (scale * f64::from(rank)) as f32; // what llama.cpp reads
    let mut settings = regions[0].peft.settings.clone();
    settings.insert("r".to_owned(), rank.into());
    let whole = alpha.fract() == 0.0 && alpha < 1e9;
    settings.insert("lora_alpha".to_owned(), if whole { json!(alpha as u32) } else { json!(alpha) });
    (settings, f64::from(alpha) / f64::from(rank))
}

fn scale(peft: &Peft) -> f64 {
    f64::from(peft.alpha) / f64::from(peft.rank)
}

fn part(region: &Region, place: Place, weight: f64) -> Part {
    let of = |half| {
        let Matrix { rows, columns, values, .. } = &region.peft.matrices[&Place { half, ..place }];
        stack::Wide::from_row_iterator(*rows, *columns, values.iter().map(|value| f64::from(*value)))
    };
    Part { a: of(Half::A), b: of(Half::B), weight, scale: scale(&region.peft) }
}

fn matrix(tensor: &str, wide: &stack::Wide) -> Matrix {
    // nalgebra keeps columns together, we rows.
    let values = wide.transpose().iter().map(|value| *value as f32).collect();
    Matrix { tensor: tensor.to_owned(), rows: wide.nrows(), columns: wide.ncols(), values }
}

impl Combined {
    fn record(&self, regions: &[Region], weights: &[f64]) -> Result<Value, CombineError> {
        let input = |(region, weight): (&Region, &f64)| {
            let sha256 = |name: &str| {
                let path = region.folder.join(name);
                engine::file_sha256(&path).map_err(|fault| CombineError::Read(path, fault))
            };
            Ok(json!({
                "config_sha256": sha256(crate::convert::CONFIG)?, "weights_sha256": sha256(crate::convert::WEIGHTS)?,
                "rank": region.peft.rank, "alpha": region.peft.alpha, "samples": region.samples, "weight": weight,
            }))
        };
        let inputs: Vec<Value> = regions.iter().zip(weights).map(input).collect::<Result<_, CombineError>>()?;
        let error = |(module, loss): (&Module, &Loss)| {
            let error = json!({ "truncation": loss.truncation(), "naive_average": loss.naive() });
            (last_part(module.names().0).to_owned(), error)
        };
        Ok(json!({
            "format": "consultd-aggregate/1", "inputs": inputs, "rank": self.rank, "shared_a": self.shared_a,
            "relative_errors": self.losses.iter().map(error).collect::<Map<_, _>>(),
        }))
    }
}

/// The relative errors in Frobenius's norm, over all layers of a module.
impl Display for Combined {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "{:<10} {:>10} {:>13}", "module", "truncation", "naive average")?;
        for (module, loss) in &self.losses {
            let naive = loss.naive().map_or("-".to_owned(), |naive| format!("{naive:.6}"));
            writeln!(f, "{:<10} {:>10.6} {naive:>13}", last_part(module.names().0), loss.truncation())?;
        }
        if self.shared_a {
            writeln!(f, "The adapters share one A: the sum is exact at their own rank, with B averaged.")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
