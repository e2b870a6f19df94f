//! The cage: the form that the model fills, the worker that fills it, and the words that daemon and worker speak.
//!
//! ```text
//!  consultd (parent)                       consultd worker (child)
//!  ─────────────────  frames over pipes  ──────────────────────────────
//!   Order::Open ─────────────────────────▶ load model, adapters; Report::Ready
//!   Order::Fill ─────────────────────────▶ prefix (parked) + case → causes → the other sections, in parallel
//!               ◀───────────────────────── Report::Section …, Report::Filled
//! ```
//! Everything here builds and tests without llama.cpp; the feature `llama` adds `llama`, the only module that knows it.
#![deny(unsafe_code)]

pub mod fingerprint;
pub mod form;
pub mod frame;
pub mod gguf;
#[cfg(feature = "llama")]
mod llama;
pub mod memory;
pub mod prompt;
pub mod protocol;
#[cfg_attr(not(feature = "llama"), allow(dead_code))] // only llama.cpp has something to schedule
mod schedule;
mod scripted;
pub mod worker;

#[cfg(test)]
extern crate self as engine; // tests/common/demo.rs speaks of it by its name

/// What a worker must find in its environment when it starts.
///
/// ggml's threads meet hundreds of times in a token. Those that spin until they meet take the cores from broker and
/// daemon; those that sleep at once pay a wake-up each time (tests/bench/README.md). So a short spin, of some ten
/// microseconds, and then sleep. libgomp counts it in turns of its loop; other OpenMP libraries do not know the word.
/// And an assertion in ggml would start a debugger to print a backtrace.
pub const WORKER_ENVIRONMENT: [(&str, &str); 3] =
    [("OMP_WAIT_POLICY", "passive"), ("GOMP_SPINCOUNT", "500"), ("GGML_NO_BACKTRACE", "1")];

/// The processors that llama.cpp finds on this machine. An error when this build has no llama.cpp.
pub fn devices() -> Result<Vec<protocol::Device>, String> {
    #[cfg(feature = "llama")]
    return Ok(llama::devices());
    #[cfg(not(feature = "llama"))]
    Err("this consultd was built without llama.cpp (feature `llama`)".to_owned())
}

/// An error with its causes, on one line: said once, where the error ends its journey.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Some libraries repeat their cause in their own words already.
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

/// The SHA-256 of a file as lower-case hexadecimal.
pub fn file_sha256(path: &std::path::Path) -> std::io::Result<String> {
    use sha2::{Digest, Sha256};
    let mut file = std::fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        match std::io::Read::read(&mut file, &mut block)? {
            0 => break,
            n => hash.update(&block[..n]),
        }
    }
    Ok(hex(&hash.finalize()))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
