//! The demo model, its adapters, and what a worker is opened with. A file of its own, because the engine's own tests and
//! the levers of the bench read it too.
#![allow(dead_code)] // each reader uses its own part

use contract::ids::Department;
use engine::{
    prompt::PromptFormat,
    protocol::{AdapterFile, Branching, LlamaOrder, Residency},
};
use std::path::{Path, PathBuf};

pub const DEMO_MODEL_SHA256: &str = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818";

/// Of the checkout, whatever crate asks.
pub fn root() -> PathBuf {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    above.into_iter().find(|folder| folder.join("Cargo.lock").exists()).expect("a workspace").to_owned()
}

pub fn demo_model() -> PathBuf {
    let path = std::env::var_os("CONSULTD_DEMO_MODEL").map(PathBuf::from).unwrap_or_else(|| {
        let home = std::env::var_os("HOME").expect("a home folder");
        PathBuf::from(home).join(".cache/consultd/models/gemma-3-270m-q4_k_m.gguf")
    });
    assert!(path.exists(), "the demo model is not at {}; `make model` fetches it", path.display());
    path
}

pub fn demo_adapter(department: &str) -> PathBuf {
    root().join("adapters/demo").join(department)
}

/// The demo model and these departments' adapters, on the CPU, with as much as the least of the tests needs.
pub fn demo_order(departments: &[&str]) -> LlamaOrder {
    let adapters = departments.iter().map(|department| {
        let path = demo_adapter(department).join("adapter.gguf");
        let sha256 = engine::file_sha256(&path).expect("the demo adapter is there");
        AdapterFile { department: Department::new(department).expect("a code"), path, sha256 }
    });
    LlamaOrder {
        model: demo_model(),
        model_sha256: DEMO_MODEL_SHA256.to_owned(),
        prompt_format: PromptFormat::Plain,
        adapters: adapters.collect(),
        bare: Vec::new(),
        context_tokens: 2048,
        contexts_max: 2,
        jobs_max: 8,
        branches: Branching::CausesFirst,
        residency: Residency::Contexts,
        memory_mb_max: None,
        threads: 2,
        nice: 0,
        gpu_layers: 0,
        devices: Vec::new(),
    }
}
