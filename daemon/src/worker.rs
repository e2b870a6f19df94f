//! The worker process: started, listened to, and started again when it dies, is silent or talks nonsense.
//! llama.cpp may end its process at any moment; nothing of that reaches the daemon but a broken pipe.

use crate::{Exit, run::Input};
use contract::{ids::RequestId, status::Ambition};
use decide::ambition::{Means, Staircase};
use engine::{
    chain,
    frame::{self, FrameError},
    protocol::{LlamaOrder, OpenOrder, Order, Ready, Report, Residency},
};
use std::{collections::BTreeSet, path::PathBuf, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    sync::mpsc::{Receiver, Sender, channel},
    time::Instant,
};

/// What the loop hears of the worker.
#[derive(Debug)]
pub enum News {
    Ready(Ready),
    /// No worker for a while: the rules answer alone.
    Unfit,
    Died,
    /// It was ended for another one, and took no case with it.
    Replaced,
    /// Comes before the news that it belongs to.
    Ambition(Ambition),
    Report(Report),
}

/// Time for reading and checking a large model from a slow disk.
const OPENING_MAX: Duration = Duration::from_secs(900);
/// A worker that was killed should be gone in a moment. One that hangs in a driver cannot be waited for.
const GOING_MAX: Duration = Duration::from_secs(30);
/// Of what it says on stderr, in bytes; a longer line becomes several.
const LINE_MAX: u64 = 4096;

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

/// Keeps a worker alive until the loop is gone: as ambitious a one as the machine has shown that it can carry.
pub async fn supervise(open: OpenOrder, mut orders: Receiver<Order>, inbox: Sender<Input>, silence_max: Duration) {
    let clock = Clock(Instant::now());
    let mut stairs = Staircase::new(all_means(&open));
    loop {
        if !rested(&mut orders, clock.at(stairs.opens_at_ms())).await {
            return;
        }
        let end = match Life::begin(&with_means(&open, stairs.means())).await {
            Ok(mut life) => {
                let end = life.live(&mut orders, &inbox, silence_max, &mut stairs, &clock).await;
                let _ = life.child.start_kill();
                let _ = tokio::time::timeout(GOING_MAX, life.child.wait()).await;
                end
            }
            Err(fault) => End::Died { why: chain(&fault), served: 0, open: Vec::new() },
        };
        for news in what_now(end, &mut stairs, clock.now_ms()) {
            if inbox.send(Input::Worker(news)).await.is_err() {
                return;
            }
        }
    }
}

/// What the loop must know of a worker's end. Nothing, when the loop itself is gone: then nobody takes the news.
fn what_now(end: End, stairs: &mut Staircase, now_ms: u64) -> Vec<News> {
    let before = stairs.ambition();
    let died = matches!(end, End::Died { .. });
    match end {
        End::LoopGone => {}
        End::Unfit { reason, short_of_memory } => {
            stairs.unfit(short_of_memory, now_ms);
            tracing::error!(reason, short_of_memory, "the engine cannot work with these settings");
        }
        End::Died { why, served, open } => {
            stairs.died(&open, now_ms);
            tracing::warn!(why, served, "the worker is gone");
        }
        End::Climbs => stairs.climb(now_ms),
    }
    let (after, pause_ms) = (stairs.ambition(), stairs.opens_at_ms().saturating_sub(now_ms));
    if after != before || after == Ambition::RulesOnly {
        tracing::warn!(?before, ?after, pause_ms, "the next worker is asked for something else");
    }
    // A death is told as one, whatever comes of it: the cases that were open must have it on the disk.
    match (died, after == Ambition::RulesOnly) {
        (true, true) => vec![News::Died, News::Ambition(after), News::Unfit],
        (true, false) => vec![News::Ambition(after), News::Died],
        (false, true) => vec![News::Ambition(after), News::Unfit],
        (false, false) => vec![News::Ambition(after), News::Replaced],
    }
}

/// The staircase counts milliseconds and reads no clock.
struct Clock(Instant);

impl Clock {
    fn now_ms(&self) -> u64 {
        self.0.elapsed().as_millis() as u64
    }

    fn at(&self, ms: u64) -> Instant {
        self.0 + Duration::from_millis(ms)
    }
}

/// Waits for a moment; says whether the loop is still there. Orders of that time are nobody's.
async fn rested(orders: &mut Receiver<Order>, moment: Instant) -> bool {
    loop {
        tokio::select! {
            order = orders.recv() => if order.is_none() { return false },
            () = tokio::time::sleep_until(moment) => return true,
        }
    }
}

fn all_means(open: &OpenOrder) -> Means {
    match open {
        OpenOrder::Scripted(_) => Means { contexts_max: 1, gpu_layers: 0 },
        OpenOrder::Llama(order) => {
            // A department more than there are has no context, and one context for all is one.
            let contexts_max = match order.residency {
                Residency::Contexts => order.contexts_max.min(order.adapters.len()),
                Residency::Epochs => 1,
            };
            Means { contexts_max, gpu_layers: order.gpu_layers }
        }
    }
}

