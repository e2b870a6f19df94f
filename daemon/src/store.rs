//! The disk: inbox and outbox in one SQLite file. A promise counts when `commit` has returned.
//!
//! ```text
//! consult   id │ tablet │ digest │ request │ at_unix_s │ attempts │ deaths │ ended │ answered │ received │ ran_s │ gone
//! message     id │ seq │ body        accepted, alert?, answer (or error): as they were sent, byte for byte
//! review      id │ number │ at_unix_s │ body │ reply
//! quarantine  digest │ id            contents of cases that killed the engine
//! chain       seq │ kind │ id │ number │ body │ hash        hashes only: decide/src/seal.rs
//! box         ran_s                  how long this box has run: the only clock that retention trusts (store/keep.rs)
//! ```
//! WAL with `synchronous=FULL`: a commit is on the disk when it returns. One connection writes, in the loop's thread;
//! who writes holds `lock`, and others may read meanwhile (`consultd verify`).

use contract::{
    answer::Audit,
    bounded::Hex,
    ids::{RequestId, TabletName},
    reply::{ErrorCode, ErrorReply},
    request::{Request, parse_request},
};
use decide::{
    Digest, Known, OWED_OF_TABLET_MAX, Record,
    seal::{self, Chain, Link, LinkKind},
};
use open::USER_VERSION;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use sha2::{Digest as _, Sha256};
use std::{fs::File, path::PathBuf};

mod keep;
mod open;

pub use keep::snapshot;
pub use open::is_replaced;

