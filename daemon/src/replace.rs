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
    let mut file = begin(&beside)?;
    let done = write(&mut file).and_then(|()| Ok(flip(&file, &beside, path)?));
    if done.is_err() {
        let _ = fs::remove_file(&beside); // it may hold half of what a full disk has no room for
    }
    done
}

/// A file of our own: what stood there, left by an attempt that was cut off or laid out as a link to another file, is removed
/// and never written through.
pub fn begin(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(fault),
        _ => {}
    }
    File::options().create_new(true).write(true).mode(0o600).open(path)
}

#[allow(clippy::disallowed_methods)] // the rename has its sync before it
pub fn flip(file: &File, beside: &Path, path: &Path) -> io::Result<()> {
    file.sync_all()?;
    fs::rename(beside, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reserve::Reserve;
    use std::{io::Write, os::unix::fs::symlink};

    #[test]
    #[allow(clippy::disallowed_methods)] // a test's own file needs no sync
    fn nothing_is_written_through_a_link_that_somebody_has_laid() {
        let folder = tempfile::tempdir().expect("a folder");
        let [victim, path] = ["victim", "file"].map(|name| folder.path().join(name));
        fs::write(&victim, "theirs").expect("writes");
        for name in ["file", "file.part", "reserve"] {
            symlink(&victim, folder.path().join(name)).expect("a link");
        }
        replace(&path, |file| file.write_all(b"ours")).expect("replaces");
        Reserve::beside(folder.path()).restock();
        assert_eq!(fs::read_to_string(&path).expect("reads"), "ours");
        for name in ["file", "reserve"] {
            let kind = fs::symlink_metadata(folder.path().join(name)).expect("there").file_type();
            assert!(kind.is_file(), "{name}");
        }
        assert_eq!(fs::read_to_string(&victim).expect("reads"), "theirs");
    }
}
