//! A PEFT LoRA folder becomes a GGUF LoRA file that llama.cpp loads.
//!
//! ```text
//! adapter_config.json         → adapter.lora.alpha, and every setting that we must refuse
//! adapter_model.safetensors   → blk.N.<module>.weight.lora_a  ne = [in, r]   F16
//!                               blk.N.<module>.weight.lora_b  ne = [r, out]  F16
//! ```
//!
//! Nothing is written before everything is checked. What we do not know is refused by name, because an adapter that
//! loads with half its meaning lost gives wrong answers that look right.

use crate::gguf::{self, Tensor};
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensorError, SafeTensors, tensor::TensorView};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
    str::FromStr,
};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
/// PEFT writes about 1 KiB; listing every module of a large model by its full path stays below 100 KiB.
const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// Rank 64 on all modules of an 8B model is 0.7 GB in F32.
const WEIGHTS_BYTES_MAX: u64 = 2 << 30;

/// Settings that say how the adapter was made, not what its weights mean.
/// Any setting that is neither here nor read below must be off (null, false, empty): see `settings_are_supported`.
const SETTINGS_WITHOUT_EFFECT: [&str; 14] = [
    "auto_mapping",
    "base_model_name_or_path",
    "eva_config",
    "exclude_modules",
    "inference_mode",
    "layers_pattern",
    "layers_to_transform",
    "lora_dropout",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "runtime_config",
    "task_type",
];
/// Starting values that leave the base weights alone. PiSSA, OLoRA, LoftQ, CorDA and LoRA-GA change the base, so
/// their adapters are wrong on the model that the box has.
const INITS_ON_THE_UNCHANGED_BASE: [&str; 3] = ["eva", "gaussian", "orthogonal"];

/// What was converted, for the person who ran it and for the adapter's catalogue entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Converted {
    pub architecture: Architecture,
    pub rank: u32,
    pub alpha: f32,
    /// Hugging Face's names of the modules that have tensors, sorted: `down_proj`, `gate_proj`, …
    pub target_modules: Vec<String>,
    /// Tensors in the file: two for each adapted module of each layer.
    pub tensors: usize,
}

/// The dense architectures whose tensor names and row orders are written down below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    Llama,
    Qwen2,
    Qwen3,
    Gemma3,
}

impl Architecture {
    const ALL: [Self; 4] = [Self::Llama, Self::Qwen2, Self::Qwen3, Self::Gemma3];

    /// GGUF's word, as in `general.architecture`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Gemma3 => "gemma3",
        }
    }

    /// What stands before the layer number. Gemma 3 with its vision part keeps the text model one step further in,
    /// in front of or behind a second `model` according to the version of transformers.
    fn layer_prefixes(self) -> &'static [&'static str] {
        match self {
            Self::Llama | Self::Qwen2 | Self::Qwen3 => &["base_model.model.model.layers."],
            Self::Gemma3 => &[
                "base_model.model.model.layers.",
                "base_model.model.model.language_model.layers.",
                "base_model.model.language_model.model.layers.",
            ],
        }
    }
}

impl FromStr for Architecture {
    type Err = ConvertError;

    fn from_str(word: &str) -> Result<Self, ConvertError> {
        let known = Self::ALL.into_iter().find(|architecture| architecture.as_str() == word);
        known.ok_or_else(|| ConvertError::Architecture(word.to_owned()))
    }
}

