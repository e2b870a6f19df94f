//! `adapterctl`: from labelled samples to an adapter that the box can load.
//!
//! ```text
//! samples.jsonl ─ render ─▶ rows.jsonl ─ train/train.py ─▶ PEFT folder ─ package ─▶ adapter.gguf + manifest.json
//! cases.jsonl ─ evaluate ─▶ a box ─▶ table, report.html
//! ```

mod calibrate;
mod check;
mod dataset;
#[cfg(test)]
mod dice;
mod evaluate;
mod feedback;
mod file;
mod gate;
mod import;
mod merkle;
mod metadata;
mod near;
mod package;
mod page;
mod render;
mod scrub;
mod settings;
mod sign;
mod split;
mod train;
mod worker;
mod yaml;

use clap::{Parser, Subcommand};
use engine::prompt::PromptFormat;
use std::{path::PathBuf, process::ExitCode};

/// Makes adapters for consultd boxes: renders training text, packages trained adapters, judges what a box says with them.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::Check),
    Import(Box<import::Import>),
    ImportFeedback(feedback::ImportFeedback),
    Split(split::Split),
    /// Prints training rows (JSONL) for the samples of a file, as the box would prompt.
    Render {
        samples: PathBuf,
        #[arg(long, default_value = "plain", value_parser = prompt_format)]
        format: PromptFormat,
        /// The form of a task other than the consultation (adapters/README.md).
        #[arg(long)]
        form: Option<PathBuf>,
        /// With what the doctor changed beside it, where there is something.
        #[arg(long)]
        pairs: bool,
    },
    Train(Box<train::Train>),
    /// Converts a PEFT folder to a GGUF file that llama.cpp loads.
    Convert {
        peft: PathBuf,
        out: PathBuf,
        /// The base model's GGUF file: it says the architecture and the numbers of heads.
        #[arg(long)]
        base: PathBuf,
    },
    Gate(Box<gate::GateArgs>),
    Package(Box<package::Package>),
    Keygen(sign::Keygen),
    Sign(sign::Sign),
    Verify(sign::Verify),
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
        Command::Render { samples, format, form, pairs } => render::print(&samples, format, form.as_deref(), pairs),
        Command::Check(check) => match check.run() {
            Ok(exit) => return exit,
            Err(fault) => Err(fault),
        },
        Command::Import(import) => match import.run() {
            Ok(exit) => return exit,
            Err(fault) => Err(fault),
        },
        Command::ImportFeedback(feedback) => feedback.run(),
        Command::Split(split) => split.run(),
        Command::Train(train) => train.run(),
        Command::Convert { peft, out, base } => package::convert(&peft, &base, &out)
            .map(|it| println!("{}: {} tensors, rank {}", out.display(), it.tensors, it.rank)),
        Command::Gate(gate) => match gate.run() {
            Ok(exit) => return exit,
            Err(fault) => Err(fault),
        },
        Command::Package(package) => package.run(),
        Command::Keygen(keygen) => keygen.run(),
        Command::Sign(sign) => sign.run(),
        Command::Verify(verify) => verify.run(),
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
