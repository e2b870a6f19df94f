//! The one way to replace a file: beside, synced, renamed, and the folder synced. Whatever is cut off on the way, the file
//! is the old one or the new one, whole.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Only its owner may read it: what this daemon writes is a secret or a patient's.
pub fn replace<E: From<io::Error>>(path: &Path, write: impl FnOnce(&mut File) -> Result<(), E>) -> Result<(), E> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
    let done = write(&mut file).and_then(|()| Ok(flip(&file, &beside, path)?));
    if done.is_err() {
        let _ = fs::remove_file(&beside); // it may hold half of what a full disk has no room for
    }
    done
}

#[allow(clippy::disallowed_methods)] // the rename has its sync before it
pub fn flip(file: &File, beside: &Path, path: &Path) -> io::Result<()> {
    file.sync_all()?;
    fs::rename(beside, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}
