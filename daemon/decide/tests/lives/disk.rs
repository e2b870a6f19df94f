//! The store of `daemon/src/store.rs` without SQLite: the same rows, the same order, the same recovery.
//! What SQLite would refuse, or would do silently and wrongly, is a panic here.

use contract::{
    ids::{RequestId, TabletName},
    request::{Consult, Request, parse_request},
};
use decide::{
    Digest, Known, Record,
    seal::{Chain, Link, hang},
};
use std::collections::BTreeMap;

pub struct Row {
    pub id: RequestId,
    pub tablet: TabletName,
    pub digest: Digest,
    pub request: Vec<u8>,
    pub at_unix_s: u64,
    pub attempts: u32,
    pub deaths: u32,
    pub ended: bool,
    pub received: bool,
    pub messages: Vec<Vec<u8>>,
    /// Each with what was said to it.
    pub reviews: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Row {
    pub fn consult(&self) -> Box<Consult> {
        match parse_request(&self.request) {
            Ok(Request::Consult(consult)) => Box::new(consult),
            other => panic!("stored and not a consult: {other:?}"),
        }
    }

    pub fn answer(&self) -> Option<&[u8]> {
        self.messages.last().filter(|_| self.ended).map(Vec::as_slice)
    }
}

#[derive(Default)]
pub struct Disk {
    rows: Vec<Row>,
    pub chain: Vec<Link>,
    pub quarantine: BTreeMap<Digest, RequestId>,
}

impl Disk {
    pub fn commit(&mut self, records: &[Record]) {
        records.iter().filter(|record| record.is_durable()).for_each(|record| self.write(record));
    }

    fn write(&mut self, record: &Record) {
        match record {
            Record::Accepted { id, tablet, digest, bytes, at_unix_s, messages, .. } => {
                assert!(self.row(*id).is_none(), "P4: {id} is stored already and the first is kept");
                self.rows.push(Row {
                    id: *id,
                    tablet: tablet.clone(),
                    digest: *digest,
                    request: bytes.clone(),
                    at_unix_s: *at_unix_s,
                    attempts: 0,
                    deaths: 0,
                    ended: false,
                    received: false,
                    messages: messages.clone(),
                    reviews: Vec::new(),
                });
            }
            Record::Attempt { id } => self.row_mut(*id).attempts += 1,
            Record::Death { id } => self.row_mut(*id).deaths += 1,
            Record::Ended { id, tablet, message, link } => {
                self.add(link.as_ref());
                let row = self.row_mut(*id);
                assert!(!row.ended, "P3: {id} ends a second time");
                assert_eq!(row.tablet, *tablet, "{id} ends for another tablet");
                row.ended = true;
                row.messages.push(message.clone());
            }
            Record::Received { id } => {
                let row = self.row_mut(*id);
                assert!(row.ended, "{id} is received before there was an answer");
                row.received = true;
            }
            Record::Reviewed { id, number, bytes, reply, link, .. } => {
                self.add(Some(link));
                let row = self.row_mut(*id);
                assert!(row.ended, "{id} is reviewed before there was an answer");
                row.reviews.push((bytes.clone(), reply.clone()));
                assert_eq!(row.reviews.len(), *number as usize);
            }
            Record::Quarantined { case, id } => assert_eq!(self.quarantine.insert(*case, *id), None),
            Record::QuarantineEnded { case } => assert!(self.quarantine.remove(case).is_some()),
            other => panic!("not durable, and written: {other:?}"),
        }
    }

    pub fn known(&self, id: RequestId) -> Option<Known> {
        self.row(id).map(|row| Known {
            tablet: row.tablet.clone(),
            digest: row.digest,
            answered: row.answer().is_some_and(|end| end.starts_with(br#"{"v":1,"type":"answer""#)),
            owed: row.ended && !row.received,
            reviews: row.reviews.len() as u32,
            gone: false,
        })
    }

    pub fn recover(&self) -> Vec<Record> {
        let end = self.chain.last().map(|link| Record::ChainEnd(Chain { seq: link.seq, hash: link.hash }));
        let quarantined = self.quarantine.iter().map(|(case, id)| Record::Quarantined { case: *case, id: *id });
        let mut records: Vec<Record> = end.into_iter().chain(quarantined).collect();
        for row in self.open() {
            let id = row.id;
            records.push(Record::Accepted {
                id,
                tablet: row.tablet.clone(),
                consult: row.consult(),
                digest: row.digest,
                bytes: row.request.clone(),
                at_unix_s: row.at_unix_s,
                messages: Vec::new(),
            });
            records.extend((0..row.attempts).map(|_| Record::Attempt { id }));
            records.extend((0..row.deaths).map(|_| Record::Death { id }));
            records.push(Record::Interrupted { id });
        }
        for row in self.owed().rev() {
            records.push(Record::Ended { id: row.id, tablet: row.tablet.clone(), message: Vec::new(), link: None });
        }
        records
    }

    fn add(&mut self, link: Option<&Link>) {
        let Some(link) = link else { return };
        let prev = self.chain.last().map_or([0; 32], |prev| prev.hash);
        assert_eq!((link.seq, link.hash), (self.chain.len() as u64 + 1, hang(&prev, &link.body)), "the chain breaks");
        self.chain.push(*link);
    }

    /// Accepted and not answered, in the order of acceptance.
    pub fn open(&self) -> impl DoubleEndedIterator<Item = &Row> {
        self.rows.iter().filter(|row| !row.ended)
    }

    /// Answered, receipt outstanding.
    pub fn owed(&self) -> impl DoubleEndedIterator<Item = &Row> {
        self.rows.iter().filter(|row| row.ended && !row.received)
    }

    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub fn row(&self, id: RequestId) -> Option<&Row> {
        self.rows.iter().find(|row| row.id == id)
    }

    fn row_mut(&mut self, id: RequestId) -> &mut Row {
        self.rows.iter_mut().find(|row| row.id == id).expect("a record of a case that was never accepted")
    }
}
