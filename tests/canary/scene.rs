//! A box that talks as much as it can, with a witness of all that is said and a look into every corner afterwards.

use crate::{
    common::*,
    words::{holds, planted, secret},
};
use age::x25519::Identity;
use rumqttc::v5::mqttbytes::v5::Publish;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

/// The tablet that plants, and the admin.
pub const WARD: &str = "ward";
pub const COUNTY: &str = "county";
/// What may hold words of a case: a message to the tablet that said them.
const MAY_TELL: [&str; 4] = ["alert", "progress", "answer", "reviewed"];
/// What a tablet itself publishes.
const SAID: [&str; 4] = ["req", "review", "receipt", "admin"];

pub struct Scene {
    pub clinic: Clinic,
    witness: Tablet,
}

impl Scene {
    pub fn new(script: &str) -> Self {
        let region = Identity::generate().to_public();
        let mut clinic = Clinic::scripted(script, &format!("[export]\nrecipients = [\"{region}\"]"));
        clinic.kill_daemon();
        let text = fs::read_to_string(&clinic.settings).expect("the settings");
        write(&clinic.settings, &text.replacen("[box]\n", &format!("[box]\nadmins = [{COUNTY:?}]\n"), 1));
        for corner in ["here", "tmp"] {
            fs::create_dir(clinic.folder.path().join(corner)).expect("a folder");
        }
        let witness = Tablet::listen(&clinic, "witness", "#");
        let mut scene = Self { clinic, witness };
        scene.start();
        drop(scene.clinic.ready());
        scene
    }

    /// It hears its whole branch.
    pub fn tablet(&self, name: &str) -> Tablet {
        Tablet::listen(&self.clinic, name, &format!("consult/1/res/{name}/#"))
    }

    /// With a log that says all that it can, and places for what a careless program leaves behind.
    fn command(&self) -> Command {
        let folder = self.clinic.folder.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_consultd"));
        command.env("CONSULTD_LOG", "trace").env("RUST_BACKTRACE", "full").env("TMPDIR", folder.join("tmp"));
        command.current_dir(folder.join("here")).stdin(Stdio::null());
        command
    }