/// Why a folder was not converted. `tensor` is the name in the safetensors file.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    #[error("architecture {0:?} is not one of llama, qwen2, qwen3, gemma3")]
    Architecture(String),
    #[error("llama needs the numbers of heads and of key-value heads, to reorder the rows of q_proj and k_proj")]
    HeadsMissing,
    #[error("{} keeps the rows of q_proj and k_proj as they are: the numbers of heads have no use", .0.as_str())]
    HeadsUnused(Architecture),
    #[error("{heads} heads do not share {kv_heads} key-value heads evenly")]
    Heads { heads: u32, kv_heads: u32 },
    #[error("{tensor}: {rows} rows cannot be shared among {heads} heads of an even size")]
    HeadRows { tensor: String, rows: usize, heads: u32 },
    #[error("{tensor}: heads have {size} rows, in another module {other}; are the numbers of heads right?")]
    HeadSize { tensor: String, size: usize, other: usize },

    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is larger than {bytes_max} bytes", path.display())]
    TooLarge { path: PathBuf, bytes_max: u64 },
    #[error("{CONFIG} is not a JSON object")]
    Config(#[source] serde_json::Error),
    #[error("{WEIGHTS} is not a safetensors file")]
    Weights(#[source] SafeTensorError),

    #[error("{CONFIG}: {setting} is missing")]
    SettingMissing { setting: &'static str },
    #[error("{CONFIG}: {setting} = {value} is not supported")]
    Setting { setting: String, value: Value },
    #[error("{CONFIG}: target module {0} has no tensors in {WEIGHTS}")]
    TargetEmpty(String),
    #[error("{CONFIG}: target_modules does not name {0}, which has tensors in {WEIGHTS}")]
    TargetUnlisted(String),

    #[error("{0}: adapters of the embedding or the output head are not supported")]
    EmbeddingOrHead(String),
    #[error("{tensor} is not a LoRA tensor of {}", architecture.as_str())]
    UnknownTensor { tensor: String, architecture: Architecture },
    #[error("{0} gives the same layer and module a second time")]
    Twice(String),
    #[error("{tensor} is there without its lora_{absent}")]
    Unpaired { tensor: String, absent: &'static str },
    #[error("{WEIGHTS} has no tensors")]
    Empty,
    #[error("{tensor}: values of type {dtype} are not supported, only F32, F16 and BF16")]
    Dtype { tensor: String, dtype: Dtype },
    #[error("{tensor}: shape {shape:?} is not a matrix")]
    NoMatrix { tensor: String, shape: Vec<usize> },
    #[error("{tensor}: the rank is {found}, but {CONFIG} says r = {rank}")]
    Rank { tensor: String, found: usize, rank: u32 },
    #[error("{tensor}: shape {shape:?} differs from the same module in another layer, {other:?}")]
    Shape { tensor: String, shape: [usize; 2], other: [usize; 2] },
    #[error("{tensor}: value {index} is not a finite number")]
    NotFinite { tensor: String, index: usize },
    #[error("{tensor}: value {index}, {value}, is too large for F16")]
    Overflow { tensor: String, index: usize, value: f32 },

    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// Converts the PEFT LoRA in `peft_dir` to the GGUF file `out`, which is replaced as a whole or not at all.
///
/// `heads` is (`n_head`, `n_head_kv`) of the base model: needed for `llama`, refused for the others.
/// Which tensors are reordered, and how: llama.cpp's `convert_lora_to_gguf.py`.
pub fn convert(
    peft_dir: &Path,
    architecture: Architecture,
    heads: Option<(u32, u32)>,
    out: &Path,
) -> Result<Converted, ConvertError> {
    let heads = Heads::of(architecture, heads)?;
    let config = Config::read(&peft_dir.join(CONFIG))?;
    let bytes = read(&peft_dir.join(WEIGHTS), WEIGHTS_BYTES_MAX)?;
    let weights = SafeTensors::deserialize(&bytes).map_err(ConvertError::Weights)?;

    let mut matrices = matrices(&weights, architecture, config.rank)?;
    every_a_has_its_b(&matrices)?;
    layers_agree(&matrices)?;
    let target_modules = targets(&matrices, config.targets.as_ref())?;
    if let Some(heads) = heads {
        heads.reorder(&mut matrices)?;
    }

    let tensors: Vec<Tensor> = matrices.into_iter().map(|(place, matrix)| matrix.into_tensor(place)).collect();
    write(out, architecture, config.alpha, &tensors)?;
    Ok(Converted { architecture, rank: config.rank, alpha: config.alpha, target_modules, tensors: tensors.len() })
}

/// The settings that the conversion uses; all others have been found harmless or off.
struct Config {
    rank: u32,
    alpha: f32,
    /// The last parts of the listed names; none when PEFT was given a pattern, which only it can read.
    targets: Option<BTreeSet<String>>,
}

impl Config {
    fn read(path: &Path) -> Result<Self, ConvertError> {
        let bytes = read(path, CONFIG_BYTES_MAX)?;
        let settings: Map<String, Value> = serde_json::from_slice(&bytes).map_err(ConvertError::Config)?;
        settings_are_supported(&settings)?;
        Ok(Self { rank: rank(&settings)?, alpha: alpha(&settings)?, targets: listed_targets(&settings)? })
    }
}

fn settings_are_supported(settings: &Map<String, Value>) -> Result<(), ConvertError> {
    required(settings, "peft_type")?;
    for (setting, value) in settings {
        let supported = match setting.as_str() {
            "r" | "lora_alpha" | "target_modules" => true, // read and checked by name
            "peft_type" => value == "LORA",
            "bias" => value == "none" || is_off(value),
            "init_lora_weights" => match value {
                Value::String(way) => INITS_ON_THE_UNCHANGED_BASE.contains(&way.as_str()),
                other => other.is_boolean() || other.is_null(),
            },
            name => is_off(value) || SETTINGS_WITHOUT_EFFECT.contains(&name),
        };
        if !supported {
            return Err(unsupported(setting, value));
        }
    }
    Ok(())
}

fn is_off(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Number(_) | Value::String(_) => false,
    }
}

fn rank(settings: &Map<String, Value>) -> Result<u32, ConvertError> {
    let value = required(settings, "r")?;
    let rank = value.as_u64().and_then(|rank| u32::try_from(rank).ok()).filter(|rank| *rank > 0);
    rank.ok_or_else(|| unsupported("r", value))
}

/// Above 0, because llama.cpp reads 0 as "do not scale" and would apply the adapter in full.
fn alpha(settings: &Map<String, Value>) -> Result<f32, ConvertError> {
    let value = required(settings, "lora_alpha")?;
    let alpha = value.as_f64().map(|alpha| alpha as f32).filter(|alpha| alpha.is_finite() && *alpha > 0.0);
    alpha.ok_or_else(|| unsupported("lora_alpha", value))
}

fn listed_targets(settings: &Map<String, Value>) -> Result<Option<BTreeSet<String>>, ConvertError> {
    let value = match settings.get("target_modules") {
        None | Some(Value::Null | Value::String(_)) => return Ok(None),
        Some(value) => value,
    };
    let names: Option<Vec<&str>> = value.as_array().and_then(|names| names.iter().map(Value::as_str).collect());
    let names = names.ok_or_else(|| unsupported("target_modules", value))?;
    if let Some(name) = names.iter().find(|name| is_embedding_or_head(name)) {
        return Err(ConvertError::EmbeddingOrHead(name.to_string()));
    }
    Ok(Some(names.into_iter().map(|name| last_part(name).to_owned()).collect()))
}

fn required<'a>(settings: &'a Map<String, Value>, setting: &'static str) -> Result<&'a Value, ConvertError> {
    settings.get(setting).ok_or(ConvertError::SettingMissing { setting })
}

fn unsupported(setting: &str, value: &Value) -> ConvertError {
    ConvertError::Setting { setting: setting.to_owned(), value: value.clone() }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Module {
    Query,
    Key,
    Value,
    Output,
    Gate,
    Up,
    Down,
}

/// Module, Hugging Face's name, GGUF's name.
const MODULES: [(Module, &str, &str); 7] = [
    (Module::Query, "self_attn.q_proj", "attn_q"),
    (Module::Key, "self_attn.k_proj", "attn_k"),
    (Module::Value, "self_attn.v_proj", "attn_v"),
    (Module::Output, "self_attn.o_proj", "attn_output"),
    (Module::Gate, "mlp.gate_proj", "ffn_gate"),
    (Module::Up, "mlp.up_proj", "ffn_up"),
    (Module::Down, "mlp.down_proj", "ffn_down"),
];

impl Module {
    fn names(self) -> (&'static str, &'static str) {
        let (_, hf, gguf) = MODULES.into_iter().find(|row| row.0 == self).expect("every module has its row");
        (hf, gguf)
    }
}

/// A is the first matrix that the input meets, B the second: the change of the weight is B·A.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Half {
    A,
    B,
}

/// Where a matrix belongs. Its order is the order of the tensors in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    layer: u32,
    module: Module,
    half: Half,
}

impl Place {
    fn parse(tensor: &str, architecture: Architecture) -> Option<Self> {
        let rest = architecture.layer_prefixes().iter().find_map(|prefix| tensor.strip_prefix(prefix))?;
        let (number, rest) = rest.split_once('.')?;
        let layer: u32 = number.parse().ok().filter(|layer: &u32| layer.to_string() == number)?;
        let (module, rest) = MODULES.iter().find_map(|(module, hf, _)| Some((*module, rest.strip_prefix(hf)?)))?;
        let half = match rest {
            ".lora_A.weight" => Half::A,
            ".lora_B.weight" => Half::B,
            _ => return None,
        };
        Some(Self { layer, module, half })
    }

    fn gguf_name(self) -> String {
        let (_, module) = self.module.names();
        let half = match self.half {
            Half::A => "lora_a",
            Half::B => "lora_b",
        };
        format!("blk.{}.{module}.weight.{half}", self.layer)
    }
}

struct Matrix {
    tensor: String,
    rows: usize,
    columns: usize,
    values: Vec<f16>,
}

type Matrices = BTreeMap<Place, Matrix>;

impl Matrix {
    fn parse(tensor: &str, view: &TensorView, half: Half, rank: u32) -> Result<Self, ConvertError> {
        let &[rows, columns] = view.shape() else { return Err(no_matrix(tensor, view)) };
        if rows == 0 || columns == 0 {
            return Err(no_matrix(tensor, view));
        }
        let found = match half {
            Half::A => rows,
            Half::B => columns,
        };
        if u32::try_from(found) != Ok(rank) {
            return Err(ConvertError::Rank { tensor: tensor.to_owned(), found, rank });
        }
        Ok(Self { tensor: tensor.to_owned(), rows, columns, values: values(tensor, view)? })
    }

    fn into_tensor(self, place: Place) -> Tensor {
        Tensor { name: place.gguf_name(), rows: self.rows, columns: self.columns, values: self.values }
    }
}

fn no_matrix(tensor: &str, view: &TensorView) -> ConvertError {
    ConvertError::NoMatrix { tensor: tensor.to_owned(), shape: view.shape().to_vec() }
}

fn matrices(weights: &SafeTensors, architecture: Architecture, rank: u32) -> Result<Matrices, ConvertError> {
    // Sorted, so that of several faults the same one is named each time.
    let views: BTreeMap<&str, TensorView> = weights.iter().collect();
    if views.is_empty() {
        return Err(ConvertError::Empty);
    }
    let mut matrices = Matrices::new();
    for (tensor, view) in views {
        if is_embedding_or_head(tensor) {
            return Err(ConvertError::EmbeddingOrHead(tensor.to_owned()));
        }
        let place = Place::parse(tensor, architecture)
            .ok_or_else(|| ConvertError::UnknownTensor { tensor: tensor.to_owned(), architecture })?;
        if matrices.insert(place, Matrix::parse(tensor, &view, place.half, rank)?).is_some() {
            return Err(ConvertError::Twice(tensor.to_owned()));
        }
    }
    Ok(matrices)
}

fn is_embedding_or_head(name: &str) -> bool {
    name.split('.').any(|part| part == "embed_tokens" || part == "lm_head" || part.starts_with("lora_embedding_"))
}

fn values(tensor: &str, view: &TensorView) -> Result<Vec<f16>, ConvertError> {
    let bytes = view.data();
    let wide: Vec<f32> = match view.dtype() {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect(),
        Dtype::F16 => bytes.as_chunks().0.iter().map(|two| f16::from_le_bytes(*two).to_f32()).collect(),
        Dtype::BF16 => bytes.as_chunks().0.iter().map(|two| bf16::from_le_bytes(*two).to_f32()).collect(),
        dtype => return Err(ConvertError::Dtype { tensor: tensor.to_owned(), dtype }),
    };
    wide.into_iter().enumerate().map(|(index, value)| narrow(tensor, index, value)).collect()
}

fn narrow(tensor: &str, index: usize, value: f32) -> Result<f16, ConvertError> {
    if !value.is_finite() {
        return Err(ConvertError::NotFinite { tensor: tensor.to_owned(), index });
    }
    let narrow = f16::from_f32(value);
    if narrow.is_infinite() {
        return Err(ConvertError::Overflow { tensor: tensor.to_owned(), index, value });
    }
    Ok(narrow)
}

fn every_a_has_its_b(matrices: &Matrices) -> Result<(), ConvertError> {
    for (place, matrix) in matrices {
        let (other, absent) = match place.half {
            Half::A => (Half::B, "B"),
            Half::B => (Half::A, "A"),
        };
        if !matrices.contains_key(&Place { half: other, ..*place }) {
            return Err(ConvertError::Unpaired { tensor: matrix.tensor.clone(), absent });
        }
    }
    Ok(())
}

/// In all four architectures a module has one shape in all layers. Its true shape only the base model knows;
/// llama.cpp compares with that when it loads.
fn layers_agree(matrices: &Matrices) -> Result<(), ConvertError> {
    let mut shapes = BTreeMap::new();
    for (place, matrix) in matrices {
        let shape = [matrix.rows, matrix.columns];
        let other = *shapes.entry((place.module, place.half)).or_insert(shape);
        if shape != other {
            return Err(ConvertError::Shape { tensor: matrix.tensor.clone(), shape, other });
        }
    }
    Ok(())
}

/// The modules that have tensors, which must be the listed ones, or a part of the training would be missing.
fn targets(matrices: &Matrices, listed: Option<&BTreeSet<String>>) -> Result<Vec<String>, ConvertError> {
    let found: BTreeSet<String> = matrices.keys().map(|place| last_part(place.module.names().0).to_owned()).collect();
    if let Some(listed) = listed {
        if let Some(empty) = listed.difference(&found).next() {
            return Err(ConvertError::TargetEmpty(empty.clone()));
        }
        if let Some(unlisted) = found.difference(listed).next() {
            return Err(ConvertError::TargetUnlisted(unlisted.clone()));
        }
    }
    Ok(found.into_iter().collect())
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().expect("rsplit gives at least one part")
}

/// Numbers of query heads and of key-value heads, for `llama` only.
///
/// llama.cpp turns neighbouring rows together (RoPE), Hugging Face rows half a head apart; for the other
/// architectures llama.cpp follows Hugging Face. A missing reordering is hard to see: on a quantised base the best
/// token stayed the same in every place while the change of the weights was 47 % wrong.
struct Heads {
    query: u32,
    key: u32,
}

impl Heads {
    fn of(architecture: Architecture, heads: Option<(u32, u32)>) -> Result<Option<Self>, ConvertError> {
        match (architecture, heads) {
            (Architecture::Llama, None) => Err(ConvertError::HeadsMissing),
            (Architecture::Llama, Some((query, key))) if key == 0 || query == 0 || query % key != 0 => {
                Err(ConvertError::Heads { heads: query, kv_heads: key })
            }
            (Architecture::Llama, Some((query, key))) => Ok(Some(Self { query, key })),
            (_, None) => Ok(None),
            (_, Some(_)) => Err(ConvertError::HeadsUnused(architecture)),
        }
    }

    fn reorder(&self, matrices: &mut Matrices) -> Result<(), ConvertError> {
        let mut known_size = None;
        for (place, matrix) in matrices {
            let heads = match (place.module, place.half) {
                (Module::Query, Half::B) => self.query,
                (Module::Key, Half::B) => self.key,
                _ => continue,
            };
            let size = head_size(matrix, heads)?;
            let other = *known_size.get_or_insert(size);
            if size != other {
                return Err(ConvertError::HeadSize { tensor: matrix.tensor.clone(), size, other });
            }
            matrix.values = reordered(&matrix.values, size, matrix.columns);
        }
        Ok(())
    }
}

fn head_size(matrix: &Matrix, heads: u32) -> Result<usize, ConvertError> {
    let heads_len = heads as usize;
    if !matrix.rows.is_multiple_of(2 * heads_len) {
        return Err(ConvertError::HeadRows { tensor: matrix.tensor.clone(), rows: matrix.rows, heads });
    }
    Ok(matrix.rows / heads_len)
}

/// Row j and row d/2 + j of each head become neighbours: reshape(h, 2, d/2, r).swapaxes(1, 2).
fn reordered(values: &[f16], head_size: usize, columns: usize) -> Vec<f16> {
    let half = head_size / 2;
    let mut new = Vec::with_capacity(values.len());
    for head in values.chunks_exact(head_size * columns) {
        let row = |index: usize| &head[index * columns..][..columns];
        for j in 0..half {
            new.extend_from_slice(row(j));
            new.extend_from_slice(row(half + j));
        }
    }
    new
}

fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, ConvertError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(bytes_max + 1).read_to_end(&mut bytes))
        .map_err(|source| ConvertError::Read { path: path.to_owned(), source })?;
    if bytes.len() as u64 > bytes_max {
        return Err(ConvertError::TooLarge { path: path.to_owned(), bytes_max });
    }
    Ok(bytes)
}

