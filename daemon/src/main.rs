//! `consultd`: the daemon of a second-opinion box in a village clinic.

mod ask;
mod batch;
mod broker;
mod export;
mod info;
mod key;
mod map;
mod no_core;
mod plan;
mod replace;
mod reserve;
mod rules;
mod run;
mod settings;
mod shelf;
mod start;
mod store;
mod trace;
mod verify;
mod vital;
mod ways;
mod worker;

use clap::{Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};

/// Second opinions for village doctors, from a local model and red-flag rules.
///
/// It supports the licensed physician. It never decides, prescribes or gives doses.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the daemon: answers consultations until it is told to stop (SIGTERM or Ctrl-C).
    Run {
        /// Settings file (TOML).
        #[arg(long, default_value = settings::DEFAULT_PATH)]
        config: PathBuf,
        /// Which processor llama.cpp uses, by its name in `consultd devices`; may be given several times. In place of
        /// the setting `engine.devices`.
        #[arg(long = "device", value_name = "NAME")]
        devices: Vec<String>,
    },
    /// Reads the settings and adapters, reports every fault, and starts nothing.
    Check {
        #[arg(long, default_value = settings::DEFAULT_PATH)]
        config: PathBuf,
    },
    /// Asks a running box, as a tablet would, and prints what it says.
    Ask(ask::Ask),
    Batch(batch::Batch),
    Plan(plan::Plan),
    Verify(verify::Verify),
    Export(export::Export),
    Map(map::Map),
    /// Prints the processors that llama.cpp finds here: their names for the settings, and their memory.
    Devices,
    /// The engine's own process; the daemon starts it.
    #[command(hide = true)]
    Worker,
}

fn main() -> ExitCode {
    no_core::from_now_on();
    let exit = match Cli::parse().command {
        Command::Run { config, devices } => start::main(&config, devices),
        Command::Check { config } => start::check(&config),
        Command::Ask(ask) => ask.main(),
        Command::Batch(batch) => batch.main(),
        Command::Plan(plan) => plan.main(),
        Command::Verify(verify) => verify.main(),
        Command::Export(export) => export.main(),
        Command::Map(map) => map.main(),
        Command::Devices => plan::devices(),
        Command::Worker => worker::main(),
    };
    exit.into()
}

/// How the process ends; the unit file knows these numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    /// `verify`: a link of the chain is broken or missing.
    Broken = 1,
    /// `ask`: no answer came, or an error did. `map`: what was read is none.
    NoAnswer = 3,
    /// Somebody must change the settings; a restart does not help.
    Settings = 78,
    /// The disk or the store failed; a restart may help.
    Store = 74,
    /// Something that should not happen did.
    Software = 70,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}
