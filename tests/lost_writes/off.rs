//! While the box is off: nobody of it is left, the disk forgets, a week passes, the log is filled.

use crate::{
    blows::{Blow, Left},
    life::Life,
    platter,
    shim::{Count, PLACES},
};
use rusqlite::{Connection, config::DbConfig};
use std::{
    fs,
    time::{Duration, Instant},
};

/// SQLite takes its log into the database after the commit that brings it to a thousand pages.
const LOG_PAGES_MAX: usize = 1000;
/// A worker learns of its daemon's end by its pipe.
const GONE_MAX: Duration = Duration::from_secs(10);
const A_WEEK_S: i64 = 8 * 24 * 3600;

impl Life {
    /// `cuts` were there before it.
    pub fn suffers(&mut self, blow: &Blow, cuts: u64) {
        self.shim().disarm();
        self.leaves_nobody();
        if self.shim().count(Count::Cuts) > cuts {
            let place = PLACES[self.shim().count(Count::CutAt) as usize];
            blow.names().into_iter().chain([place]).for_each(|name| self.book.count(name));
        } else {
            self.book.note("(between two syncs)");
            self.book.count("between two syncs");
        }
        if blow.broker_too && self.world.kill_broker(false, 0) {
            self.book.count("and the broker");
        }
        if let Left::Disk(unsynced) = blow.left {
            let loss = self.world.disk_forgets(unsynced, &mut self.dice);
            self.book.lost(loss);
        }
        self.world.daemon_back_at = Instant::now();
    }

    /// For the box, which has run all the time.
    pub fn lets_a_week_pass(&mut self) {
        self.edits_the_store(|store| store.execute("UPDATE box SET ran_s = ran_s + ?1", [A_WEEK_S]).map(drop));
    }

    /// But for a few pages, so that it is full soon: by commits of one page.
    pub fn fills_the_log(&mut self) {
        let pages = LOG_PAGES_MAX - 1 - self.dice.below(24);
        self.edits_the_store(|store| {
            store.execute_batch(
                "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = OFF",
            )?;
            store.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            (0..pages).try_for_each(|_| store.execute("UPDATE box SET ran_s = ran_s", []).map(drop))
        });
    }

    /// While the box is off, and what we do is on the disk.
    fn edits_the_store(&mut self, edit: impl FnOnce(&Connection) -> rusqlite::Result<()>) {
        let store = Connection::open(self.world.disk.here.join("consultd.sqlite")).expect("opens");
        let edited = store.query_row("SELECT ran_s FROM box", [], |_| Ok(())).and_then(|()| edit(&store));
        drop(store);
        if let Err(fault) = edited {
            self.book.note(format!("(there is no store yet: {fault})"));
        }
        let files = self.world.disk.files().expect("the state folder can be listed");
        platter::settle(&files, &self.shim().platter).expect("the platter can be written");
    }

    /// No worker outlives its daemon; and a process that was only about to become one would still hold the store's lock.
    pub fn leaves_nobody(&mut self) {
        self.world.kill_daemon(0);
        let mark = format!("CRASH_STATE={}\0", self.world.disk.state.display());
        let began = Instant::now();
        while let Some(pid) = left_of(&mark) {
            assert!(began.elapsed() < GONE_MAX, "process {pid} outlives its daemon");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A process with this in its environment.
fn left_of(mark: &str) -> Option<String> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut numbers = processes.filter_map(|entry| entry.file_name().into_string().ok());
    numbers.find(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.windows(mark.len()).any(|piece| piece == mark.as_bytes())
    })
}
