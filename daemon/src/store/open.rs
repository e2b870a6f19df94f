//! Opening: the file is ours, of a version that we know, and whole; or it is made, or put aside and made anew.

use super::{Store, StoreError};
use crate::reserve::Reserve;
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

/// "cons": so that `file` and a technician know whose it is.
const APPLICATION_ID: i32 = 0x636f_6e73;
pub const USER_VERSION: i32 = MIGRATIONS.len() as i32;
pub const FILE: &str = "consultd.sqlite";
/// All that the store asks, and some room: rusqlite forgets beyond 16, and compiles again.
const STATEMENTS: usize = 64;
const ASIDE: &str = "damaged-";

/// From nothing to today, each step frozen for ever: a store of any earlier version goes the rest of the way.
pub const MIGRATIONS: [&str; 3] = [
    "
    CREATE TABLE consult (
        seq       INTEGER PRIMARY KEY,
        id        BLOB NOT NULL UNIQUE,
        tablet    TEXT NOT NULL,
        digest    BLOB NOT NULL,
        request   BLOB NOT NULL,
        at_unix_s INTEGER NOT NULL,
        attempts  INTEGER NOT NULL DEFAULT 0,
        deaths    INTEGER NOT NULL DEFAULT 0,
        ended     INTEGER NOT NULL DEFAULT 0,
        received  INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX consult_open ON consult (seq) WHERE ended = 0;
    CREATE INDEX consult_owed ON consult (seq) WHERE ended = 1 AND received = 0;
    CREATE TABLE message (
        id   BLOB NOT NULL,
        seq  INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (id, seq)
    ) STRICT, WITHOUT ROWID;",
    "
    CREATE TABLE review (
        id        BLOB NOT NULL,
        number    INTEGER NOT NULL,
        at_unix_s INTEGER NOT NULL,
        body      BLOB NOT NULL,
        reply     BLOB NOT NULL,
        PRIMARY KEY (id, number)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE quarantine (
        digest BLOB PRIMARY KEY,
        id     BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE chain (
        seq    INTEGER PRIMARY KEY,
        kind   TEXT NOT NULL CHECK (kind IN ('answer', 'review')),
        id     BLOB NOT NULL,
        number INTEGER NOT NULL,
        body   BLOB NOT NULL,
        hash   BLOB NOT NULL
    ) STRICT;",
    // What is there already counts from the box's first hour with this version: it is kept too long rather than too short.
    r#"
    ALTER TABLE consult ADD COLUMN answered INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE consult ADD COLUMN ran_s INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE consult ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;
    UPDATE consult SET answered = EXISTS (SELECT 1 FROM message WHERE message.id = consult.id
        AND CAST(substr(body, 1, 22) AS TEXT) = '{"v":1,"type":"answer"');
    CREATE INDEX consult_kept ON consult (answered, ran_s) WHERE ended = 1 AND gone = 0;
    CREATE TABLE box (ran_s INTEGER NOT NULL) STRICT;
    INSERT INTO box VALUES (0);"#,
];

impl Store {
    /// As `open`, on a disk that may be full: SQLite wants some room even to read what it has, and the reserve is there
    /// for that. The loop finds it gone and takes no new case.
    pub fn open_with(reserve: &Reserve, folder: &Path) -> Result<Self, StoreError> {
        match Self::open(folder) {
            Err(fault) if fault.may_want_room() && reserve.spend() => {
                tracing::error!(fault = %engine::chain(&fault), "the store does not open, perhaps for want of room: the disk's reserve is spent, and it is tried once more");
                Self::open(folder)
            }
            opened => opened,
        }
    }

    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(folder).map_err(|source| StoreError::Folder { path: folder.to_owned(), source })?;
        let path = folder.join(FILE);
        let lock = lock(folder)?;
        let connection = match open(&path) {
            Err(fault) if fault.is_damage() => {
                let aside = put_aside(folder).map_err(|source| StoreError::Aside { path: path.clone(), source })?;
                tracing::error!(fault = %engine::chain(&fault), aside = %aside.display(), "the store is damaged: it is kept aside, and a new one begins");
                open(&path)?
            }
            opened => opened?,
        };
        Ok(Self { connection, _lock: Some(lock) })
    }

    /// For those who only look, beside a running daemon.
    pub fn read(folder: &Path) -> Result<Self, StoreError> {
        Ok(Self { connection: existing(&folder.join(FILE))?, _lock: None })
    }
}

/// A store of this very version, to be read only.
pub fn existing(path: &Path) -> Result<Connection, StoreError> {
    let open = |source| StoreError::Open { path: path.to_owned(), source };
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(open)?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(open)?;
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(open);
    match (pragma("application_id")?, pragma("user_version")?) {
        (APPLICATION_ID, USER_VERSION) => Ok(connection),
        (APPLICATION_ID, found) => Err(StoreError::OtherVersion { path: path.to_owned(), found }),
        _ => Err(StoreError::Foreign { path: path.to_owned() }),
    }
}

fn tables(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
}

/// Opens a store that is ours and whole, or makes one.
fn open(path: &Path) -> Result<Connection, StoreError> {
    let open = |source| StoreError::Open { path: path.to_owned(), source };
    let mut connection = Connection::open(path).map_err(open)?;
    // By itself SQLite carries the log over into the database when it is closed, and removes it. After a sync that failed
    // the log has holes on the disk that nobody sees; a power cut that brings its name back then lays what is before
    // the first hole over a newer database. The log stays, and is renewed at the next start.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(open)?;
    connection.busy_timeout(std::time::Duration::ZERO).map_err(open)?;
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(open);
    let of_ours = match (pragma("application_id")?, pragma("user_version")?) {
        (APPLICATION_ID, found) if found > USER_VERSION => {
            return Err(StoreError::Newer { path: path.to_owned(), found });
        }
        (APPLICATION_ID, found @ 1..) => found,
        (0, 0) if tables(&connection).map_err(open)? == 0 => 0,
        _ => return Err(StoreError::Foreign { path: path.to_owned() }),
    };
    let check: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0)).map_err(open)?;
    if check != "ok" {
        return Err(StoreError::Damaged { path: path.to_owned() });
    }
    if of_ours < USER_VERSION {
        migrate(&mut connection, of_ours).map_err(open)?;
    }
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Only now: it changes the file, and a file that is not ours is left as it is. What is deleted is overwritten.
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA secure_delete = ON;",
        )
        .map_err(open)?;
    renew(&path.with_extension("sqlite-wal"))?;
    Ok(connection)
}

