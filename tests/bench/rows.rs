//! What a step costs by the number of its rows: the demo model and one adapter, alone in this process.
//!
//! ```text
//! make bench-rows        with threads that sleep at once, and with those that spin for a moment, in turns
//! ```
//! Printed are medians in milliseconds of wall time: of steps that write a token in so many sequences, and of steps that
//! read so many tokens of a case.

#[path = "../common/demo.rs"]
mod demo;

use llama_cpp_2::{
    context::params::LlamaContextParams,
    llama_backend::LlamaBackend,
    llama_batch::LlamaBatch,
    model::{LlamaModel, params::LlamaModelParams},
    token::LlamaToken,
};
use std::{error::Error, num::NonZeroU32, time::Instant};

const PREFIX: i32 = 200;
const ROWS: [i32; 11] = [1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32];
const READ: [i32; 3] = [32, 85, 128];
const STEPS: i32 = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let threads = std::thread::available_parallelism()?.get() as i32;
    let mut backend = LlamaBackend::init()?;
    backend.void_logs();
    let mut model = LlamaModel::load_from_file(&backend, demo::demo_model(), &LlamaModelParams::default())?;
    let mut adapter = model.lora_adapter_init(demo::demo_adapter("internal").join("adapter.gguf"))?;
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(4096))
        .with_n_ubatch(512)
        .with_n_batch(512)
        .with_n_seq_max(40)
        .with_n_threads(threads)
        .with_n_threads_batch(threads)
        .with_kv_unified(true)
        .with_swa_full(true);
    let mut context = model.new_context(&backend, params)?;
    context.lora_adapter_set(&mut adapter, 1.0)?;
    let mut batch = LlamaBatch::new(512, 1);
    // Any tokens will do: what a step costs does not depend on what it says.
    let token = |n: i32| LlamaToken(1000 + n % 50_000);
    for at in 0..PREFIX {
        batch.add(token(7 * at), at, &[0], at + 1 == PREFIX)?;
    }
    context.decode(&mut batch)?;
    for sequence in 1..=32 {
        context.copy_kv_cache_seq(0, sequence, None, None)?;
    }
    let mut timed = |batch: &mut LlamaBatch| -> Result<f64, Box<dyn Error>> {
        let began = Instant::now();
        context.decode(batch)?;
        let ms = began.elapsed().as_secs_f64() * 1000.0;
        (1..=32)
            .try_for_each(|sequence| context.clear_kv_cache_seq(Some(sequence), Some(PREFIX as u32), None).map(drop))?;
        Ok(ms)
    };
    let mut cells = Vec::new();
    for rows in ROWS {
        let mut all = Vec::new();
        for step in 0..STEPS {
            batch.clear();
            (0..rows).try_for_each(|row| batch.add(token(31 * step + row), PREFIX, &[row + 1], true))?;
            all.push(timed(&mut batch)?);
        }
        cells.push(format!("{rows}: {:.0}", median(all)));
    }
    for tokens in READ {
        let mut all = Vec::new();
        for _ in 0..STEPS / 4 {
            batch.clear();
            (0..tokens).try_for_each(|at| batch.add(token(3 * at), PREFIX + at, &[1], at + 1 == tokens))?;
            all.push(timed(&mut batch)?);
        }
        cells.push(format!("read {tokens}: {:.0}", median(all)));
    }
    let spin = std::env::var("GOMP_SPINCOUNT").unwrap_or_else(|_| "unset".to_owned());
    println!("{threads} threads, spin {spin}, ms by rows: {}", cells.join("  "));
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
