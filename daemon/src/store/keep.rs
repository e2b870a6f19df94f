//! How long a case is kept, and the weekly copy of all of it.
//!
//! | case | kept |
//! |---|---|
//! | open | always |
//! | answered: request, answer, reviews | `answers_s` from its last review, 15 years unless the settings say otherwise; whatever the size |
//! | ended otherwise (cancelled, …) | `others_s`, shorter where the store is above its size |
//!
//! A wall clock that jumps must not cost a medical record. So time is the time that this box has run, counted in the
//! store: where the box is switched off at night, cases are kept longer than the settings say, never shorter.
//! What is left of a case is its id, so that it is never served a second time, and its links in the chain.

use super::{
    Store, StoreError,
    open::{FILE, existing},
    sql,
};
use crate::{replace, reserve, settings::Retention};
use rusqlite::{Connection, params};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

/// Cases that are deleted at a time: some tens of milliseconds, and with a look every ten minutes more in a day than come.
const AT_A_TIME: i64 = 100;

const SNAPSHOT: &str = "snapshot.sqlite";
const SNAPSHOT_EVERY_S: i64 = 7 * 24 * 3600;

impl Store {
    /// Counts the time that the box has run, and deletes what has been kept for long enough. How many cases are gone.
    pub fn keep_house(&mut self, ran_s: u64, retention: Retention) -> Result<usize, StoreError> {
        let doing = sql("delete what has been kept for long enough");
        let too_large = retention.bytes_max.is_some_and(|max| self.live_bytes().is_ok_and(|bytes| bytes > max));
        let t = self.connection.transaction().map_err(&doing)?;
        t.execute("UPDATE box SET ran_s = ran_s + ?1", [ran_s as i64]).map_err(&doing)?;
        let mut over = Vec::<Vec<u8>>::new();
        for (answered, kept_s, any_age) in [(true, retention.answers_s, false), (false, retention.others_s, too_large)]
        {
            t.prepare_cached(
                "SELECT id FROM consult WHERE ended = 1 AND gone = 0 AND answered = ?1
                     AND (ran_s <= (SELECT ran_s FROM box) - ?2 OR ?3 AND received)
                 ORDER BY ran_s LIMIT ?4",
            )
            .and_then(|mut q| {
                let mut rows = q.query_map(params![answered, kept_s as i64, any_age, AT_A_TIME], |row| row.get(0))?;
                rows.try_for_each(|id| id.map(|id| over.push(id)))
            })
            .map_err(&doing)?;
        }
        for id in &over {
            for statement in [
                "UPDATE consult SET gone = 1, request = x'' WHERE id = ?1",
                "DELETE FROM message WHERE id = ?1",
                "DELETE FROM review WHERE id = ?1",
            ] {
                t.prepare_cached(statement).and_then(|mut q| q.execute([id])).map_err(&doing)?;
            }
        }
        t.commit().map_err(&doing)?;
        Ok(over.len())
    }

    fn live_bytes(&self) -> rusqlite::Result<u64> {
        let pragma = |name| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        Ok(((pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?) as u64)
    }
}

/// Copies the whole store to `snapshot.sqlite`, if the last copy is a week old. Reads beside the daemon and takes as long
/// as the disk does: not for the loop. The path, where a copy was made.
pub fn snapshot(folder: &Path) -> Result<Option<PathBuf>, StoreError> {
    let (path, snapshot) = (folder.join(FILE), folder.join(SNAPSHOT));
    let store = existing(&path)?;
    let ran_s = |store: &Connection| store.query_row("SELECT ran_s FROM box", [], |row| row.get::<_, i64>(0));
    let now_s = ran_s(&store).map_err(sql("read how long the box has run"))?;
    // One that cannot be read is no copy.
    let last_s = existing(&snapshot).ok().and_then(|last| ran_s(&last).ok());
    if now_s == 0 || last_s.is_some_and(|last_s| (last_s..last_s + SNAPSHOT_EVERY_S).contains(&now_s)) {
        return Ok(None);
    }
    // As much again is left free: a copy must not be what fills the disk.
    let bytes = fs::metadata(&path).map_or(0, |file| file.len());
    if reserve::free(folder) <= 2 * bytes + reserve::BYTES {
        return Err(StoreError::NoRoom);
    }
    let beside = folder.join("snapshot.part");
    let failed = |source| StoreError::Snapshot { path: snapshot.clone(), source };
    match fs::remove_file(&beside) {
        Err(fault) if fault.kind() != std::io::ErrorKind::NotFound => return Err(failed(fault)),
        _ => {} // what an earlier attempt left
    }
    let name = beside.to_string_lossy();
    let copied = store.execute("VACUUM INTO ?1", [&name]).map_err(sql("copy the store"));
    let done = copied
        .and_then(|_| File::open(&beside).and_then(|file| replace::flip(&file, &beside, &snapshot)).map_err(failed));
    if done.is_err() {
        let _ = fs::remove_file(&beside); // half of it has no use, and may have filled the disk
    }
    done.map(|()| Some(snapshot))
}
