//! A model or adapter from outside: the header of a GGUF file, and what it would take in memory.

use engine::{
    gguf::{Header, block},
    memory::{Facts, Shape, need},
    protocol::{AdapterFile, Branching, LlamaOrder, Residency},
};

pub fn holds(bytes: &[u8]) -> bool {
    let len = bytes.len() as u64;
    read(bytes, len);
    // As if gigabytes followed: most of a model is data that nobody reads here.
    let Some(header) = read(bytes, len + (1 << 40)) else { return false };
    let Ok(facts) = Facts::of(&header) else { return false };
    let need = need(&facts, &Shape::of(&order(), false), &[1 << 20]);
    let budget = 4 << 30;
    let _ = (need.total(8), need.contexts_that_fit(budget, 8).map_err(|short| short.missing()));
    let _ = need.advice(budget, 8);
    true
}

fn read(bytes: &[u8], len: u64) -> Option<Header> {
    let header = Header::parse(bytes, len).map_err(|fault| engine::chain(&fault)).ok()?;
    assert!(header.data_start <= len || header.tensors.is_empty());
    for tensor in &header.tensors {
        assert!(header.data_start + tensor.offset + tensor.bytes <= len, "{tensor:?} ends behind the file");
        assert!((1..=4).contains(&tensor.dimensions.len()));
        let (values, bytes) = block(tensor.kind).expect("a known type");
        let all: u128 = tensor.dimensions.iter().map(|n| u128::from(*n)).product();
        assert_eq!(u128::from(tensor.bytes), all / u128::from(values) * u128::from(bytes), "{tensor:?}");
    }
    Some(header)
}

fn order() -> LlamaOrder {
    LlamaOrder {
        model: "/m.gguf".into(),
        model_sha256: String::new(),
        prompt_format: Default::default(),
        adapters: Vec::<AdapterFile>::new(),
        bare: Vec::new(),
        context_tokens: 8192,
        contexts_max: 8,
        jobs_max: 8,
        branches: Branching::default(),
        residency: Residency::default(),
        memory_mb_max: None,
        threads: 4,
        nice: 10,
        gpu_layers: 0,
        devices: vec![],
    }
}
