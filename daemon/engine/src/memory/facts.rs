//! What of a model decides its memory, from its header.

use super::F16;
use crate::gguf::{Header, Value};

/// What of a model decides its memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    pub architecture: String,
    /// Tokens in the vocabulary.
    pub vocabulary: u64,
    pub(super) merges: u64,
    /// Numbers in a hidden state.
    pub(super) width: u64,
    /// Numbers in the feed-forward part's hidden state, over all experts of a token.
    pub(super) feed_forward: u64,
    /// Layers with a window have a mask of their own.
    pub(super) sliding_window: bool,
    pub layers: Vec<Layer>,
    /// Bytes of the tokens' vectors, which stay on the CPU.
    pub(super) embedding: u64,
    /// Bytes of what comes behind the layers; without `tied` weights among them, the embedding serves as output too.
    pub(super) output: u64,
    pub(super) tied: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Layer {
    /// Bytes of its weights.
    pub weights: u64,
    /// Bytes of them that one token needs: fewer than all where there are experts.
    pub read: u64,
    /// Bytes of keys and values of one cell.
    pub kv_per_cell: u64,
}

/// Why a good GGUF file is not a model that can be planned for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAModel {
    #[error("is an adapter, not a model")]
    Adapter,
    #[error("is one of {0} parts: join them with llama-gguf-split --merge")]
    Part(u64),
    #[error("does not name {0}, or not as a number that a model can have")]
    Missing(String),
    #[error("has the tensor {name}, but only {layers} layers")]
    Layer { name: String, layers: usize },
}

impl Facts {
    pub fn of(header: &Header) -> Result<Self, NotAModel> {
        if header.text("general.type") == Some("adapter") {
            return Err(NotAModel::Adapter);
        }
        if let Some(parts @ 2..) = header.number("split.count") {
            return Err(NotAModel::Part(parts));
        }
        let missing = |key: &str| NotAModel::Missing(key.to_owned());
        let architecture = header.text("general.architecture").ok_or_else(|| missing("general.architecture"))?;
        let numbers = Numbers { header, architecture };
        let layer_count = numbers.one("block_count", 1 << 10)?;
        let width = numbers.one("embedding_length", 1 << 20)?;
        let mut facts = Self {
            architecture: architecture.to_owned(),
            vocabulary: vocabulary(header).ok_or_else(|| missing("token_embd.weight"))?,
            merges: list_len(header, "tokenizer.ggml.merges"),
            width,
            feed_forward: numbers.feed_forward()?,
            sliding_window: numbers.of_layer("attention.sliding_window", 0, 1 << 30).is_ok_and(|n| n > 0),
            layers: numbers.layers(layer_count, width)?,
            embedding: 0,
            output: 0,
            tied: true,
        };
        facts.weigh(header)?;
        Ok(facts)
    }

    /// Sorts the tensors by where they belong.
    fn weigh(&mut self, header: &Header) -> Result<(), NotAModel> {
        let number = |key: &str| header.number(&format!("{}.{key}", self.architecture)).filter(|n| *n > 0);
        let experts = number("expert_count").zip(number("expert_used_count"));
        for tensor in &header.tensors {
            let name = &tensor.name;
            let layer = name.strip_prefix("blk.").and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
            match layer {
                Some(at) => {
                    let layers = self.layers.len();
                    let layer =
                        self.layers.get_mut(at).ok_or_else(|| NotAModel::Layer { name: name.clone(), layers })?;
                    layer.weights += tensor.bytes;
                    layer.read += match experts {
                        Some((all, used)) if name.contains("_exps.") => tensor.bytes / all * used.min(all),
                        _ => tensor.bytes,
                    };
                }
                None if name.contains("token_embd") => self.embedding += tensor.bytes,
                None => {
                    self.tied &= name != "output.weight";
                    self.output += tensor.bytes;
                }
            }
        }
        Ok(())
    }

