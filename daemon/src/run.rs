//! The loop: take what waits, decide each, write all records in one transaction, then act. It is the only reader
//! of the clocks, and it waits for nothing but its inbox and the disk.
//!
//! ```text
//! broker ──┐                         ┌─▶ store (commit)      then:
//! worker ──┼─▶ inbox ─▶ decide::step ┤                        acknowledge, publish, order
//! ticks ───┘                         └─▶ effects
//! ```

use crate::{
    Exit,
    broker::{self, Ack, Link},
    settings::{self, EngineSettings, Settings},
    shelf::{self, Shelf},
    store::{Store, StoreError},
    trace,
    worker::{self, News},
};
use contract::{
    ids::RequestId,
    request::{Refusal, Request, parse_receipt, parse_request},
    status::{BoxState, BoxStatus, StatusReason},
    topic::{self, Inbound},
    words::{StatusType, V1},
};
use decide::{
    Config, Effect, EngineState, Event, FillFacts, FormLine, Known, Now, Plan, Record, State, rules::RuleSet, step,
};
use engine::protocol::{FillOrder, LlamaOrder, OpenOrder, Order, Report};
use sha2::{Digest, Sha256};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
    sync::mpsc::{Receiver, Sender, channel},
};

/// What can wake the loop.
#[derive(Debug)]
pub enum Input {
    Message { ack: Ack },
    Connected { connection: u32 },
    Worker(News),
    Tick,
    Stop,
}

/// Events decided before one sync. More would make the first of them wait longer than the sync itself takes.
const BATCH_MAX: usize = 64;
/// Inbox: a broker's worth of unacknowledged requests, a worker's reports, ticks.
const INBOX_MAX: usize = 256;
/// Orders to the worker: one job and a cancellation, several times over.
const ORDERS_MAX: usize = 64;
const TICK: Duration = Duration::from_millis(250);

pub fn main(config: &Path) -> Exit {
    trace::start();
    let settings = match settings::load(config) {
        Ok(settings) => settings,
        Err(faults) => {
            tracing::error!(config = %config.display(), "{faults}");
            return Exit::Settings;
        }
    };
    // A bad adapter takes its department away and nothing else: no answer is worse than the rules'.
    let shelf = shelf::read(&settings);
    shelf.faults.iter().for_each(|fault| tracing::error!(fault, "an adapter is left out"));
    match serve(settings, shelf) {
        Ok(()) => Exit::Done,
        Err(fault) => {
            tracing::error!(fault = %engine::chain(&fault), "stopping: without its store the box can promise nothing");
            Exit::Store
        }
    }
}

pub fn check(config: &Path) -> Exit {
    let shelf = settings::load(config).map(|settings| shelf::read(&settings));
    let faults = match shelf {
        Ok(shelf) if shelf.faults.is_empty() => {
            let departments: Vec<&str> = shelf.departments.keys().map(|d| &**d).collect();
            println!("{}: good; departments: {}", config.display(), departments.join(", "));
            return Exit::Done;
        }
        Ok(shelf) => settings::Faults(shelf.faults),
        Err(faults) => faults,
    };
    eprintln!("{}: {faults}", config.display());
    Exit::Settings
}

fn serve(settings: Settings, shelf: Shelf) -> Result<(), StoreError> {
    let store = Store::open(&settings.state_dir)?;
    RuleSet::builtin(); // compiled now, not while the first patient waits
    let began = Instant::now();
    let adapter_refused = !shelf.faults.is_empty();
    let mut state = State::new(config(&settings, &shelf));
    let owed = store.recover()?;
    owed.iter().for_each(|record| state.apply(record, now(began)));
    tracing::info!(
        unfinished = state.jobs.len(),
        unreceived = state.owed.len(),
        "consultd {} starts",
        env!("CARGO_PKG_VERSION")
    );

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime needs a thread and an epoll, and a machine without these runs nothing");
    let boot = uuid::Uuid::new_v4().to_string();
    let (inbox_tx, inbox) = channel(INBOX_MAX);
    let (orders, orders_rx) = channel(ORDERS_MAX);
    let (link, kept) = {
        let _inside = runtime.enter();
        broker::connect(&settings.broker_socket, &settings.name, boot.clone(), inbox_tx.clone())
    };
    runtime.spawn(kept);
    let silence = Duration::from_secs(settings.silence_s_max);
    runtime.spawn(worker::supervise(open_order(&settings, shelf), orders_rx, inbox_tx.clone(), silence));
    runtime.spawn(tick(inbox_tx.clone()));
    runtime.spawn(wait_for_stop(inbox_tx));

    let mut service = Loop { state, store, link, orders, began, boot, connection: 0, adapter_refused };
    let end = service.run(inbox);
    service.stop(&runtime);
    runtime.shutdown_timeout(Duration::from_secs(2));
    end
}

