//! A trained adapter from outside: PEFT's settings and its safetensors file. What is taken becomes a GGUF file that our
//! own reader takes, with as many tensors as were said.
//!
//! ```text
//! first byte: architecture, second: heads     settings (JSON) | 0x1E | safetensors
//! ```

use adapterctl::convert::{Architecture, convert_bytes};
use engine::gguf::{Header, Value};

const ARCHITECTURES: [&str; 4] = ["llama", "qwen2", "qwen3", "gemma3"];

pub fn holds(bytes: &[u8]) -> bool {
    let [architecture, heads, files @ ..] = bytes else { return false };
    let Some(border) = files.iter().position(|byte| *byte == 0x1e) else { return false };
    let (config, weights) = (&files[..border], &files[border + 1..]);
    let architecture: Architecture =
        ARCHITECTURES[usize::from(*architecture) % ARCHITECTURES.len()].parse().expect("a known one");
    let heads = (*heads != 0).then(|| (u32::from(heads >> 4), u32::from(heads & 15)));
    let (converted, file) = match convert_bytes(config, weights, architecture, heads) {
        Ok(done) => done,
        Err(refusal) => return engine::chain(&refusal).is_empty(),
    };
    let header = Header::parse(&file[..], file.len() as u64).expect("our own file");
    assert_eq!(header.text("general.architecture"), Some(architecture.as_str()));
    assert_eq!(header.get("adapter.lora.alpha"), Some(&Value::Float(converted.alpha.into())));
    assert_eq!(header.tensors.len(), converted.tensors);
    assert!(converted.tensors.is_multiple_of(2) && converted.tensors > 0);
    for tensor in &header.tensors {
        assert!(tensor.dimensions.contains(&converted.rank.into()), "{tensor:?}");
    }
    true
}
