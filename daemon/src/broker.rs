//! The broker link: the only place that knows rumqttc, so that a fork can replace it.
//!
//! MQTT carries, it does not remember: what must not be lost is in the store, and is sent until its receipt comes.
//! A message is acknowledged by hand, after the commit.

use crate::{run::Input, ways::Way};
use contract::{
    ids::TabletName,
    info::BoxInfo,
    load::BoxLoad,
    status::{BoxState, BoxStatus},
    topic,
    words::{StatusType, V1},
};
use rumqttc::{
    Outgoing, Transport,
    v5::{
        AsyncClient, Event, EventLoop, MqttOptions,
        mqttbytes::{
            QoS,
            v5::{Filter, LastWill, Packet, Publish, PublishProperties, SubscribeReasonCode},
        },
    },
};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc::Sender;

/// Largest packet taken from the broker. Larger than the contract's limit on messages, so that a message
/// over it arrives and gets its `too_large` instead of silence; the broker's own limit is a little lower.
const PACKET_BYTES_MAX: u32 = 2 * 1024 * 1024;
/// Requests that the broker may have handed over and we have not yet committed.
const UNACKNOWLEDGED_MAX: u16 = 64;
/// Messages on their way out. Sum: 64 acknowledgements, and 32 cases with a few messages each, several times over.
const OUTGOING_MAX: usize = 1024;
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The library can hang on a stalled socket in spite of its keep-alive; then the connection is thrown away.
const STALLED_AFTER: Duration = Duration::from_secs(45);
/// Echoes missed, one per keep-alive, until the connection counts as deaf: it pings, and brings nothing.
const ECHOES_MISSED_MAX: u32 = 2;

/// Proof that a message came in, to be given back once it is on the disk. Of one connection: after a reconnect
/// the same packet number means another message, so an acknowledgement of an earlier connection is not sent.
#[derive(Debug)]
pub struct Ack {
    publish: Publish,
    connection: u32,
}

/// What the loop holds of the broker.
pub struct Link {
    client: AsyncClient,
    connection: Arc<AtomicU32>,
    up: Arc<AtomicBool>,
}

impl Link {
    /// Hands a message to the broker's link. Lost if the link is down or full: whoever must not lose it sends again.
    /// While it is down nothing is kept, or there would be no room for the subscription when it is up again.
    pub fn publish(&self, tablet: &TabletName, way: Way, message: Vec<u8>) {
        let properties =
            PublishProperties { correlation_data: way.correlation.map(Into::into), ..PublishProperties::default() };
        self.send(way.topic.unwrap_or_else(|| topic::response(tablet)), false, properties, message);
    }

    pub fn status(&self, status: &BoxStatus) {
        let message = serde_json::to_vec(status).expect("a status serialises");
        self.send(topic::BOX_STATUS.to_owned(), true, PublishProperties::default(), message);
    }

    /// A hint that is soon another: lost, it is not missed.
    pub fn load(&self, load: &BoxLoad) -> bool {
        let message = serde_json::to_vec(load).expect("a load serialises");
        self.up.load(Ordering::SeqCst)
            && self.client.try_publish(topic::BOX_LOAD, QoS::AtMostOnce, true, message).is_ok()
    }

    /// Says whether it is on its way; nobody repeats it but the loop.
    pub fn info(&self, info: &BoxInfo) -> bool {
        let message = serde_json::to_vec(info).expect("an info serialises");
        self.send(topic::BOX_INFO.to_owned(), true, PublishProperties::default(), message)
    }

    /// Whether the link has taken it.
    fn send(&self, topic: String, retain: bool, properties: PublishProperties, message: Vec<u8>) -> bool {
        let up = self.up.load(Ordering::SeqCst);
        let publish =
            || self.client.try_publish_with_properties(topic, QoS::AtLeastOnce, retain, message, properties).is_ok();
        let taken = up && publish();
        if up && !taken {
            tracing::warn!("the way to the broker is full; a message waits for its repetition");
        }
        taken
    }

    pub fn acknowledge(&self, ack: &Ack) {
        if ack.connection == self.connection.load(Ordering::SeqCst) && self.client.try_ack(&ack.publish).is_err() {
            tracing::warn!("the way to the broker is full; a request will come once more");
        }
    }

    pub fn disconnect(&self) {
        let _ = self.client.try_disconnect();
    }
}

/// No tablet's name holds a slash, and a tablet's client id is its name: none can take the daemon's session.
fn client_id(name: &str) -> String {
    format!("box/{name}")
}

/// Makes the link and the future that keeps it alive.
pub fn connect(
    socket: &Path,
    name: &str,
    boot: String,
    inbox: Sender<Input>,
) -> (Link, impl Future<Output = ()> + use<>) {
    let mut options = MqttOptions::new(client_id(name), socket.to_string_lossy(), 0);
    options
        .set_transport(Transport::Unix)
        .set_keep_alive(KEEP_ALIVE)
        .set_manual_acks(true)
        // The session outlives a restart of ours: requests wait in the broker meanwhile.
        .set_clean_start(false)
        .set_session_expiry_interval(Some(7 * 24 * 3600))
        .set_receive_maximum(Some(UNACKNOWLEDGED_MAX))
        .set_max_packet_size(Some(PACKET_BYTES_MAX));
    let (client, events) = AsyncClient::new(options, OUTGOING_MAX);
    let connection = Arc::new(AtomicU32::new(0));
    let up = Arc::new(AtomicBool::new(false));
    let link = Link { client: client.clone(), connection: connection.clone(), up: up.clone() };
    (link, keep(events, client, connection, up, boot, inbox))
}