fn config(settings: &Settings, shelf: &Shelf) -> Config {
    let (base_sha256, scripted) = match &settings.engine {
        EngineSettings::Llama(llama) => (Some(llama.model_sha256.clone()), false),
        EngineSettings::Scripted(_) => (None, true),
    };
    Config {
        box_name: settings.name.clone(),
        daemon: env!("CARGO_PKG_VERSION").to_owned(),
        base_sha256,
        departments: shelf.departments.clone(),
        scripted,
        queue_max: settings.queue_max,
        deaths_max: settings.deaths_max,
        attempts_max: settings.attempts_max,
    }
}

fn open_order(settings: &Settings, shelf: Shelf) -> OpenOrder {
    match settings.engine.clone() {
        EngineSettings::Scripted(script) => OpenOrder::Scripted(script),
        EngineSettings::Llama(llama) => OpenOrder::Llama(LlamaOrder {
            model: llama.model,
            model_sha256: llama.model_sha256,
            prompt_format: llama.prompt_format,
            adapters: shelf.files,
            context_tokens: llama.context_tokens,
            contexts_max: llama.contexts_max,
            threads: llama.threads,
            gpu_layers: llama.gpu_layers,
        }),
    }
}

async fn tick(inbox: Sender<Input>) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        interval.tick().await;
        // A full inbox has more urgent things, and each of them makes the loop look at the clock.
        if let Err(tokio::sync::mpsc::error::TrySendError::Closed(_)) = inbox.try_send(Input::Tick) {
            return;
        }
    }
}

async fn wait_for_stop(inbox: Sender<Input>) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::warn!("cannot listen for signals; SIGTERM will end the daemon without a farewell");
        return;
    };
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    let _ = inbox.send(Input::Stop).await;
}

/// The only place where the clocks are read.
#[allow(clippy::disallowed_methods)]
fn now(began: Instant) -> Now {
    let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Now { mono_ms: began.elapsed().as_millis() as u64, unix_s: unix.as_secs() }
}

struct Loop {
    state: State,
    store: Store,
    link: Link,
    orders: Sender<Order>,
    began: Instant,
    boot: String,
    connection: u32,
    adapter_refused: bool,
}

/// What a batch of inputs has come to.
#[derive(Default)]
struct Batch {
    records: Vec<Record>,
    effects: Vec<Effect>,
    acks: Vec<Ack>,
}

impl Loop {
    fn run(&mut self, mut inbox: Receiver<Input>) -> Result<(), StoreError> {
        while let Some(first) = inbox.blocking_recv() {
            let mut batch = Batch::default();
            let waiting = std::iter::once(first).chain(std::iter::from_fn(|| inbox.try_recv().ok()));
            for input in waiting.take(BATCH_MAX) {
                if matches!(input, Input::Stop) {
                    return self.finish(batch);
                }
                self.take(input, &mut batch)?;
            }
            self.finish(batch)?;
        }
        Ok(())
    }

    fn take(&mut self, input: Input, batch: &mut Batch) -> Result<(), StoreError> {
        let event = match input {
            Input::Message { ack } => {
                let event = self.message(&ack, batch)?;
                batch.acks.push(ack);
                event
            }
            Input::Connected { connection } => {
                self.connection = connection;
                Some(Event::Connected)
            }
            Input::Worker(news) => worker_event(news),
            Input::Tick => Some(Event::Tick),
            Input::Stop => None,
        };
        if let Some(event) = event {
            let Plan { records, effects } = step(&mut self.state, event, now(self.began));
            batch.records.extend(records);
            batch.effects.extend(effects);
        }
        Ok(())
    }

    /// A message from a tablet, as an event. Nothing that a tablet can send is an error of ours.
    fn message(&mut self, ack: &Ack, batch: &mut Batch) -> Result<Option<Event>, StoreError> {
        let bytes = ack.payload();
        Ok(match topic::inbound(ack.topic()) {
            Some(Inbound::Request(tablet)) => Some(match parse_request(bytes) {
                Ok(Request::Consult(consult)) => Event::Consult {
                    tablet,
                    known: self.known(consult.id, batch)?,
                    consult: Box::new(consult),
                    bytes: bytes.to_vec(),
                    digest: Sha256::digest(bytes).into(),
                },
                Ok(Request::Resend(resend)) => {
                    Event::Resend { tablet, id: resend.id, known: self.known(resend.id, batch)? }
                }
                Err(refusal) => refused(tablet, refusal),
            }),
            Some(Inbound::Receipt(tablet)) => Some(match parse_receipt(bytes) {
                Ok(receipt) => Event::Receipt { tablet, id: receipt.id, known: self.known(receipt.id, batch)? },
                Err(refusal) => refused(tablet, refusal),
            }),
            None => None,
        })
    }

    /// What the store knows of an id. What this batch holds of it must be on the disk before that is asked.
    fn known(&mut self, id: RequestId, batch: &mut Batch) -> Result<Option<Known>, StoreError> {
        if batch.records.iter().any(|record| record.concerns(id)) {
            self.finish(std::mem::take(batch))?;
        }
        self.store.known(id)
    }

