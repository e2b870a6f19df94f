//! How much is asked of the machine: all that the settings allow, less when that fails, more again when it goes well.
//!
//! ```text
//!  full ─▶ one_context ─▶ half_of_the_layers ─▶ cpu ─▶ rules_only      a step that would change nothing is left out
//!     ◀─── ◀───────────── ◀──────────────────── ◀──── (tries again)
//!
//!  down   after three unexplained deaths in a row without a served case; at once when the worker says that memory is short
//!  rules  below the last step, or at once when the worker says that nothing would help (a wrong or damaged file):
//!         tries again after 5 minutes, then 10, 20 … an hour, for ever
//!  up     one step after 10 minutes without a death in which a case was served, at a moment without work.
//!         On probation there until a case is served 10 minutes later: one death leads back, and doubles the pause
//!         before the next climb, to a day
//! ```
//! Three, because two deaths are what one poison case costs. And those two count only until it is convicted: a case
//! that kills a second time, and alone, is the reason of both, and nobody else is to be without an engine for it.
//!
//! ```text
//!  P †   one in a row      P †† alone: none in a row      Q †  one      Q ††  none      c ✓
//! ```
//! It reads no clock: the supervisor passes the time in.

use contract::{ids::RequestId, status::Ambition};

/// Deaths in a row that say: not the case, the machine.
const DEATHS_IN_A_ROW: u32 = 3;
/// Cases convicted without a served one between them; from the next on their deaths count like any. As many as one tablet
/// may have open with the usual settings: what one tablet sends at once costs the others no step. An engine that dies of
/// every case looks the same, and gets down its steps a few cases later.
const CONVICTED_MAX: u32 = 8;
/// Cases of earlier deaths that are remembered: more than can be open in a few workers.
const SUSPECTS_MAX: usize = 64;
/// Before the second worker; doubling. A driver needs a moment to let go of its memory.
const PAUSE_MS: u64 = 200;
const REST_MS_MIN: u64 = 5 * 60 * 1000;
const REST_MS_MAX: u64 = 3600 * 1000;
/// Without a death: before a climb, and of probation after it.
const QUIET_MS: u64 = 10 * 60 * 1000;
const CLIMB_MS_MAX: u64 = 24 * 3600 * 1000;

/// What a worker is opened with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Means {
    pub contexts_max: usize,
    pub gpu_layers: u32,
}

/// The steps that have a worker, from the top.
const STEPS: [Ambition; 4] = [Ambition::Full, Ambition::OneContext, Ambition::HalfOfTheLayers, Ambition::Cpu];

#[derive(Debug, Clone)]
pub struct Staircase {
    settings: Means,
    /// Layers on a GPU when the settings had their way. Unknown until a worker has said so: the settings may ask for
    /// 999 on a machine that has no GPU.
    offloaded: Option<u32>,
    /// The step that is tried or in service.
    step: usize,
    /// Rules answer alone, until a worker is ready.
    rules_only: bool,
    /// In a row, without a served case, and not explained by a convicted one.
    deaths: u32,
    /// Convicted in a row, without a served case.
    convicted: u32,
    /// Open when a worker died, the newest last.
    suspects: Vec<RequestId>,
    opens_at_ms: u64,
    /// The next rest, and the quiet before the next climb: each doubles while it does not help.
    rest_ms: u64,
    climb_ms: u64,
    /// Climbed to this step, and it has not shown yet that it serves.
    probation: bool,
    service: Option<Service>,
}

/// A worker that is ready.
#[derive(Debug, Clone, Copy)]
struct Service {
    since_ms: u64,
    served: bool,
}

impl Staircase {
    pub fn new(settings: Means) -> Self {
        Self {
            settings,
            offloaded: None,
            step: 0,
            rules_only: false,
            deaths: 0,
            convicted: 0,
            suspects: Vec::new(),
            opens_at_ms: 0,
            rest_ms: REST_MS_MIN,
            climb_ms: QUIET_MS,
            probation: false,
            service: None,
        }
    }

    /// What the box says of itself.
    pub fn ambition(&self) -> Ambition {
        if self.rules_only { Ambition::RulesOnly } else { STEPS[self.step] }
    }

    /// What the next worker is opened with.
    pub fn means(&self) -> Means {
        let gpu_layers = self.settings.gpu_layers;
        match STEPS[self.step] {
            Ambition::Full => self.settings,
            Ambition::OneContext => Means { contexts_max: 1, gpu_layers },
            Ambition::HalfOfTheLayers => {
                Means { contexts_max: 1, gpu_layers: self.offloaded.unwrap_or(gpu_layers) / 2 }
            }
            Ambition::Cpu | Ambition::RulesOnly => Means { contexts_max: 1, gpu_layers: 0 },
        }
    }

