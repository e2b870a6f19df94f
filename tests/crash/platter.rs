//! The power cut: what the page cache held is gone, and the state folder is what the platter has.
//!
//! ```text
//!   page:      1    2    3    4          of a file            name:      a   b        in the folder
//!   written    a'   b    c'   d'                              made       –   x        by a rename of a to b
//!   platter    a    b    c    –          what was synced      platter    x   –
//!   after      a    b    c'   –          each page: lost,     after      x   –        all names together: lost,
//!                                        or got through                               or got through
//! ```

use crate::dice::Dice;
use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufRead, BufReader},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

const PAGE: usize = 4096;
/// The folders of the platter: `shim.c` has the picture.
pub const PARTS: [&str; 3] = ["now", "names", "doomed"];
const NOW: &str = PARTS[0];
const NAMES: &str = PARTS[1];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsynced {
    Lost,
    /// Page by page, and the names.
    SomeLost,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Loss {
    pub pages: u32,
    /// Files that were made, renamed or removed, and are not.
    pub names: u32,
}

/// In a folder: which file of the platter it is, if it has any there.
type Names = BTreeMap<String, Option<u64>>;

/// A file before the cut and after it.
struct File {
    name: String,
    /// In the state folder, where it is still seen there, whatever its name was.
    above: Option<PathBuf>,
    /// On the platter, if it was ever synced or its name was.
    below: Option<PathBuf>,
    /// What is left of it; none where that is what the platter has.
    left: Option<Vec<u8>>,
}

/// Of the folder `state`, where `files` are. What has not changed is neither read as a whole nor written: the reserve is
/// large.
pub fn power_cut(
    state: &Path,
    files: &[PathBuf],
    platter: &Path,
    unsynced: Unsynced,
    dice: &mut Dice,
) -> io::Result<Loss> {
    let (now, names) = (listed(&platter.join(NOW))?, listed(&platter.join(NAMES))?);
    let seen: Names =
        files.iter().map(|path| name_of(path)).map(|name| (name.clone(), now.get(&name).copied())).collect();
    let on_the_disk: Names = names.into_iter().map(|(name, file)| (name, Some(file))).collect();
    let got_through = unsynced == Unsynced::SomeLost && dice.one_in(2);
    let (part, kept) = if got_through { (NOW, &seen) } else { (NAMES, &on_the_disk) };

    let mut loss = Loss { pages: 0, names: differences(&seen, kept) };
    let mut left = Vec::new();
    for (name, file) in kept {
        let seen_as = seen.iter().find(|(seen_as, seen)| if file.is_some() { *seen == file } else { *seen_as == name });
        let above = seen_as.map(|(seen_as, _)| state.join(seen_as));
        let below = file.map(|_| platter.join(part).join(name));
        let mut file = File { name: name.clone(), above, below, left: None };
        loss.pages += file.forgets(unsynced, dice)?;
        left.push(file);
    }
    let gone = seen.keys().filter(|name| !kept.contains_key(*name));
    start_anew(platter, |anew| left.iter().try_for_each(|file| file.goes_to(&anew.join(&file.name))))?;
    gone.map(|name| state.join(name)).try_for_each(fs::remove_file)?;
    for File { name, .. } in left {
        let (above, below) = (state.join(&name), platter.join(NOW).join(&name));
        if !is_same(&above, &below)? {
            fs::copy(below, above)?;
        }
    }
    Ok(loss)
}

impl File {
    /// Says how many pages are lost.
    fn forgets(&mut self, unsynced: Unsynced, dice: &mut Dice) -> io::Result<u32> {
        let Some(above) = &self.above else { return Ok(0) };
        if self.below.as_ref().map_or(Ok(false), |below| is_same(above, below))? {
            return Ok(0);
        }
        let (written, synced) = (fs::read(above)?, self.below.as_ref().map_or(Ok(Vec::new()), fs::read)?);
        let left = if unsynced == Unsynced::SomeLost { mixed(&written, &synced, dice) } else { synced };
        // SQLite's shared memory is a file by accident: it is never synced, and made anew after each cut.
        let lost = if self.name.ends_with("-shm") { 0 } else { lost_pages(&written, &left) };
        self.left = Some(left);
        Ok(lost)
    }

    #[allow(clippy::disallowed_methods)] // nothing else runs at this moment
    fn goes_to(&self, place: &Path) -> io::Result<()> {
        match (&self.left, &self.below) {
            (Some(left), _) => fs::write(place, left),
            (None, Some(below)) => fs::hard_link(below, place),
            (None, None) => fs::write(place, ""),
        }
    }
}

/// Piece by piece.
fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    let (Ok(one), Ok(other)) = (fs::File::open(one), fs::File::open(other)) else { return Ok(false) };
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let [mut one, mut other] = [one, other].map(|file| BufReader::with_capacity(1 << 16, file));
    loop {
        let (left, right) = (one.fill_buf()?, other.fill_buf()?);
        let n = left.len().min(right.len());
        if n == 0 || left[..n] != right[..n] {
            return Ok(n == 0);
        }
        one.consume(n);
        other.consume(n);
    }
}

/// All of these are on the disk as they are.
pub fn settle(files: &[PathBuf], platter: &Path) -> io::Result<()> {
    start_anew(platter, |anew| files.iter().try_for_each(|path| fs::copy(path, anew.join(name_of(path))).map(drop)))
}

/// Every name is on the disk, and nothing is doomed.
#[allow(clippy::disallowed_methods)] // nothing else runs at this moment
fn start_anew(platter: &Path, fill: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let (anew, now) = (platter.join("anew"), platter.join(NOW));
    fs::create_dir(&anew)?;
    fill(&anew)?;
    for part in PARTS {
        fs::remove_dir_all(platter.join(part))?;
        fs::create_dir(platter.join(part))?;
    }
    fs::rename(&anew, &now)?; // over the empty one
    listed(&now)?.keys().try_for_each(|name| fs::hard_link(now.join(name), platter.join(NAMES).join(name)))
}

fn mixed(written: &[u8], synced: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut left = synced.to_vec();
    if written != synced && dice.one_in(2) {
        left.resize(written.len(), 0);
    }
    for (n, page) in left.chunks_mut(PAGE).enumerate() {
        let new = written.get(n * PAGE..).map(|rest| &rest[..page.len().min(rest.len())]).unwrap_or_default();
        if page[..new.len()] != *new && dice.one_in(2) {
            page[..new.len()].copy_from_slice(new);
        }
    }
    left
}

fn lost_pages(written: &[u8], left: &[u8]) -> u32 {
    let changed = written.chunks(PAGE).zip(left.chunks(PAGE)).filter(|(new, left)| new != left).count();
    (changed + written.len().saturating_sub(left.len()).div_ceil(PAGE)) as u32
}

fn differences(seen: &Names, kept: &Names) -> u32 {
    let changed = seen.iter().filter(|(name, file)| kept.get(*name) != Some(file)).count();
    (changed + kept.keys().filter(|name| !seen.contains_key(*name)).count()) as u32
}

/// Names, and which file it is.
fn listed(folder: &Path) -> io::Result<BTreeMap<String, u64>> {
    fs::read_dir(folder)?.map(|entry| entry.and_then(|it| Ok((name_of(&it.path()), it.metadata()?.ino())))).collect()
}

fn name_of(path: &Path) -> String {
    path.file_name().expect("a file has a name").to_string_lossy().into_owned()
}
