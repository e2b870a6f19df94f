//! A village: the box with the broker's configuration as it ships, its authority, and who connects to it.

use super::{
    papers::{Authority, Paper},
    wire::{self, Hello, Message, Packet, V4, V5, Wire},
};
use crate::common::*;
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

/// The broker answers within milliseconds; on a busy machine within this.
const ANSWERS: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Mqtt,
    WebSocket,
}

/// Every way to speak to the broker: by both doors, in both versions.
pub const WAYS: [(Door, u8); 4] = [(Door::Mqtt, V4), (Door::Mqtt, V5), (Door::WebSocket, V4), (Door::WebSocket, V5)];

pub struct Village {
    pub clinic: Clinic,
    pub authority: Authority,
    configuration: String,
    mqtt: u16,
    websocket: u16,
}

/// What provisioning adds to the files that ship.
#[derive(Default)]
pub struct Provisions<'a> {
    pub admins: &'a [&'a str],
    /// Whom the daemon's settings call admins: it checks for itself.
    pub obeyed: &'a [&'a str],
    /// Names that may do nothing, whatever their certificate.
    pub barred: &'a [&'a str],
    pub script: &'a str,
}

impl Village {
    pub fn new() -> Self {
        Self::with(Provisions::default(), |_| Vec::new())
    }

    /// `revoked` gets the authority and says what it has taken back.
    pub fn with(provisions: Provisions, revoked: impl FnOnce(&Authority) -> Vec<Paper>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let authority = Authority::new();
        let revoked = revoked(&authority);
        let (mqtt, websocket) = (free_port(), free_port());
        let configuration = as_it_ships(folder.path(), &authority, &revoked, &provisions, [mqtt, websocket]);
        let broker = broker_with(folder.path(), &configuration);
        let script = if provisions.script.is_empty() { "{}" } else { provisions.script };
        let mut clinic = Clinic::open_beside(folder, broker, &scripted_settings(script, ""));
        if !provisions.obeyed.is_empty() {
            clinic.obeys(provisions.obeyed);
        }
        let village = Self { clinic, authority, configuration, mqtt, websocket };
        village.wait_for_the_broker();
        drop(village.clinic.ready());
        village
    }

    /// As provisioning does when tablets are lost: their names and certificates, and a restart.
    pub fn put_away(&mut self, lost: &[Paper]) {
        let rules = self.folder().join("mosquitto.acl");
        let text = fs::read_to_string(&rules).expect("the rules");
        let revoked = self.authority.revoked(&lost.iter().collect::<Vec<_>>());
        let list = self.folder().join("tls/revoked.pem");
        self.restart_the_broker(|| {
            write(&rules, &(text + &lost.iter().map(|paper| barred(&paper.name)).collect::<String>()));
            write(&list, &revoked);
        });
    }

    /// With other files.
    pub fn restart_the_broker(&mut self, change: impl FnOnce()) {
        self.clinic.broker.kill();
        fs::remove_file(self.clinic.socket()).expect("the broker's socket");
        change();
        self.clinic.broker = broker_with(self.folder(), &self.configuration);
        self.wait_for_the_broker();
        drop(self.clinic.ready());
    }

