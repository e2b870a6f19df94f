//! The tools' one way to write a file: beside it as `.part`, synced, then renamed. It is there as a whole or not at all.

use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), String> {
    adapterctl::convert::replace(path, |file| file.write_all(bytes)).map_err(|e| format!("{}: {e}", path.display()))
}

pub fn replace_json(path: &Path, value: &impl Serialize) -> Result<(), String> {
    let mut text = serde_json::to_string_pretty(value).map_err(|e| e.to_string())?;
    text.push('\n');
    replace(path, text.as_bytes())
}

pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
}

/// A folder as it should be, made beside and renamed; an old one makes room first. Not atomic, but never half written.
#[allow(clippy::disallowed_methods, reason = "folders are renamed as files are, in one place")]
pub fn replace_folder(path: &Path, fill: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), String> {
    let beside = |ending: &str| {
        path.with_file_name(format!("{}.{ending}", path.file_name().unwrap_or_default().to_string_lossy()))
    };
    let (part, old) = (beside("part"), beside("old"));
    let fault = |e: io::Error| format!("{}: {e}", path.display());
    let gone = |folder: &Path| match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(fault(e)),
        _ => Ok(()),
    };
    gone(&part)?;
    fs::create_dir_all(&part).map_err(fault)?;
    fill(&part)?;
    gone(&old)?;
    match fs::rename(path, &old) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(fault(e)),
        _ => {}
    }
    fs::rename(&part, path).map_err(fault)?;
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        File::open(parent).and_then(|folder| folder.sync_all()).map_err(fault)?;
    }
    gone(&old)
}
