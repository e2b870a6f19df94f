use super::{
    open::{FILE, MIGRATIONS},
    *,
};
use crate::settings::Retention;
use std::path::Path;

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

    let mut store = Store::open(folder.path()).expect("opens again");
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

/// A power cut may bring a removed log back, as it was at its last good sync: it must not lie over a newer database.
#[test]
fn closing_leaves_database_and_log_as_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = [FILE, "consultd.sqlite-wal"].map(|name| folder.path().join(name));
    let bytes = || files.clone().map(|file| std::fs::read(file).expect("it is there"));
    let mut store = Store::open(folder.path()).expect("opens");
    store.commit(&[accepted(1)]).expect("commits");
    let before = bytes();
    drop(store);
    assert!(bytes() == before && !before[1].is_empty());
    let store = Store::open(folder.path()).expect("opens again");
    assert!(store.known(RequestId(uuid::Uuid::from_u128(1))).expect("reads").is_some());
}

#[test]
fn a_store_of_any_earlier_version_goes_the_rest_of_the_way_and_loses_nothing() {
    for version in 1..MIGRATIONS.len() {
        let folder = tempfile::tempdir().expect("a folder");
        let old = Connection::open(folder.path().join(FILE)).expect("opens");
        MIGRATIONS[..version].iter().for_each(|step| old.execute_batch(step).expect("the version's tables"));
        old.execute_batch(&format!("PRAGMA application_id = 0x636f6e73; PRAGMA user_version = {version};"))
            .expect("marks");
        let Record::Accepted { id, bytes, .. } = accepted(1) else { panic!("a record") };
        let answered = RequestId(uuid::Uuid::from_u128(2));
        for (id, ended) in [(id, false), (answered, true)] {
            old.execute(
                "INSERT INTO consult (id, tablet, digest, request, at_unix_s, attempts, ended) VALUES (?1, 't', ?2, ?3, 1, 2, ?4)",
                params![key(&id), [7u8; 32], bytes, ended],
            )
            .expect("writes");
        }
        let answer = br#"{"v":1,"type":"answer"}"#.to_vec();
        old.execute("INSERT INTO message VALUES (?1, 1, ?2)", params![key(&answered), answer]).expect("writes");
        drop(old);
        for _ in 0..2 {
            let mut store = Store::open(folder.path()).expect("opens");
            assert_eq!(store.recover().expect("recovers").len(), 5, "accepted, two attempts, interrupted; owed");
            let known = [id, answered].map(|id| store.known(id).expect("reads").expect("known"));
            assert_eq!(
                known.map(|known| (known.answered, known.reviews, known.gone)),
                [(false, 0, false), (true, 0, false)]
            );
            assert_eq!(store.answer(answered).expect("reads"), Some(answer.clone()));
        }
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
    let end =
        Record::Ended { id, tablet: TabletName::new("t").expect("a name"), message: b"answer".to_vec(), link: None };
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

/// Answered or ended otherwise, and received, this long after the box's first second.
fn ended(store: &mut Store, n: u128, answered: bool, received: bool) -> RequestId {
    let id = RequestId(uuid::Uuid::from_u128(n));
    let body = [n as u8; 32];
    let link = answered.then_some(Link { seq: n as u64, kind: LinkKind::Answer, id, body, hash: body });
    let tablet = TabletName::new("t").expect("a name");
    let end = Record::Ended { id, tablet, message: b"the end".to_vec(), link };
    store.commit(&[accepted(n), end]).expect("commits");
    if received {
        store.commit(&[Record::Received { id }]).expect("commits");
    }
    id
}

fn gone(store: &Store, id: RequestId) -> bool {
    let known = store.known(id).expect("reads").expect("an id is never forgotten");
    let messages = store.messages(id).expect("reads");
    assert_eq!(known.gone, messages.is_empty(), "of a case all is kept or nothing");
    known.gone
}

#[test]
fn an_answer_is_kept_as_long_as_the_law_says_and_what_is_open_for_ever() {
    const RETENTION: Retention = Retention { answers_s: 1000, others_s: 100, bytes_max: None };
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(folder.path()).expect("opens");
    store.commit(&[accepted(1)]).expect("commits");
    let open = RequestId(uuid::Uuid::from_u128(1));
    let (answer, other) = (ended(&mut store, 2, true, false), ended(&mut store, 3, false, false));
    let reviewed = ended(&mut store, 4, true, true);
    let mut ran_s = 0;
    for more_s in [99, 1, 899] {
        ran_s += more_s;
        store.keep_house(more_s, RETENTION).expect("keeps house");
        assert_eq!((gone(&store, other), gone(&store, answer)), (ran_s >= 100, false), "after {ran_s} s");
        if ran_s == 100 {
            let link = Link { seq: 5, kind: LinkKind::Review, id: reviewed, body: [5; 32], hash: [5; 32] };
            let (bytes, reply) = (b"review".to_vec(), b"reviewed".to_vec());
            let review = Record::Reviewed { id: reviewed, number: 1, at_unix_s: 1, bytes, reply, link };
            store.commit(&[review]).expect("commits");
        }
    }
    assert_eq!(store.keep_house(1, RETENTION).expect("keeps house"), 1);
    assert!(gone(&store, answer) && !gone(&store, reviewed), "a review begins the time anew");
    assert_eq!(store.keep_house(99, RETENTION).expect("keeps house"), 0);
    assert_eq!(store.keep_house(1, RETENTION).expect("keeps house"), 1);
    assert!(gone(&store, reviewed) && !gone(&store, open));
    let mut links = 0;
    store.chain(|stored| links += u32::from(stored.sealed.is_none() && stored.review.is_none())).expect("walks");
    assert_eq!(links, 3, "the chain outlives the text");
    drop(store);
    let mut store = Store::open(folder.path()).expect("opens again");
    let kinds: Vec<Record> = store.recover().expect("recovers");
    assert!(matches!(&*kinds, [Record::ChainEnd(_), Record::Accepted { .. }, Record::Interrupted { .. }]), "{kinds:?}");
}

#[test]
fn a_store_above_its_size_gives_up_what_no_law_keeps_and_nothing_else() {
    let retention = |bytes_max| Retention { answers_s: 1000, others_s: 1000, bytes_max };
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(folder.path()).expect("opens");
    store.commit(&[accepted(1)]).expect("commits");
    let open = RequestId(uuid::Uuid::from_u128(1));
    let (answer, other) = (ended(&mut store, 2, true, true), ended(&mut store, 3, false, true));
    let not_received = ended(&mut store, 4, false, false);
    assert_eq!(store.keep_house(1, retention(Some(1 << 30))).expect("keeps house"), 0);
    assert_eq!(store.keep_house(1, retention(Some(1))).expect("keeps house"), 1);
    let left = [open, answer, not_received].map(|id| gone(&store, id));
    assert!(gone(&store, other) && left == [false; 3], "{left:?}");
}

#[test]
fn what_is_deleted_is_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(folder.path()).expect("opens");
    ended(&mut store, 2, false, true);
    let holds = |folder: &Path| {
        [FILE.to_owned(), format!("{FILE}-wal")].iter().any(|name| {
            let bytes = std::fs::read(folder.join(name)).unwrap_or_default();
            bytes.windows("胸闷".len()).any(|window| window == "胸闷".as_bytes())
        })
    };
    assert!(holds(folder.path()));
    store.keep_house(100, Retention { answers_s: 100, others_s: 100, bytes_max: None }).expect("keeps house");
    store.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("all in one file");
    assert!(!holds(folder.path()));
}

#[test]
#[allow(clippy::disallowed_methods)] // a test's own file needs no sync
fn the_store_is_copied_once_a_week_and_the_copy_is_whole() {
    const RETENTION: Retention = Retention { answers_s: 1 << 40, others_s: 1 << 40, bytes_max: None };
    const DAY: u64 = 24 * 3600;
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(folder.path()).expect("opens");
    assert!(snapshot(folder.path()).expect("looks").is_none(), "a box that has not run yet");
    let days: Vec<u64> = (1..=22)
        .filter(|day| {
            let id = ended(&mut store, u128::from(*day) + 1, true, true);
            store.keep_house(DAY, RETENTION).expect("keeps house");
            let Some(path) = snapshot(folder.path()).expect("copies") else { return false };
            let copy = open::existing(&path).expect("a store");
            assert_eq!(
                copy.pragma_query_value(None, "quick_check", |row| row.get::<_, String>(0)).expect("checks"),
                "ok"
            );
            let newest = copy.query_row("SELECT id FROM consult ORDER BY seq DESC LIMIT 1", [], super::id);
            assert_eq!(newest.expect("reads"), id);
            true
        })
        .collect();
    assert_eq!(days, [1, 8, 15, 22]);
    std::fs::write(folder.path().join("snapshot.sqlite"), "half of it").expect("writes");
    std::fs::write(folder.path().join("snapshot.part"), "the other half").expect("writes");
    assert!(snapshot(folder.path()).expect("copies").is_some(), "a copy that cannot be read is made anew");
    assert!(!folder.path().join("snapshot.part").exists());
}

#[test]
fn a_tablet_that_gives_no_receipts_makes_the_box_forget_no_answer_of_anothers() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(folder.path()).expect("opens");
    let mut records = Vec::new();
    for n in 0..1200 {
        let name = TabletName::new(if n < 3 { "quiet" } else { "flood" }).expect("a name");
        let Record::Accepted { id, consult, digest, bytes, at_unix_s, messages, .. } = accepted(n) else { panic!() };
        records.push(Record::Accepted { id, tablet: name.clone(), consult, digest, bytes, at_unix_s, messages });
        records.push(Record::Ended { id, tablet: name, message: b"answer".to_vec(), link: None });
    }
    store.commit(&records).expect("commits");
    let owed: Vec<u128> = store
        .recover()
        .expect("recovers")
        .iter()
        .filter_map(|record| match record {
            Record::Ended { id, .. } => Some(id.0.as_u128()),
            _ => None,
        })
        .collect();
    assert_eq!(owed.len(), 3 + OWED_OF_TABLET_MAX);
    assert!((0..3).all(|n| owed.contains(&n)), "the quiet tablet's, though they are the oldest");
    assert!((1100..1200).all(|n| owed.contains(&n)), "the newest of the flood");
}