    fn wait_for_the_broker(&self) {
        for port in [self.mqtt, self.websocket] {
            wait_until("the broker listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        }
    }

    pub fn folder(&self) -> &Path {
        self.clinic.folder.path()
    }

    pub fn port(&self, door: Door) -> u16 {
        if door == Door::Mqtt { self.mqtt } else { self.websocket }
    }

    fn wire(&self, door: Door, paper: Option<&Paper>) -> std::io::Result<Wire> {
        Ok(match door {
            Door::Mqtt => Wire::new(wire::tls(self.mqtt, &self.authority, paper)?),
            Door::WebSocket => Wire::new(wire::websocket(self.websocket, &self.authority, paper)?),
        })
    }

    /// `Err` says how the broker refused.
    pub fn try_enter(&self, door: Door, paper: Option<&Paper>, hello: Hello) -> Result<Guest, String> {
        let mut wire = self.wire(door, paper).map_err(|e| e.to_string())?;
        let name = paper.map(|p| p.name.clone()).unwrap_or_default();
        wire.connect(hello);
        match wire.next(ANSWERS) {
            Some(Packet::ConnAck { code: 0 }) => Ok(Guest { name, wire, heard: VecDeque::new() }),
            other => Err(format!("{other:?}")),
        }
    }

    pub fn enter(&self, door: Door, paper: &Paper, hello: Hello) -> Guest {
        self.try_enter(door, Some(paper), hello)
            .unwrap_or_else(|e| panic!("{} is not let in: {e}; {}", paper.name, self.logs()))
    }

    /// A tablet as it should be, subscribed to what is its own.
    pub fn tablet(&self, name: &str) -> Guest {
        let mut guest = self.enter(Door::Mqtt, &self.authority.tablet(name), Hello::default());
        guest.subscribe(&format!("consult/1/res/{name}"));
        guest.subscribe("consult/1/box/#");
        guest
    }

    /// With the daemon's rights, on the Unix socket: whatever reaches a topic of ours, it hears.
    pub fn spy(&self) -> Guest {
        let mut spy = self.on_the_socket(&format!("spy-{}", uuid::Uuid::new_v4()));
        spy.subscribe("consult/1/#");
        spy
    }

    pub fn on_the_socket(&self, client_id: &str) -> Guest {
        let mut wire = Wire::new(wire::unix(&self.clinic.socket()).expect("the broker's socket"));
        wire.connect(Hello { client_id, ..Hello::default() });
        assert_eq!(wire.next(ANSWERS), Some(Packet::ConnAck { code: 0 }));
        Guest { name: client_id.to_owned(), wire, heard: VecDeque::new() }
    }

    /// `Err` names what it can do after all.
    pub fn deaf_and_mute(&self, guest: &mut Guest) -> Result<(), Vec<String>> {
        let mut spy = self.spy();
        let words: Vec<String> =
            ["req", "receipt", "review", "admin"].map(|b| format!("consult/1/{b}/{}", guest.name)).into();
        let inbox = format!("consult/1/res/{}", guest.name);
        for topic in words.iter().chain([&"consult/1/req/victim".to_owned()]) {
            guest.publish(Message { topic, payload: b"{\"mute\":false}", ..Message::default() });
        }
        for topic in [&inbox, "consult/1/box/status", "#"] {
            guest.subscribe(topic);
        }
        spy.publish(Message { topic: &inbox, payload: b"{\"deaf\":false}", ..Message::default() });
        let said = spy.heard().into_iter().filter(|(_, payload)| payload == b"{\"mute\":false}");
        let can: Vec<String> = said.chain(guest.heard()).map(|(topic, _)| topic).collect();
        if can.is_empty() { Ok(()) } else { Err(can) }
    }

    /// Open files and connections.
    pub fn broker_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.clinic.broker.0.id())).expect("a process").count()
    }

    /// How often the daemon has had to connect.
    pub fn daemon_connections(&self) -> usize {
        self.clinic.log_text().matches("connected to the broker").count()
    }

    /// Answers and reviews that the box has sealed.
    pub fn links(&self) -> usize {
        let mut verify = Command::new(env!("CARGO_BIN_EXE_consultd"));
        let said = verify.args(["verify", "--config"]).arg(&self.clinic.settings).output().expect("runs");
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let before = said.split(" links, all good").next().and_then(|before| before.rsplit([' ', '\n']).next());
        before.and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{said}"))
    }

    pub fn logs(&self) -> String {
        format!("broker: {}\ndaemon: {}", broker_log(self.folder()), self.clinic.log_text())
    }
}

/// Writes the files of `image/`, with this folder for the box's and these ports for its ports. Gives the broker's own.
fn as_it_ships(
    folder: &Path,
    authority: &Authority,
    revoked: &[Paper],
    provisions: &Provisions,
    ports: [u16; 2],
) -> String {
    let shipped = |name: &str| fs::read_to_string(root().join("image").join(name)).expect("a file that ships");
    let here = |path: &str| folder.join(path).display().to_string();
    for new in ["conf.d", "tls", "db"] {
        fs::create_dir(folder.join(new)).expect("a folder");
    }
    let moved = |name: &str, moves: &[(&str, String)]| {
        moves.iter().fold(shipped(name), |text, (from, to)| {
            assert!(text.contains(from), "{name} does not say {from}: the test would not test what ships");
            text.replace(from, to)
        })
    };
    let server = authority.server();
    let revoked: Vec<&Paper> = revoked.iter().collect();
    let admins = provisions.admins.iter().map(|a| format!("user {a}\ntopic write consult/1/admin/{a}\n"));
    let barred = provisions.barred.iter().map(|name| barred(name));
    let paths = ["/etc/mosquitto/", "/run/consultd/"].map(|from| (from, here("")));
    let database = ("/var/lib/mosquitto/", here("db/"));
    let tablets = ("listener 8883", format!("listener {} 127.0.0.1", ports[0]));
    let browsers = ("listener 8884", format!("listener {} 127.0.0.1", ports[1]));
    let files = [
        ("tls/ca.pem", authority.pem.clone()),
        ("tls/box.pem", server.certificate_pem),
        ("tls/box.key", server.key_pem),
        ("tls/revoked.pem", authority.revoked(&revoked)),
        ("mosquitto-socket.acl", shipped("mosquitto-socket.acl")),
        ("mosquitto.acl", shipped("mosquitto.acl") + &admins.chain(barred).collect::<String>()),
        ("conf.d/tablets.conf", moved("mosquitto-tablets.conf", &[paths[0].clone(), tablets])),
        ("conf.d/browsers.conf", moved("mosquitto-browsers.conf", &[paths[0].clone(), browsers])),
    ];
    files.iter().for_each(|(name, text)| write(&folder.join(name), text));
    moved("mosquitto.conf", &[paths.as_slice(), &[database]].concat())
}

/// As mosquitto.acl says that it is done.
fn barred(name: &str) -> String {
    format!("user {name}\ntopic deny #\n")
}

