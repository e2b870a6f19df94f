//! The power cut: what the page cache held is gone, and the state folder is what the platter has.
//!
//! ```text
//!   page:      1    2    3    4          of a file
//!   written    a'   b    c'   d'
//!   platter    a    b    c    –          what was synced
//!   after      a    b    c'   –          each page that differs: lost, or it had got through by itself
//! ```

use crate::dice::Dice;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

const PAGE: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsynced {
    Lost,
    /// Page by page.
    SomeLost,
}

/// Says how many pages were lost.
pub fn power_cut(files: &[PathBuf], platter: &Path, unsynced: Unsynced, dice: &mut Dice) -> io::Result<u32> {
    let mut lost = 0;
    for path in files {
        let name = path.file_name().expect("a file has a name").to_string_lossy();
        let below = platter.join(&*name);
        let (written, synced) = (fs::read(path)?, fs::read(&below).unwrap_or_default());
        let mut left = synced.clone();
        if unsynced == Unsynced::SomeLost && dice.one_in(2) {
            left.resize(written.len(), 0);
        }
        for (n, page) in left.chunks_mut(PAGE).enumerate() {
            let new = written.get(n * PAGE..).map(|rest| &rest[..page.len().min(rest.len())]).unwrap_or_default();
            if unsynced == Unsynced::SomeLost && dice.one_in(2) {
                page[..new.len()].copy_from_slice(new);
            }
        }
        lost += written.chunks(PAGE).zip(left.chunks(PAGE)).filter(|(new, left)| new != left).count() as u32;
        lost += written.len().saturating_sub(left.len()).div_ceil(PAGE) as u32;
        put(path, &left)?;
        put(&below, &left)?;
        let _ = fs::remove_file(platter.join(format!("{name}.doomed")));
    }
    Ok(lost)
}

#[allow(clippy::disallowed_methods)] // nothing else runs at this moment
fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::write(path, bytes)
}
