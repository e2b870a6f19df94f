//! What regions send: a PEFT folder each, and on how many samples it was trained.
//!
//! ```text
//! trained_ids.json      ["internal-001", …]   as training leaves it; never leaves its region
//! trained_counts.json   {"samples": 81}       does for it in a folder that travels
//! ```

use super::{CombineError, RANK_SUM_MAX, agree};
use crate::{
    convert::{ConvertError, read},
    peft::Peft,
};
use serde::Deserialize;
use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

pub(super) const IDS: &str = "trained_ids.json";
pub(super) const COUNTS: &str = "trained_counts.json";
/// A million ids of 64 bytes.
const IDS_BYTES_MAX: u64 = 64 << 20;

/// One adapter as it came, and on how many samples it was trained, if it says so.
pub(super) struct Region {
    pub folder: PathBuf,
    pub peft: Peft,
    pub samples: Option<u64>,
}

pub(super) fn regions(folders: &[PathBuf]) -> Result<Vec<Region>, CombineError> {
    if folders.len() < 2 {
        return Err(CombineError::Single);
    }
    let regions: Vec<Region> = folders.iter().map(|folder| Region::read(folder)).collect::<Result<_, _>>()?;
    let (first, others) = regions.split_first().expect("two at least");
    for other in others {
        if let Some(what) = agree::difference(&first.peft, &other.peft) {
            let (one, other) = (first.folder.clone(), other.folder.clone());
            return Err(CombineError::Unlike { one, other, what: what.into() });
        }
    }
    let sum: u64 = regions.iter().map(|region| u64::from(region.peft.rank)).sum();
    if sum > RANK_SUM_MAX.into() {
        return Err(CombineError::RankSum(sum));
    }
    Ok(regions)
}

impl Region {
    fn read(folder: &Path) -> Result<Self, CombineError> {
        let peft = Peft::read(folder).map_err(|fault| CombineError::Peft(folder.to_owned(), fault))?;
        Ok(Self { folder: folder.to_owned(), peft, samples: samples(folder)? })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Counts {
    samples: u32, // so that a sum of them cannot run over
}

/// Of the ids that training leaves, or of the count that comes from another region, whose ids stay there.
fn samples(folder: &Path) -> Result<Option<u64>, CombineError> {
    let ids: Option<BTreeSet<String>> = json_file(&folder.join(IDS))?;
    if let Some(ids) = ids {
        return Ok(Some(ids.len() as u64));
    }
    Ok(counted_samples(folder)?.map(u64::from))
}

/// What `trained_counts.json` says, if there is one.
pub fn counted_samples(folder: &Path) -> Result<Option<u32>, CombineError> {
    let counts: Option<Counts> = json_file(&folder.join(COUNTS))?;
    Ok(counts.map(|counts| counts.samples))
}

fn json_file<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Option<T>, CombineError> {
    match read(path, IDS_BYTES_MAX) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map(Some).map_err(|fault| CombineError::Samples(path.to_owned(), fault))
        }
        Err(ConvertError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(fault) => Err(CombineError::Peft(path.to_owned(), fault)),
    }
}

pub(super) fn counts(regions: &[Region]) -> Result<Vec<f64>, CombineError> {
    let count = |region: &Region| {
        let known = region.samples.ok_or_else(|| CombineError::SamplesUnknown(region.folder.clone()));
        known.map(|samples| samples as f64)
    };
    regions.iter().map(count).collect()
}