/// Below those that the system gives to outgoing connections, of which there are many here.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 100 * 100) as u16;
    let mut ports = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::SeqCst));
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}

pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < ANSWERS, "never so: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Somebody who has been let in.
pub struct Guest {
    pub name: String,
    pub wire: Wire,
    heard: VecDeque<(String, Vec<u8>)>,
}

/// What the broker did with a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    Taken,
    /// With a reason, which only MQTT 5 has.
    Refused(u8),
    /// And the connection closed.
    PutOut,
}

impl Guest {
    pub fn publish(&mut self, message: Message) -> Fate {
        self.wire.publish(message);
        if message.qos == 0 {
            return if self.ping() { Fate::Taken } else { Fate::PutOut };
        }
        match self.until(|packet| matches!(packet, Packet::Ack { .. })) {
            Packet::Ack { code: 0..128, .. } => Fate::Taken,
            Packet::Ack { code, .. } => Fate::Refused(code),
            _ => Fate::PutOut,
        }
    }

    pub fn subscribe(&mut self, filter: &str) {
        self.wire.subscribe(filter, 1);
        assert_eq!(self.until(|packet| matches!(packet, Packet::SubAck)), Packet::SubAck, "{filter}");
    }

    /// After it whatever the broker had for us is here. False: the connection is closed.
    pub fn ping(&mut self) -> bool {
        self.wire.ping();
        self.until(|packet| *packet == Packet::Pong) == Packet::Pong
    }

    pub fn is_in(&mut self) -> bool {
        self.ping()
    }

    /// All since the last time.
    pub fn heard(&mut self) -> Vec<(String, Vec<u8>)> {
        assert!(self.ping(), "{} is no longer connected", self.name);
        self.heard.drain(..).collect()
    }

    /// Waits for an error with this code, and for no longer than that.
    pub fn is_told(&mut self, code: &str) {
        let began = Instant::now();
        while !self.heard().iter().any(|(_, payload)| parse(payload)["code"] == code) {
            assert!(began.elapsed() < PATIENCE, "{} is never told {code}", self.name);
        }
    }

    /// What is left when the connection may be closed.
    pub fn rest(&mut self) -> Vec<(String, Vec<u8>)> {
        self.ping();
        self.heard.drain(..).collect()
    }

    /// The kind of the next acknowledgement.
    pub fn acknowledged(&mut self) -> u8 {
        match self.until(|packet| matches!(packet, Packet::Ack { .. })) {
            Packet::Ack { kind, .. } => kind,
            other => panic!("{other:?}"),
        }
    }

    fn until(&mut self, wanted: impl Fn(&Packet) -> bool) -> Packet {
        loop {
            match self.wire.next(ANSWERS) {
                Some(Packet::Publish { topic, payload }) => self.heard.push_back((topic, payload)),
                Some(gone @ Packet::Gone { .. }) => return gone,
                Some(packet) if wanted(&packet) => return packet,
                Some(_) => {}
                None => panic!("{} waits in vain", self.name),
            }
        }
    }

    pub fn ask(&mut self, request: &Value) -> Fate {
        let topic = format!("consult/1/req/{}", self.name);
        self.publish(Message { topic: &topic, payload: request.to_string().as_bytes(), ..Message::default() })
    }

    /// Waits for the message of this type about this request; with what came before it.
    pub fn expect(&mut self, kind: &str, request: &Value) -> Vec<Value> {
        self.wait(ANSWERS, kind, request).unwrap_or_else(|| panic!("{} gets no {kind}", self.name))
    }

    pub fn wait(&mut self, patience: Duration, kind: &str, request: &Value) -> Option<Vec<Value>> {
        let (began, mut passed) = (Instant::now(), Vec::new());
        loop {
            while let Some((topic, payload)) = self.heard.pop_front() {
                if !topic.starts_with("consult/1/res/") {
                    continue;
                }
                let message = parse(&payload);
                let found = message["type"] == kind && message["id"] == request["id"];
                passed.push(message);
                if found {
                    return Some(passed);
                }
            }
            match self.wire.next(patience.checked_sub(began.elapsed())?)? {
                Packet::Publish { topic, payload } => self.heard.push_back((topic, payload)),
                Packet::Gone { .. } => panic!("{} is put out", self.name),
                _ => {}
            }
        }
    }

    /// A consultation from its request to the receipt of its answer. All that came in between was about it.
    pub fn consult(&mut self) -> Value {
        let request = consult("咳嗽");
        assert_eq!(self.ask(&request), Fate::Taken);
        let passed = self.expect("answer", &request);
        assert!(passed.iter().all(|m| m["id"] == request["id"]), "{} hears of others: {passed:#?}", self.name);
        assert!(passed.iter().any(|m| m["type"] == "accepted"), "{passed:#?}");
        let topic = format!("consult/1/receipt/{}", self.name);
        let receipt = json!({"v":1,"type":"receipt","id":request["id"]}).to_string();
        self.publish(Message { topic: &topic, payload: receipt.as_bytes(), ..Message::default() });
        request
    }
}

/// Both versions of the protocol.
pub fn hello(version: u8) -> Hello<'static> {
    Hello { version, ..Hello::default() }
}
