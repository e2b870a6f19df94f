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

pub const CONFIG: &str = "adapter_config.json";
pub const WEIGHTS: &str = "adapter_model.safetensors";
/// PEFT writes about 1 KiB; listing every module of a large model by its full path stays below 100 KiB.
pub(crate) const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// Rank 64 on all modules of an 8B model is 0.7 GB in F32.
pub(crate) const WEIGHTS_BYTES_MAX: u64 = 2 << 30;

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
    pub(crate) fn layer_prefixes(self) -> &'static [&'static str] {
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
    #[error("{tensor} is not a LoRA tensor of {}", words(*architecture))]
    UnknownTensor { tensor: String, architecture: Option<Architecture> },
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

fn words(architecture: Option<Architecture>) -> &'static str {
    architecture.map_or("llama, qwen2, qwen3 or gemma3", Architecture::as_str)
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
    let config = Config::parse(&read(&peft_dir.join(CONFIG), CONFIG_BYTES_MAX)?)?;
    let weights = read(&peft_dir.join(WEIGHTS), WEIGHTS_BYTES_MAX)?;
    let (converted, tensors) = converted(&config, &weights, architecture, heads)?;
    replace(out, |file| gguf::write(file, &entries(&converted), &tensors))
        .map_err(|source| ConvertError::Write { path: out.to_owned(), source })?;
    Ok(converted)
}

/// The same in memory: the bytes of both files in, the GGUF file's bytes out.
pub fn convert_bytes(
    config: &[u8],
    weights: &[u8],
    architecture: Architecture,
    heads: Option<(u32, u32)>,
) -> Result<(Converted, Vec<u8>), ConvertError> {
    let heads = Heads::of(architecture, heads)?;
    let (converted, tensors) = converted(&Config::parse(config)?, weights, architecture, heads)?;
    let mut file = Vec::new();
    gguf::write(&mut file, &entries(&converted), &tensors).expect("memory takes what is written");
    Ok((converted, file))
}

fn converted(
    config: &Config,
    weights: &[u8],
    architecture: Architecture,
    heads: Option<Heads>,
) -> Result<(Converted, Vec<Tensor>), ConvertError> {
    let (mut matrices, target_modules) = checked(config, weights, Some(architecture))?;
    matrices.values().try_for_each(Matrix::fits_f16)?;
    if let Some(heads) = heads {
        heads.reorder(&mut matrices)?;
    }

    let tensors: Vec<Tensor> = matrices.into_iter().map(|(place, matrix)| matrix.into_tensor(place)).collect();
    let (rank, alpha) = (config.rank, config.alpha);
    Ok((Converted { architecture, rank, alpha, target_modules, tensors: tensors.len() }, tensors))
}

/// The matrices and the modules that they belong to, in Hugging Face's order of rows. Without an architecture the
/// names of all of them are taken: a weight has the same meaning in each.
pub(crate) fn checked(
    config: &Config,
    weights: &[u8],
    architecture: Option<Architecture>,
) -> Result<(Matrices, Vec<String>), ConvertError> {
    let weights = SafeTensors::deserialize(weights).map_err(ConvertError::Weights)?;
    let matrices = matrices(&weights, architecture, config.rank)?;
    every_a_has_its_b(&matrices)?;
    layers_agree(&matrices)?;
    let target_modules = targets(&matrices, config.targets.as_ref())?;
    Ok((matrices, target_modules))
}

/// The settings that the conversion uses; all others have been found harmless or off.
pub(crate) struct Config {
    pub(crate) rank: u32,
    pub(crate) alpha: f32,
    /// The last parts of the listed names; none when PEFT was given a pattern, which only it can read.
    targets: Option<BTreeSet<String>>,
}

impl Config {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ConvertError> {
        let settings: Map<String, Value> = serde_json::from_slice(bytes).map_err(ConvertError::Config)?;
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
pub(crate) enum Module {
    Query,
    Key,
    Value,
    Output,
    Gate,
    Up,
    Down,
}

/// Module, Hugging Face's name, GGUF's name.
pub(crate) const MODULES: [(Module, &str, &str); 7] = [
    (Module::Query, "self_attn.q_proj", "attn_q"),
    (Module::Key, "self_attn.k_proj", "attn_k"),
    (Module::Value, "self_attn.v_proj", "attn_v"),
    (Module::Output, "self_attn.o_proj", "attn_output"),
    (Module::Gate, "mlp.gate_proj", "ffn_gate"),
    (Module::Up, "mlp.up_proj", "ffn_up"),
    (Module::Down, "mlp.down_proj", "ffn_down"),
];

impl Module {
    pub(crate) fn names(self) -> (&'static str, &'static str) {
        let (_, hf, gguf) = MODULES.into_iter().find(|row| row.0 == self).expect("every module has its row");
        (hf, gguf)
    }
}

/// A is the first matrix that the input meets, B the second: the change of the weight is B·A.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Half {
    A,
    B,
}

/// Where a matrix belongs. Its order is the order of the tensors in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) layer: u32,
    pub(crate) module: Module,
    pub(crate) half: Half,
}

