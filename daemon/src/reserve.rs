//! Room on the disk for the worst moment: a file that is given up when the disk is full, so that the box can still finish
//! what it has accepted and say `storage_full` to the rest.
//!
//! ```text
//! there ──disk full: spend──▶ gone ──room for it, and as much again: restock──▶ there
//! ```

use crate::replace;
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// An end is some 10 KiB, a page or two of index, and a frame in the write-ahead log for each: 10,000 open cases, the most
/// that settings allow, would want a little more, and 32, the default, a fiftieth of it.
pub const BYTES: u64 = 16 << 20;

#[derive(Clone)]
pub struct Reserve {
    path: PathBuf,
}

impl Reserve {
    pub fn beside(state_dir: &Path) -> Self {
        Self { path: state_dir.join("reserve") }
    }

    pub fn is_there(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|file| file.is_file() && file.len() == BYTES)
    }

    /// Makes it, where there is room for it and as much again. Takes as long as the disk does: not for the loop.
    pub fn restock(&self) {
        self.restock_from(free(self.path.parent().unwrap_or(Path::new("."))));
    }

    fn restock_from(&self, free: u64) {
        // What a kill or a power cut left of it is room for the whole, and must not be in its way for ever.
        let half = fs::metadata(&self.path).map_or(0, |file| file.len());
        if self.is_there() || free + half <= 2 * BYTES {
            return;
        }
        if let Err(fault) = self.make() {
            tracing::warn!(%fault, "cannot keep a reserve on the disk");
            let _ = fs::remove_file(&self.path); // half of it is none
        }
    }

    /// False when it was not there.
    pub fn spend(&self) -> bool {
        fs::remove_file(&self.path).is_ok()
    }

    /// Written and not only claimed: a file system may promise more than it has. Of its full length only at the end, so
    /// that half of it is never taken for all.
    fn make(&self) -> io::Result<()> {
        let mut file = replace::begin(&self.path)?;
        let piece = [0x5a; 1 << 16];
        (0..BYTES / piece.len() as u64).try_for_each(|_| file.write_all(&piece))?;
        file.sync_all()
    }
}

/// Bytes that the disk of this folder still takes.
pub fn free(folder: &Path) -> u64 {
    rustix::fs::statvfs(folder).map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn it_is_made_spent_once_and_made_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let reserve = Reserve::beside(folder.path());
        assert!(!reserve.spend(), "there is none yet");
        for _ in 0..2 {
            assert!(!reserve.is_there());
            reserve.restock();
            reserve.restock();
            assert!(reserve.is_there() && reserve.spend() && !reserve.spend());
        }
        File::create(folder.path().join("reserve")).expect("cut short");
        assert!(!reserve.is_there());
        reserve.restock();
        assert!(reserve.is_there(), "a short one is made whole");
        let half = File::create(folder.path().join("reserve")).and_then(|file| file.set_len(BYTES - 1));
        half.expect("cut off while it was made");
        reserve.restock_from(BYTES);
        assert!(!reserve.is_there(), "no room for it and as much again");
        reserve.restock_from(BYTES + 2);
        assert!(reserve.is_there(), "its half was part of the room");
        let nowhere = Reserve::beside(Path::new("/nowhere"));
        nowhere.restock();
        assert!(!nowhere.is_there());
    }
}
