//! The worker process: started, listened to, and started again when it dies, is silent or talks nonsense.
//! llama.cpp may end its process at any moment; nothing of that reaches the daemon but a broken pipe.

use crate::{Exit, run::Input};
use engine::{
    chain,
    frame::{self, FrameError},
    protocol::{OpenOrder, Order, Ready, Report},
};
use std::{path::PathBuf, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::mpsc::{Receiver, Sender, channel},
    time::Instant,
};

/// What the loop hears of the worker.
#[derive(Debug)]
pub enum News {
    Ready(Ready),
    Unfit,
    Died,
    Report(Report),
}

/// Time for reading and checking a large model from a slow disk.
const OPENING_MAX: Duration = Duration::from_secs(900);
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// `consultd worker`, the child's own main.
pub fn main() -> Exit {
    match engine::worker::run(std::io::stdin(), std::io::stdout()) {
        Ok(()) => Exit::Done,
        Err(fault) => {
            eprintln!("worker: {}", chain(&fault));
            Exit::Software
        }
    }
}

/// Keeps a worker alive until the loop is gone.
pub async fn supervise(open: OpenOrder, mut orders: Receiver<Order>, inbox: Sender<Input>, silence_max: Duration) {
    let mut pause = PAUSE_MIN;
    loop {
        let mut life = match Life::begin(&open).await {
            Ok(life) => life,
            Err(fault) => {
                tracing::error!(fault = %chain(&fault), "no worker; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
                continue;
            }
        };
        let end = life.live(&mut orders, &inbox, silence_max).await;
        let _ = life.child.start_kill();
        match end {
            End::LoopGone => return,
            End::Unfit(reason) => {
                tracing::error!(reason, "the engine cannot work with these settings; the rules answer alone");
                let _ = inbox.send(Input::Worker(News::Unfit)).await;
                return;
            }
            End::Died { why, served } => {
                tracing::warn!(why, served, "the worker is gone; starting another");
                if inbox.send(Input::Worker(News::Died)).await.is_err() {
                    return;
                }
                // It should be gone in a moment. One that hangs in a driver cannot be waited for.
                let _ = tokio::time::timeout(PAUSE_MAX, life.child.wait()).await;
                pause = if served > 0 { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) };
                tokio::time::sleep(pause).await;
                // Orders of the time between its death and the loop's learning of it are nobody's now.
                while orders.try_recv().is_ok() {}
            }
        }
    }
}

enum End {
    LoopGone,
    Unfit(String),
    Died { why: &'static str, served: u32 },
}

#[derive(Debug, thiserror::Error)]
enum BeginError {
    #[error("cannot start the worker process")]
    Start(#[source] std::io::Error),
    #[error("the worker ended before its first order")]
    Open(#[source] FrameError),
}

/// This very program, also after an upgrade has put another file in its place: a worker must be of its daemon's build.
fn own_program() -> std::io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
}

/// One worker from its start to its end.
struct Life {
    child: Child,
    stdin: ChildStdin,
    reports: Receiver<Report>,
}

impl Life {
    async fn begin(open: &OpenOrder) -> Result<Self, BeginError> {
        let mut child = Command::new(own_program().map_err(BeginError::Start)?)
            .arg("worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Threads that spin while they wait take the cores from broker and daemon.
            .env("OMP_WAIT_POLICY", "passive")
            // An assertion in ggml would start a debugger to print a backtrace.
            .env("GGML_NO_BACKTRACE", "1")
            .kill_on_drop(true)
            .spawn()
            .map_err(BeginError::Start)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (mut stdin, stdout) = stdin.zip(stdout).expect("both were asked for");
        send(&mut stdin, &Order::Open(open.clone())).await.map_err(BeginError::Open)?;
        let (heard, reports) = channel(64);
        tokio::spawn(listen(stdout, heard));
        Ok(Self { child, stdin, reports })
    }

    async fn live(&mut self, orders: &mut Receiver<Order>, inbox: &Sender<Input>, silence_max: Duration) -> End {
        // Forms that were ordered and not reported back yet: one, or two while a cancelled one ends.
        let (mut ready, mut ordered, mut served) = (false, 0u32, 0);
        let mut heard = Instant::now();
        loop {
            let patience = match (ready, ordered) {
                (false, _) => OPENING_MAX,
                (true, 0) => Duration::MAX,
                (true, _) => silence_max,
            };
            tokio::select! {
                report = self.reports.recv() => {
                    heard = Instant::now();
                    let news = match report {
                        None => return End::Died { why: "its pipe has closed", served },
                        Some(Report::Unfit { reason, .. }) => return End::Unfit(reason),
                        Some(Report::Beat) => continue,
                        Some(Report::Ready(facts)) => {
                            ready = true;
                            News::Ready(facts)
                        }
                        Some(report) => {
                            if matches!(report, Report::Filled { .. } | Report::Failed { .. }) {
                                ordered = ordered.saturating_sub(1);
                                served += 1;
                            }
                            News::Report(report)
                        }
                    };
                    if inbox.send(Input::Worker(news)).await.is_err() {
                        return End::LoopGone;
                    }
                }
                order = orders.recv() => {
                    let Some(order) = order else { return End::LoopGone };
                    if matches!(order, Order::Fill(_)) {
                        // Not while another is out: a worker that hangs must not be excused by new work.
                        if ordered == 0 {
                            heard = Instant::now();
                        }
                        ordered += 1;
                    }
                    // A worker that is stopped does not read; the daemon must not wait for it.
                    match tokio::time::timeout(silence_max, send(&mut self.stdin, &order)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) => return End::Died { why: "it does not take orders", served },
                        Err(_) => return End::Died { why: "it does not read", served },
                    }
                }
                () = sleep_until(heard, patience) => return End::Died { why: "it was silent for too long", served },
            }
        }
    }
}

async fn sleep_until(heard: Instant, patience: Duration) {
    match heard.checked_add(patience) {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

async fn send(stdin: &mut ChildStdin, order: &Order) -> Result<(), FrameError> {
    let frame = frame::encode(order)?;
    stdin.write_all(&frame).await.map_err(FrameError::Broken)
}

/// Reads reports until the pipe closes or holds something else. Dropping `heard` is the news of that.
async fn listen(mut stdout: ChildStdout, heard: Sender<Report>) {
    loop {
        match read(&mut stdout).await {
            Ok(report) => {
                if heard.send(report).await.is_err() {
                    return;
                }
            }
            Err(FrameError::Broken(_)) => return,
            Err(fault) => {
                tracing::error!(fault = %chain(&fault), "the worker talks nonsense");
                return;
            }
        }
    }
}

async fn read(stdout: &mut ChildStdout) -> Result<Report, FrameError> {
    let mut head = [0; 4];
    stdout.read_exact(&mut head).await.map_err(FrameError::Broken)?;
    let mut body = vec![0; frame::announced(head)?];
    stdout.read_exact(&mut body).await.map_err(FrameError::Broken)?;
    frame::decode(&body)
}