impl Place {
    fn parse(tensor: &str, architecture: Option<Architecture>) -> Option<Self> {
        let all = Architecture::ALL.into_iter().filter(|one| architecture.is_none_or(|only| only == *one));
        let mut prefixes = all.flat_map(Architecture::layer_prefixes);
        let rest = prefixes.find_map(|prefix| tensor.strip_prefix(prefix))?;
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

    /// `prefix` is one of the architecture's `layer_prefixes`.
    pub(crate) fn peft_name(self, prefix: &str) -> String {
        let (module, _) = self.module.names();
        format!("{prefix}{}.{module}.lora_{:?}.weight", self.layer, self.half)
    }

    pub(crate) fn gguf_name(self) -> String {
        let (_, module) = self.module.names();
        let half = match self.half {
            Half::A => "lora_a",
            Half::B => "lora_b",
        };
        format!("blk.{}.{module}.weight.{half}", self.layer)
    }
}

/// Row by row; every value is finite.
pub(crate) struct Matrix {
    pub(crate) tensor: String,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) values: Vec<f32>,
}

pub(crate) type Matrices = BTreeMap<Place, Matrix>;

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

    fn fits_f16(&self) -> Result<(), ConvertError> {
        match self.values.iter().position(|value| f16::from_f32(*value).is_infinite()) {
            Some(index) => {
                let (tensor, value) = (self.tensor.clone(), self.values[index]);
                Err(ConvertError::Overflow { tensor, index, value })
            }
            None => Ok(()),
        }
    }

    fn into_tensor(self, place: Place) -> Tensor {
        let values = self.values.into_iter().map(f16::from_f32).collect();
        Tensor { name: place.gguf_name(), rows: self.rows, columns: self.columns, values }
    }
}

fn no_matrix(tensor: &str, view: &TensorView) -> ConvertError {
    ConvertError::NoMatrix { tensor: tensor.to_owned(), shape: view.shape().to_vec() }
}

fn matrices(weights: &SafeTensors, architecture: Option<Architecture>, rank: u32) -> Result<Matrices, ConvertError> {
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

fn values(tensor: &str, view: &TensorView) -> Result<Vec<f32>, ConvertError> {
    let bytes = view.data();
    let wide: Vec<f32> = match view.dtype() {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect(),
        Dtype::F16 => bytes.as_chunks().0.iter().map(|two| f16::from_le_bytes(*two).to_f32()).collect(),
        Dtype::BF16 => bytes.as_chunks().0.iter().map(|two| bf16::from_le_bytes(*two).to_f32()).collect(),
        dtype => return Err(ConvertError::Dtype { tensor: tensor.to_owned(), dtype }),
    };
    match wide.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(ConvertError::NotFinite { tensor: tensor.to_owned(), index }),
        None => Ok(wide),
    }
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

pub(crate) fn last_part(name: &str) -> &str {
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
fn reordered(values: &[f32], head_size: usize, columns: usize) -> Vec<f32> {
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

pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, ConvertError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(bytes_max + 1).read_to_end(&mut bytes))
        .map_err(|source| ConvertError::Read { path: path.to_owned(), source })?;
    if bytes.len() as u64 > bytes_max {
        return Err(ConvertError::TooLarge { path: path.to_owned(), bytes_max });
    }
    Ok(bytes)
}

fn entries(converted: &Converted) -> [(&'static str, gguf::Value<'static>); 4] {
    [
        ("general.architecture", gguf::Value::Text(converted.architecture.as_str())),
        ("general.type", gguf::Value::Text("adapter")),
        ("adapter.type", gguf::Value::Text("lora")),
        ("adapter.lora.alpha", gguf::Value::F32(converted.alpha)),
    ]
}

/// Beside as `.part`, synced, then renamed. A `.part` left by a failure is overwritten by the next conversion.
#[allow(clippy::disallowed_methods, reason = "this is the tools' one way to replace a file")]
pub fn replace(out: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
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
mod tests;