fn with_means(open: &OpenOrder, means: Means) -> OpenOrder {
    match open.clone() {
        OpenOrder::Llama(order) => {
            let contexts_max = order.contexts_max.min(means.contexts_max.max(1));
            OpenOrder::Llama(LlamaOrder { contexts_max, gpu_layers: means.gpu_layers, ..order })
        }
        scripted => scripted,
    }
}

enum End {
    LoopGone,
    Unfit {
        reason: String,
        short_of_memory: bool,
    },
    Died {
        why: String,
        served: u32,
        /// Forms that it had.
        open: Vec<RequestId>,
    },
    /// It served well and nothing is open: a more ambitious one may take its place.
    Climbs,
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
            .stderr(Stdio::piped()) // by way of the daemon's log, which does not wait for its reader
            .envs(engine::WORKER_ENVIRONMENT)
            .kill_on_drop(true)
            .spawn()
            .map_err(BeginError::Start)?;
        tokio::spawn(overhear(child.stderr.take().expect("it was asked for")));
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (mut stdin, stdout) = stdin.zip(stdout).expect("both were asked for");
        send(&mut stdin, &Order::Open(open.clone())).await.map_err(BeginError::Open)?;
        let (heard, reports) = channel(64);
        tokio::spawn(listen(stdout, heard));
        Ok(Self { child, stdin, reports })
    }

    async fn live(
        &mut self,
        orders: &mut Receiver<Order>,
        inbox: &Sender<Input>,
        silence_max: Duration,
        stairs: &mut Staircase,
        clock: &Clock,
    ) -> End {
        // Forms that were ordered and not reported back yet; a cancelled one is reported too, when it has ended.
        let (mut ready, mut ordered, mut served) = (false, BTreeSet::<RequestId>::new(), 0);
        let mut heard = Instant::now();
        loop {
            let patience = match (ready, ordered.len()) {
                (false, _) => OPENING_MAX,
                (true, 0) => Duration::MAX,
                (true, _) => silence_max,
            };
            let climb = stairs.climbs_at_ms().filter(|_| ordered.is_empty()).map(|ms| clock.at(ms));
            tokio::select! {
                report = self.reports.recv() => {
                    heard = Instant::now();
                    let news = match report {
                        None => return died("its pipe has closed", served, ordered),
                        Some(Report::Unfit { reason, short_of_memory }) => return End::Unfit { reason, short_of_memory },
                        Some(Report::Beat) => continue,
                        Some(Report::Ready(facts)) => {
                            ready = true;
                            stairs.ready(facts.layers_offloaded, clock.now_ms());
                            if inbox.send(Input::Worker(News::Ambition(stairs.ambition()))).await.is_err() {
                                return End::LoopGone;
                            }
                            News::Ready(facts)
                        }
                        Some(report) => {
                            if let Report::Filled { job, .. } | Report::Failed { job, .. } = &report {
                                ordered.remove(job);
                                served += 1;
                            }
                            if matches!(report, Report::Filled { .. }) {
                                stairs.served(clock.now_ms());
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
                    if !ready {
                        continue; // meant for the worker before this one, whose end the loop had not heard of
                    }
                    if let Order::Fill(fill) = &order {
                        // Not while another is out: a worker that hangs must not be excused by new work.
                        if ordered.is_empty() {
                            heard = Instant::now();
                        }
                        ordered.insert(fill.job);
                    }
                    // A worker that is stopped does not read; the daemon must not wait for it.
                    match tokio::time::timeout(silence_max, send(&mut self.stdin, &order)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) => return died("it does not take orders", served, ordered),
                        Err(_) => return died("it does not read", served, ordered),
                    }
                }
                () = sleep_until(heard.checked_add(patience)) => return died("it was silent for too long", served, ordered),
                () = sleep_until(climb) => return End::Climbs,
            }
        }
    }
}

fn died(why: &str, served: u32, open: BTreeSet<RequestId>) -> End {
    End::Died { why: why.to_owned(), served, open: open.into_iter().collect() }
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
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

/// Always read, or the worker would wait for somebody who does.
async fn overhear(stderr: ChildStderr) {
    let (mut stderr, mut line) = (BufReader::new(stderr), Vec::new());
    while (&mut stderr).take(LINE_MAX).read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
        tracing::info!("worker: {}", String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}

async fn read(stdout: &mut ChildStdout) -> Result<Report, FrameError> {
    let mut head = [0; 4];
    stdout.read_exact(&mut head).await.map_err(FrameError::Broken)?;
    let mut body = vec![0; frame::announced(head)?];
    stdout.read_exact(&mut body).await.map_err(FrameError::Broken)?;
    frame::decode(&body)
}
