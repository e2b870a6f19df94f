//! `adapterctl`: from labelled samples to an adapter that the box can load.
//!
//! ```text
//! samples.jsonl ─ render ─▶ rows.jsonl ─ train/train.py ─▶ PEFT folder ─ package ─▶ adapter.gguf + manifest.json
//! cases.jsonl ─ evaluate ─▶ a box ─▶ table, report.html
//! ```

mod calibrate;
mod evaluate;
mod package;
mod render;

use clap::{Parser, Subcommand};
use contract::sample::{Sample, SampleVerdict};
use engine::prompt::PromptFormat;
use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Makes adapters for consultd boxes: renders training text, packages trained adapters, judges what a box says with them.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prints training rows (JSONL) for the samples of a file, as the box would prompt.
    Render {
        samples: PathBuf,
        #[arg(long, default_value = "plain", value_parser = prompt_format)]
        format: PromptFormat,
    },
    /// Converts a PEFT folder to GGUF and writes the manifest beside it.
    Package(Box<package::Package>),
    /// Writes the adapter from which several regions train: A drawn at random, B zero.
    Init(adapterctl::init::Init),
    /// Combines the adapters that several regions trained, without their data.
    Aggregate(adapterctl::combine::Aggregate),
    /// Adds adapters with weights of your own, which need not sum to one.
    Merge(adapterctl::combine::Merge),
    /// Runs cases through a box and says how good it was: a table, and a page with pictures.
    Evaluate(Box<evaluate::Evaluate>),
    /// Measures how far the adapters' word on the department can be believed, and writes that into their manifests.
    Calibrate(Box<calibrate::Calibrate>),
    /// Prints the fingerprint of form and prompt that this program was built with.
    Form {
        #[arg(long, default_value = "plain", value_parser = prompt_format)]
        format: PromptFormat,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Render { samples, format } => render_file(&samples, format),
        Command::Package(package) => package.run(),
        Command::Init(init) => init.run().map_err(|e| engine::chain(&e)),
        Command::Aggregate(aggregate) => aggregate.run().map_err(|e| engine::chain(&e)),
        Command::Merge(merge) => merge.run().map_err(|e| engine::chain(&e)),
        Command::Calibrate(calibrate) => calibrate.run(),
        Command::Evaluate(evaluate) => match evaluate.run() {
            Ok(met) if evaluate.check && !met => return ExitCode::FAILURE,
            done => done.map(|_| ()),
        },
        Command::Form { format } => {
            println!("{}", engine::fingerprint::of(format));
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("adapterctl: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn prompt_format(word: &str) -> Result<PromptFormat, String> {
    serde_json::from_value(word.into()).map_err(|_| "one of: plain, chat_ml, gemma, llama3".to_owned())
}

fn render_file(path: &Path, format: PromptFormat) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    let samples = samples(path)?;
    let (rejected, taught): (Vec<_>, Vec<_>) =
        samples.into_iter().partition(|sample| sample.review.verdict == SampleVerdict::Rejected);
    if !rejected.is_empty() {
        eprintln!("adapterctl: {} samples left out: the doctor rejected what they say", rejected.len());
    }
    for sample in taught {
        for row in render::rows(&sample, format) {
            let line = serde_json::to_string(&row).map_err(|e| e.to_string())?;
            writeln!(out, "{line}").map_err(|e| format!("cannot write: {e}"))?;
        }
    }
    Ok(())
}

/// All samples of a JSONL file; the first faulty line is named.
fn samples(path: &Path) -> Result<Vec<Sample>, String> {
    let file = std::fs::File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let read = |(at, line): (usize, std::io::Result<String>)| {
        let line = line.map_err(|e| format!("{}: {e}", path.display()))?;
        serde_json::from_str(&line).map_err(|e| format!("{} line {}: {e}", path.display(), at + 1))
    };
    BufReader::new(file).lines().enumerate().map(read).collect()
}
