//! The loop: take what waits, decide each, write all records in one transaction, then act. It is the only reader
//! of the wall clock, and it waits for nothing but its inbox and the disk.
//!
//! ```text
//! broker ──┐                         ┌─▶ store (commit)      then:
//! worker ──┼─▶ inbox ─▶ decide::step ┤                        acknowledge, publish, order
//! ticks ───┤                         └─▶ effects
//! heat  ───┘
//! ```

use crate::{
    broker::{Ack, Link},
    info,
    reserve::Reserve,
    settings::Retention,
    store::{Store, StoreError},
    ways::Ways,
    worker::News,
};
use contract::{
    ids::{RequestId, TabletName},
    info::{BoxInfo, MachineInfo},
    load::{BoxLoad, TemperatureClass},
    mask,
    request::{Refusal, Request, parse_admin, parse_receipt, parse_request, parse_review},
    status::{Ambition, BoxState, BoxStatus, StatusReason},
    topic::{self, Inbound},
    words::{LoadType, StatusType, V1},
};
use decide::{
    Config, Effect, EngineState, Event, FillFacts, FormLine, Known, Now, Plan, Record, State, Written, rules::RuleSet,
    step,
};
use engine::protocol::{self, FillOrder, Order, Report};
use sha2::{Digest, Sha256};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    runtime::Runtime,
    sync::mpsc::{Receiver, Sender},
};

/// What can wake the loop.
#[derive(Debug)]
pub enum Input {
    Message {
        ack: Ack,
    },
    Connected {
        connection: u32,
    },
    Worker(News),
    Machine(MachineInfo),
    /// The folder of rules has changed: to these, or to what is none.
    Rules(Option<Arc<RuleSet>>),
    Tick,
    Stop,
}

/// Events decided before one sync. More would make the first of them wait longer than the sync itself takes.
const BATCH_MAX: usize = 64;

/// Rarely enough for the disk, often enough that a box which is cut off every hour counts its hours.
const KEEP_EVERY_S: u64 = 600;

const LOAD_PAUSE: Duration = Duration::from_secs(1);

/// The only place where the wall clock is read, and where the time of a decision comes from.
#[allow(clippy::disallowed_methods)]
pub fn now(began: Instant) -> Now {
    let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Now { mono_ms: began.elapsed().as_millis() as u64, unix_s: unix.as_secs() }
}

pub struct Loop {
    state: State,
    store: Store,
    reserve: Reserve,
    link: Link,
    ways: Ways,
    orders: Sender<Order>,
    began: Instant,
    connection: u32,
    troubles: Troubles,
    ambition: Ambition,
    info: BoxInfo,
    /// What everybody has heard of `info`, since the last connection.
    told: Option<BoxInfo>,
    told_load: (Option<BoxLoad>, Instant),
    retention: Retention,
    /// Seconds since the start that the store has counted.
    kept_s: Option<u64>,
}

/// What is kept, what is kept free for it, and for how long.
pub struct Disk {
    pub store: Store,
    pub reserve: Reserve,
    pub retention: Retention,
}

/// What the status says of, besides the engine.
pub struct Troubles {
    /// An adapter was left out, by the shelf or by the worker.
    pub adapter_refused: bool,
    pub store_replaced: bool,
    pub rules_refused: bool,
}

/// What a batch of inputs has come to.
#[derive(Default)]
struct Batch {
    records: Vec<Record>,
    effects: Vec<Effect>,
    acks: Vec<Ack>,
    /// Something may have come that `box/info` says.
    of_the_box: bool,
}

