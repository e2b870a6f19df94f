//! A folder with other rules than the built-in ones: read at the start, and again whenever its manifest has changed.
//!
//! ```text
//! manifest.json changed ──▶ read all files it names ──▶ proven by their own examples ──▶ the loop takes them
//!                                      └── a fault ──▶ logged, told in the status, the rules that were there go on
//! ```
//! Who replaces a set writes the other files first and renames the manifest into its place last.

use crate::run::Input;
use decide::rules::{Fault, MANIFEST, RuleSet};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::mpsc::Sender;

/// How often somebody looks whether the manifest has changed: one `stat`.
const LOOK: Duration = Duration::from_secs(2);
/// Ours are 22 files of 500 kB; more is no rule set.
const FILES_MAX: usize = 128;
const BYTES_MAX: u64 = 8 << 20;

#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the folder holds more than {FILES_MAX} files or {BYTES_MAX} bytes")]
    Large,
    #[error("the rules are not taken")]
    Fault(#[from] Fault),
}

/// The set of a folder. All its `.json` files belong to it; what else lies there is not looked at.
pub fn read(folder: &Path) -> Result<RuleSet, RulesError> {
    let mut files: Vec<(String, String)> = Vec::new();
    let mut bytes = 0;
    for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
        let path = entry.map_err(unreadable(folder))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| name.ends_with(".json")) else {
            continue;
        };
        bytes += fs::metadata(&path).map_err(unreadable(&path))?.len();
        if files.len() == FILES_MAX || bytes > BYTES_MAX {
            return Err(RulesError::Large);
        }
        files.push((name.to_owned(), fs::read_to_string(&path).map_err(unreadable(&path))?));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(name, content)| (name.as_str(), content.as_str())).collect();
    Ok(RuleSet::proven(&files)?)
}

fn unreadable(path: &Path) -> impl Fn(std::io::Error) -> RulesError {
    move |source| RulesError::Read { path: path.to_owned(), source }
}

/// What tells one manifest from the next. A rename brings another inode even within one tick of the disk's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    inode: u64,
    len: u64,
    modified: (i64, i64),
}

/// `None` where there is no manifest: a folder that is gone changes nothing.
pub fn seen(folder: &Path) -> Option<Seen> {
    let found = fs::metadata(folder.join(MANIFEST)).ok()?;
    Some(Seen { inode: found.ino(), len: found.len(), modified: (found.mtime(), found.mtime_nsec()) })
}

/// Sends each set that the folder comes to hold; `before` is what was there when the daemon read it at its start.
pub async fn watch(folder: PathBuf, mut before: Option<Seen>, inbox: Sender<Input>) {
    let mut interval = tokio::time::interval(LOOK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        interval.tick().await;
        let at = folder.clone();
        // Compiling and proving a set takes a second on a small machine: on a thread of its own.
        let look = move || {
            let now = seen(&at).filter(|now| before != Some(*now))?;
            Some((now, read(&at).map(Arc::new)))
        };
        let Ok(found) = tokio::task::spawn_blocking(look).await else { return };
        let Some((now, rules)) = found else { continue };
        before = Some(now);
        if let Err(fault) = &rules {
            refused(&folder, fault);
        }
        if inbox.send(Input::Rules(rules.ok())).await.is_err() {
            return;
        }
    }
}

pub fn refused(folder: &Path, fault: &RulesError) {
    tracing::error!(folder = %folder.display(), fault = %engine::chain(fault), "these rules are not taken");
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a test's files outlive no power cut
mod tests {
    use super::*;
    use std::time::Instant;

    fn ours() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../adapters/rules")
    }

    fn copied() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for entry in fs::read_dir(ours()).expect("our rules") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|kind| kind == "json") {
                fs::copy(&path, folder.path().join(path.file_name().expect("a name"))).expect("a copy");
            }
        }
        folder
    }

    /// As an update does it: written beside, then renamed.
    fn replace_manifest(folder: &Path, from: &str, to: &str) {
        let text = fs::read_to_string(folder.join(MANIFEST)).expect("a manifest");
        assert!(text.contains(from));
        let beside = folder.join("manifest.next");
        fs::write(&beside, text.replacen(from, to, 1)).expect("written");
        fs::rename(beside, folder.join(MANIFEST)).expect("renamed");
    }

    fn version() -> String {
        RuleSet::builtin().reference().version
    }

    #[test]
    fn our_own_folder_is_the_built_in_set() {
        let set = read(&ours()).expect("our own rules");
        assert_eq!(set.reference(), RuleSet::builtin().reference());
    }

    #[test]
    fn a_folder_without_a_whole_set_is_refused() {
        let folder = copied();
        fs::remove_file(folder.path().join("urology.json")).expect("removed");
        assert!(matches!(read(folder.path()), Err(RulesError::Fault(Fault::NoFile(name))) if name == "urology.json"));
        assert!(matches!(read(&folder.path().join("none")), Err(RulesError::Read { .. })));
        fs::write(folder.path().join("large.json"), vec![b' '; BYTES_MAX as usize + 1]).expect("written");
        assert!(matches!(read(folder.path()), Err(RulesError::Large)));
    }

    #[tokio::test]
    async fn a_changed_manifest_brings_the_new_set_and_a_faulty_one_none() {
        let folder = copied();
        let (inbox, mut taken) = tokio::sync::mpsc::channel(4);
        let watched = tokio::spawn(watch(folder.path().to_owned(), seen(folder.path()), inbox));
        replace_manifest(folder.path(), &version(), "9.9.9");
        let Some(Input::Rules(Some(set))) = taken.recv().await else { panic!("no rules") };
        assert_eq!(set.reference().version, "9.9.9");
        replace_manifest(folder.path(), "urology.json", "urolgy.json");
        assert!(matches!(taken.recv().await, Some(Input::Rules(None))));
        let began = Instant::now();
        fs::remove_dir_all(folder.path()).expect("removed");
        let silent = tokio::time::timeout(LOOK * 2, taken.recv()).await;
        assert!(silent.is_err(), "a folder that is gone changes nothing: {:?}", began.elapsed());
        watched.abort();
    }
}
