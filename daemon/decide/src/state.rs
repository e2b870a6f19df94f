//! What the box knows at this moment. [`State::apply`] is the only place that changes it.

use crate::{
    event::{Digest, Written},
    message,
    plan::Record,
    queue, refuse,
    rules::RuleSet,
    seal::{Chain, Seal},
};
use contract::{
    answer::{AdapterRef, ChosenBy},
    ids::{Department, RequestId, TabletName},
    reply::Section,
    request::Consult,
    words::Triage,
};
use sha2::{Digest as _, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The clocks, read once per event by the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Milliseconds since the daemon started; never goes back.
    pub mono_ms: u64,
    /// The wall clock; may be wrong, so it is only written down.
    pub unix_s: u64,
}

/// What does not change while the daemon runs.
#[derive(Debug, Clone)]
pub struct Config {
    pub box_name: String,
    pub daemon: String,
    pub base_sha256: Option<String>,
    /// Departments that this box serves, each with its adapter.
    pub departments: BTreeMap<Department, AdapterRef>,
    /// The answers come from the test engine and must say so.
    pub scripted: bool,
    /// Most cases accepted and not yet answered.
    pub queue_max: usize,
    /// Cases with the engine at a time; see `queue.rs` for the few that may come on top.
    pub jobs_max: usize,
    /// Worker deaths on one case before it is taken away from the engine.
    pub deaths_max: u32,
    /// Times that a case may be started. More than deaths: a power cut is not the case's fault.
    pub attempts_max: u32,
    /// The same as `queue_max`, of one tablet.
    pub tablet_max: usize,
    /// Cases that are accepted of one tablet in a minute, for ever; for a while twice as many. See `refuse.rs`.
    pub per_minute_max: u32,
    /// Names that may give orders.
    pub admins: BTreeSet<TabletName>,
    pub seal: Seal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineState {
    Starting,
    Ready,
    Restarting,
    /// Cannot work with these settings; rules answer alone until somebody has looked.
    Unfit,
}

#[derive(Debug, Clone)]
pub struct State {
    pub config: Config,
    /// Those that judge: the built-in ones until others are taken.
    pub rules: Arc<RuleSet>,
    pub engine: EngineState,
    /// Accepted and not yet answered.
    pub jobs: BTreeMap<RequestId, Job>,
    /// Answered, receipt outstanding.
    pub owed: BTreeMap<RequestId, Owed>,
    /// With the engine at this moment.
    pub running: BTreeSet<RequestId>,
    /// Cancelled at their deadline, and the worker has not said yet that it let go of them.
    pub leaving: BTreeSet<RequestId>,
    /// Smoothed milliseconds of the engine per case, once it has answered one.
    pub fill_ms: Option<u64>,
    /// Until then new cases are refused, because an admin said so.
    pub held_until_ms: Option<u64>,
    /// New cases are refused, because the disk has room for what is open only.
    pub storage_full: bool,
    /// Contents of cases that killed the engine, each with the id under which it did.
    pub quarantine: BTreeMap<Digest, Quarantine>,
    pub chain: Chain,
    /// Until when each tablet's accepted cases are its share of the time; see `refuse.rs`.
    pub spent_until_ms: BTreeMap<TabletName, u64>,
    pub(crate) arrivals: u64,
    ends: u64,
}

/// A case that must not get to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quarantine {
    /// Under which it killed the engine.
    pub id: RequestId,
    pub since_ms: u64,
}

/// A day, or a restart's day anew. Where the engine itself was ill, every case of that night looked like poison, and
/// must not be kept from it for ever because no admin looks; true poison costs two more workers a day.
pub(crate) const QUARANTINE_MS: u64 = 24 * 3600 * 1000;

/// More would be no poison but a broken engine. What is over is not remembered, and may kill it again.
const QUARANTINE_MAX: usize = 1000;