async fn keep(
    mut events: EventLoop,
    client: AsyncClient,
    connection: Arc<AtomicU32>,
    up: Arc<AtomicBool>,
    boot: String,
    inbox: Sender<Input>,
) {
    let mut failures = 0u32;
    let mut echoes_missed = 0u32;
    loop {
        let this = connection.load(Ordering::SeqCst);
        if !up.load(Ordering::SeqCst) {
            events.options.set_last_will(will(&boot, this + 1));
        }
        match tokio::time::timeout(STALLED_AFTER, events.poll()).await {
            Ok(Ok(Event::Incoming(Packet::ConnAck(_)))) => {
                failures = 0;
                echoes_missed = 0;
                connection.store(this + 1, Ordering::SeqCst);
                if !subscribe(&client) {
                    // What was under way at the last connection left no room. A box that does not hear is worse than
                    // a new connection, before which this makes room.
                    events.clean();
                    continue;
                }
                up.store(true, Ordering::SeqCst);
                tracing::info!(connection = this + 1, "connected to the broker");
                if inbox.send(Input::Connected { connection: this + 1 }).await.is_err() {
                    return;
                }
            }
            Ok(Ok(Event::Incoming(Packet::Publish(publish)))) if publish.topic == topic::BOX_ECHO => echoes_missed = 0,
            Ok(Ok(Event::Outgoing(Outgoing::PingReq))) if echoes_missed > ECHOES_MISSED_MAX => {
                tracing::warn!("the connection to the broker brings nothing; making a new one");
                up.store(false, Ordering::SeqCst);
                events.clean();
                echoes_missed = 0;
            }
            // Behind the ping, so that it is counted only while the connection seems alive.
            Ok(Ok(Event::Outgoing(Outgoing::PingReq))) => {
                let sent = client.try_publish(topic::BOX_ECHO, QoS::AtMostOnce, false, "");
                echoes_missed += u32::from(sent.is_ok());
            }
            Ok(Ok(Event::Incoming(Packet::Publish(publish)))) => {
                let input = Input::Message { ack: Ack { publish, connection: this } };
                if inbox.send(input).await.is_err() {
                    return;
                }
            }
            Ok(Ok(Event::Incoming(Packet::SubAck(answer)))) => {
                if answer.return_codes.iter().any(|code| !matches!(code, SubscribeReasonCode::Success(_))) {
                    tracing::error!(codes = ?answer.return_codes, "the broker refuses the subscription: its access rules are wrong");
                    failures = 5;
                    let _ = client.try_disconnect();
                }
            }
            Ok(Ok(_)) => {}
            Ok(Err(fault)) => {
                up.store(false, Ordering::SeqCst);
                if failures == 0 {
                    tracing::warn!(fault = %engine::chain(&fault), "no connection to the broker; trying again");
                }
                failures += 1;
                tokio::time::sleep(Duration::from_millis(100 << failures.min(5))).await;
            }
            Err(_) => {
                tracing::warn!("the connection to the broker has stalled; making a new one");
                up.store(false, Ordering::SeqCst);
                events.clean();
            }
        }
    }
}

/// False when there is no room on the way to the broker.
fn subscribe(client: &AsyncClient) -> bool {
    let filters = [topic::REQUESTS, topic::RECEIPTS, topic::REVIEWS, topic::ADMINS, topic::BOX_ECHO]
        .map(|path| Filter::new(path, QoS::AtLeastOnce));
    client.try_subscribe_many(filters).is_ok()
}

/// What the broker says of us when we are gone without a word.
fn will(boot: &str, connection: u32) -> LastWill {
    let status = BoxStatus {
        v: V1,
        kind: StatusType::Word,
        state: BoxState::Offline,
        boot: boot.to_owned(),
        connection,
        departments: Vec::new(),
        reasons: Vec::new(),
        ambition: None,
    };
    let message = serde_json::to_vec(&status).expect("a status serialises");
    LastWill::new(topic::BOX_STATUS, message, QoS::AtLeastOnce, true, None)
}

impl Ack {
    pub fn topic(&self) -> &str {
        std::str::from_utf8(&self.publish.topic).unwrap_or_default()
    }
    pub fn payload(&self) -> &[u8] {
        &self.publish.payload
    }
    /// By the broker, for those who subscribe later: it is not of this moment.
    pub fn was_kept(&self) -> bool {
        self.publish.retain
    }
    pub fn way(&self, tablet: &TabletName) -> Way {
        let properties = self.publish.properties.as_ref();
        Way::wanted(
            tablet,
            properties.and_then(|p| p.response_topic.as_deref()),
            properties.and_then(|p| p.correlation_data.as_deref()),
        )
    }
}