    /// First the records, then the sync, then the acts.
    fn finish(&mut self, batch: Batch) -> Result<(), StoreError> {
        self.store.commit(&batch.records)?;
        batch.acks.iter().for_each(|ack| self.link.acknowledge(ack));
        batch.effects.into_iter().try_for_each(|effect| self.perform(effect))
    }

    fn perform(&self, effect: Effect) -> Result<(), StoreError> {
        match effect {
            Effect::Publish { tablet, message } => self.link.publish(topic::response(&tablet), message),
            Effect::PublishStored { tablet, id } => {
                for message in self.store.messages(id)? {
                    self.link.publish(topic::response(&tablet), message);
                }
            }
            Effect::PublishAnswer { tablet, id } => {
                if let Some(message) = self.store.answer(id)? {
                    self.link.publish(topic::response(&tablet), message);
                }
            }
            Effect::Fill { id, department, lang, case } => {
                tracing::info!(%id, %department, "to the engine");
                self.order(Order::Fill(Box::new(FillOrder { job: id, department, lang, case: *case })));
            }
            Effect::Cancel { id } => self.order(Order::Cancel { job: id }),
            Effect::Status => self.link.status(&self.status()),
        }
        Ok(())
    }

    fn order(&self, order: Order) {
        if self.orders.try_send(order).is_err() {
            // The supervisor reads always; if it does not, the deadline answers from the rules.
            tracing::error!("the worker's supervisor does not take orders");
        }
    }

    fn status(&self) -> BoxStatus {
        let (state, reason) = match (self.state.engine, self.state.config.scripted) {
            (EngineState::Ready, false) => (BoxState::Online, None),
            (EngineState::Ready, true) => (BoxState::Degraded, Some(StatusReason::ScriptedEngine)),
            (EngineState::Starting, _) => (BoxState::Degraded, Some(StatusReason::EngineStarting)),
            (EngineState::Restarting, _) => (BoxState::Degraded, Some(StatusReason::EngineRestarting)),
            (EngineState::Unfit, _) => (BoxState::Degraded, Some(StatusReason::EngineFailed)),
        };
        BoxStatus {
            v: V1,
            kind: StatusType::Word,
            state,
            boot: self.boot.clone(),
            connection: self.connection,
            departments: self.state.config.departments.keys().map(|d| d.to_string()).collect(),
            reasons: reason.into_iter().chain(self.adapter_refused.then_some(StatusReason::AdapterRefused)).collect(),
        }
    }

    /// Says goodbye. What is unfinished is on the disk and will be taken up at the next start.
    fn stop(&self, runtime: &Runtime) {
        tracing::info!(unfinished = self.state.jobs.len(), "consultd stops");
        self.link.status(&BoxStatus { state: BoxState::Stopping, reasons: Vec::new(), ..self.status() });
        self.link.disconnect();
        // The link writes in its own time; a moment is enough for a status, and nothing is lost without it.
        runtime.block_on(async { tokio::time::sleep(Duration::from_millis(200)).await });
    }
}

fn refused(tablet: contract::ids::TabletName, refusal: Refusal) -> Event {
    tracing::info!(%tablet, code = ?refusal.code, pointer = refusal.pointer, "refused a message");
    Event::Refused { tablet, refusal }
}

fn worker_event(news: News) -> Option<Event> {
    Some(match news {
        News::Ready(ready) => {
            tracing::info!(devices = ?ready.devices, params = ready.model_params, bytes = ready.model_bytes, "the worker is ready");
            Event::Engine(EngineState::Ready)
        }
        News::Unfit => Event::Engine(EngineState::Unfit),
        News::Died => Event::WorkerDied,
        News::Report(report) => return report_event(report),
    })
}

fn report_event(report: Report) -> Option<Event> {
    match report {
        Report::Section { job, section, lines } => {
            let lines = lines.into_iter().map(|l| FormLine { text: l.text, logprob: l.logprob }).collect();
            Some(Event::Section { job, section, lines })
        }
        Report::Filled { job, stats } => {
            log_filled(job, &stats);
            let facts = FillFacts {
                tokens_read: stats.tokens_read,
                tokens_written: stats.tokens_written,
                case_cut: stats.case_cut,
            };
            Some(Event::Filled { job, facts })
        }
        Report::Failed { job, fault } => {
            tracing::warn!(id = %job, %fault, "the engine did not fill the form");
            Some(Event::FillFailed { job })
        }
        Report::Ready(_) | Report::Unfit { .. } | Report::Beat => None, // the supervisor's own
    }
}

fn log_filled(id: RequestId, stats: &engine::protocol::FillStats) {
    let per_s = |tokens: u32, ms: u64| f64::from(tokens) * 1000.0 / ms.max(1) as f64;
    tracing::info!(
        %id,
        tokens_read = stats.tokens_read,
        read_ms = stats.read_ms,
        tokens_written = stats.tokens_written,
        write_ms = stats.write_ms,
        written_per_s = format!("{:.1}", per_s(stats.tokens_written, stats.write_ms)),
        "form filled"
    );
}
