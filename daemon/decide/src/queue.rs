//! Who is served next, beside whom, and what a newcomer may be told about it.
//!
//! ```text
//!   class 0   red                                  inside a class the tablets' shares, then the earliest deadline,
//!   class 1   old routine, then urgent             then arrival; the old ones have no shares and count from the
//!   class 2   routine                              moment they grew old
//!
//!   shares    ├─ 4 of each tablet ─┤├─ the next 4 of each ─┤ …      a tablet that floods waits behind those that do not
//!             red: ├─ 1 of each ─┤├─ the next 1 of each ─┤ …            of its open red ones: its routine delays no danger
//!
//!   places    ├──── jobs_max: anybody ────┤├─ RESERVE: red and urgent ─┤      routine never has more than jobs_max
//! ```
//!
//! **Poison with company.** A worker that dies with several forms open does not say which of them killed it:
//!
//! ```text
//!   a  b  P  c       open together; P kills the worker
//!   †  †  †  †       a death each: four suspects, three of them innocent
//!   a ✓              now one at a time, and nobody beside it: answered,
//!   b ✓              answered,
//!   P ††             dead again, and this time nobody else was there: taken away (`deaths_max` = 2)
//!   c ✓
//! ```
//! The first death convicts nobody, the second was nobody else's. That holds only while a suspect is truly alone:
//! it is begun when the worker has nothing else open, nothing is begun beside it, and while it stands at the head of
//! the order nothing further is begun, or the company would never end. What that costs is one case's time for each
//! form that was open, once; to go by halves would cost an innocent a second death.
//!
//! A case whose deadline passed is answered and cancelled, but its form may be open in the worker for a step more, or
//! for as long as a worker hangs. Such a one is *leaving*, and a suspect waits for it too. When the worker dies of it
//! then, those beside it become suspects as with any death; it is answered itself and gets no more of the engine.

use crate::state::{EngineState, Job, Now, Phase, State};
use contract::{
    ids::{RequestId, TabletName},
    request::{Consult, Priority},
    words::Triage,
};

/// Places for red and urgent cases on top of `jobs_max`, so that these never wait for a place behind routine ones.
/// Two: every open form takes KV cells of the others' context, and a village has few emergencies at one moment.
pub const RESERVE: usize = 2;

/// Open cases of one tablet that are all equally in their turn; the next as many come after those of all other tablets.
/// A doctor with a full waiting room has two or three at a moment; whoever has more can wait for the others' first.
pub const SHARE: usize = 4;

/// The same of red cases. One: another tablet's emergency waits for one of a flood, not for four.
const RED_SHARE: usize = 1;

/// A routine case that has waited so long goes before the urgent ones, or a stream of them would keep it waiting for
/// ever. A third of the default deadline: what is left of that is enough to write an answer.
pub const OLD_AFTER_MS: u64 = 60_000;

/// Smaller is served first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub(crate) class: u8,
    turn: usize,
    due_ms: u64,
    arrival: u64,
}

impl Rank {
    fn of(triage: Triage, consult: &Consult, accepted_ms: u64, turn: usize, arrival: u64, now: Now) -> Self {
        let deadline_ms = accepted_ms + u64::from(consult.deadline_s) * 1000;
        let old_ms = accepted_ms + OLD_AFTER_MS;
        let (class, turn, due_ms) = match (triage, consult.priority) {
            (Triage::Red, _) => (0, turn, deadline_ms),
            (_, Priority::Urgent) => (1, turn, deadline_ms),
            // In the past, while the deadline of every urgent one is to come: before all of them.
            _ if old_ms <= now.mono_ms => (1, 0, old_ms),
            _ => (2, turn, deadline_ms),
        };
        Self { class, turn, due_ms, arrival }
    }
}

impl Job {
    pub(crate) fn rank(&self, now: Now) -> Rank {
        Rank::of(self.triage, &self.consult, self.accepted_ms, self.turn, self.arrival, now)
    }

    /// A worker has died with it.
    fn is_suspect(&self) -> bool {
        self.deaths > 0
    }