    /// All weights as they are in the file.
    pub fn weights(&self) -> u64 {
        self.layers.iter().map(|layer| layer.weights).sum::<u64>() + self.embedding + self.output
    }

    /// Bytes read for one token of one sequence that has `cells` behind it; of the embedding only a row is read,
    /// unless it is the output layer too.
    pub fn read_per_token(&self, cells: u32, adapter: u64) -> u64 {
        let layers: u64 = self.layers.iter().map(|l| l.read + l.kv_per_cell.saturating_mul(cells.into())).sum();
        layers + self.output + if self.tied { self.embedding } else { 0 } + adapter
    }
}

/// The model's numbers by their keys, which begin with the architecture.
struct Numbers<'h> {
    header: &'h Header,
    architecture: &'h str,
}

impl Numbers<'_> {
    /// `max` keeps products of them in 64 bits, far above any model.
    fn of_layer(&self, key: &str, layer: usize, max: u64) -> Result<u64, NotAModel> {
        let key = format!("{}.{key}", self.architecture);
        let number = match self.header.get(&key) {
            Some(Value::Integer(number)) => Some(*number),
            Some(Value::List { integers, .. }) => integers.get(layer).copied(),
            _ => None,
        };
        number.and_then(|n| u64::try_from(n).ok()).filter(|n| *n <= max).ok_or(NotAModel::Missing(key))
    }

    fn one(&self, key: &str, max: u64) -> Result<u64, NotAModel> {
        match self.of_layer(key, 0, max)? {
            0 => Err(NotAModel::Missing(format!("{}.{key}", self.architecture))),
            number => Ok(number),
        }
    }

    fn or(&self, key: &str, max: u64, default: u64) -> u64 {
        self.one(key, max).unwrap_or(default)
    }

    fn feed_forward(&self) -> Result<u64, NotAModel> {
        let max = 1 << 20;
        let of_experts = self.or("expert_feed_forward_length", max, 0) * self.or("expert_used_count", 1 << 10, 1);
        match self.one("feed_forward_length", max) {
            Ok(dense) => Ok(dense.max(of_experts)),
            Err(_) if of_experts > 0 => Ok(of_experts),
            Err(missing) => Err(missing),
        }
    }

    /// The layers with their KV. Where full and windowed layers have heads of two lengths, the larger is taken.
    fn layers(&self, count: u64, width: u64) -> Result<Vec<Layer>, NotAModel> {
        let length_max = 1 << 13;
        let heads = self.one("attention.head_count", 1 << 12)?;
        let length = |key: &str| {
            let own = self.or(&format!("attention.{key}"), length_max, width / heads);
            own.max(self.or(&format!("attention.{key}_swa"), length_max, 0))
        };
        let kv_width = length("key_length") + length("value_length");
        // The last layers of some models read the KV of those before them.
        let own = count - self.or("attention.shared_kv_layers", count, 0);
        let layer = |at: usize| {
            let kv_heads = match self.of_layer("attention.head_count_kv", at, 1 << 12) {
                Ok(kv_heads) => kv_heads,
                // Not said: each head has its own. Said and not understood is a fault.
                Err(_) if self.header.get(&format!("{}.attention.head_count_kv", self.architecture)).is_none() => heads,
                Err(fault) => return Err(fault),
            };
            let kv_per_cell = if (at as u64) < own { kv_heads * kv_width * F16 } else { 0 };
            Ok(Layer { kv_per_cell, ..Layer::default() })
        };
        (0..count as usize).map(layer).collect()
    }
}

/// Rows of the embedding: what the tokeniser's list says as well, but the tensors are what is loaded.
fn vocabulary(header: &Header) -> Option<u64> {
    let embedding = header.tensors.iter().find(|tensor| tensor.name == "token_embd.weight")?;
    embedding.dimensions.get(1).copied().filter(|n| *n <= 1 << 24)
}

fn list_len(header: &Header, key: &str) -> u64 {
    match header.get(key) {
        Some(Value::List { len, .. }) => *len,
        _ => 0,
    }
}
