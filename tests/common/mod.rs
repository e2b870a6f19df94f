//! The real parts for the tests: Mosquitto, the daemon's own binary, and a tablet. Everything lives in a
//! temporary folder, talks over a Unix socket, and ends with its owner.
#![allow(dead_code)] // each test file uses its own part

mod demo;

pub use demo::*;
use rumqttc::{
    Transport,
    v5::{
        AsyncClient, Event, MqttOptions,
        mqttbytes::{
            QoS,
            v5::{Packet, Publish, PublishProperties},
        },
    },
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Long enough for a model on two busy cores; nothing waits so long when all is well.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Ends its process with it.
pub struct Running(pub Child);

impl Running {
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}")))
    }
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

const APART: [&str; 3] = ["--user", "--map-root-user", "--mount"];

/// A clinic's box: a folder, a broker, a daemon.
pub struct Clinic {
    pub folder: TempDir,
    pub settings: PathBuf,
    pub broker: Running,
    pub daemon: Option<Running>,
}

impl Clinic {
    /// With the scripted engine; `script` is a TOML inline table.
    pub fn scripted(script: &str, more: &str) -> Self {
        Self::open(&scripted_settings(script, more))
    }

    /// Its state on a small disk of its own, which goes with it. None where this machine gives no user its own mounts.
    pub fn scripted_on_a_disk_of(size: &str, script: &str) -> Option<Self> {
        Self::scripted_on_a_disk(size, script, "exec \"$3\" run --config \"$4\"")
    }

    /// The same; when the daemon ends the disk is filled to the last byte, and the daemon started again.
    pub fn scripted_on_a_disk_that_fills(size: &str, script: &str) -> Option<Self> {
        let life = "{ setpriv --pdeathsig KILL \"$3\" run --config \"$4\"
            cat /dev/zero > \"$2/filler\" 2> /dev/null; exec \"$3\" run --config \"$4\"; }";
        Self::scripted_on_a_disk(size, script, life)
    }

    fn scripted_on_a_disk(size: &str, script: &str, life: &str) -> Option<Self> {
        let mounts = "mount -t tmpfs -o size=\"$1\" tmpfs \"$2\"";
        let tried = |folder: &Path| {
            Command::new("unshare").args(APART).args(["sh", "-c", mounts, "sh", size]).arg(folder).output()
        };
        let mut clinic = Self::scripted(script, "[queue]\nper_minute_max = 60000\n");
        clinic.kill_daemon();
        let state = clinic.folder.path().join("state");
        fs::create_dir_all(&state).expect("a folder to mount on");
        if !tried(&state).is_ok_and(|tried| tried.status.success()) {
            return None;
        }
        let log = fs::OpenOptions::new().append(true).open(clinic.log()).expect("the log file");
        let mut command = Command::new("unshare");
        let run = format!("{mounts} && {life}");
        command.args(APART).args(["sh", "-c", &run, "sh", size]).arg(&state).arg(env!("CARGO_BIN_EXE_consultd"));
        clinic.daemon = Some(Running::start(command.arg(&clinic.settings).stderr(log).stdin(Stdio::null())));
        Some(clinic)
    }

    /// The daemon's own view of its folder.
    pub fn state_inside(&self) -> PathBuf {
        let state = self.folder.path().join("state");
        Path::new(&format!("/proc/{}/root", self.daemon_pid())).join(state.strip_prefix("/").expect("from the root"))
    }

    /// The same, with somebody who may give orders.
    pub fn scripted_for(script: &str, admin: &str) -> Self {
        let mut clinic = Self::scripted(script, "");
        clinic.obeys(&[admin]);
        clinic
    }

    /// These from now on, and nobody else.
    pub fn obeys(&mut self, admins: &[&str]) {
        self.kill_daemon();
        let text = fs::read_to_string(&self.settings).expect("the settings");
        write(&self.settings, &text.replacen("[box]\n", &format!("[box]\nadmins = {admins:?}\n"), 1));
        self.start();
    }

    /// With llama.cpp, the demo model and the demo adapters.
    pub fn real(more_engine: &str) -> Self {
        let engine = format!(
            "[engine]\nmodel = {:?}\nmodel_sha256 = \"{DEMO_MODEL_SHA256}\"\ncontext_tokens = 2048\n{more_engine}\n",
            demo_model()
        );
        Self::open(&format!("{engine}{}", demo_adapters()))
    }