#[derive(Debug, Clone)]
pub struct Job {
    pub tablet: TabletName,
    pub consult: Box<Consult>,
    pub digest: Digest,
    /// What the rules say; it decides the order of service.
    pub triage: Triage,
    pub arrival: u64,
    /// What of its tablet's cases was open before it, in shares; see `queue.rs`.
    pub turn: usize,
    /// Of what the engine would see.
    pub case: Digest,
    /// The stated one, or for `auto` the box's choice.
    pub department: Department,
    pub chosen_by: ChosenBy,
    pub accepted_ms: u64,
    pub attempts: u32,
    pub deaths: u32,
    pub phase: Phase,
}

#[derive(Debug, Clone, Default)]
pub enum Phase {
    #[default]
    Waiting,
    Running {
        began_ms: u64,
        first_section_ms: Option<u64>,
        form: BTreeMap<Section, Written>,
    },
}

impl Job {
    pub fn deadline_ms(&self) -> u64 {
        self.accepted_ms + u64::from(self.consult.deadline_s) * 1000
    }
}

/// What makes two cases the same to the engine: all that it is shown.
fn case_digest(consult: &Consult, department: &Department) -> Digest {
    let shown = (&consult.case, consult.lang, department);
    Sha256::digest(message::bytes(&shown)).into()
}

#[derive(Debug, Clone)]
pub struct Owed {
    pub tablet: TabletName,
    /// In the order of the ends.
    pub number: u64,
    pub tries: u32,
    pub since_ms: u64,
    pub due_ms: u64,
}

/// Waiting time before an answer without a receipt is sent again: 30 s, doubling, at most an hour.
fn pause_ms(tries: u32) -> u64 {
    (30_000u64 << tries.min(7)).min(3_600_000)
}

/// Answers of one tablet that are sent again; the oldest beyond it wait in the store for a `resend` or the next restart.
/// More than a doctor's day: a tablet with more gives no receipts, and must not take the others' time and memory.
pub const OWED_OF_TABLET_MAX: usize = 100;

/// A day of sending. Then the answer waits in the store for a `resend` or the next restart:
/// a tablet that never gives receipts must not fill the memory.
const OWED_MS_MAX: u64 = 24 * 3600 * 1000;

impl State {
    pub fn new(config: Config) -> Self {
        Self {
            config,
            rules: RuleSet::builtin(),
            engine: EngineState::Starting,
            jobs: BTreeMap::new(),
            owed: BTreeMap::new(),
            running: BTreeSet::new(),
            leaving: BTreeSet::new(),
            fill_ms: None,
            held_until_ms: None,
            storage_full: false,
            quarantine: BTreeMap::new(),
            chain: Chain::default(),
            spent_until_ms: BTreeMap::new(),
            arrivals: 0,
            ends: 0,
        }
    }

