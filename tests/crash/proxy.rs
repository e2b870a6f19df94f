//! The line between consultd and the broker, with weather.
//!
//! ```text
//!   consultd ──▶ daemon.sock ═══ pump ═══▶ mqtt.sock     fair     as it comes
//!            ◀──             ◀══ pump ═══                stalled  nothing moves, nothing is lost
//!                                                        deaf     taken and thrown away, until the line is cut
//!                                                        slow     each piece waits
//!                                                        torn     so many bytes more, then cut
//! ```

use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    runtime::Handle,
    sync::watch,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    Fair,
    Stalled,
    Deaf,
    Slow { ms: u64 },
    Torn { bytes: usize },
}

#[derive(Debug, Clone, Copy)]
struct Sky {
    weather: Weather,
    /// A line of an earlier number is dead.
    cuts: u32,
}

pub struct Proxy {
    sky: watch::Sender<Sky>,
}

impl Proxy {
    pub fn open(runtime: &Handle, at: &Path, to: PathBuf) -> Self {
        let (sky, seen) = watch::channel(Sky { weather: Weather::Fair, cuts: 0 });
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(at).expect("a socket in the temporary folder")
        };
        runtime.spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(line(near, to.clone(), seen.clone()));
            }
        });
        Self { sky }
    }

    pub fn weather(&self, weather: Weather) {
        self.sky.send_modify(|sky| sky.weather = weather);
    }

    pub fn cut(&self) {
        self.sky.send_modify(|sky| sky.cuts += 1);
    }
}

async fn line(near: UnixStream, to: PathBuf, mut sky: watch::Receiver<Sky>) {
    let Ok(far) = UnixStream::connect(to).await else { return };
    let born = sky.borrow().cuts;
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    tokio::select! {
        () = pump(near_in, far_out, sky.clone()) => {}
        () = pump(far_in, near_out, sky.clone()) => {}
        _ = sky.wait_for(|sky| sky.cuts != born) => {}
    }
}

/// Ends with either side. Small pieces, so that a cut finds messages in the middle.
async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut sky: watch::Receiver<Sky>) {
    let mut piece = [0; 1500];
    let mut spoiled = false;
    while let Ok(n @ 1..) = from.read(&mut piece).await {
        if sky.wait_for(|sky| sky.weather != Weather::Stalled).await.is_err() {
            return;
        }
        let weather = sky.borrow().weather;
        spoiled |= weather == Weather::Deaf;
        match weather {
            _ if spoiled => continue, // a stream with a hole in it is never whole again
            Weather::Slow { ms } => tokio::time::sleep(Duration::from_millis(ms)).await,
            Weather::Torn { bytes } => {
                let _ = to.write_all(&piece[..n.min(bytes)]).await;
                return;
            }
            Weather::Fair | Weather::Stalled | Weather::Deaf => {}
        }
        if to.write_all(&piece[..n]).await.is_err() {
            return;
        }
    }
}