    /// The earliest moment for the next worker.
    pub fn opens_at_ms(&self) -> u64 {
        self.opens_at_ms
    }

    /// When the worker in service should be replaced by a more ambitious one, if no form is open then.
    pub fn climbs_at_ms(&self) -> Option<u64> {
        let service = self.service.filter(|service| service.served)?;
        self.above().map(|_| service.since_ms + self.climb_ms)
    }

    pub fn ready(&mut self, layers_offloaded: u32, now_ms: u64) {
        if self.means().gpu_layers == self.settings.gpu_layers {
            self.offloaded = Some(layers_offloaded);
        }
        self.rules_only = false;
        self.service = Some(Service { since_ms: now_ms, served: false });
    }

    /// A case was served to its end.
    pub fn served(&mut self, now_ms: u64) {
        (self.deaths, self.convicted) = (0, 0);
        let Some(service) = &mut self.service else { return };
        service.served = true;
        if now_ms.saturating_sub(service.since_ms) >= QUIET_MS {
            self.rest_ms = REST_MS_MIN;
            if std::mem::take(&mut self.probation) {
                self.climb_ms = QUIET_MS;
            }
        }
    }

    /// The worker died, was silent, or could not be started; with these forms open.
    pub fn died(&mut self, open: &[RequestId], now_ms: u64) {
        self.service = None;
        if self.convicts(open) {
            self.deaths = self.deaths.saturating_sub(1); // its first one
            self.opens_at_ms = now_ms + PAUSE_MS;
            return;
        }
        self.deaths += 1;
        if self.probation {
            self.back_down(now_ms);
        } else if self.deaths >= DEATHS_IN_A_ROW {
            self.step_down(now_ms);
        } else {
            self.opens_at_ms = now_ms + (PAUSE_MS << self.deaths.saturating_sub(1));
        }
    }

    /// A suspect that was alone is the reason of this death and of the one before.
    fn convicts(&mut self, open: &[RequestId]) -> bool {
        let guilty = matches!(open, [alone] if self.suspects.contains(alone));
        self.suspects.retain(|suspect| !open.contains(suspect));
        self.suspects.extend(open);
        self.suspects.drain(..self.suspects.len().saturating_sub(SUSPECTS_MAX));
        self.convicted += u32::from(guilty);
        guilty && self.convicted <= CONVICTED_MAX
    }

    /// The worker said why it cannot work.
    pub fn unfit(&mut self, short_of_memory: bool, now_ms: u64) {
        self.service = None;
        match (self.probation, short_of_memory) {
            (true, _) => self.back_down(now_ms),
            (false, true) => self.step_down(now_ms),
            (false, false) => self.rest(now_ms),
        }
    }

    /// The worker in service is ended for a more ambitious one.
    pub fn climb(&mut self, now_ms: u64) {
        self.service = None;
        if let Some(above) = self.above() {
            self.step = above;
            self.probation = true;
        }
        self.opens_at_ms = now_ms;
    }

    fn back_down(&mut self, now_ms: u64) {
        self.climb_ms = (self.climb_ms * 2).min(CLIMB_MS_MAX);
        self.step_down(now_ms);
    }

    fn step_down(&mut self, now_ms: u64) {
        self.probation = false;
        match (self.step + 1..STEPS.len()).find(|step| self.would_change_something(*step)) {
            Some(below) => {
                self.step = below;
                self.deaths = 0;
                self.opens_at_ms = now_ms + PAUSE_MS;
            }
            None => self.rest(now_ms),
        }
    }

    /// The same step is tried again after it: below it there is none, or none would help.
    fn rest(&mut self, now_ms: u64) {
        self.rules_only = true;
        self.deaths = DEATHS_IN_A_ROW - 1; // the next death is one too many
        self.opens_at_ms = now_ms + self.rest_ms;
        self.rest_ms = (self.rest_ms * 2).min(REST_MS_MAX);
    }

    fn above(&self) -> Option<usize> {
        (0..self.step).rev().find(|step| self.would_change_something(*step))
    }

    fn would_change_something(&self, step: usize) -> bool {
        let gpu = self.settings.gpu_layers > 0;
        match STEPS[step] {
            Ambition::Full => true,
            Ambition::OneContext => self.settings.contexts_max > 1,
            // Of how many, if no worker has ever said so? Then the processor is the surer step.
            Ambition::HalfOfTheLayers => gpu && self.offloaded.is_some_and(|layers| layers >= 2),
            Ambition::Cpu => gpu && self.offloaded != Some(0),
            Ambition::RulesOnly => false,
        }
    }
}
