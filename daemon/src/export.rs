//! `consultd export`: reviewed cases as training candidates, without what identifies somebody, for the region's key only.
//!
//! ```text
//! samples-<box>-<first link>-<last link>.jsonl.age     age v1; inside a sample a line (adapters/README.md)
//! ```
//! Reads beside a running daemon. A case that is reviewed again is exported again under the same id: the newest counts.

use crate::{
    Exit, key,
    replace::replace,
    settings,
    store::{ReviewedCase, Store, StoreError},
};
use age::x25519::Recipient;
use clap::Args;
use contract::{
    answer::Answer,
    request::{Request, parse_request, parse_review},
    sample::Sample,
};
use decide::{
    sample::{Pseudonyms, sample},
    seal::Seal,
};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Writes reviewed cases as training candidates, without what identifies somebody, encrypted to the region's key.
/// The daemon may be running.
///
/// Prints the number to give as --after the next time, so that nothing is written twice. To look at what was written:
/// age --decrypt --identity KEY FILE.
///
/// Exit status: 0 also when there is nothing new, 74 when the store cannot be read or the file not be written, 78 when
/// there is no key to encrypt to.
#[derive(Args)]
pub struct Export {
    #[arg(long, default_value = settings::DEFAULT_PATH)]
    config: PathBuf,
    /// Folder to write to, such as a USB stick's.
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    /// Only what was reviewed after this link of the chain.
    #[arg(long, value_name = "LINK", default_value_t = 0)]
    after: u64,
    /// Public key of age (age1…); may be given several times. In place of the setting `export.recipients`.
    #[arg(long = "recipient", value_name = "KEY", value_parser = settings::recipient)]
    recipients: Vec<Recipient>,
}

#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Key(#[from] key::KeyError),
    #[error("this box has no key yet: it has never run")]
    NoKey,
    #[error("cannot encrypt")]
    Encrypt(#[from] age::EncryptError),
    #[error("cannot write to {folder}")]
    Folder { folder: PathBuf, source: io::Error },
    #[error("cannot write the samples")]
    Write(#[from] io::Error),
}

impl Export {
    pub fn main(self) -> Exit {
        let settings = match settings::load(&self.config) {
            Ok(settings) => settings,
            Err(faults) => {
                eprintln!("{}: {faults}", self.config.display());
                return Exit::Settings;
            }
        };
        let recipients = if self.recipients.is_empty() { &settings.recipients } else { &self.recipients };
        if recipients.is_empty() {
            eprintln!("consultd export: no key to encrypt to; set export.recipients, or give --recipient age1…");
            return Exit::Settings;
        }
        match export(&settings.state_dir, &self.to, self.after, recipients) {
            Ok(done) => {
                println!("{done}");
                Exit::Done
            }
            Err(fault) => {
                eprintln!("consultd export: {}", engine::chain(&fault));
                Exit::Store
            }
        }
    }
}

/// What was written, and what was not.
#[derive(Default)]
struct Done {
    path: Option<PathBuf>,
    samples: u64,
    /// Reviewed, but neither a model nor the doctor wrote anything that teaches.
    without_opinion: u64,
    /// Not what this program can read; a newer one may.
    unread: u64,
    last: u64,
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.path {
            Some(path) => writeln!(f, "{} samples in {}", self.samples, path.display())?,
            None => writeln!(f, "no new samples")?,
        }
        if self.without_opinion > 0 {
            writeln!(f, "{} reviewed answers left out: the rules wrote them alone", self.without_opinion)?;
        }
        if self.unread > 0 {
            writeln!(f, "{} reviewed answers left out: this program cannot read them", self.unread)?;
        }
        write!(f, "next time: --after {}", self.last)
    }
}

fn export(state_dir: &Path, to: &Path, after: u64, recipients: &[Recipient]) -> Result<Done, ExportError> {
    let store = Store::read(state_dir)?;
    let seal = key::read(state_dir)?.ok_or(ExportError::NoKey)?;
    let last = store.newest_review()?;
    let mut done = Done { last: last.max(after), ..Done::default() };
    if last <= after {
        return Ok(done);
    }
    let folder = |source| ExportError::Folder { folder: to.to_owned(), source };
    fs::create_dir_all(to).map_err(folder)?;
    let path = to.join(format!("samples-{}-{}-{last}.jsonl.age", &seal.public().to_string()[..16], after + 1));
    replace(&path, |file| encrypted(file, recipients, |out| write(&store, &seal, after, last, out, &mut done)))?;
    if done.samples == 0 {
        fs::remove_file(&path).map_err(folder)?;
        return Ok(done);
    }
    Ok(Done { path: Some(path), ..done })
}

fn encrypted(
    file: &mut File,
    recipients: &[Recipient],
    write: impl FnOnce(&mut dyn Write) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let to = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    let mut out = age::Encryptor::with_recipients(to)?.wrap_output(io::BufWriter::new(file))?;
    write(&mut out)?;
    Ok(out.finish()?.flush()?)
}

fn write(
    store: &Store,
    seal: &Seal,
    after: u64,
    last: u64,
    out: &mut dyn Write,
    done: &mut Done,
) -> Result<(), ExportError> {
    store.reviewed(after, last, |case| {
        match read(&case, seal) {
            Some(Some(sample)) => {
                serde_json::to_writer(&mut *out, &sample).map_err(io::Error::from)?;
                out.write_all(b"\n")?;
                done.samples += 1;
            }
            Some(None) => done.without_opinion += 1,
            None => done.unread += 1,
        }
        Ok(())
    })
}

/// The outer `None`: this program cannot read it.
fn read(case: &ReviewedCase, seal: &Seal) -> Option<Option<Sample>> {
    let Ok(Request::Consult(consult)) = parse_request(&case.request) else { return None };
    let answer: Answer = serde_json::from_slice(&case.answer).ok()?;
    let review = parse_review(&case.review).ok()?;
    let who = Pseudonyms {
        case: seal.pseudonym("case", case.id.0.as_bytes()),
        clinician: seal.pseudonym("clinician", review.clinician.as_bytes()),
        source: format!("consultd box {}", seal.public()),
    };
    Some(sample(&consult, &answer, &review, who, year(case.at_unix_s).to_string()))
}

/// By the mean length of a year of the Gregorian calendar: a day off at New Year's is no matter.
fn year(unix_s: u64) -> u64 {
    1970 + unix_s / 86_400 * 400 / 146_097
}
