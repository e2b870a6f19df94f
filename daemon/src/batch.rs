//! `consultd batch`: requests from a file, answered as the box would answer them, without a broker and without a store.
//!
//! ```text
//! standard input ──a line a request──▶ Desk ──step──▶ messages ──a line each──▶ standard output
//!                                       ▲ │
//!                                 news  │ ▼ orders
//!                                       worker
//! ```
//! For trying an adapter, a model or other rules on many cases; `adapterctl evaluate` judges what comes out. The same
//! settings, masks, rules, queue and worker as `run`. No more cases are taken than the engine serves at once, so that no
//! deadline passes in a queue.

use crate::{
    Exit,
    run::{self, Input},
    settings::{self, Settings},
    shelf, start, trace, worker,
};
use clap::Args;
use contract::{
    ids::{RequestId, TabletName},
    manifest::Calibration,
    reply::Reply,
    request::{Request, parse_request},
};
use decide::{Effect, EngineState, Event, Plan, Record, State, seal::Seal, step};
use engine::protocol::Order;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeSet,
    io::{self, BufRead, Write},
    path::PathBuf,
    time::{Duration, Instant},
};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Answers requests from the standard input, one `consult` message a line, and prints each message that a tablet would
/// get, one a line: `accepted`, `alert`, `answer`, `error`; no `progress`.
///
/// It needs no broker and keeps nothing: the answers are sealed by a key that is thrown away. A running box is not
/// disturbed but for the processor and the memory that a second model takes.
///
/// Exit status: 0 when all requests have ended, 74 when the output cannot be written, 78 when the settings are faulty.
#[derive(Args)]
pub struct Batch {
    /// Settings file (TOML) of the box; of it engine, adapters, rules and queue count.
    #[arg(long, default_value = settings::DEFAULT_PATH)]
    config: PathBuf,
    /// Asks the model of every case whose department it is, also where its word is not calibrated yet: for `adapterctl
    /// calibrate`, which wants `provenance.department_choice.probability`.
    #[arg(long)]
    ask_department: bool,
}

/// Lines that are read ahead.
const LINES_MAX: usize = 4;
/// One a millisecond: as many as anybody has.
const PER_MINUTE_MAX: u32 = 60_000;

impl Batch {
    pub fn main(self) -> Exit {
        let _trace = trace::start();
        let settings = match settings::load(&self.config) {
            Ok(settings) => settings,
            Err(faults) => {
                tracing::error!(config = %self.config.display(), "{faults}");
                return Exit::Settings;
            }
        };
        match serve(settings, self.ask_department) {
            Ok(()) => Exit::Done,
            Err(fault) => {
                tracing::error!(%fault, "cannot write the messages");
                Exit::Store
            }
        }
    }
}

/// As if there were no need to correct it.
const UNCORRECTED: Calibration = Calibration { slope: 1.0, offset: 0.0, cases: 0 };

fn serve(settings: Settings, ask_department: bool) -> io::Result<()> {
    let shelf = shelf::read(&settings);
    shelf.faults.iter().for_each(|fault| tracing::error!(fault, "an adapter is left out"));
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(io::Error::other)?;
    let mut config = start::config(&settings, &shelf, Seal::new(&secret));
    for adapter in config.departments.values_mut().filter(|_| ask_department) {
        adapter.calibration.get_or_insert(UNCORRECTED);
    }
    (config.tablet_max, config.per_minute_max) = (config.queue_max, PER_MINUTE_MAX);
    let mut state = State::new(config);
    let (orders, orders_rx) = channel(start::ORDERS_MAX);
    let mut desk = {
        let began = Instant::now();
        state.apply(&Record::Rules(start::Rules::at_start(&settings).active), run::now(began));
        Desk { state, orders, began, seen: BTreeSet::new(), out: io::stdout().lock() }
    };
    let runtime = start::runtime();
    let (inbox_tx, inbox) = channel(start::INBOX_MAX);
    let silence = Duration::from_secs(settings.silence_s_max);
    runtime.spawn(worker::supervise(start::open_order(&settings, shelf), orders_rx, inbox_tx.clone(), silence));
    runtime.spawn(start::tick(inbox_tx));
    let done = runtime.block_on(desk.work(lines(), inbox));
    runtime.shutdown_timeout(Duration::from_secs(2));
    done
}

/// The lines of the standard input, from a thread that may wait for them.
fn lines() -> Receiver<Vec<u8>> {
    let (sender, lines) = channel(LINES_MAX);
    std::thread::spawn(move || {
        for line in io::stdin().lock().split(b'\n') {
            match line {
                Ok(line) if line.trim_ascii().is_empty() => {}
                Ok(line) => {
                    if sender.blocking_send(line).is_err() {
                        return;
                    }
                }
                Err(fault) => return tracing::error!(%fault, "cannot read the standard input"),
            }
        }
    });
    lines
}

struct Desk<W> {
    state: State,
    orders: Sender<Order>,
    began: Instant,
    seen: BTreeSet<RequestId>,
    out: W,
}

impl<W: Write> Desk<W> {
    async fn work(&mut self, mut lines: Receiver<Vec<u8>>, mut inbox: Receiver<Input>) -> io::Result<()> {
        let mut more = true;
        while more || !self.state.jobs.is_empty() {
            tokio::select! {
                line = lines.recv(), if more && self.has_room() => match line {
                    Some(line) => self.take(&line)?,
                    None => more = false,
                },
                Some(input) = inbox.recv() => self.hear(input)?,
            }
        }
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.state.engine != EngineState::Starting && self.state.jobs.len() < self.state.config.jobs_max
    }

    fn take(&mut self, line: &[u8]) -> io::Result<()> {
        let tablet = TabletName::new("batch").expect("a name that the contract takes");
        let event = match run::masked(line, parse_request) {
            Ok((Request::Consult(consult), bytes)) if self.seen.insert(consult.id) => Event::Consult {
                tablet,
                consult: Box::new(consult),
                bytes,
                digest: Sha256::digest(line).into(),
                known: None,
            },
            Ok((Request::Consult(consult), _)) => {
                tracing::error!(id = %consult.id, "this id stands in an earlier line: left out");
                return Ok(());
            }
            Ok(_) => {
                tracing::error!("only `consult` can be answered here: a line is left out");
                return Ok(());
            }
            Err(refusal) => run::refused(tablet, refusal),
        };
        self.decide(event)
    }

    fn hear(&mut self, input: Input) -> io::Result<()> {
        match input {
            Input::Worker(news) => run::worker_event(news).map_or(Ok(()), |event| self.decide(event)),
            Input::Tick => self.decide(Event::Tick),
            _ => Ok(()), // nobody sends any other
        }
    }

    fn decide(&mut self, event: Event) -> io::Result<()> {
        let Plan { records, effects } = step(&mut self.state, event, run::now(self.began));
        for effect in effects {
            if let Effect::Publish { message, .. } = effect {
                self.print(&message)?;
            } else {
                run::to_the_engine(&self.orders, effect);
            }
        }
        for record in records {
            if let Record::Ended { id, .. } = record {
                self.state.apply(&Record::Received { id }, run::now(self.began));
            }
        }
        Ok(())
    }

    fn print(&mut self, message: &[u8]) -> io::Result<()> {
        if matches!(Reply::parse(message), Ok(Reply::Progress(_))) {
            return Ok(());
        }
        self.out.write_all(message)?;
        self.out.write_all(b"\n")?;
        self.out.flush()
    }
}