    fn is_pressing(&self) -> bool {
        is_pressing(self.triage, &self.consult)
    }

    fn runs(&self) -> bool {
        matches!(self.phase, Phase::Running { .. })
    }
}

/// By its own nature: growing old does not open the reserve.
fn is_pressing(triage: Triage, consult: &Consult) -> bool {
    triage == Triage::Red || consult.priority == Priority::Urgent
}

/// The case that is to be begun at this moment.
pub(crate) fn next(state: &State, now: Now) -> Option<(&RequestId, &Job)> {
    let running = || state.running.iter().filter_map(|id| state.jobs.get(id));
    if state.engine != EngineState::Ready || running().any(Job::is_suspect) {
        return None;
    }
    let all = running().count();
    let routine = running().filter(|job| !job.is_pressing()).count();
    let (jobs_max, empty) = (state.config.jobs_max, all == 0 && state.leaving.is_empty());
    let has_place = |job: &Job| all < jobs_max + RESERVE && (job.is_pressing() || routine < jobs_max);

    // A suspect asks for no place: it wants all of them, and those behind it wait with it.
    let waiting = state.jobs.iter().filter(|(_, job)| !job.runs() && (job.is_suspect() || has_place(job)));
    waiting.min_by_key(|(_, job)| job.rank(now)).filter(|(_, job)| empty || !job.is_suspect())
}

/// Which share of its tablet a case that is accepted now belongs to.
pub(crate) fn turn(state: &State, tablet: &TabletName, triage: Triage) -> usize {
    if triage == Triage::Red {
        let red = |job: &&Job| job.tablet == *tablet && job.triage == Triage::Red;
        return state.jobs.values().filter(red).count() / RED_SHARE;
    }
    open_of(state, tablet) / SHARE
}

pub(crate) fn open_of(state: &State, tablet: &TabletName) -> usize {
    state.jobs.values().filter(|job| job.tablet == *tablet).count()
}

/// What everybody may know of the queue: (open, running, seconds that a routine case would take).
pub fn load(state: &State) -> (usize, usize, Option<u64>) {
    let (open, running, places) = (state.jobs.len(), state.running.len(), state.config.jobs_max.max(1));
    let ahead = (open + 1).saturating_sub(places) as u64;
    let eta_ms = state.fill_ms.map(|ms| ms.saturating_add(ms.saturating_mul(ahead) / places as u64));
    (open, running, eta_ms.map(|ms| ms.div_ceil(1000).max(1)))
}

/// What a case that is accepted now has before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outlook {
    /// Cases that must end before it is begun.
    pub(crate) queue: usize,
    /// By what cases took lately, with as many beside them as there were.
    pub(crate) eta_ms: Option<u64>,
}

pub(crate) fn outlook(state: &State, tablet: &TabletName, triage: Triage, consult: &Consult, now: Now) -> Outlook {
    let this = Rank::of(triage, consult, now.mono_ms, turn(state, tablet, triage), state.arrivals, now);
    let ahead = || state.jobs.values().filter(|other| other.runs() || other.rank(now) < this);
    let jobs_max = state.config.jobs_max;
    let pressing = ahead().filter(|job| job.is_pressing()).count();
    let routine = ahead().count() - pressing;
    let (before, places) = if ahead().any(Job::is_suspect) {
        (pressing + routine, 1) // one after another
    } else if is_pressing(triage, consult) {
        (pressing + routine.min(jobs_max), jobs_max + RESERVE)
    } else {
        (pressing + routine, jobs_max + pressing.min(RESERVE))
    };
    let queue = (before + 1).saturating_sub(places);
    let eta_ms = state.fill_ms.map(|ms| ms.saturating_add(ms.saturating_mul(queue as u64) / places as u64));
    Outlook { queue, eta_ms }
}

/// The time until one of those that run has ended: half a minute without experience.
pub(crate) fn until_a_place_ms(state: &State) -> u64 {
    state.fill_ms.map_or(30_000, |ms| ms / state.running.len().max(1) as u64)
}