/// What an earlier daemon wrote and could not sync, or had no time to, looks as if it were on the disk: it is read from
/// the page cache. After a sync that failed Linux even calls those pages clean and never writes them; the log would have
/// a hole, and a power cut would take everything behind it. So the log is written once more and synced before anything
/// is promised on it, and so is its name. In place, because not a byte changes and a full disk must not hinder it; nobody else writes it, because
/// the store is locked.
fn renew(log: &Path) -> Result<(), StoreError> {
    let again = || -> std::io::Result<()> {
        let bytes = std::fs::read(log)?;
        let mut file = std::fs::File::options().write(true).open(log)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        File::open(log.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    match again() {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::Renew { path: log.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Moves the store's files into a folder of their own, for whoever can read more of them than we.
#[allow(clippy::disallowed_methods)] // what is renamed has been on the disk for long
fn put_aside(folder: &Path) -> std::io::Result<PathBuf> {
    let aside = folder.join(format!("{ASIDE}{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&aside)?;
    for end in ["", "-wal", "-shm"] {
        let name = format!("{FILE}{end}");
        match std::fs::rename(folder.join(&name), aside.join(&name)) {
            Err(fault) if fault.kind() != std::io::ErrorKind::NotFound => return Err(fault),
            _ => {}
        }
    }
    File::open(folder)?.sync_all()?;
    Ok(aside)
}

/// Whether a damaged store lies beside this one, and nobody has taken it away yet.
pub fn is_replaced(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.file_name().as_encoded_bytes().starts_with(ASIDE.as_bytes()))
}

/// The file is the lock's only use. It is freed with its holder's last breath, whatever ends it.
fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join("lock");
    let failed = |source| StoreError::Lock { path: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::InUse { path }),
        Err(fault) => Err(failed(fault.into())),
    }
}

/// The steps that a store of this version has not taken, all or none.
fn migrate(connection: &mut Connection, from: i32) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for step in &MIGRATIONS[from as usize..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", USER_VERSION)?;
    transaction.commit()
}