    pub fn start(&mut self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.clinic.log()).expect("a log file");
        let mut command = self.command();
        command
            .args(["run", "--config"])
            .arg(&self.clinic.settings)
            .stderr(log.try_clone().expect("a file"))
            .stdout(log);
        self.clinic.daemon = Some(Running::start(&mut command));
    }

    /// Another command, beside the daemon. What it prints goes to a technician, who may know of no case.
    pub fn run(&self, name: &str, more: &[&str]) -> Output {
        let output =
            self.command().args([name, "--config"]).arg(&self.clinic.settings).args(more).output().expect("runs");
        for said in [&output.stdout, &output.stderr] {
            assert_eq!(planted(said), None, "printed by {name}");
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(said));
        }
        output
    }

    pub fn is_with_the_engine(&self, request: &Value) {
        let id = request["id"].as_str().expect("an id");
        let began = Instant::now();
        while !self.clinic.log_text().lines().any(|line| line.contains("to the engine") && line.contains(id)) {
            assert!(began.elapsed() < PATIENCE, "never with the engine: {}", self.clinic.log_text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Looks into every corner but the store, which must hold these marks.
    pub fn nothing_is_told(&self, marks: &[String]) {
        self.processes_tell_nothing();
        let heard: Vec<Publish> =
            std::iter::from_fn(|| self.witness.next_publish(Duration::from_millis(500))).collect();
        assert!(heard.iter().any(|it| it.topic.starts_with(b"consult/1/res/")), "there was something to hear");
        heard.iter().for_each(of_a_message);
        let late = Tablet::listen(&self.clinic, "late", "#");
        while let Some(kept) = late.next_publish(Duration::from_millis(300)) {
            assert!(!kept.retain || kept.topic.starts_with(b"consult/1/box/"), "kept by the broker: {:?}", kept.topic);
            of_a_message(&kept);
        }
        self.store_holds(marks);
        self.files_tell_nothing();
    }

    pub fn processes_tell_nothing(&self) {
        let daemon = self.clinic.daemon_pid();
        for pid in [Some(daemon), self.clinic.worker_pid()].into_iter().flatten() {
            let of = PathBuf::from(format!("/proc/{pid}"));
            let threads =
                fs::read_dir(of.join("task")).into_iter().flatten().flatten().map(|it| it.path().join("comm"));
            for path in ["cmdline", "environ", "comm"].map(|name| of.join(name)).into_iter().chain(threads) {
                // Not there on a Mac, and root's alone is as good as empty.
                assert_eq!(planted(&fs::read(&path).unwrap_or_default()), None, "in {}", path.display());
            }
        }
    }

    fn files_tell_nothing(&self) {
        let folder = self.clinic.folder.path();
        let mut looked_at = Vec::new();
        for path in all_files(folder) {
            let name = path.strip_prefix(folder).expect("below the folder").display().to_string();
            let Ok(bytes) = fs::read(&path) else { continue }; // a socket
            assert_eq!(planted(name.as_bytes()), None, "in a file's name");
            let of_the_store = ["state/consultd.sqlite", "state/snapshot.sqlite"].iter().any(|s| name.starts_with(s));
            match name.starts_with("mosquitto.db") {
                true => {} // what is under way, as it was sent
                false if of_the_store => assert_eq!(secret(&bytes), None, "in {name}"),
                false => assert_eq!(planted(&bytes), None, "in {name}"),
            }
            looked_at.push(name);
        }
        for file in ["log", "broker.log", "state/consultd.sqlite"] {
            assert!(looked_at.iter().any(|name| name == file), "{file} is not among {looked_at:?}");
        }
        // Else this would be a look at a silent daemon.
        let log = self.clinic.log_text();
        assert!([" INFO ", "refused a message", "to the engine"].iter().any(|it| log.contains(it)), "{log}");
    }

    /// Row by row: a page's end may lie inside a word.
    fn store_holds(&self, marks: &[String]) {
        let path = self.clinic.folder.path().join("state/consultd.sqlite");
        let store = rusqlite::Connection::open(path).expect("opens");
        let all = "SELECT request FROM consult UNION ALL SELECT body FROM message UNION ALL SELECT body FROM review
                   UNION ALL SELECT reply FROM review";
        let mut rows = store.prepare(all).expect("a query");
        let rows = rows.query_map([], |row| row.get::<_, Option<Vec<u8>>>(0)).expect("rows");
        let all: Vec<u8> = rows.flat_map(|row| row.expect("a row").unwrap_or_default()).collect();
        assert_eq!(secret(&all), None, "in the store");
        for mark in marks {
            assert!(holds(&all, mark), "{mark} is not in the store: was it looked for in the right place?");
        }
    }
}

fn of_a_message(publish: &Publish) {
    let topic = String::from_utf8_lossy(&publish.topic).into_owned();
    assert_eq!(planted(topic.as_bytes()), None, "in a topic");
    if SAID.iter().any(|branch| topic.starts_with(&format!("consult/1/{branch}/"))) {
        return;
    }
    let kind = serde_json::from_slice::<Value>(&publish.payload).map(|m| m["type"].as_str().map(str::to_owned));
    let kind = kind.ok().flatten().unwrap_or_default();
    let home = format!("consult/1/res/{WARD}");
    let may_tell = (topic == home || topic.starts_with(&format!("{home}/"))) && MAY_TELL.contains(&kind.as_str());
    let found = if may_tell { secret(&publish.payload) } else { planted(&publish.payload) };
    assert_eq!(found, None, "in {kind:?} on {topic}");
}

fn all_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { all_files(&path) } else { vec![path] }).collect()
}
