//! `consultd map`: an answer for other systems. It reads a file or a pipe, and neither settings nor store.

use crate::Exit;
use clap::{Args, ValueEnum};
use contract::{
    answer::Answer,
    emr::{self, cds, fhir},
    request::Refusal,
};
use serde::de::IgnoredAny;
use serde_json::Value;
use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

/// Turns an answer into a FHIR R4 Bundle or into CDS Hooks cards, and prints that.
///
/// The answer is a message of the box as it was sent, in JSON: from `consult/1/res/<tablet>`, or from `consultd ask
/// --json`. Several may stand one after the other, as JSON lines or not; then each gives a line. What goes where, and
/// what is lost, stands in daemon/contract/README.md, "For EMR developers".
///
/// Nothing that it prints is an order or a prescription, and nothing of it has been reviewed by a physician yet.
///
/// Exit status: 0 when all were mapped, 3 when something was no answer (it is named, and the others are mapped), 74
/// when the file cannot be read or the output not be written.
#[derive(Args)]
pub struct Map {
    /// What to turn it into.
    #[arg(long, value_enum)]
    to: To,
    /// The file to read; `-` is the standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum To {
    /// A FHIR R4 (4.0.1) Bundle of type `collection`.
    Fhir,
    /// The response of a CDS Hooks 2.0 service: {"cards": […]}.
    Cds,
}

impl Map {
    pub fn main(self) -> Exit {
        let name = if self.file == Path::new("-") { "standard input".into() } else { self.file.display().to_string() };
        let bytes = match self.read() {
            Ok(bytes) => bytes,
            Err(fault) => {
                eprintln!("consultd map: cannot read {name}: {fault}");
                return Exit::Store;
            }
        };
        let answers: Vec<Result<Answer, Refusal>> = messages(&bytes).into_iter().map(emr::read).collect();
        let faults = answers.iter().enumerate().filter_map(|(at, read)| Some((at, read.as_ref().err()?)));
        let mut exit = Exit::Done;
        for (at, fault) in faults {
            let pointer = fault.pointer.as_deref().map(|pointer| format!("{pointer}: ")).unwrap_or_default();
            eprintln!("consultd map: {name}, message {}: {pointer}{}", at + 1, fault.detail);
            exit = Exit::NoAnswer;
        }
        let alone = answers.len() == 1;
        let mapped = answers.iter().flatten().map(|answer| self.to.map(answer));
        match print(mapped, alone) {
            Ok(()) => exit,
            Err(fault) => {
                eprintln!("consultd map: cannot write: {fault}");
                Exit::Store
            }
        }
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        if self.file != Path::new("-") {
            return fs::read(&self.file);
        }
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl To {
    fn map(self, answer: &Answer) -> Value {
        match self {
            Self::Fhir => fhir::bundle(answer),
            Self::Cds => cds::cards(answer),
        }
    }
}

/// Where one JSON value ends and the next begins. From the first fault on, the rest is one message: a bad one. So is
/// nothing at all.
fn messages(bytes: &[u8]) -> Vec<&[u8]> {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<IgnoredAny>();
    let (mut found, mut from) = (Vec::new(), 0);
    while let Some(Ok(_)) = values.next() {
        found.push(&bytes[from..values.byte_offset()]);
        from = values.byte_offset();
    }
    let rest = &bytes[from..];
    if found.is_empty() || !rest.trim_ascii().is_empty() {
        found.push(rest);
    }
    found
}

/// One for people to look at, several for machines.
fn print(mapped: impl Iterator<Item = Value>, alone: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for value in mapped {
        if alone { writeln!(out, "{value:#}")? } else { writeln!(out, "{value}")? }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart_whatever_stands_between_them() {
        let texts = |text: &'static str| {
            messages(text.as_bytes()).into_iter().map(|it| str::from_utf8(it).expect("text").trim()).collect::<Vec<_>>()
        };
        assert_eq!(texts("{\"a\":1}\n"), ["{\"a\":1}"]);
        assert_eq!(texts("{\n}\n{} []"), ["{\n}", "{}", "[]"]);
        assert_eq!(texts("{}\n{\"a\":\n{}"), ["{}", "{\"a\":\n{}"]);
        assert_eq!(texts(" \n"), [""]);
        assert_eq!(texts("nonsense {}"), ["nonsense {}"]);
    }
}
