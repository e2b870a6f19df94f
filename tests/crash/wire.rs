//! A tablet's connection to the broker, and that of whoever listens.

use rumqttc::{
    Transport,
    v5::{
        AsyncClient, Event, EventLoop, MqttOptions,
        mqttbytes::{QoS, v5::Packet},
    },
};
use std::{path::Path, sync::mpsc::Sender, time::Duration};
use tokio::{runtime::Handle, task::JoinHandle};

#[derive(Debug)]
pub enum Heard {
    /// And subscribed.
    Connected,
    Lost,
    Message {
        topic: String,
        bytes: Vec<u8>,
    },
}

pub struct Wire {
    client: AsyncClient,
    task: JoinHandle<()>,
}

impl Wire {
    /// `mark` comes back with all that is heard.
    pub fn join(runtime: &Handle, socket: &Path, topic: &str, mark: usize, tell: Sender<(usize, Heard)>) -> Self {
        let mut options = MqttOptions::new(format!("t-{}", uuid::Uuid::new_v4()), socket.to_string_lossy(), 0);
        options.set_transport(Transport::Unix).set_max_packet_size(Some(4 << 20));
        let (client, events) = AsyncClient::new(options, 1000);
        let task = runtime.spawn(keep(events, client.clone(), topic.to_owned(), mark, tell));
        Self { client, task }
    }

    /// Lost where there is no connection; whoever must not lose it sends again.
    pub fn send(&self, topic: String, bytes: Vec<u8>) {
        let _ = self.client.try_publish(topic, QoS::AtLeastOnce, false, bytes);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep(mut events: EventLoop, client: AsyncClient, topic: String, mark: usize, tell: Sender<(usize, Heard)>) {
    loop {
        let heard = match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                let _ = client.try_subscribe(&topic, QoS::AtLeastOnce);
                continue;
            }
            Ok(Event::Incoming(Packet::SubAck(_))) => Heard::Connected,
            Ok(Event::Incoming(Packet::Publish(publish))) => Heard::Message {
                topic: String::from_utf8_lossy(&publish.topic).into_owned(),
                bytes: publish.payload.to_vec(),
            },
            Ok(_) => continue,
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Heard::Lost
            }
        };
        if tell.send((mark, heard)).is_err() {
            return;
        }
    }
}