    pub fn open(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let broker = broker(folder.path());
        Self::open_beside(folder, broker, settings)
    }

    /// With a broker that runs already, its socket in that folder.
    pub fn open_beside(folder: TempDir, broker: Running, settings: &str) -> Self {
        let file = folder.path().join("consultd.toml");
        let head = format!(
            "[box]\nname = \"test-box\"\nstate_dir = {:?}\n[broker]\nsocket = {:?}\n",
            folder.path().join("state"),
            socket(folder.path())
        );
        write(&file, &format!("{head}{settings}"));
        let mut clinic = Self { folder, settings: file, broker, daemon: None };
        clinic.start();
        clinic
    }

    pub fn socket(&self) -> PathBuf {
        socket(self.folder.path())
    }

    pub fn start(&mut self) {
        self.start_with(&[]);
    }

    pub fn start_with(&mut self, more: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_consultd"));
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log()).expect("a log file");
        command.args(["run", "--config"]).arg(&self.settings).args(more).stderr(log).stdin(Stdio::null());
        self.daemon = Some(Running::start(&mut command));
    }

    /// Waits until the daemon listens: a resend of an unknown id is answered.
    pub fn ready(&self) -> Tablet {
        let tablet = Tablet::new(self, "ready");
        let resend = json!({"v":1,"type":"resend","id":uuid::Uuid::new_v4()}).to_string();
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            tablet.send(resend.as_bytes());
            if tablet.next(Duration::from_millis(500)).is_some() {
                return tablet;
            }
        }
        panic!("the daemon does not answer; its log:\n{}", self.log_text());
    }

    /// The status on `box/status`, once it is the wanted one.
    pub fn wait_for_status(&self, state: &str) -> Value {
        let watcher = Tablet::listen(self, "watcher", "consult/1/box/status");
        watcher
            .wait(PATIENCE, |m| m["state"] == state)
            .unwrap_or_else(|| panic!("never {state}; the daemon's log:\n{}", self.log_text()))
    }

    pub fn kill_daemon(&mut self) {
        self.daemon.take().expect("a running daemon").kill();
    }

    pub fn daemon_pid(&self) -> u32 {
        self.daemon.as_ref().expect("a running daemon").0.id()
    }

    /// The worker is the daemon's only child.
    pub fn worker_pid(&self) -> Option<u32> {
        worker_of(self.daemon_pid())
    }

    pub fn signal_worker(&self, signal: rustix::process::Signal) {
        let pid = self.worker_pid().expect("a worker");
        let pid = rustix::process::Pid::from_raw(pid as i32).expect("a process number");
        rustix::process::kill_process(pid, signal).expect("the worker can be signalled");
    }

    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
    pub fn log_text(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }
}

pub fn worker_of(daemon: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{daemon}/task/{daemon}/children")).unwrap_or_default();
    let tasks = fs::read_dir(format!("/proc/{daemon}/task")).ok()?;
    let of_tasks = tasks.flatten().filter_map(|t| fs::read_to_string(t.path().join("children")).ok());
    let all: String = std::iter::once(children).chain(of_tasks).collect::<Vec<_>>().join(" ");
    all.split_whitespace().next()?.parse().ok()
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("mqtt.sock")
}

#[allow(clippy::disallowed_methods)] // a test's own file needs no sync
pub fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("a file in the temporary folder");
}

/// The real Mosquitto, open to all on its Unix socket.
pub fn broker(folder: &Path) -> Running {
    let config = format!(
        "allow_anonymous true\nmessage_size_limit 1048576\nmax_queued_messages 10000\n\
         persistence true\npersistence_location {}/\nautosave_interval 60\nlog_dest file {}\nlog_type all\nlistener 0 {}\n",
        folder.display(),
        folder.join("broker.log").display(),
        socket(folder).display()
    );
    broker_with(folder, &config)
}