    pub fn apply(&mut self, record: &Record, now: Now) {
        match record {
            Record::Accepted { id, tablet, consult, digest, .. } => {
                let job = self.job(tablet, consult, *digest, now);
                self.arrivals += 1;
                let spent_until_ms = refuse::spends(self, tablet, now);
                self.spent_until_ms.retain(|_, until_ms| *until_ms > now.mono_ms);
                self.spent_until_ms.insert(tablet.clone(), spent_until_ms);
                self.jobs.insert(*id, job);
            }
            Record::Attempt { id } => {
                if let Some(job) = self.jobs.get_mut(id) {
                    job.attempts += 1;
                    job.phase = Phase::Running { began_ms: now.mono_ms, first_section_ms: None, form: BTreeMap::new() };
                    self.running.insert(*id);
                }
            }
            Record::Death { id } => {
                if let Some(job) = self.jobs.get_mut(id) {
                    job.deaths += 1;
                }
                self.stop_running(id);
            }
            Record::Interrupted { id } => self.stop_running(id),
            Record::Ended { id, tablet, link, .. } => {
                self.chain.add(link.as_ref());
                // Answers only: a cancelled case says nothing of how long one takes.
                if let (Some(Job { phase: Phase::Running { began_ms, .. }, .. }), Some(_)) = (self.jobs.get(id), link) {
                    let took = now.mono_ms.saturating_sub(*began_ms);
                    self.fill_ms = Some(self.fill_ms.map_or(took, |mean| (3 * mean + took) / 4));
                }
                self.jobs.remove(id);
                self.running.remove(id);
                let due_ms = now.mono_ms + pause_ms(0);
                let owed = Owed { tablet: tablet.clone(), number: self.ends, tries: 0, since_ms: now.mono_ms, due_ms };
                self.ends += 1;
                self.owed.insert(*id, owed);
                self.give_up_the_oldest_of(tablet);
            }
            Record::Reviewed { link, .. } => self.chain.add(Some(link)),
            Record::ChainEnd(chain) => self.chain = *chain,
            Record::Quarantined { case, id } => {
                if self.quarantine.len() < QUARANTINE_MAX {
                    self.quarantine.insert(*case, Quarantine { id: *id, since_ms: now.mono_ms });
                }
            }
            Record::QuarantineEnded { case } => {
                self.quarantine.remove(case);
            }
            Record::Rules(rules) => self.judge_by(rules),
            Record::Storage { full } => self.storage_full = *full,
            Record::Held { until_ms } => self.held_until_ms = *until_ms,
            Record::Received { id } => {
                self.owed.remove(id);
            }
            Record::Engine(engine) => {
                self.engine = *engine;
                self.leaving.clear(); // the worker that held them is gone
            }
            Record::Cancelled { id } => {
                self.leaving.insert(*id);
            }
            Record::Released { id } => {
                self.leaving.remove(id);
            }
            Record::Section { id, section, written } => {
                if let Some(Job { phase: Phase::Running { first_section_ms, form, .. }, accepted_ms, .. }) =
                    self.jobs.get_mut(id)
                {
                    if written.complete {
                        first_section_ms.get_or_insert(now.mono_ms.saturating_sub(*accepted_ms));
                    }
                    form.insert(*section, written.clone());
                }
            }
            Record::Sent { id } => {
                if let Some(owed) = self.owed.get_mut(id) {
                    owed.tries += 1;
                    owed.due_ms = now.mono_ms + pause_ms(owed.tries);
                }
                self.owed.retain(|_, owed| now.mono_ms.saturating_sub(owed.since_ms) < OWED_MS_MAX);
            }
            Record::AllDue => self.owed.values_mut().for_each(|owed| owed.due_ms = now.mono_ms),
        }
    }

    /// A job as it stands at its acceptance.
    fn job(&self, tablet: &TabletName, consult: &Consult, digest: Digest, now: Now) -> Job {
        let fired = self.rules.check(&consult.case, consult.lang);
        let (department, chosen_by) = crate::department::choose(&self.config, consult, &fired);
        Job {
            tablet: tablet.clone(),
            consult: Box::new(consult.clone()),
            digest,
            triage: fired.triage,
            arrival: self.arrivals,
            turn: queue::turn(self, tablet, fired.triage),
            case: case_digest(consult, &department),
            department,
            chosen_by,
            accepted_ms: now.mono_ms,
            attempts: 0,
            deaths: 0,
            phase: Phase::Waiting,
        }
    }

    fn give_up_the_oldest_of(&mut self, tablet: &TabletName) {
        let own = || self.owed.iter().filter(|(_, owed)| owed.tablet == *tablet);
        if own().count() > OWED_OF_TABLET_MAX
            && let Some(oldest) = own().min_by_key(|(_, owed)| owed.number).map(|(id, _)| *id)
        {
            self.owed.remove(&oldest);
        }
    }

    /// What waits is served in the order of what the new rules see in it. What the old ones saw stays said.
    fn judge_by(&mut self, rules: &Arc<RuleSet>) {
        self.rules = Arc::clone(rules);
        for job in self.jobs.values_mut() {
            job.triage = job.triage.max(rules.check(&job.consult.case, job.consult.lang).triage);
        }
    }

    fn stop_running(&mut self, id: &RequestId) {
        if let Some(job) = self.jobs.get_mut(id) {
            job.phase = Phase::Waiting;
        }
        self.running.remove(id);
    }
}
