//! The boxes' files, opened with the region's key. All are opened, or none is used: a file that was cut off says so
//! only at its end.
//!
//! The key opens what anybody could have encrypted to it, so nothing in here is believed: lengths first, then types.

use age::{DecryptError, Decryptor, Identity, IdentityFile};
use contract::sample::Sample;
use regex::Regex;
use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
    sync::LazyLock,
};

/// Of one file, opened. A hundred thousand reviewed cases of two KiB are 200 MiB.
const OPENED_BYTES_MAX: u64 = 512 << 20;

/// A line of an export.
#[derive(Debug, Clone)]
pub struct Exported {
    pub place: String,
    pub age: Age,
    pub sample: Result<Sample, String>,
}

/// Which of two lines of one box is the newer: by the last link of the chain that the file covers, then by its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age {
    pub last: u64,
    pub first: u64,
    pub line: usize,
}

pub fn read(paths: &[PathBuf], identity: &Path) -> Result<Vec<Exported>, String> {
    let keys = keys(identity)?;
    let mut exported = Vec::new();
    let mut faults = Vec::new();
    for path in paths {
        match links(path).and_then(|links| Ok((links, opened(path, &keys)?))) {
            Ok(((first, last), text)) => exported.extend(lines(path, first, last, &text)),
            Err(fault) => faults.push(format!("{}: {fault}", path.display())),
        }
    }
    if faults.is_empty() { Ok(exported) } else { Err(faults.join("\n")) }
}

fn keys(path: &Path) -> Result<Vec<Box<dyn Identity + Send + Sync>>, String> {
    let fault = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let file = File::open(path).map_err(|e| fault(&e))?;
    let keys = IdentityFile::from_buffer(BufReader::new(file))
        .map_err(|_| fault(&"not a file of age's keys (AGE-SECRET-KEY-1…), as age-keygen writes it"))?
        .into_identities()
        .map_err(|e| fault(&e))?;
    if keys.is_empty() { Err(fault(&"holds no key")) } else { Ok(keys) }
}

/// First and last link, from the name: `samples-<box>-<first>-<last>.jsonl.age`, also in a copy that an operating system named.
fn links(path: &Path) -> Result<(u64, u64), String> {
    static NAME: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^samples-[0-9a-f]+-(\d{1,19})-(\d{1,19})\b.*\.jsonl\.age$").expect("a pattern"));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let numbers = NAME.captures(&name).map(|found| (found[1].parse(), found[2].parse()));
    match numbers {
        Some((Ok(first), Ok(last))) => Ok((first, last)),
        _ => Err("not the name that the box gave it (samples-<box>-<from>-<to>.jsonl.age), which says what is newer"
            .to_owned()),
    }
}

fn opened(path: &Path, keys: &[Box<dyn Identity + Send + Sync>]) -> Result<String, String> {
    let damaged = || "damaged or cut off: copy it again from the box".to_owned();
    let fault = |e: DecryptError| match e {
        DecryptError::NoMatchingKeys => "this key does not open it: it was encrypted to another".to_owned(),
        DecryptError::UnknownFormat => "of a newer age".to_owned(),
        _ => damaged(),
    };
    let file = File::open(path).map_err(|e| e.to_string())?;
    let reader = Decryptor::new_buffered(BufReader::new(file)).map_err(fault)?;
    let reader = reader.decrypt(keys.iter().map(|key| &**key as &dyn Identity)).map_err(fault)?;
    let mut text = Vec::new();
    let read = reader.take(OPENED_BYTES_MAX + 1).read_to_end(&mut text).map_err(|_| damaged())?;
    if read as u64 > OPENED_BYTES_MAX {
        return Err(format!("longer than {} MiB", OPENED_BYTES_MAX >> 20));
    }
    String::from_utf8(text).map_err(|_| "holds no text".to_owned())
}

fn lines(path: &Path, first: u64, last: u64, text: &str) -> Vec<Exported> {
    let read = |(at, line): (usize, &str)| Exported {
        place: format!("{} line {}", path.file_name().unwrap_or_default().to_string_lossy(), at + 1),
        age: Age { last, first, line: at + 1 },
        sample: serde_json::from_str(line).map_err(|e| format!("no sample that this program knows: {e}")),
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_which_links_they_hold() {
        for (name, expected) in [
            ("samples-0123456789abcdef-1-20.jsonl.age", Some((1, 20))),
            ("samples-0123456789abcdef-21-40 (1).jsonl.age", Some((21, 40))),
            ("samples-0123456789abcdef-1-99999999999999999999.jsonl.age", None),
            ("samples.jsonl.age", None),
            ("samples-0123456789abcdef-1-20.jsonl", None),
        ] {
            assert_eq!(links(Path::new(name)).ok(), expected, "{name}");
        }
    }
}
