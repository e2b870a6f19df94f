//! The disk: inbox and outbox in one SQLite file. A promise counts when `commit` has returned.
//!
//! ```text
//! consult   id │ tablet │ digest │ request │ at_unix_s │ attempts │ deaths │ ended │ received
//! message     id │ seq │ body        accepted, alert?, answer (or error): as they were sent, byte for byte
//! review      id │ number │ at_unix_s │ body │ reply
//! quarantine  digest │ id            contents of cases that killed the engine
//! chain       seq │ kind │ id │ number │ body │ hash        hashes only: decide/src/seal.rs
//! ```
//! WAL with `synchronous=FULL`: a commit is on the disk when it returns. One connection writes, in the loop's thread;
//! who writes holds `lock`, and others may read meanwhile (`consultd verify`).

use contract::{
    ids::{RequestId, TabletName},
    request::{Request, parse_request},
};
use decide::{
    Digest, Known, Record,
    seal::{Chain, Link, LinkKind},
};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, Transaction, params};
use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

/// "cons": so that `file` and a technician know whose it is.
const APPLICATION_ID: i32 = 0x636f_6e73;
const USER_VERSION: i32 = MIGRATIONS.len() as i32;
/// Answers without a receipt that a restart takes up again: the newest. Older ones wait for a `resend`.
const OWED_MAX: u32 = 1000;

const FILE: &str = "consultd.sqlite";
const ASIDE: &str = "damaged-";

/// From nothing to today, each step frozen for ever: a store of any earlier version goes the rest of the way.
const MIGRATIONS: [&str; 2] = [
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
];

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot make the folder {path}")]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("cannot open {path}")]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error("{path} is not a store of consultd")]
    Foreign { path: PathBuf },
    #[error("{path} was written by a newer consultd (store version {found}, this one knows {USER_VERSION})")]
    Newer { path: PathBuf, found: i32 },
    #[error("{path} is in use: another consultd runs on this folder")]
    InUse { path: PathBuf },
    #[error("cannot write {path} once more")]
    Renew { path: PathBuf, source: std::io::Error },
    #[error("{path} is damaged")]
    Damaged { path: PathBuf },
    #[error("cannot put the damaged {path} aside")]
    Aside { path: PathBuf, source: std::io::Error },
    #[error("cannot lock {path}")]
    Lock { path: PathBuf, source: std::io::Error },
    #[error("cannot {doing}")]
    Sql { doing: &'static str, source: rusqlite::Error },
}

impl StoreError {
    fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match self {
            Self::Damaged { .. } => true,
            Self::Open { source, .. } => matches!(source.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase)),
            _ => false,
        }
    }

    pub fn is_disk_full(&self) -> bool {
        let Self::Sql { source, .. } = self else { return false };
        source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
    }
}

fn sql(doing: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    move |source| StoreError::Sql { doing, source }
}

pub struct Store {
    connection: Connection,
    /// Held as long as the store is: two daemons on one store would answer every patient twice.
    _lock: Option<File>,
}

/// An answer or a review in the chain, with what the store has of it.
pub struct StoredLink {
    pub link: Link,
    /// The message that carries the seal: the answer, or what was said to the review.
    pub sealed: Option<Vec<u8>>,
    /// The review's own bytes.
    pub review: Option<Vec<u8>>,
}

/// A case, the answer to it and the newest review of that.
pub struct ReviewedCase {
    pub id: RequestId,
    pub at_unix_s: u64,
    pub request: Vec<u8>,
    pub review: Vec<u8>,
    pub answer: Vec<u8>,
}