/// With another configuration. `MOSQUITTO` names another binary.
pub fn broker_with(folder: &Path, config: &str) -> Running {
    let user = String::from_utf8(Command::new("id").arg("-un").output().expect("id").stdout).expect("a name");
    let file = folder.join("mosquitto.conf");
    write(&file, &format!("user {}\n{config}", user.trim()));
    let program = std::env::var("MOSQUITTO").unwrap_or_else(|_| {
        ["/usr/sbin/mosquitto", "/opt/homebrew/sbin/mosquitto", "/usr/local/sbin/mosquitto"]
            .into_iter()
            .find(|path| Path::new(path).exists())
            .unwrap_or("mosquitto")
            .to_owned()
    });
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("broker.log")).expect("a log file");
    let running = Running::start(Command::new(program).arg("-c").arg(file).stderr(log).stdout(Stdio::null()));
    let began = Instant::now();
    while !socket(folder).exists() {
        assert!(began.elapsed() < PATIENCE, "Mosquitto does not open its socket: {}", broker_log(folder));
        std::thread::sleep(Duration::from_millis(10));
    }
    running
}

pub fn broker_log(folder: &Path) -> String {
    fs::read_to_string(folder.join("broker.log")).unwrap_or_default()
}

pub fn scripted_settings(script: &str, more: &str) -> String {
    let adapters = demo_adapters();
    format!("[engine]\nkind = \"scripted\"\nscript = {script}\nsilence_s_max = 5\n{adapters}\n{more}")
}

pub fn demo_adapters() -> String {
    adapters(&["internal", "obstetrics", "pediatrics"].map(demo_adapter))
}

/// Signed with the demonstration's key.
pub fn adapters(folders: &[PathBuf]) -> String {
    format!("[adapters]\nfolders = {folders:?}\ndemonstration = true\n")
}

/// One of `tests/cases`, with a fresh id.
pub fn case(name: &str) -> Value {
    let path = root().join("tests/cases").join(format!("{name}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut message: Value = serde_json::from_str(&text).expect("a case is JSON");
    message["id"] = json!(uuid::Uuid::new_v4());
    message
}

/// The least message that is accepted.
pub fn consult(complaint: &str) -> Value {
    json!({"v":1,"type":"consult","id":uuid::Uuid::new_v4(),"lang":"zh","department":"internal",
           "case":{"complaint":{"text":complaint}}})
}

/// A tablet: sends, and keeps everything that comes back.
pub struct Tablet {
    pub name: String,
    client: AsyncClient,
    runtime: tokio::runtime::Runtime,
    heard: Receiver<Publish>,
}

impl Tablet {
    pub fn new(clinic: &Clinic, name: &str) -> Self {
        Self::listen(clinic, name, &format!("consult/1/res/{name}"))
    }

    pub fn listen(clinic: &Clinic, name: &str, topic: &str) -> Self {
        let client_id = format!("{name}-{}", uuid::Uuid::new_v4());
        let mut options = MqttOptions::new(client_id, clinic.socket().to_string_lossy(), 0);
        options.set_transport(Transport::Unix).set_max_packet_size(Some(4 << 20));
        let (client, mut events) = AsyncClient::new(options, 1000);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (tell, heard) = channel();
        let (subscribed, is_subscribed) = channel();
        let (subscriber, topic) = (client.clone(), topic.to_owned());
        runtime.spawn(async move {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::ConnAck(_))) => {
                        subscriber.subscribe(&topic, QoS::AtLeastOnce).await.expect("subscribes");
                    }
                    Ok(Event::Incoming(Packet::SubAck(_))) => {
                        let _ = subscribed.send(());
                    }
                    Ok(Event::Incoming(Packet::Publish(publish))) => {
                        if tell.send(publish).is_err() {
                            return;
                        }
                    }
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        });
        is_subscribed.recv_timeout(PATIENCE).expect("the broker takes the subscription");
        Self { name: name.to_owned(), client, runtime, heard }
    }

    pub fn send(&self, bytes: &[u8]) {
        self.send_to("req", bytes);
    }

    pub fn send_to(&self, branch: &str, bytes: &[u8]) {
        self.send_with(PublishProperties::default(), branch, bytes);
    }

    /// With MQTT 5's properties.
    pub fn send_with(&self, properties: PublishProperties, branch: &str, bytes: &[u8]) {
        let topic = format!("consult/1/{branch}/{}", self.name);
        let sent = self.client.publish_with_properties(topic, QoS::AtLeastOnce, false, bytes.to_vec(), properties);
        self.runtime.block_on(sent).expect("the tablet's client takes it");
    }

    pub fn ask(&self, message: &Value) {
        self.send(message.to_string().as_bytes());
    }

    pub fn receipt(&self, message: &Value) {
        self.send_to("receipt", json!({"v":1,"type":"receipt","id":message["id"]}).to_string().as_bytes());
    }

    /// With its topic and its properties.
    pub fn next_publish(&self, patience: Duration) -> Option<Publish> {
        match self.heard.recv_timeout(patience) {
            Ok(publish) => Some(publish),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the tablet's client is gone"),
        }
    }

    /// The next message as its bytes.
    pub fn next_bytes(&self, patience: Duration) -> Option<Vec<u8>> {
        self.next_publish(patience).map(|publish| publish.payload.to_vec())
    }

    pub fn next(&self, patience: Duration) -> Option<Value> {
        self.next_bytes(patience).map(|bytes| parse(&bytes))
    }

    /// The first message for which `wanted` holds; others are passed over.
    pub fn wait(&self, patience: Duration, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        let began = Instant::now();
        while let Some(left) = patience.checked_sub(began.elapsed()) {
            let message = self.next(left)?;
            if wanted(&message) {
                return Some(message);
            }
        }
        None
    }

    /// Waits for the message of this type about this request.
    pub fn expect(&self, kind: &str, request: &Value) -> Value {
        self.wait(PATIENCE, |m| m["type"] == kind && m["id"] == request["id"])
            .unwrap_or_else(|| panic!("no {kind} for {}", request["id"]))
    }

    /// All messages about a request up to its answer or error.
    pub fn conversation(&self, request: &Value) -> Vec<Value> {
        let mut heard = Vec::new();
        loop {
            let message = self.next(PATIENCE).unwrap_or_else(|| panic!("no end after {heard:#?}"));
            if message["id"] != request["id"] {
                continue;
            }
            let kind = message["type"].as_str().map(str::to_owned);
            heard.push(message);
            if matches!(kind.as_deref(), Some("answer" | "error")) {
                return heard;
            }
        }
    }

    /// Whatever else comes within a moment.
    pub fn rest(&self, moment: Duration) -> Vec<Value> {
        std::iter::from_fn(|| self.next(moment)).collect()
    }
}

