//! A PEFT folder in memory, checked as `convert` checks it, and a new one on the disk.
//!
//! ```text
//! adapter_config.json         settings
//! adapter_model.safetensors   <prefix>N.<module>.lora_A.weight [r, in], .lora_B.weight [out, r]; written as F32
//! …                           what the command that writes it adds
//! ```

use crate::convert::{
    CONFIG, CONFIG_BYTES_MAX, Config, ConvertError, Matrices, Matrix, WEIGHTS, WEIGHTS_BYTES_MAX, checked, read,
    replace,
};
use safetensors::{Dtype, SafeTensorError, View};
use serde_json::{Map, Value};
use std::{
    borrow::Cow,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

pub(crate) struct Peft {
    pub settings: Map<String, Value>,
    pub rank: u32,
    pub alpha: f32,
    /// `down_proj`, `gate_proj`, …
    pub modules: Vec<String>,
    pub matrices: Matrices,
}

impl Peft {
    pub fn read(folder: &Path) -> Result<Self, ConvertError> {
        let bytes = read(&folder.join(CONFIG), CONFIG_BYTES_MAX)?;
        let config = Config::parse(&bytes)?;
        let weights = read(&folder.join(WEIGHTS), WEIGHTS_BYTES_MAX)?;
        let (matrices, modules) = checked(&config, &weights, None)?;
        let settings = serde_json::from_slice(&bytes).map_err(ConvertError::Config)?;
        Ok(Self { settings, rank: config.rank, alpha: config.alpha, modules, matrices })
    }
}

#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("{} is already there", .0.display())]
    Occupied(PathBuf),
    #[error("its weights would have {bytes} bytes, more than {bytes_max}")]
    TooLarge { bytes: u128, bytes_max: u64 },
    #[error("{tensor}: value {index} is not a finite number")]
    NotFinite { tensor: String, index: usize },
    #[error("its weights do not fit into a safetensors file")]
    Weights(#[from] SafeTensorError),
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// Asked before the work, so that nobody waits for a result that has no place; at its end the rename refuses by itself.
pub(crate) fn is_free(out: &Path) -> Result<(), WriteError> {
    match fs::read_dir(out).map(|mut inside| inside.next().is_none()) {
        Ok(true) => Ok(()), // a rename replaces an empty folder
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => Err(WriteError::Occupied(out.to_owned())),
    }
}

/// Whether matrices of these shapes are fewer bytes than are read again.
pub(crate) fn fits(shapes: impl Iterator<Item = [usize; 2]>) -> Result<(), WriteError> {
    let bytes = |[rows, columns]: [usize; 2]| 4 * rows as u128 * columns as u128;
    let bytes: u128 = shapes.map(bytes).sum();
    if bytes > WEIGHTS_BYTES_MAX.into() {
        return Err(WriteError::TooLarge { bytes, bytes_max: WEIGHTS_BYTES_MAX });
    }
    Ok(())
}

/// Writes the folder `out` as a whole or not at all. `beside` are further JSON files.
pub(crate) fn write(
    out: &Path,
    settings: &Map<String, Value>,
    matrices: &Matrices,
    beside: &[(&str, Value)],
) -> Result<(), WriteError> {
    fits(matrices.values().map(|matrix| [matrix.rows, matrix.columns]))?;
    for Matrix { tensor, values, .. } in matrices.values() {
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(WriteError::NotFinite { tensor: tensor.clone(), index });
        }
    }
    let format = Some([("format".to_owned(), "pt".to_owned())].into()); // PEFT writes it, transformers asks for it
    let weights = safetensors::serialize(matrices.values().map(|matrix| (&matrix.tensor, F32::from(matrix))), format)?;

    let mut files = vec![(WEIGHTS, weights), (CONFIG, pretty(settings))];
    files.extend(beside.iter().map(|(name, value)| (*name, pretty(value))));
    place(out, &files).map_err(|source| WriteError::Write { path: out.to_owned(), source })
}

fn pretty(value: &impl serde::Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).expect("JSON values are JSON");
    text.push(b'\n');
    text
}

/// Beside as `.part`, each file synced, then the folder renamed. A `.part` left by a failure is cleared away.
#[allow(clippy::disallowed_methods, reason = "`replace` for a folder: what is renamed has been synced")]
fn place(out: &Path, files: &[(&str, Vec<u8>)]) -> io::Result<()> {
    let mut part = out.as_os_str().to_owned();
    part.push(".part");
    let part = Path::new(&part);
    match fs::remove_dir_all(part) {
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(fault),
        _ => fs::create_dir_all(part)?,
    }
    for (name, bytes) in files {
        replace(&part.join(name), |file| file.write_all(bytes))?;
    }
    fs::rename(part, out)?;
    let parent = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

struct F32<'a> {
    shape: [usize; 2],
    values: &'a [f32],
}

impl<'a> From<&'a Matrix> for F32<'a> {
    fn from(matrix: &'a Matrix) -> Self {
        Self { shape: [matrix.rows, matrix.columns], values: &matrix.values }
    }
}

impl View for F32<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().into()
    }

    fn data_len(&self) -> usize {
        size_of_val(self.values)
    }
}