impl Store {
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
        let path = folder.join(FILE);
        let open = |source| StoreError::Open { path: path.clone(), source };
        let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(open)?;
        connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(open)?;
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(open);
        match (pragma("application_id")?, pragma("user_version")?) {
            (APPLICATION_ID, USER_VERSION) => Ok(Self { connection, _lock: None }),
            (APPLICATION_ID, found) => Err(StoreError::Newer { path, found }),
            _ => Err(StoreError::Foreign { path }),
        }
    }

    /// Walks the chain from its first link.
    pub fn chain(&self, mut walk: impl FnMut(StoredLink)) -> Result<(), StoreError> {
        let doing = sql("walk the chain");
        let mut links = self
            .connection
            .prepare(
                "SELECT chain.id, chain.seq, kind, chain.body, chain.hash, review.body, review.reply,
                     (SELECT message.body FROM message WHERE message.id = chain.id ORDER BY message.seq DESC LIMIT 1)
                 FROM chain LEFT JOIN review ON review.id = chain.id AND review.number = chain.number
                 ORDER BY chain.seq",
            )
            .map_err(&doing)?;
        let mut rows = links.query([]).map_err(&doing)?;
        while let Some(row) = rows.next().map_err(&doing)? {
            walk(stored_link(row).map_err(&doing)?);
        }
        Ok(())
    }

    /// The chain's link of the newest review; 0 where there is none.
    pub fn newest_review(&self) -> Result<u64, StoreError> {
        self.connection
            .query_row("SELECT COALESCE(MAX(seq), 0) FROM chain WHERE kind = 'review'", [], |row| row.get::<_, i64>(0))
            .map(|seq| seq as u64)
            .map_err(sql("read the reviews"))
    }

    /// Cases whose newest review is one of these links of the chain, in its order, with the text of all three.
    pub fn reviewed<E: From<StoreError>>(
        &self,
        after: u64,
        last: u64,
        mut take: impl FnMut(ReviewedCase) -> Result<(), E>,
    ) -> Result<(), E> {
        let doing = sql("read the reviews");
        let mut cases = self
            .connection
            .prepare(
                "SELECT consult.id, review.at_unix_s, consult.request, review.body,
                     (SELECT body FROM message WHERE message.id = chain.id ORDER BY message.seq DESC LIMIT 1)
                 FROM chain JOIN review USING (id, number) JOIN consult USING (id)
                 WHERE chain.kind = 'review' AND chain.seq > ?1 AND chain.seq <= ?2
                     AND number = (SELECT MAX(number) FROM review AS newest WHERE newest.id = chain.id)
                 ORDER BY chain.seq",
            )
            .map_err(&doing)?;
        let mut rows = cases.query([after as i64, last as i64]).map_err(&doing)?;
        while let Some(row) = rows.next().map_err(&doing)? {
            take(reviewed_case(row).map_err(&doing)?)?;
        }
        Ok(())
    }

    /// What was said to these very bytes.
    pub fn said_to(&self, id: RequestId, review: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.connection
            .prepare_cached("SELECT reply FROM review WHERE id = ?1 AND body = ?2")
            .and_then(|mut q| q.query_row(params![key(&id), review], |row| row.get(0)).optional())
            .map_err(sql("look up a review"))
    }

    /// Writes all durable records in one transaction; on return they survive a power cut.
    pub fn commit(&mut self, records: &[Record]) -> Result<(), StoreError> {
        let doing = sql("write to the store");
        let mut durable = records.iter().filter(|record| record.is_durable()).peekable();
        if durable.peek().is_none() {
            return Ok(());
        }
        let transaction = self.connection.transaction().map_err(&doing)?;
        for record in durable {
            write(&transaction, record).map_err(&doing)?;
        }
        transaction.commit().map_err(&doing)
    }

    pub fn known(&self, id: RequestId) -> Result<Option<Known>, StoreError> {
        self.connection
            .prepare_cached(
                r#"SELECT tablet, digest,
                     EXISTS (SELECT 1 FROM message WHERE message.id = consult.id
                         AND CAST(substr(body, 1, 22) AS TEXT) = '{"v":1,"type":"answer"'),
                     ended AND NOT received,
                     (SELECT count(*) FROM review WHERE review.id = consult.id)
                 FROM consult WHERE id = ?1"#,
            )
            .and_then(|mut q| {
                q.query_row([key(&id)], |row| {
                    let (tablet, digest) = (tablet(row, 0)?, row.get(1)?);
                    Ok(Known { tablet, digest, answered: row.get(2)?, owed: row.get(3)?, reviews: row.get(4)? })
                })
                .optional()
            })
            .map_err(sql("look up a consultation"))
    }

    /// All messages of a consultation, in the order of sending.
    pub fn messages(&self, id: RequestId) -> Result<Vec<Vec<u8>>, StoreError> {
        self.connection
            .prepare_cached("SELECT body FROM message WHERE id = ?1 ORDER BY seq")
            .and_then(|mut q| q.query_map([key(&id)], |row| row.get(0))?.collect())
            .map_err(sql("read the messages of a consultation"))
    }

    /// The final message of a consultation that has one.
    pub fn answer(&self, id: RequestId) -> Result<Option<Vec<u8>>, StoreError> {
        self.connection
            .prepare_cached(
                "SELECT body FROM message JOIN consult USING (id) WHERE id = ?1 AND ended = 1 ORDER BY message.seq DESC LIMIT 1",
            )
            .and_then(|mut q| q.query_row([key(&id)], |row| row.get(0)).optional())
            .map_err(sql("read an answer"))
    }

    /// The records that, applied to a fresh state, make it what it was before the restart.
    pub fn recover(&self) -> Result<Vec<Record>, StoreError> {
        let doing = sql("read the store after a restart");
        let mut records = Vec::new();
        self.recover_chain_and_quarantine(&mut records).map_err(&doing)?;
        let mut open = self
            .connection
            .prepare("SELECT id, tablet, digest, request, at_unix_s, attempts, deaths FROM consult WHERE ended = 0 ORDER BY seq")
            .map_err(&doing)?;
        let mut rows = open.query([]).map_err(&doing)?;
        while let Some(row) = rows.next().map_err(&doing)? {
            unfinished(row, &mut records).map_err(&doing)?;
        }
        let mut owed = self
            .connection
            .prepare("SELECT id, tablet FROM consult WHERE ended = 1 AND received = 0 ORDER BY seq DESC LIMIT ?1")
            .map_err(&doing)?;
        let mut rows = owed.query([OWED_MAX]).map_err(&doing)?;
        while let Some(row) = rows.next().map_err(&doing)? {
            let (id, tablet) = (id(row).map_err(&doing)?, tablet(row, 1).map_err(&doing)?);
            records.push(Record::Ended { id, tablet, message: Vec::new(), link: None });
        }
        Ok(records)
    }

    fn recover_chain_and_quarantine(&self, records: &mut Vec<Record>) -> rusqlite::Result<()> {
        let end = self
            .connection
            .query_row("SELECT seq, hash FROM chain ORDER BY seq DESC LIMIT 1", [], |row| {
                Ok(Chain { seq: row.get::<_, i64>(0)? as u64, hash: row.get(1)? })
            })
            .optional()?;
        records.extend(end.map(Record::ChainEnd));
        let mut quarantine = self.connection.prepare("SELECT id, digest FROM quarantine")?;
        let cases = quarantine.query_map([], |row| Ok(Record::Quarantined { id: id(row)?, case: row.get(1)? }))?;
        cases.collect::<rusqlite::Result<Vec<_>>>().map(|cases| records.extend(cases))
    }
}

