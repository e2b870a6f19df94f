//! What must hold beside the conversation: of files, topics, the store and the process.

use crate::{
    book::{Book, Seen},
    disk::Disk,
    shim::{Count, Shim},
    sorts::CANARIES,
    world::World,
};
use rusqlite::Connection;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Sockets, pipes, the store, its log, epoll and timers are about twenty.
const HANDLES_MAX: usize = 48;
/// It is about 20 MiB. What is measured is a leak that grows with each reconnection or request.
const MEMORY_KB_MAX: u64 = 128 * 1024;

/// P9, and what the box itself announces.
pub fn of_a_topic(topic: String, bytes: &[u8], book: &mut Book) {
    if topic.starts_with("consult/1/box/") {
        assert_eq!(planted(bytes), None, "P9: told to everybody on {topic}");
    }
    assert_eq!(planted(topic.as_bytes()), None, "P9: in a topic");
    if topic == "consult/1/box/status" {
        let status: Value = serde_json::from_slice(bytes).expect("the box speaks JSON");
        if status["state"] != "offline" && status["state"] != "stopping" {
            book.boots.insert(status["boot"].to_string());
        }
    }
    book.topics.insert(topic);
}

pub fn is_sane(daemon: u32) {
    // Root alone may count them, since the daemon is not dumpable; `world::means` says where they are not counted.
    let handles = fs::read_dir(format!("/proc/{daemon}/fd")).map(Iterator::count).unwrap_or_default();
    assert!(handles <= HANDLES_MAX, "the daemon has {handles} open files");
    let status = fs::read_to_string(format!("/proc/{daemon}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default();
    assert!(kb <= MEMORY_KB_MAX, "the daemon has {kb} KiB in memory");
}

/// Of a copy: the check must not mend what it looks at.
pub fn store_is_whole(disk: &Disk) {
    let copy = tempfile::tempdir().expect("a temporary folder");
    disk.keep(copy.path()).expect("the state folder can be copied");
    let store = Connection::open(copy.path().join("consultd.sqlite")).expect("opens");
    let said: String = store.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("checks");
    assert_eq!(said, "ok", "the store is damaged");
}

/// Each answer and each review that was heard is a link of the chain, and every link is good.
pub fn chain_is_whole(world: &World, book: &Book) {
    let mut verify = world.disk.command(env!("CARGO_BIN_EXE_consultd"));
    verify.args(["verify", "--config"]).arg(world.folder.path().join("consultd.toml"));
    let answers = book.asked.iter().filter_map(|asked| asked.heard.get("answer"));
    let reviews = book.asked.iter().flat_map(|asked| &asked.reviews).filter_map(|review| review.reply.as_ref());
    for message in answers.chain(reviews) {
        let message: Value = serde_json::from_slice(message).expect("JSON");
        let hash = message["audit"]["hash"].as_str().expect("a sealed message");
        verify.arg("--link").arg(format!("{}:{hash}", message["audit"]["seq"]));
    }
    let said = verify.output().expect("runs");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
}

/// P9: outside the state folder nothing has a word of a case. The broker's own store may hold what is undelivered.
pub fn nothing_is_told(world: &World, book: &Book) {
    let folder = world.folder.path();
    let is_ours_to_hold = |path: &Path| {
        let name = path.strip_prefix(folder).expect("below the folder").to_string_lossy().into_owned();
        ["state", "platter"].iter().any(|part| name.starts_with(part)) || name.starts_with("mosquitto.db")
    };
    let mut read = 0;
    for path in all_files(folder).into_iter().filter(|path| !is_ours_to_hold(path)) {
        read += 1;
        let Ok(bytes) = fs::read(&path) else { continue }; // a socket
        assert_eq!(planted(&bytes), None, "P9: in {}", path.display());
    }
    assert!(read >= 3, "logs are being read");
    let log = fs::read_to_string(world.log()).expect("a log");
    assert!(!log.contains("the box's key is damaged"), "the key that signs was not on the disk");
    assert!(log.contains("consultd") && !book.topics.is_empty(), "there was something to look at");
}

/// What the disk did to the daemon.
pub fn count(shim: &Shim, seen: &mut Seen) {
    let counts = [
        ("syncs", Count::Syncs),
        ("syncs failed", Count::FailedSyncs),
        ("writes failed", Count::FailedWrites),
        ("writes without room", Count::NoRoom),
    ];
    for (name, count) in counts {
        let n = shim.count(count);
        if n > 0 {
            *seen.entry(name).or_default() += n;
        }
    }
}

/// The canary found, which is safe to print.
fn planted(bytes: &[u8]) -> Option<&'static str> {
    let has = |word: &str| bytes.windows(word.len()).any(|piece| piece == word.as_bytes());
    CANARIES.into_iter().find(|word| has(word))
}

fn all_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let below = entries.flat_map(|path| if path.is_dir() { all_files(&path) } else { vec![path] });
    below.collect()
}