impl Loop {
    /// Takes up what the store holds: the state is what it was before the restart.
    pub fn begin(
        config: Config,
        rules: Arc<RuleSet>,
        Disk { mut store, reserve, retention }: Disk,
        link: Link,
        orders: Sender<Order>,
        boot: String,
        troubles: Troubles,
    ) -> Result<Self, StoreError> {
        let began = Instant::now();
        let info = info::begin(&config, boot);
        let mut state = State::new(config);
        state.apply(&Record::Rules(rules), now(began)); // before the cases that they judge
        store.recover()?.iter().for_each(|record| state.apply(record, now(began)));
        tracing::info!(
            unfinished = state.jobs.len(),
            unreceived = state.owed.len(),
            "consultd {} starts",
            env!("CARGO_PKG_VERSION")
        );
        Ok(Self {
            state,
            store,
            reserve,
            link,
            ways: Ways::default(),
            orders,
            began,
            connection: 0,
            troubles,
            ambition: Ambition::Full,
            info,
            told: None,
            told_load: (None, began),
            retention,
            kept_s: None,
        })
    }

    pub fn run(&mut self, mut inbox: Receiver<Input>) -> Result<(), StoreError> {
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
                if let Some((tablet, id)) = event.as_ref().and_then(said_by) {
                    if id.is_none() {
                        // What is said to one such message must not go the way of the next.
                        self.finish(std::mem::take(batch))?;
                    }
                    self.ways.keep(tablet, id, ack.way(tablet));
                }
                batch.acks.push(ack);
                event
            }
            Input::Connected { connection } => {
                self.connection = connection;
                self.told = None; // the broker may have lost what it was to keep
                self.told_load.0 = None;
                batch.of_the_box = true;
                Some(Event::Connected)
            }
            Input::Worker(news) => {
                batch.of_the_box |= !matches!(news, News::Report(_));
                self.hear(&news);
                worker_event(news)
            }
            Input::Rules(rules) => {
                self.troubles.rules_refused = rules.is_none();
                batch.effects.push(Effect::Status);
                rules.map(|rules| {
                    tracing::info!(?rules, "other rules judge from now on");
                    Event::Rules(rules)
                })
            }
            Input::Machine(machine) => {
                batch.of_the_box = true;
                self.info.machine = machine;
                self.keep_house()?;
                Some(Event::Storage { full: !self.reserve.is_there() })
            }
            Input::Tick => Some(Event::Tick),
            Input::Stop => None,
        };
        if let Some(event) = event {
            self.decide(event, batch);
        }
        Ok(())
    }

    fn decide(&mut self, event: Event, batch: &mut Batch) {
        let Plan { records, effects } = step(&mut self.state, event, now(self.began));
        records.iter().for_each(log_record);
        batch.records.extend(records);
        batch.effects.extend(effects);
    }

    /// At the start, and then when enough time has passed to be worth a sync.
    fn keep_house(&mut self) -> Result<(), StoreError> {
        let ran_s = self.began.elapsed().as_secs();
        if self.kept_s.is_some_and(|kept_s| ran_s < kept_s + KEEP_EVERY_S) {
            return Ok(());
        }
        match self.store.keep_house(ran_s - self.kept_s.unwrap_or(0), self.retention) {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, "deleted cases that were kept for long enough"),
            Err(fault) if fault.is_disk_full() => tracing::warn!("no room to delete what was kept for long enough"),
            Err(fault) => return Err(fault),
        }
        self.kept_s = Some(ran_s);
        Ok(())
    }

    /// What the box says of its engine, and no longer than there is that engine.
    fn hear(&mut self, news: &News) {
        match news {
            News::Ready(ready) => {
                self.troubles.adapter_refused |= !ready.refused.is_empty();
                self.info.departments = info::departments(&self.state.config, &ready.refused);
                self.info.engine = Some(info::engine(&self.state.config, ready));
            }
            News::Ambition(ambition) => self.ambition = *ambition,
            News::Unfit | News::Died | News::Replaced => self.info.engine = None,
            News::Report(_) => {}
        }
    }

    /// A message from a tablet, as an event. Nothing that a tablet can send is an error of ours.
    fn message(&mut self, ack: &Ack, batch: &mut Batch) -> Result<Option<Event>, StoreError> {
        let bytes = ack.payload();
        Ok(match topic::inbound(ack.topic()) {
            Some(Inbound::Request(tablet)) => Some(match masked(bytes, parse_request) {
                Ok((Request::Consult(consult), kept)) => Event::Consult {
                    tablet,
                    known: self.known(consult.id, batch)?,
                    consult: Box::new(consult),
                    bytes: kept,
                    // Of what was sent: the same bytes again are the same request.
                    digest: Sha256::digest(bytes).into(),
                },
                Ok((Request::Cancel(cancel), _)) => {
                    Event::Cancel { tablet, id: cancel.id, known: self.known(cancel.id, batch)? }
                }
                Ok((Request::Resend(resend), _)) => {
                    Event::Resend { tablet, id: resend.id, known: self.known(resend.id, batch)? }
                }
                Err(refusal) => refused(tablet, refusal),
            }),
            Some(Inbound::Receipt(tablet)) => Some(match parse_receipt(bytes) {
                Ok(receipt) => Event::Receipt { tablet, id: receipt.id, known: self.known(receipt.id, batch)? },
                Err(refusal) => refused(tablet, refusal),
            }),
            Some(Inbound::Review(tablet)) => Some(match masked(bytes, parse_review) {
                Ok((review, kept)) => Event::Review {
                    tablet,
                    known: self.known(review.id, batch)?,
                    said: self.store.said_to(review.id, &kept)?,
                    review: Box::new(review),
                    bytes: kept,
                },
                Err(refusal) => refused(tablet, refusal),
            }),
            // It was obeyed when it came, and would be again at each connection: a box that is held for ever.
            Some(Inbound::Admin(name)) if ack.was_kept() => {
                tracing::warn!(%name, "an order that the broker kept is not obeyed again");
                None
            }
            Some(Inbound::Admin(name)) => Some(match parse_admin(bytes) {
                Ok(admin) => {
                    tracing::info!(%name, command = ?admin.command, "an order");
                    Event::Admin { name, admin }
                }
                Err(refusal) => refused(name, refusal),
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
        let mut spent = false;
        if let Err(fault) = self.store.commit(&batch.records) {
            if !fault.is_disk_full() || !self.reserve.spend() {
                return Err(fault);
            }
            // Nothing of the failed transaction is on the disk. There is room for it now, and for the ends of what is open.
            tracing::error!("the disk is full: the disk's reserve is spent, and new cases are refused");
            self.store.commit(&batch.records)?;
            spent = true;
        }
        batch.acks.iter().for_each(|ack| self.link.acknowledge(ack));
        batch.effects.into_iter().try_for_each(|effect| self.perform(effect))?;
        if batch.of_the_box {
            self.tell_info();
        }
        self.tell_load();
        if spent {
            let mut more = Batch::default();
            self.decide(Event::Storage { full: true }, &mut more);
            return self.finish(more);
        }
        Ok(())
    }

    /// When it has changed, and at most once a second: with a full queue it changes all the time.
    fn tell_load(&mut self) {
        let (queue, running, eta_s) = decide::load(&self.state);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let load = BoxLoad {
            v: V1,
            kind: LoadType::Word,
            boot: self.info.boot.clone(),
            queue: count(queue),
            running: count(running),
            eta_s: eta_s.map(|s| u32::try_from(s).unwrap_or(u32::MAX)),
            temperature: self.info.machine.temperature_c.map(TemperatureClass::of),
        };
        let (told, at) = &self.told_load;
        if told.as_ref() != Some(&load) && at.elapsed() >= LOAD_PAUSE && self.link.load(&load) {
            self.told_load = (Some(load), Instant::now());
        }
    }

    /// What the link does not take now is told with the next look at the machine.
    fn tell_info(&mut self) {
        if decide::info::worth_telling(self.told.as_ref(), &self.info) && self.link.info(&self.info) {
            self.told = Some(self.info.clone());
        }
    }

    fn perform(&self, effect: Effect) -> Result<(), StoreError> {
        match effect {
            Effect::Publish { tablet, message } => self.publish(&tablet, message),
            Effect::PublishStored { tablet, id } => {
                self.store.messages(id)?.into_iter().for_each(|message| self.publish(&tablet, message));
            }
            Effect::PublishAnswer { tablet, id } => {
                if let Some(message) = self.store.answer(id)? {
                    self.publish(&tablet, message);
                }
            }
            Effect::Status => self.link.status(&self.status()),
            order @ (Effect::Fill { .. } | Effect::Cancel { .. }) => to_the_engine(&self.orders, order),
        }
        Ok(())
    }

    fn publish(&self, tablet: &TabletName, message: Vec<u8>) {
        self.link.publish(tablet, self.ways.of(tablet, &message), message);
    }

    fn status(&self) -> BoxStatus {
        let reduced = !matches!(self.ambition, Ambition::Full | Ambition::RulesOnly);
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
            state: if self.state.held_until_ms.is_some() { BoxState::Updating } else { state },
            boot: self.info.boot.clone(),
            connection: self.connection,
            departments: self.state.config.departments.keys().map(|d| d.to_string()).collect(),
            reasons: reason
                .into_iter()
                .chain(self.troubles.adapter_refused.then_some(StatusReason::AdapterRefused))
                .chain(self.troubles.rules_refused.then_some(StatusReason::RulesRefused))
                .chain(self.troubles.store_replaced.then_some(StatusReason::StoreReplaced))
                .chain(self.state.storage_full.then_some(StatusReason::StorageFull))
                .chain(reduced.then_some(StatusReason::EngineReduced))
                .collect(),
            ambition: Some(self.ambition),
        }
    }

    /// Says goodbye. What is unfinished is on the disk and will be taken up at the next start.
    pub fn stop(&self, runtime: &Runtime) {
        tracing::info!(unfinished = self.state.jobs.len(), "consultd stops");
        self.link.status(&BoxStatus {
            state: BoxState::Stopping,
            reasons: Vec::new(),
            ambition: None,
            ..self.status()
        });
        self.link.disconnect();
        // The link writes in its own time; a moment is enough for a status, and nothing is lost without it.
        runtime.block_on(async { tokio::time::sleep(Duration::from_millis(200)).await });
    }
}

/// An effect that is the engine's, given to its supervisor. Others are left.
pub fn to_the_engine(orders: &Sender<Order>, effect: Effect) {
    let order = match effect {
        Effect::Fill { id, department, lang, class, deadline_ms, questions, case } => {
            tracing::info!(%id, %department, class, "to the engine");
            let questions = questions.into_iter().map(asked).collect();
            Order::Fill(Box::new(FillOrder { job: id, department, lang, class, deadline_ms, questions, case: *case }))
        }
        Effect::Cancel { id } => Order::Cancel { job: id },
        _ => return,
    };
    if orders.try_send(order).is_err() {
        // The supervisor reads always; if it does not, the deadline answers from the rules.
        tracing::error!("the worker's supervisor does not take orders");
    }
}

/// A message without what identifies somebody: nothing else of it is ever stored, shown to the model or sent on.
/// What is refused is refused as it came: the pointer is of what the tablet sent.
pub fn masked<T>(bytes: &[u8], parse: impl Fn(&[u8]) -> Result<T, Refusal>) -> Result<(T, Vec<u8>), Refusal> {
    let message = parse(bytes)?;
    let (kept, places) = mask::bytes(bytes);
    if places == 0 {
        return Ok((message, kept.into_owned()));
    }
    tracing::info!(places, "masked what identifies somebody");
    Ok((parse(&kept)?, kept.into_owned()))
}

/// Who has spoken, and about what: so far as it could be read.
fn said_by(event: &Event) -> Option<(&TabletName, Option<RequestId>)> {
    Some(match event {
        Event::Consult { tablet, consult, .. } => (tablet, Some(consult.id)),
        Event::Review { tablet, review, .. } => (tablet, Some(review.id)),
        Event::Cancel { tablet, id, .. } | Event::Resend { tablet, id, .. } | Event::Receipt { tablet, id, .. } => {
            (tablet, Some(*id))
        }
        Event::Admin { name, admin } => (name, Some(admin.id)),
        Event::Refused { tablet, refusal } => (tablet, refusal.id),
        _ => return None,
    })
}

pub fn refused(tablet: TabletName, refusal: Refusal) -> Event {
    tracing::info!(%tablet, code = ?refusal.code, pointer = refusal.pointer, "refused a message");
    Event::Refused { tablet, refusal }
}

fn log_record(record: &Record) {
    if let Record::Death { id } = record {
        tracing::warn!(%id, "the worker died with this case open; if it is served again, then alone");
    }
}

pub fn worker_event(news: News) -> Option<Event> {
    Some(match news {
        News::Ready(ready) => {
            for protocol::Refused { department, reason } in &ready.refused {
                tracing::error!(%department, reason, "an adapter does not load; its department has no model");
            }
            tracing::info!(devices = ?ready.devices, params = ready.model_params, bytes = ready.model_bytes, "the worker is ready");
            Event::Engine(EngineState::Ready)
        }
        News::Unfit => Event::Engine(EngineState::Unfit),
        News::Replaced => Event::Engine(EngineState::Restarting),
        News::Ambition(_) => return None, // the news that it belongs to follows
        News::Died => Event::WorkerDied,
        News::Report(report) => return report_event(report),
    })
}

fn report_event(report: Report) -> Option<Event> {
    match report {
        Report::Section { job, section, lines, complete } => {
            let lines = lines.into_iter().map(|l| FormLine { text: l.text, logprob: l.logprob }).collect();
            Some(Event::Section { job, section, written: Written { lines, complete } })
        }
        Report::Filled { job, stats, scores } => {
            log_filled(job, &stats);
            let facts = FillFacts {
                tokens_read: stats.tokens_read,
                tokens_written: stats.tokens_written,
                case_cut: stats.case_cut,
                scores: scores.into_iter().filter_map(scored).collect(),
            };
            Some(Event::Filled { job, facts })
        }
        Report::Failed { job, fault } => {
            tracing::warn!(id = %job, %fault, "the engine did not fill the form");
            Some(Event::FillFailed { job })
        }
        Report::Ready(_) | Report::Unfit { .. } | Report::Beat => None, // the supervisor's own
        Report::Weighed { .. } => None, // the adapter tools ask for it, and never a daemon
    }
}

fn asked(question: decide::Question) -> protocol::Question {
    match question {
        decide::Question::Department { options } => protocol::Question::Department { options },
        decide::Question::Urgency => protocol::Question::Urgency,
    }
}

fn scored(score: protocol::Score) -> Option<decide::Score> {
    let question = match score.question {
        protocol::Question::Department { options } => decide::Question::Department { options },
        protocol::Question::Urgency => decide::Question::Urgency,
        protocol::Question::Band => return None, // nobody asked
    };
    Some(decide::Score { question, options: score.options })
}

fn log_filled(id: RequestId, stats: &protocol::FillStats) {
    let per_s = |tokens: u32, ms: u64| f64::from(tokens) * 1000.0 / ms.max(1) as f64;
    tracing::info!(
        %id,
        tokens_read = stats.tokens_read,
        read_ms = stats.read_ms,
        tokens_written = stats.tokens_written,
        write_ms = stats.write_ms,
        headers_ms = stats.headers_ms,
        written_per_s = format!("{:.1}", per_s(stats.tokens_written, stats.write_ms)),
        "form filled"
    );
}