fn write(out: &Path, architecture: Architecture, alpha: f32, tensors: &[Tensor]) -> Result<(), ConvertError> {
    let entries = [
        ("general.architecture", gguf::Value::Text(architecture.as_str())),
        ("general.type", gguf::Value::Text("adapter")),
        ("adapter.type", gguf::Value::Text("lora")),
        ("adapter.lora.alpha", gguf::Value::F32(alpha)),
    ];
    replace(out, |file| gguf::write(file, &entries, tensors))
        .map_err(|source| ConvertError::Write { path: out.to_owned(), source })
}

/// Beside as `.part`, synced, then renamed. A `.part` left by a failure is overwritten by the next conversion.
#[allow(clippy::disallowed_methods, reason = "this is the tools' one way to replace a file")]
fn replace(out: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let mut part = out.as_os_str().to_owned();
    part.push(".part");
    let mut writer = BufWriter::new(File::create(&part)?);
    fill(&mut writer)?;
    writer.flush()?;
    writer.get_ref().sync_all()?;
    fs::rename(&part, out)?;
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all() // or a power cut could forget the new name
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tempfile::TempDir;

    const LAYER: &str = "base_model.model.model.layers";
    const GEMMA: Architecture = Architecture::Gemma3;

    /// A PEFT folder in memory: rank 2, input 3, two layers, `q_proj` and `down_proj`.
    struct Peft {
        config: Value,
        tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
    }

    impl Peft {
        fn tiny() -> Self {
            let mut peft = Self { config: config(&["q_proj", "down_proj"]), tensors: BTreeMap::new() };
            for layer in [0, 1] {
                for module in ["self_attn.q_proj", "mlp.down_proj"] {
                    peft.put(&format!("{LAYER}.{layer}.{module}.lora_A.weight"), [2, 3], 1.0 + layer as f32);
                    peft.put(&format!("{LAYER}.{layer}.{module}.lora_B.weight"), [4, 2], -1.0);
                }
            }
            peft
        }

        /// Values first, first + 0.5, first + 1, …
        fn put(&mut self, name: &str, shape: [usize; 2], first: f32) {
            let values: Vec<f32> = (0..shape[0] * shape[1]).map(|i| first + i as f32 * 0.5).collect();
            self.put_f32(name, &shape, &values);
        }

        fn put_f32(&mut self, name: &str, shape: &[usize], values: &[f32]) {
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            self.tensors.insert(name.to_owned(), (Dtype::F32, shape.to_vec(), bytes));
        }

        fn save(&self) -> TempDir {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let views = self.tensors.iter().map(|(name, (dtype, shape, bytes))| {
                (name, TensorView::new(*dtype, shape.clone(), bytes).expect("bytes that fill the shape"))
            });
            let weights = safetensors::serialize(views, None).expect("a safetensors file");
            store(&folder.path().join(WEIGHTS), &weights);
            store(&folder.path().join(CONFIG), self.config.to_string().as_bytes());
            folder
        }

        fn convert(&self, architecture: Architecture, heads: Option<(u32, u32)>) -> Result<Gguf, ConvertError> {
            let folder = self.save();
            let out = folder.path().join("out.gguf");
            let converted = convert(folder.path(), architecture, heads, &out);
            assert!(!folder.path().join("out.gguf.part").exists());
            assert_eq!(out.exists(), converted.is_ok());
            converted.map(|converted| Gguf::read(&out, converted))
        }

        fn refusal(&self) -> String {
            let refused = self.convert(GEMMA, None).err().expect("a refusal");
            refused.to_string()
        }
    }

    /// What PEFT 0.21.2 writes, all fields.
    fn config(targets: &[&str]) -> Value {
        json!({
            "task_type": "CAUSAL_LM", "peft_type": "LORA", "auto_mapping": null, "peft_version": "0.21.2",
            "base_model_name_or_path": "base", "revision": null, "inference_mode": true, "r": 2,
            "target_modules": targets, "exclude_modules": null, "lora_alpha": 16, "lora_dropout": 0.05,
            "fan_in_fan_out": false, "bias": "none", "use_rslora": false, "modules_to_save": null,
            "init_lora_weights": true, "layers_to_transform": null, "layers_pattern": null, "rank_pattern": {},
            "alpha_pattern": {}, "megatron_config": null, "megatron_core": "megatron.core",
            "trainable_token_indices": null, "loftq_config": {}, "eva_config": null, "corda_config": null,
            "lora_ga_config": null, "use_dora": false, "velora_config": null, "alora_invocation_tokens": null,
            "use_qalora": false, "qalora_group_size": 16, "monteclora_config": null, "layer_replication": null,
            "lora_bias": false, "target_parameters": null, "use_bdlora": null, "arrow_config": null,
            "kasa_config": null, "ensure_weight_tying": false,
        })
    }

    fn store(path: &Path, bytes: &[u8]) {
        File::create(path).and_then(|mut file| file.write_all(bytes)).expect("the temporary folder takes files");
    }

    /// A file read back without the writer's code.
    struct Gguf {
        converted: Converted,
        bytes: Vec<u8>,
        entries: Vec<(String, String)>,
        tensors: Vec<(String, [u64; 2], Vec<f32>)>,
    }

    impl Gguf {
        fn read(path: &Path, converted: Converted) -> Self {
            let bytes = std::fs::read(path).expect("the converted file");
            let mut rest = &bytes[..];
            assert_eq!(take(&mut rest, 4), b"GGUF");
            assert_eq!(u32_of(&mut rest), 3);
            let (tensor_count, entry_count) = (u64_of(&mut rest), u64_of(&mut rest));
            let entries = (0..entry_count).map(|_| (text_of(&mut rest), value_of(&mut rest))).collect();
            let heads: Vec<_> = (0..tensor_count).map(|_| tensor_head_of(&mut rest)).collect();
            let data_start = (bytes.len() - rest.len()).next_multiple_of(32);
            let mut next_offset = 0;
            let mut tensors = Vec::new();
            for (name, ne, offset) in heads {
                assert_eq!(offset, next_offset, "llama.cpp wants {name} directly behind the one before");
                let len = (ne[0] * ne[1]) as usize;
                let data = &bytes[data_start + offset as usize..][..len * 2];
                let values = data.chunks(2).map(|two| f16::from_le_bytes([two[0], two[1]]).to_f32()).collect();
                tensors.push((name, ne, values));
                next_offset = (offset + len as u64 * 2).next_multiple_of(32);
            }
            assert_eq!(bytes.len(), data_start + next_offset as usize, "the last tensor is padded, nothing follows");
            Self { converted, bytes, entries, tensors }
        }

        fn tensor(&self, name: &str) -> (&[u64; 2], &[f32]) {
            let found = self.tensors.iter().find(|tensor| tensor.0 == name);
            found.map(|(_, ne, values)| (ne, &values[..])).unwrap_or_else(|| panic!("no {name}"))
        }

        fn names(&self) -> Vec<&str> {
            self.tensors.iter().map(|tensor| &tensor.0[..]).collect()
        }
    }

    fn take<'a>(rest: &mut &'a [u8], len: usize) -> &'a [u8] {
        rest.split_off(..len).expect("the file goes on")
    }

    fn u32_of(rest: &mut &[u8]) -> u32 {
        u32::from_le_bytes(take(rest, 4).try_into().expect("four bytes"))
    }

    fn u64_of(rest: &mut &[u8]) -> u64 {
        u64::from_le_bytes(take(rest, 8).try_into().expect("eight bytes"))
    }

    fn text_of(rest: &mut &[u8]) -> String {
        let len = u64_of(rest) as usize;
        String::from_utf8(take(rest, len).to_vec()).expect("UTF-8")
    }

    fn value_of(rest: &mut &[u8]) -> String {
        match u32_of(rest) {
            6 => f32::from_bits(u32_of(rest)).to_string(),
            8 => text_of(rest),
            other => panic!("entry of type {other}"),
        }
    }

    fn tensor_head_of(rest: &mut &[u8]) -> (String, [u64; 2], u64) {
        let name = text_of(rest);
        assert_eq!(u32_of(rest), 2, "dimensions");
        let ne = [u64_of(rest), u64_of(rest)];
        assert_eq!(u32_of(rest), 1, "F16");
        (name, ne, u64_of(rest))
    }

    #[test]
    fn names_shapes_values_and_entries_arrive() {
        let gguf = Peft::tiny().convert(GEMMA, None).expect("a conversion");
        let expected = [
            ("general.architecture", "gemma3"),
            ("general.type", "adapter"),
            ("adapter.type", "lora"),
            ("adapter.lora.alpha", "16"),
        ];
        assert_eq!(gguf.entries, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let names = [
            "blk.0.attn_q.weight.lora_a",
            "blk.0.attn_q.weight.lora_b",
            "blk.0.ffn_down.weight.lora_a",
            "blk.0.ffn_down.weight.lora_b",
            "blk.1.attn_q.weight.lora_a",
            "blk.1.attn_q.weight.lora_b",
            "blk.1.ffn_down.weight.lora_a",
            "blk.1.ffn_down.weight.lora_b",
        ];
        assert_eq!(gguf.names(), names);
        assert_eq!(gguf.tensor("blk.1.ffn_down.weight.lora_a"), (&[3, 2], &[2.0, 2.5, 3.0, 3.5, 4.0, 4.5][..]));
        let b = [-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5];
        assert_eq!(gguf.tensor("blk.0.attn_q.weight.lora_b"), (&[2, 4], &b[..]));
        let target_modules = vec!["down_proj".to_owned(), "q_proj".to_owned()];
        let converted = Converted { architecture: GEMMA, rank: 2, alpha: 16.0, target_modules, tensors: 8 };
        assert_eq!(gguf.converted, converted);
    }

    #[test]
    fn every_module_has_its_name_and_layers_stand_in_the_order_of_their_numbers() {
        let modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
        let mut peft = Peft { config: config(&modules), tensors: BTreeMap::new() };
        for layer in [10, 2] {
            for (index, module) in modules.iter().enumerate() {
                let block = if index < 4 { "self_attn" } else { "mlp" };
                peft.put(&format!("{LAYER}.{layer}.{block}.{module}.lora_A.weight"), [2, 3], 0.0);
                peft.put(&format!("{LAYER}.{layer}.{block}.{module}.lora_B.weight"), [4, 2], 0.0);
            }
        }
        let gguf = peft.convert(Architecture::Qwen3, None).expect("a conversion");
        let words = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"];
        let mut expected = Vec::new();
        for layer in [2, 10] {
            for word in words {
                expected.extend(["a", "b"].map(|half| format!("blk.{layer}.{word}.weight.lora_{half}")));
            }
        }
        assert_eq!(gguf.names(), expected);
    }

    #[test]
    fn llama_alone_reorders_query_and_key_rows_each_by_its_own_number_of_heads() {
        let mut peft = Peft { config: config(&["q_proj", "k_proj", "v_proj"]), tensors: BTreeMap::new() };
        for (module, rows) in [("q_proj", 16), ("k_proj", 8), ("v_proj", 8)] {
            peft.put(&format!("{LAYER}.0.self_attn.{module}.lora_A.weight"), [2, 3], 0.0);
            peft.put(&format!("{LAYER}.0.self_attn.{module}.lora_B.weight"), [rows, 2], 0.0);
        }
        let llama = peft.convert(Architecture::Llama, Some((4, 2))).expect("a conversion");
        let qwen = peft.convert(Architecture::Qwen2, None).expect("a conversion");
        for (name, rows) in [("attn_q", 16), ("attn_k", 8)] {
            // Four rows a head, written out: 0 2 1 3 | 4 6 5 7 | …
            let order = (0..rows / 4).flat_map(|head| [0, 2, 1, 3].map(|row| head * 4 + row));
            let expected: Vec<f32> = order.flat_map(|row| [row as f32, row as f32 + 0.5]).collect();
            assert_eq!(llama.tensor(&format!("blk.0.{name}.weight.lora_b")).1, expected);
        }
        let same = |name: &str| assert_eq!(llama.tensor(name), qwen.tensor(name), "{name}");
        same("blk.0.attn_v.weight.lora_b");
        for module in ["q", "k", "v"] {
            same(&format!("blk.0.attn_{module}.weight.lora_a"));
        }
        assert_eq!(qwen.tensor("blk.0.attn_q.weight.lora_b").1[..6], [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]);
    }

    #[test]
    fn a_head_of_six_rows_shows_that_the_reordering_is_not_its_own_inverse() {
        let rows: Vec<f16> = (0..12).map(|row| f16::from_f32(row as f32)).collect();
        let order: Vec<f32> = reordered(&rows, 6, 1).into_iter().map(f16::to_f32).collect();
        assert_eq!(order, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0, 6.0, 9.0, 7.0, 10.0, 8.0, 11.0]);
    }

    #[test]
    fn heads_are_needed_for_llama_and_refused_elsewhere() {
        let refusal = |architecture, heads| Peft::tiny().convert(architecture, heads).err();
        assert!(matches!(refusal(Architecture::Llama, None), Some(ConvertError::HeadsMissing)));
        for architecture in [Architecture::Qwen2, Architecture::Qwen3, GEMMA] {
            assert!(matches!(refusal(architecture, Some((2, 2))), Some(ConvertError::HeadsUnused(_))));
        }
        for heads in [(0, 1), (1, 0), (2, 4), (3, 2)] {
            assert!(matches!(refusal(Architecture::Llama, Some(heads)), Some(ConvertError::Heads { .. })));
        }
        for heads in [(3, 3), (4, 4)] {
            assert!(matches!(refusal(Architecture::Llama, Some(heads)), Some(ConvertError::HeadRows { .. })));
        }
    }

    #[test]
    fn heads_of_two_sizes_betray_wrong_numbers_of_heads() {
        let mut peft = Peft { config: config(&["q_proj", "k_proj"]), tensors: BTreeMap::new() };
        for (module, rows) in [("q_proj", 16), ("k_proj", 8)] {
            peft.put(&format!("{LAYER}.0.self_attn.{module}.lora_A.weight"), [2, 3], 0.0);
            peft.put(&format!("{LAYER}.0.self_attn.{module}.lora_B.weight"), [rows, 2], 0.0);
        }
        let refused = peft.convert(Architecture::Llama, Some((4, 4))).err();
        assert!(matches!(refused, Some(ConvertError::HeadSize { size: 2, other: 4, .. })));
    }

    #[test]
    fn gemma_with_its_vision_part_has_the_same_tensors() {
        let plain = Peft::tiny().convert(GEMMA, None).expect("a conversion");
        for prefix in ["base_model.model.model.language_model.layers", "base_model.model.language_model.model.layers"] {
            let mut nested = Peft::tiny();
            nested.tensors = nested.tensors.into_iter().map(|(name, t)| (name.replace(LAYER, prefix), t)).collect();
            let gguf = nested.convert(GEMMA, None).expect("a conversion");
            assert!(gguf.bytes == plain.bytes);
            let refused = nested.convert(Architecture::Qwen3, None).err();
            assert!(matches!(refused, Some(ConvertError::UnknownTensor { .. })));
        }
    }

    #[test]
    fn all_three_float_types_give_the_same_file() {
        type ToBytes = fn(f32) -> [u8; 2];
        let wide = Peft::tiny().convert(GEMMA, None).expect("a conversion");
        let narrow: [(Dtype, ToBytes); 2] = [
            (Dtype::F16, |value| f16::from_f32(value).to_le_bytes()),
            (Dtype::BF16, |value| bf16::from_f32(value).to_le_bytes()),
        ];
        for (dtype, bytes_of) in narrow {
            let mut peft = Peft::tiny();
            for tensor in peft.tensors.values_mut() {
                let values = tensor.2.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four));
                *tensor = (dtype, tensor.1.clone(), values.flat_map(bytes_of).collect());
            }
            assert!(peft.convert(GEMMA, None).expect("a conversion").bytes == wide.bytes, "{dtype}");
        }
    }

    #[test]
    fn a_second_conversion_replaces_the_file_with_the_same_bytes() {
        let folder = Peft::tiny().save();
        let out = folder.path().join("out.gguf");
        store(&out, b"old");
        store(&folder.path().join("out.gguf.part"), &[7; 10_000]); // left by a power cut
        let first = convert(folder.path(), GEMMA, None, &out).map(|c| Gguf::read(&out, c)).expect("a conversion");
        let second = convert(folder.path(), GEMMA, None, &out).map(|c| Gguf::read(&out, c)).expect("a conversion");
        assert!(first.bytes == second.bytes);
    }

    #[test]
    fn a_refusal_leaves_the_old_file() {
        let folder = Peft { config: json!({}), ..Peft::tiny() }.save();
        let out = folder.path().join("out.gguf");
        store(&out, b"old");
        convert(folder.path(), GEMMA, None, &out).expect_err("a refusal");
        assert_eq!(std::fs::read(&out).expect("the old file"), b"old");
    }

    #[test]
    fn settings_that_change_the_meaning_are_refused_by_name() {
        let table = [
            ("use_dora", json!(true)),
            ("use_rslora", json!(true)),
            ("bias", json!("all")),
            ("bias", json!("lora_only")),
            ("lora_bias", json!(true)),
            ("modules_to_save", json!(["embed_tokens"])),
            ("rank_pattern", json!({"q_proj": 4})),
            ("alpha_pattern", json!({"q_proj": 4})),
            ("fan_in_fan_out", json!(true)),
            ("layer_replication", json!([[0, 4]])),
            ("trainable_token_indices", json!([1])),
            ("alora_invocation_tokens", json!([1])),
            ("target_parameters", json!(["experts"])),
            ("init_lora_weights", json!("pissa")),
            ("init_lora_weights", json!("pissa_niter_16")),
            ("init_lora_weights", json!("loftq")),
            ("peft_type", json!("LOHA")),
            ("r", json!(0)),
            ("r", json!(2.5)),
            ("r", json!(1_u64 << 32)),
            ("lora_alpha", json!(0)),
            ("lora_alpha", json!(-1)),
            ("lora_alpha", json!(1e39)),
            ("lora_alpha", json!("16")),
            ("target_modules", json!([1])),
            ("a_setting_of_tomorrow", json!(1)),
        ];
        for (setting, value) in table {
            let mut peft = Peft::tiny();
            peft.config[setting] = value.clone();
            assert_eq!(peft.refusal(), format!("adapter_config.json: {setting} = {value} is not supported"));
        }
    }

    #[test]
    fn settings_that_change_nothing_are_accepted() {
        let table = [
            ("lora_dropout", json!(0.1)),
            ("inference_mode", json!(false)),
            ("init_lora_weights", json!("gaussian")),
            ("lora_alpha", json!(12.5)),
            ("target_modules", json!("all-linear")),
            ("target_modules", json!(["model.layers.0.self_attn.q_proj", "down_proj"])),
            ("a_setting_of_tomorrow", json!(false)),
        ];
        for (setting, value) in table {
            let mut peft = Peft::tiny();
            peft.config[setting] = value.clone();
            assert!(peft.convert(GEMMA, None).is_ok(), "{setting} = {value}");
        }
    }

    #[test]
    fn needed_settings_cannot_be_missing() {
        for setting in ["peft_type", "r", "lora_alpha"] {
            let mut peft = Peft::tiny();
            peft.config.as_object_mut().expect("an object").remove(setting);
            assert_eq!(peft.refusal(), format!("adapter_config.json: {setting} is missing"));
        }
    }

    #[test]
    fn listed_targets_and_tensors_must_be_the_same() {
        let refusal = |targets: &[&str]| Peft { config: config(targets), ..Peft::tiny() }.refusal();
        assert!(refusal(&["q_proj", "down_proj", "up_proj"]).contains("target module up_proj has no tensors"));
        assert!(refusal(&["q_proj"]).contains("does not name down_proj"));
        for name in ["lm_head", "model.embed_tokens"] {
            assert!(refusal(&["q_proj", "down_proj", name]).starts_with(&format!("{name}: adapters of the embedding")));
        }
    }

    #[test]
    fn unknown_tensors_are_refused_by_name() {
        let table = [
            "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector",
            "base_model.model.model.layers.0.self_attn.q_proj.lora_B.bias",
            "base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight",
            "base_model.model.model.layers.0.self_attn.q_proj.weight",
            "base_model.model.model.layers.0.self_attn.qkv_proj.lora_A.weight",
            "base_model.model.model.layers.0.mlp.q_proj.lora_A.weight",
            "base_model.model.model.layers.00.self_attn.q_proj.lora_A.weight",
            "base_model.model.model.layers.-1.self_attn.q_proj.lora_A.weight",
            "base_model.model.model.layers.0.mlp.experts.0.up_proj.lora_A.weight",
            "base_model.model.model.vision_tower.encoder.layers.0.self_attn.q_proj.lora_A.weight",
            "model.layers.0.self_attn.q_proj.lora_A.weight",
        ];
        for name in table {
            let mut peft = Peft::tiny();
            peft.put(name, [2, 3], 0.0);
            assert_eq!(peft.refusal(), format!("{name} is not a LoRA tensor of gemma3"));
        }
        let embeddings = [
            "base_model.model.lm_head.lora_A.weight",
            "base_model.model.lm_head.weight",
            "base_model.model.model.embed_tokens.lora_embedding_A",
        ];
        for name in embeddings {
            let mut peft = Peft::tiny();
            peft.put(name, [2, 3], 0.0);
            assert!(peft.refusal().starts_with(&format!("{name}: adapters of the embedding or the output head")));
        }
    }

    #[test]
    fn one_half_without_the_other_is_refused() {
        for (gone, stays, absent) in [("B", "A", "lora_B"), ("A", "B", "lora_A")] {
            let mut peft = Peft::tiny();
            peft.tensors.remove(&format!("{LAYER}.1.mlp.down_proj.lora_{gone}.weight"));
            let left = format!("{LAYER}.1.mlp.down_proj.lora_{stays}.weight");
            assert_eq!(peft.refusal(), format!("{left} is there without its {absent}"));
        }
        assert!(Peft { tensors: BTreeMap::new(), ..Peft::tiny() }.refusal().ends_with("has no tensors"));
    }

    #[test]
    fn a_place_given_under_two_names_is_refused() {
        let mut peft = Peft::tiny();
        peft.put("base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight", [2, 3], 0.0);
        assert!(peft.refusal().contains("a second time"));
    }

    #[test]
    fn wrong_shapes_and_ranks_are_refused_by_name() {
        let table: [(&str, &[usize], &str); 8] = [
            ("A", &[6], "shape [6] is not a matrix"),
            ("A", &[2, 3, 1], "shape [2, 3, 1] is not a matrix"),
            ("A", &[2, 0], "shape [2, 0] is not a matrix"),
            ("A", &[3, 2], "the rank is 3, but adapter_config.json says r = 2"),
            ("B", &[2, 4], "the rank is 4, but adapter_config.json says r = 2"),
            ("B", &[4, 1], "the rank is 1, but adapter_config.json says r = 2"),
            ("A", &[2, 4], "shape [2, 4] differs from the same module in another layer, [2, 3]"),
            ("B", &[6, 2], "shape [6, 2] differs from the same module in another layer, [4, 2]"),
        ];
        for (half, shape, fault) in table {
            let mut peft = Peft::tiny();
            let name = format!("{LAYER}.1.self_attn.q_proj.lora_{half}.weight");
            peft.put_f32(&name, shape, &vec![0.0; shape.iter().product()]);
            assert_eq!(peft.refusal(), format!("{name}: {fault}"));
        }
    }

    #[test]
    fn values_that_f16_cannot_hold_are_refused_by_name() {
        let table = [
            (f32::NAN, "value 5 is not a finite number"),
            (f32::INFINITY, "value 5 is not a finite number"),
            (f32::NEG_INFINITY, "value 5 is not a finite number"),
            (65520.0, "value 5, 65520, is too large for F16"),
            (-1e6, "value 5, -1000000, is too large for F16"),
        ];
        let name = format!("{LAYER}.1.self_attn.q_proj.lora_A.weight");
        for (value, fault) in table {
            let mut peft = Peft::tiny();
            peft.put_f32(&name, &[2, 3], &[0.0, 0.0, 0.0, 0.0, 0.0, value]);
            assert_eq!(peft.refusal(), format!("{name}: {fault}"));
        }
        let mut peft = Peft::tiny();
        peft.put_f32(&name, &[2, 3], &[65504.0, -65504.0, 65519.0, 1e-9, 0.0, 0.0]);
        let gguf = peft.convert(GEMMA, None).expect("the largest values fit");
        assert_eq!(gguf.tensor("blk.1.attn_q.weight.lora_a").1, [65504.0, -65504.0, 65504.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn other_number_types_are_refused_by_name() {
        let mut peft = Peft::tiny();
        let name = format!("{LAYER}.1.self_attn.q_proj.lora_A.weight");
        peft.tensors.insert(name.clone(), (Dtype::F64, vec![2, 3], vec![0; 48]));
        assert_eq!(peft.refusal(), format!("{name}: values of type F64 are not supported, only F32, F16 and BF16"));
    }

    #[test]
    fn broken_files_are_errors() {
        let folder = Peft::tiny().save();
        let out = folder.path().join("out.gguf");
        let refusal = || convert(folder.path(), GEMMA, None, &out).expect_err("a refusal");
        let weights = std::fs::read(folder.path().join(WEIGHTS)).expect("the weights");
        for len in [0, 7, 100, weights.len() - 1] {
            store(&folder.path().join(WEIGHTS), &weights[..len]);
            assert!(matches!(refusal(), ConvertError::Weights(_)), "cut to {len} bytes");
        }
        store(&folder.path().join(CONFIG), b"[]");
        assert!(matches!(refusal(), ConvertError::Config(_)));
        store(&folder.path().join(CONFIG), &vec![b' '; CONFIG_BYTES_MAX as usize + 1]);
        assert!(matches!(refusal(), ConvertError::TooLarge { .. }));
        std::fs::remove_file(folder.path().join(CONFIG)).expect("the settings were there");
        assert!(matches!(refusal(), ConvertError::Read { .. }));
    }

    #[test]
    fn an_architecture_is_known_by_ggufs_word_alone() {
        for architecture in Architecture::ALL {
            assert_eq!(architecture.as_str().parse::<Architecture>().expect("its own word"), architecture);
        }
        for word in ["Llama", "gemma2", ""] {
            assert!(matches!(word.parse::<Architecture>(), Err(ConvertError::Architecture(_))));
        }
    }
}
