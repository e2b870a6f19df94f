//! MQTT by hand, over TLS, WebSocket or the Unix socket, in 3.1.1 and in 5. A library keeps its user from saying most
//! of what a hostile tablet says: another's client id, a topic alias where none is allowed, half a packet.

use super::papers::{Authority, Paper};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring, pki_types::ServerName};
use std::{
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

pub const V4: u8 = 4; // MQTT 3.1.1
pub const V5: u8 = 5;

/// How long a connection waits for one more byte before it looks at the clock again.
const GLANCE: Duration = Duration::from_millis(5);
const HANDSHAKE: Duration = Duration::from_secs(10);

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A connection that carries MQTT packets.
pub struct Wire {
    stream: Box<dyn Stream>,
    heard: Vec<u8>,
    pub version: u8,
    last_id: u16,
}

/// The first packet.
#[derive(Clone, Copy)]
pub struct Hello<'a> {
    pub version: u8,
    pub client_id: &'a str,
    pub clean: bool,
    pub keep_alive_s: u16,
    pub user: Option<&'a str>,
    pub will: Option<Message<'a>>,
}

impl Default for Hello<'_> {
    fn default() -> Self {
        Self { version: V5, client_id: "any", clean: true, keep_alive_s: 60, user: None, will: None }
    }
}

#[derive(Clone, Copy)]
pub struct Message<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    pub qos: u8,
    pub retain: bool,
    /// As bytes, MQTT 5 only.
    pub properties: &'a [u8],
}

impl Default for Message<'_> {
    fn default() -> Self {
        Self { topic: "", payload: b"", qos: 1, retain: false, properties: &[] }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum Packet {
    ConnAck {
        code: u8,
    },
    Publish {
        topic: String,
        payload: Vec<u8>,
    },
    /// PUBACK, PUBREC, PUBCOMP: what became of a message of ours.
    Ack {
        kind: u8,
        code: u8,
    },
    SubAck,
    Pong,
    /// The connection is closed; in MQTT 5 perhaps with a reason.
    Gone {
        code: Option<u8>,
    },
}

pub const NOT_AUTHORIZED: u8 = 135;
pub const TOO_LARGE: u8 = 149;
pub const PUBREC: u8 = 5;
pub const PUBCOMP: u8 = 7;

pub fn unix(socket: &Path) -> io::Result<Box<UnixStream>> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(GLANCE))?;
    Ok(Box::new(stream))
}

pub type Tls = StreamOwned<ClientConnection, TcpStream>;

pub fn tls(port: u16, authority: &Authority, paper: Option<&Paper>) -> io::Result<Box<Tls>> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der.clone()).expect("an authority");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_root_certificates(roots);
    let config = match paper {
        Some(paper) => config.with_client_auth_cert(vec![paper.certificate.clone()], paper.key()).expect("a pair"),
        None => config.with_no_client_auth(),
    };
    let name = ServerName::try_from("localhost").expect("a name");
    let mut connection = ClientConnection::new(Arc::new(config), name).expect("a TLS client");
    let mut tcp = TcpStream::connect(("127.0.0.1", port))?;
    tcp.set_nodelay(true)?;
    tcp.set_read_timeout(Some(HANDSHAKE))?;
    connection.complete_io(&mut tcp)?;
    tcp.set_read_timeout(Some(GLANCE))?;
    Ok(Box::new(StreamOwned::new(connection, tcp)))
}

/// The same through a browser's door.
pub fn websocket(port: u16, authority: &Authority, paper: Option<&Paper>) -> io::Result<Box<Frames>> {
    let mut stream = tls(port, authority, paper)?;
    stream.write_all(
        b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
          Sec-WebSocket-Protocol: mqtt\r\n\r\n",
    )?;
    let (mut head, began) = (Vec::new(), Instant::now());
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            Ok(_) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(e) if e.kind() == ErrorKind::WouldBlock && began.elapsed() < HANDSHAKE => {}
            Err(e) => return Err(e),
        }
    }
    if !head.starts_with(b"HTTP/1.1 101") {
        return Err(io::Error::other(String::from_utf8_lossy(&head).into_owned()));
    }
    Ok(Box::new(Frames { stream, raw: Vec::new(), ready: Vec::new() }))
}

/// WebSocket frames: one for each write; on reading they are joined.
pub struct Frames {
    stream: Box<Tls>,
    raw: Vec<u8>,
    ready: Vec<u8>,
}

impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut frame = vec![0x82]; // final, binary
        match bytes.len() {
            n @ 0..126 => frame.push(0x80 | n as u8),
            n @ 126..65536 => frame.extend([0x80 | 126, (n >> 8) as u8, n as u8]),
            n => {
                frame.push(0x80 | 127);
                frame.extend((n as u64).to_be_bytes());
            }
        }
        frame.extend([0; 4]); // a mask of zeros changes nothing
        frame.extend(bytes);
        self.stream.write_all(&frame)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Read for Frames {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.ready.is_empty() {
            let mut more = [0; 4096];
            match self.stream.read(&mut more)? {
                0 => return Ok(0),
                n => self.raw.extend(&more[..n]),
            }
            while let Some((kind, payload, rest)) = frame(&self.raw) {
                if kind == 8 {
                    return Ok(0); // goodbye
                }
                self.ready.extend(payload);
                self.raw = rest.to_vec();
            }
        }
        let n = into.len().min(self.ready.len());
        into[..n].copy_from_slice(&self.ready[..n]);
        self.ready.drain(..n);
        Ok(n)
    }
}

/// The first frame: its kind, its payload, and what follows. A server does not mask.
fn frame(raw: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (head, length) = match raw.get(1)? & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes(raw.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(raw.get(2..10)?.try_into().ok()?) as usize),
        n => (2, usize::from(n)),
    };
    Some((raw[0] & 0x0f, raw.get(head..head + length)?, &raw[head + length..]))
}