/// Answers without a receipt that a restart takes up again: the newest of each tablet, and so many in all, of which each
/// tablet has its share. Older ones wait for a `resend`.
const OWED_MAX: usize = 1000;

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
    #[error(
        "{path} has store version {found}, and this consultd reads {USER_VERSION}; has the daemon been started since the update?"
    )]
    OtherVersion { path: PathBuf, found: i32 },
    #[error("cannot copy the store to {path}")]
    Snapshot { path: PathBuf, source: std::io::Error },
    #[error("the disk has no room for a copy of the store")]
    NoRoom,
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

    /// On a full disk SQLite says of its log's index that it could not be made long enough, or opened, as often as that
    /// the disk is full.
    fn may_want_room(&self) -> bool {
        use rusqlite::ErrorCode::{CannotOpen, DiskFull, SystemIoFailure};
        match self {
            Self::Open { source, .. } => {
                matches!(source.sqlite_error_code(), Some(CannotOpen | DiskFull | SystemIoFailure))
            }
            Self::Lock { source, .. } | Self::Renew { source, .. } => source.kind() == std::io::ErrorKind::StorageFull,
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
    /// Retention has taken the text.
    pub gone: bool,
}

/// A message that was said, or that somebody has put there.
pub struct Said {
    pub id: RequestId,
    pub body: Vec<u8>,
    pub is_last: bool,
    /// The chain has an answer to this case.
    pub is_linked: bool,
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
    /// Walks the chain from its first link.
    pub fn chain(&self, mut walk: impl FnMut(StoredLink)) -> Result<(), StoreError> {
        let doing = sql("walk the chain");
        let mut links = self
            .connection
            .prepare(
                "SELECT chain.id, chain.seq, kind, chain.body, chain.hash, review.body, review.reply,
                     (SELECT message.body FROM message WHERE message.id = chain.id ORDER BY message.seq DESC LIMIT 1),
                     COALESCE((SELECT gone FROM consult WHERE consult.id = chain.id), 0)
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

    /// Cases that were answered, and of whose answer the chain knows nothing.
    pub fn unlinked(&self) -> Result<Option<RequestId>, StoreError> {
        let unlinked = "SELECT id FROM consult WHERE answered = 1
            AND id NOT IN (SELECT id FROM chain WHERE kind = 'answer') ORDER BY seq LIMIT 1";
        self.connection.query_row(unlinked, [], id).optional().map_err(sql("look for answers without a link"))
    }

    /// Walks all messages, those of a case in their order.
    pub fn said(&self, mut walk: impl FnMut(&Said)) -> Result<(), StoreError> {
        let doing = sql("walk the messages");
        let mut all = self
            .connection
            .prepare(
                "SELECT id, body, seq = (SELECT MAX(seq) FROM message AS other WHERE other.id = message.id),
                     id IN (SELECT id FROM chain WHERE kind = 'answer')
                 FROM message ORDER BY id, seq",
            )
            .map_err(&doing)?;
        let said =
            |row: &Row| Ok(Said { id: id(row)?, body: row.get(1)?, is_last: row.get(2)?, is_linked: row.get(3)? });
        let mut rows = all.query([]).map_err(&doing)?;
        while let Some(row) = rows.next().map_err(&doing)? {
            walk(&said(row).map_err(&doing)?);
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
                "SELECT tablet, digest, answered, ended AND NOT received,
                     (SELECT count(*) FROM review WHERE review.id = consult.id), gone
                 FROM consult WHERE id = ?1",
            )
            .and_then(|mut q| {
                q.query_row([key(&id)], |row| {
                    let (tablet, digest) = (tablet(row, 0)?, row.get(1)?);
                    Ok(Known {
                        tablet,
                        digest,
                        answered: row.get(2)?,
                        owed: row.get(3)?,
                        reviews: row.get(4)?,
                        gone: row.get(5)?,
                    })
                })
                .optional()
            })
            .map_err(sql("look up a consultation"))
    }

    /// All messages of a consultation, in the order of sending.
    pub fn messages(&self, id: RequestId) -> Result<Vec<Vec<u8>>, StoreError> {
        let doing = sql("read the messages of a consultation");
        let mut messages: Vec<Vec<u8>> = self
            .connection
            .prepare_cached("SELECT body FROM message WHERE id = ?1 ORDER BY seq")
            .and_then(|mut q| q.query_map([key(&id)], |row| row.get(0))?.collect())
            .map_err(&doing)?;
        if let Some(last) = messages.pop() {
            messages.push(self.vouched(id, last).map_err(&doing)?);
        }
        Ok(messages)
    }

    /// The final message of a consultation that has one.
    pub fn answer(&self, id: RequestId) -> Result<Option<Vec<u8>>, StoreError> {
        let last = self.last_message(id)?;
        last.map(|last| self.vouched(id, last)).transpose().map_err(sql("read an answer"))
    }

    /// An answer only as it was sealed: a disk that changes a word of it must not change what a doctor is told.
    fn vouched(&self, id: RequestId, last: Vec<u8>) -> rusqlite::Result<Vec<u8>> {
        let answered = self
            .connection
            .prepare_cached("SELECT answered FROM consult WHERE id = ?1")?
            .query_row([key(&id)], |row| row.get::<_, bool>(0))
            .optional()?;
        if answered != Some(true) || self.is_as_sealed(id, &last)? {
            return Ok(last);
        }
        tracing::error!(%id, "a stored answer is not what was sealed: it is not sent; `consultd verify` says more");
        Ok(internal(id))
    }

    fn is_as_sealed(&self, id: RequestId, answer: &[u8]) -> rusqlite::Result<bool> {
        #[derive(serde::Deserialize)]
        struct Sealed {
            audit: Audit,
        }
        let body = seal::body(answer).map(|body| <[u8; 32]>::from(Sha256::digest(&body)));
        let named = serde_json::from_slice(answer).ok().map(|Sealed { audit }| audit);
        let Some((body, Audit { seq, hash: Hex(hash), .. })) = body.zip(named) else {
            // Of before the chain, or with its seal destroyed: then there is a link.
            let linked = "SELECT EXISTS (SELECT 1 FROM chain WHERE id = ?1 AND kind = 'answer')";
            return self.connection.query_row(linked, [key(&id)], |row| row.get(0)).map(|linked: bool| !linked);
        };
        self.connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM chain WHERE seq = ?1 AND id = ?2 AND kind = 'answer' AND body = ?3 AND hash = ?4)",
            )?
            .query_row(params![seq as i64, key(&id), body, hash], |row| row.get(0))
    }

    fn last_message(&self, id: RequestId) -> Result<Option<Vec<u8>>, StoreError> {
        self.connection
            .prepare_cached(
                "SELECT body FROM message JOIN consult USING (id) WHERE id = ?1 AND ended = 1 ORDER BY message.seq DESC LIMIT 1",
            )
            .and_then(|mut q| q.query_row([key(&id)], |row| row.get(0)).optional())
            .map_err(sql("read an answer"))
    }

    /// The records that, applied to a fresh state, make it what it was before the restart.
    pub fn recover(&mut self) -> Result<Vec<Record>, StoreError> {
        let doing = sql("read the store after a restart");
        let (mut records, mut unreadable) = (Vec::new(), Vec::new());
        self.recover_chain_and_quarantine(&mut records).map_err(&doing)?;
        let mut open = self
            .connection
            .prepare("SELECT id, tablet, digest, request, at_unix_s, attempts, deaths FROM consult WHERE ended = 0 ORDER BY seq")
            .map_err(&doing)?;
        let mut rows = open.query([]).map_err(&doing)?;
        while let Some(row) = rows.next().map_err(&doing)? {
            unfinished(row, &mut records, &mut unreadable).map_err(&doing)?;
        }
        drop(rows);
        drop(open);
        match self.commit(&unreadable) {
            Err(fault) if fault.is_disk_full() => {
                tracing::warn!("no room to end what cannot be read; at the next start")
            }
            done => done?,
        }
        let mut owed = self
            .connection
            .prepare(
                "SELECT id, tablet FROM (
                     SELECT id, tablet, seq, row_number() OVER (PARTITION BY tablet ORDER BY seq DESC) AS nth
                     FROM consult WHERE ended = 1 AND received = 0 AND gone = 0)
                 WHERE nth <= ?1 ORDER BY nth, seq DESC LIMIT ?2",
            )
            .map_err(&doing)?;
        let mut rows = owed.query([OWED_OF_TABLET_MAX as i64, OWED_MAX as i64]).map_err(&doing)?;
        let before = records.len();
        while let Some(row) = rows.next().map_err(&doing)? {
            let (id, tablet) = (id(row).map_err(&doing)?, tablet(row, 1).map_err(&doing)?);
            records.push(Record::Ended { id, tablet, message: Vec::new(), link: None });
        }
        records[before..].reverse(); // as they came, so that the oldest is the first to be given up
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

fn write(t: &Transaction, record: &Record) -> rusqlite::Result<()> {
    match record {
        Record::Accepted { id, tablet, digest, bytes, at_unix_s, messages, .. } => {
            t.prepare_cached(
                "INSERT INTO consult (id, tablet, digest, request, at_unix_s, ran_s)
                 VALUES (?1, ?2, ?3, ?4, ?5, (SELECT ran_s FROM box))",
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
            t.prepare_cached("UPDATE consult SET ended = 1, answered = ?2 WHERE id = ?1 AND ended = 0")?
                .execute(params![key(id), link.is_some()])?;
            add_message(t, id, message)?;
            link.iter().try_for_each(|link| add_link(t, link, 0))?;
        }
        Record::Reviewed { id, number, at_unix_s, bytes, reply, link } => {
            t.prepare_cached("INSERT INTO review (id, number, at_unix_s, body, reply) VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![key(id), number, *at_unix_s as i64, bytes, reply])?;
            add_link(t, link, *number)?;
            t.prepare_cached("UPDATE consult SET ran_s = (SELECT ran_s FROM box) WHERE id = ?1")?.execute([key(id)])?;
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
        | Record::Rules(_)
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
    Ok(StoredLink { link, sealed, review: row.get(5)?, gone: row.get(8)? })
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

fn unfinished(row: &Row, records: &mut Vec<Record>, unreadable: &mut Vec<Record>) -> rusqlite::Result<()> {
    let (id, bytes): (RequestId, Vec<u8>) = (id(row)?, row.get(3)?);
    // It was accepted by these very rules once; if they have become stricter since, nobody may lose it silently.
    let Ok(Request::Consult(consult)) = parse_request(&bytes) else {
        tracing::error!(%id, "an accepted request cannot be read any more: it ends with an error, and stays in the store");
        unreadable.push(Record::Ended { id, tablet: tablet(row, 1)?, message: internal(id), link: None });
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

/// The last word where there is no other that could be stood by.
fn internal(id: RequestId) -> Vec<u8> {
    serde_json::to_vec(&ErrorReply::new(ErrorCode::Internal, Some(id))).expect("an error serialises")
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
mod tests;