pub fn parse(bytes: &[u8]) -> Value {
    let text = std::str::from_utf8(bytes).expect("the box speaks UTF-8");
    assert!(!text.contains('\u{fffd}'), "a broken character: {text}");
    serde_json::from_str(text).expect("the box speaks JSON")
}

/// Checks a message against its schema.
pub fn assert_valid(message: &Value) {
    let kind = message["type"].as_str().expect("a type");
    let (_, schema) = contract::schema::all().into_iter().find(|(name, _)| *name == kind).expect("a schema");
    let validator = jsonschema::validator_for(&schema).expect("a schema is a schema");
    let faults: Vec<String> =
        validator.iter_errors(message).map(|e| format!("{} at {}", e, e.instance_path())).collect();
    assert!(faults.is_empty(), "{faults:?}\n{message:#}");
}

/// Why an answer is less than a whole one.
pub fn degraded(answer: &Value) -> Vec<&str> {
    answer["provenance"]["degraded"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The answer to each request, every one confirmed. A second answer under an id is a fault.
pub fn answers(tablet: &Tablet, requests: &[Value]) -> BTreeMap<String, Value> {
    let mut answers = BTreeMap::new();
    while answers.len() < requests.len() {
        let message = tablet.next(PATIENCE).unwrap_or_else(|| panic!("{} of {}", answers.len(), requests.len()));
        take(tablet, message, &mut answers);
    }
    tablet.rest(Duration::from_millis(500)).into_iter().for_each(|message| take(tablet, message, &mut answers));
    assert!(requests.iter().all(|request| answers.contains_key(&request["id"].to_string())));
    answers
}

fn take(tablet: &Tablet, message: Value, answers: &mut BTreeMap<String, Value>) {
    assert_ne!(message["type"], "error", "{message:#}");
    if message["type"] == "answer" {
        assert_valid(&message);
        tablet.receipt(&message);
        let doubled = answers.insert(message["id"].to_string(), message);
        assert!(doubled.is_none(), "two answers under one id: {doubled:#?}");
    }
}

/// The same numbers on every machine; a fault is found again with the same seed.
pub fn dice(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}