impl Wire {
    pub fn new(stream: Box<impl Read + Write + Send + 'static>) -> Self {
        Self { stream, heard: Vec::new(), version: V5, last_id: 0 }
    }

    /// A write to a closed connection fails; that it is closed is then read, too.
    pub fn raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).and_then(|()| self.stream.flush());
    }

    fn packet(&mut self, first: u8, body: &[u8]) {
        let mut bytes = vec![first];
        bytes.extend(length(body.len()));
        bytes.extend(body);
        self.raw(&bytes);
    }

    pub fn connect(&mut self, hello: Hello) {
        self.version = hello.version;
        let will = hello.will.map_or(0, |w| 4 | w.qos << 3 | u8::from(w.retain) << 5);
        let flags = u8::from(hello.clean) << 1 | will | u8::from(hello.user.is_some()) << 7;
        let mut body = [text("MQTT"), vec![hello.version, flags]].concat();
        body.extend(hello.keep_alive_s.to_be_bytes());
        if hello.version == V5 {
            // A session that outlives its connection, where none is to be thrown away.
            body.extend(if hello.clean { vec![0] } else { vec![5, 0x11, 0, 0, 0xff, 0xff] });
        }
        body.extend(text(hello.client_id));
        if let Some(will) = hello.will {
            if hello.version == V5 {
                body.push(0);
            }
            body.extend(text(will.topic));
            body.extend((will.payload.len() as u16).to_be_bytes());
            body.extend(will.payload);
        }
        body.extend(hello.user.map(text).unwrap_or_default());
        self.packet(0x10, &body);
    }

    pub fn publish(&mut self, message: Message) -> u16 {
        self.last_id = self.last_id % u16::MAX + 1;
        let mut body = text(message.topic);
        if message.qos > 0 {
            body.extend(self.last_id.to_be_bytes());
        }
        if self.version == V5 {
            body.extend(length(message.properties.len()));
            body.extend(message.properties);
        }
        body.extend(message.payload);
        self.packet(0x30 | message.qos << 1 | u8::from(message.retain), &body);
        self.last_id
    }

    pub fn release(&mut self, id: u16) {
        self.packet(0x62, &id.to_be_bytes());
    }

    pub fn subscribe(&mut self, filter: &str, qos: u8) {
        self.last_id = self.last_id % u16::MAX + 1;
        let mut body = self.last_id.to_be_bytes().to_vec();
        if self.version == V5 {
            body.push(0);
        }
        body.extend(text(filter));
        body.push(qos);
        self.packet(0x82, &body);
    }

    pub fn ping(&mut self) {
        self.packet(0xc0, &[]);
    }

    /// The next packet; messages at QoS 1 are acknowledged.
    pub fn next(&mut self, patience: Duration) -> Option<Packet> {
        let began = Instant::now();
        loop {
            if let Some((first, body, rest)) = whole(&self.heard) {
                let (body, rest) = (body.to_vec(), rest.to_vec());
                self.heard = rest;
                return Some(self.read(first, &body));
            }
            let mut more = [0; 16384];
            match self.stream.read(&mut more) {
                Ok(0) => return Some(Packet::Gone { code: None }),
                Ok(n) => self.heard.extend(&more[..n]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if began.elapsed() > patience {
                        return None;
                    }
                }
                Err(_) => return Some(Packet::Gone { code: None }),
            }
        }
    }

    fn read(&mut self, first: u8, body: &[u8]) -> Packet {
        match first >> 4 {
            2 => Packet::ConnAck { code: body[1] },
            3 => {
                let topic_end = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
                let mut at = topic_end;
                if first & 0x06 != 0 {
                    self.packet(0x40, &body[at..at + 2]);
                    at += 2;
                }
                if self.version == V5 {
                    let (length, bytes) = length_of(&body[at..]).expect("properties");
                    at += bytes + length;
                }
                let topic = String::from_utf8_lossy(&body[2..topic_end]).into_owned();
                Packet::Publish { topic, payload: body[at..].to_vec() }
            }
            kind @ 4..=7 => Packet::Ack { kind, code: body.get(2).copied().unwrap_or(0) },
            9 => Packet::SubAck,
            13 => Packet::Pong,
            14 => Packet::Gone { code: Some(body.first().copied().unwrap_or(0)) },
            other => panic!("a packet of kind {other} from the broker"),
        }
    }
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

/// MQTT 5 properties: a user property, correlation data, an answer's topic.
pub fn properties(response_topic: &str) -> Vec<u8> {
    let user = [vec![0x26], text("tablet"), text("victim")].concat();
    [user, vec![0x09], text("correlation"), vec![0x08], text(response_topic)].concat()
}

pub fn topic_alias(alias: u16) -> Vec<u8> {
    [&[0x23], &alias.to_be_bytes()[..]].concat()
}

fn length(mut n: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (n & 0x7f) as u8;
        n >>= 7;
        bytes.push(if n > 0 { low | 0x80 } else { low });
        if n == 0 {
            return bytes;
        }
    }
}

/// A length, and how many bytes it takes.
fn length_of(bytes: &[u8]) -> Option<(usize, usize)> {
    let used = bytes.iter().take(4).position(|b| b & 0x80 == 0)? + 1;
    Some((bytes[..used].iter().rev().fold(0, |n, b| n << 7 | usize::from(b & 0x7f)), used))
}

fn whole(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (length, used) = length_of(bytes.get(1..)?)?;
    let body = bytes.get(1 + used..1 + used + length)?;
    Some((bytes[0], body, &bytes[1 + used + length..]))
}