fn tables(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
}

/// Opens a store that is ours and whole, or makes one.
fn open(path: &Path) -> Result<Connection, StoreError> {
    let open = |source| StoreError::Open { path: path.to_owned(), source };
    let mut connection = Connection::open(path).map_err(open)?;
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
/// is promised on it. In place, because not a byte changes and a full disk must not hinder it; nobody else writes it, because
/// the store is locked.
fn renew(log: &Path) -> Result<(), StoreError> {
    let again = || -> std::io::Result<()> {
        let bytes = std::fs::read(log)?;
        let mut file = std::fs::File::options().write(true).open(log)?;
        file.write_all(&bytes)?;
        file.sync_all()
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

fn write(t: &Transaction, record: &Record) -> rusqlite::Result<()> {
    match record {
        Record::Accepted { id, tablet, digest, bytes, at_unix_s, messages, .. } => {
            t.prepare_cached(
                "INSERT INTO consult (id, tablet, digest, request, at_unix_s) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![key(id), tablet.as_str(), &digest[..], bytes, *at_unix_s as i64])?;
            for message in messages {
                add_message(t, id, message)?;
            }
        }
        Record::Attempt { id } => {
            t.prepare_cached("UPDATE consult SET attempts = attempts + 1 WHERE id = ?1")?.execute([key(id)])?;
        }
        Record::Death { id } => {
            t.prepare_cached("UPDATE consult SET deaths = deaths + 1 WHERE id = ?1")?.execute([key(id)])?;
        }
        Record::Ended { id, message, link, .. } => {
            t.prepare_cached("UPDATE consult SET ended = 1 WHERE id = ?1 AND ended = 0")?.execute([key(id)])?;
            add_message(t, id, message)?;
            link.iter().try_for_each(|link| add_link(t, link, 0))?;
        }
        Record::Reviewed { id, number, at_unix_s, bytes, reply, link } => {
            t.prepare_cached("INSERT INTO review (id, number, at_unix_s, body, reply) VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![key(id), number, *at_unix_s as i64, bytes, reply])?;
            add_link(t, link, *number)?;
        }
        Record::Quarantined { case, id } => {
            t.prepare_cached("INSERT OR REPLACE INTO quarantine (digest, id) VALUES (?1, ?2)")?
                .execute(params![&case[..], key(id)])?;
        }
        Record::QuarantineEnded { case } => {
            t.prepare_cached("DELETE FROM quarantine WHERE digest = ?1")?.execute([&case[..]])?;
        }
        Record::Received { id } => {
            t.prepare_cached("UPDATE consult SET received = 1 WHERE id = ?1")?.execute([key(id)])?;
        }
        Record::Engine(_)
        | Record::ChainEnd(_)
        | Record::Held { .. }
        | Record::Storage { .. }
        | Record::Section { .. }
        | Record::Interrupted { .. }
        | Record::Cancelled { .. }
        | Record::Released { .. }
        | Record::Sent { .. }
        | Record::AllDue => {}
    }
    Ok(())
}

fn add_link(t: &Transaction, link: &Link, number: u32) -> rusqlite::Result<()> {
    let kind = match link.kind {
        LinkKind::Answer => "answer",
        LinkKind::Review => "review",
    };
    t.prepare_cached("INSERT INTO chain (seq, kind, id, number, body, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![link.seq as i64, kind, key(&link.id), number, &link.body[..], &link.hash[..]])?;
    Ok(())
}

fn stored_link(row: &Row) -> rusqlite::Result<StoredLink> {
    let kind = if row.get_ref(2)?.as_str()? == "answer" { LinkKind::Answer } else { LinkKind::Review };
    let link = Link { seq: row.get::<_, i64>(1)? as u64, kind, id: id(row)?, body: row.get(3)?, hash: row.get(4)? };
    let sealed = row.get(if kind == LinkKind::Answer { 7 } else { 6 })?;
    Ok(StoredLink { link, sealed, review: row.get(5)? })
}

fn reviewed_case(row: &Row) -> rusqlite::Result<ReviewedCase> {
    Ok(ReviewedCase {
        id: id(row)?,
        at_unix_s: row.get::<_, i64>(1)? as u64,
        request: row.get(2)?,
        review: row.get(3)?,
        answer: row.get(4)?,
    })
}

fn add_message(t: &Transaction, id: &RequestId, body: &[u8]) -> rusqlite::Result<()> {
    t.prepare_cached(
        "INSERT INTO message (id, seq, body) SELECT ?1, COALESCE(MAX(seq), 0) + 1, ?2 FROM message WHERE id = ?1",
    )?
    .execute(params![key(id), body])?;
    Ok(())
}

fn unfinished(row: &Row, records: &mut Vec<Record>) -> rusqlite::Result<()> {
    let (id, bytes): (RequestId, Vec<u8>) = (id(row)?, row.get(3)?);
    // It was accepted by these very rules once; if they have become stricter since, nobody may lose it silently.
    let Ok(Request::Consult(consult)) = parse_request(&bytes) else {
        tracing::error!(%id, "an accepted request cannot be read any more; left in the store");
        return Ok(());
    };
    let digest: Digest = row.get(2)?;
    records.push(Record::Accepted {
        id,
        tablet: tablet(row, 1)?,
        consult: Box::new(consult),
        digest,
        bytes,
        at_unix_s: row.get::<_, i64>(4)? as u64,
        messages: Vec::new(),
    });
    let (attempts, deaths): (u32, u32) = (row.get(5)?, row.get(6)?);
    records.extend((0..attempts).map(|_| Record::Attempt { id }));
    records.extend((0..deaths).map(|_| Record::Death { id }));
    records.push(Record::Interrupted { id });
    Ok(())
}

fn key(id: &RequestId) -> &[u8] {
    id.0.as_bytes()
}

fn id(row: &Row) -> rusqlite::Result<RequestId> {
    row.get::<_, [u8; 16]>(0).map(|bytes| RequestId(uuid::Uuid::from_bytes(bytes)))
}

fn tablet(row: &Row, column: usize) -> rusqlite::Result<TabletName> {
    let name: String = row.get(column)?;
    TabletName::new(&name).ok_or_else(|| rusqlite::Error::IntegralValueOutOfRange(column, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(n: u128) -> Record {
        let id = RequestId(uuid::Uuid::from_u128(n));
        let bytes = format!(
            r#"{{"v":1,"type":"consult","id":"{id}","department":"internal","case":{{"complaint":{{"text":"胸闷"}}}}}}"#
        )
        .into_bytes();
        let Ok(Request::Consult(consult)) = parse_request(&bytes) else { panic!("a good request") };
        let tablet = TabletName::new("t").expect("a name");
        let (consult, messages) = (Box::new(consult), vec![b"accepted".to_vec()]);
        Record::Accepted { id, tablet, consult, digest: [7; 32], bytes, at_unix_s: 1, messages }
    }

    #[test]
    fn what_was_committed_comes_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let (first, second) = (RequestId(uuid::Uuid::from_u128(1)), RequestId(uuid::Uuid::from_u128(2)));
        let tablet = TabletName::new("t").expect("a name");
        let mut store = Store::open(folder.path()).expect("opens");
        store.commit(&[accepted(1), accepted(2), Record::Attempt { id: first }]).expect("commits");
        let end = Record::Ended { id: second, tablet, message: b"answer".to_vec(), link: None };
        store.commit(&[Record::Death { id: first }, end]).expect("commits");
        drop(store);

        let store = Store::open(folder.path()).expect("opens again");
        let kinds: Vec<&str> = store
            .recover()
            .expect("recovers")
            .iter()
            .map(|r| match r {
                Record::Accepted { id, .. } if *id == first => "accepted",
                Record::Attempt { .. } => "attempt",
                Record::Death { .. } => "death",
                Record::Interrupted { .. } => "interrupted",
                Record::Ended { id, .. } if *id == second => "owed",
                other => panic!("unexpected {other:?}"),
            })
            .collect();
        assert_eq!(kinds, ["accepted", "attempt", "death", "interrupted", "owed"]);
        assert_eq!(store.messages(second).expect("reads"), [b"accepted".to_vec(), b"answer".to_vec()]);
        assert_eq!(store.answer(second).expect("reads").as_deref(), Some(&b"answer"[..]));
        assert_eq!(store.answer(first).expect("reads"), None);
        assert_eq!(store.known(first).expect("reads").map(|k| k.digest), Some([7; 32]));
    }

    #[test]
    fn a_store_of_the_first_version_goes_the_rest_of_the_way_and_loses_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let old = Connection::open(folder.path().join("consultd.sqlite")).expect("opens");
        old.execute_batch(MIGRATIONS[0]).expect("the first version's tables");
        old.execute_batch("PRAGMA application_id = 0x636f6e73; PRAGMA user_version = 1;").expect("marks it");
        let Record::Accepted { id, bytes, .. } = accepted(1) else { panic!("a record") };
        old.execute(
            "INSERT INTO consult (id, tablet, digest, request, at_unix_s, attempts) VALUES (?1, 't', ?2, ?3, 1, 2)",
            params![key(&id), [7u8; 32], bytes],
        )
        .expect("writes");
        drop(old);
        for _ in 0..2 {
            let store = Store::open(folder.path()).expect("opens");
            assert_eq!(store.recover().expect("recovers").len(), 4, "accepted, two attempts, interrupted");
            assert_eq!(store.known(id).expect("reads").map(|known| known.reviews), Some(0));
        }
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // a test's own file needs no sync
    fn a_damaged_store_is_put_aside_and_kept_whatever_is_wrong_with_it() {
        let harms: [fn(&mut Vec<u8>); 5] = [
            |bytes| bytes.fill(0x2a),                // not SQLite at all
            |bytes| bytes.truncate(bytes.len() / 2), // half of it
            |bytes| bytes[4096..8192].fill(0xff),    // a page of rubbish
            |bytes| bytes[100..200].fill(0x00),      // the table of tables
            |bytes| bytes[..16].copy_from_slice(b"SQLite format 9\0"),
        ];
        for (n, harm) in harms.into_iter().enumerate() {
            let folder = tempfile::tempdir().expect("a folder");
            let mut store = Store::open(folder.path()).expect("opens");
            (1..50).for_each(|n| store.commit(&[accepted(n)]).expect("commits"));
            store.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("all in one file");
            drop(store);
            assert!(!is_replaced(folder.path()));
            let path = folder.path().join(FILE);
            let mut bytes = std::fs::read(&path).expect("reads");
            harm(&mut bytes);
            std::fs::write(&path, &bytes).expect("writes");

            let mut store = Store::open(folder.path()).unwrap_or_else(|fault| panic!("harm {n}: {fault}"));
            assert!(is_replaced(folder.path()), "harm {n} is not seen");
            store.commit(&[accepted(1)]).expect("serves");
            let aside = std::fs::read_dir(folder.path()).expect("a folder").flatten();
            let aside = aside.map(|e| e.path()).find(|path| path.is_dir()).expect("a folder aside");
            assert_eq!(std::fs::read(aside.join(FILE)).expect("kept"), bytes, "harm {n}");
        }
    }

    #[test]
    fn a_received_answer_is_owed_no_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = Store::open(folder.path()).expect("opens");
        let id = RequestId(uuid::Uuid::from_u128(1));
        let end = Record::Ended {
            id,
            tablet: TabletName::new("t").expect("a name"),
            message: b"answer".to_vec(),
            link: None,
        };
        store.commit(&[accepted(1), end, Record::Received { id }]).expect("commits");
        assert!(store.recover().expect("recovers").is_empty());
        assert!(store.answer(id).expect("reads").is_some(), "kept for a resend");
    }

    #[test]
    fn a_second_daemon_on_the_same_folder_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Store::open(folder.path()).expect("opens");
        assert!(matches!(Store::open(folder.path()), Err(StoreError::InUse { .. })));
        drop(first);
        assert!(Store::open(folder.path()).is_ok());
    }

    #[test]
    fn another_programs_file_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("consultd.sqlite");
        for contents in ["PRAGMA application_id = 5;", "CREATE TABLE x (y);"] {
            let other = Connection::open(&path).expect("opens");
            other.execute_batch(contents).expect("writes");
            drop(other);
            let before = std::fs::read(&path).expect("reads");
            assert!(matches!(Store::open(folder.path()), Err(StoreError::Foreign { .. })), "{contents}");
            assert_eq!(std::fs::read(&path).expect("reads"), before, "{contents}: not a byte is changed");
            std::fs::remove_file(&path).expect("removes");
        }
    }
}
