//! What the box says instead of serving: no room, or no opinion where only an opinion is wanted.

use crate::{
    department, message, queue,
    rules::Fired,
    state::{EngineState, Now, State},
};
use contract::{
    answer::{Answer, Degraded},
    ids::TabletName,
    reply::ErrorCode,
    request::{Consult, WithoutModel},
};

/// Somebody has to make room, or retention does.
const FULL_MS: u64 = 300_000;

/// A worker loads its model in a few seconds from a warm disk, in some ten from a cold one.
const LOADING_MS: u64 = 10_000;

/// How far ahead of its rate a tablet may be: two minutes' cases at once. A doctor sees a hundred patients in a day; what
/// a tablet kept while the box was away comes at once.
const AHEAD_MS_MAX: u64 = 120_000;

/// Each accepted case takes a part of its tablet's time. Until when, with one more?
///
/// ```text
///   now                        now + AHEAD_MS_MAX
///    ├─case─┼─case─┼─case─┼──────────┤          a minute holds `per_minute_max` cases; what would go beyond waits
/// ```
/// It counts cases that were answered at once, too. They never stand in the queue, and would fill the disk.
pub(crate) fn spends(state: &State, tablet: &TabletName, now: Now) -> u64 {
    let spent = state.spent_until_ms.get(tablet).copied().unwrap_or(0);
    spent.max(now.mono_ms) + 60_000 / u64::from(state.config.per_minute_max.max(1))
}

/// The refusal of a new case, where it must be refused.
pub(crate) fn no_room(
    state: &State,
    tablet: &TabletName,
    consult: &Consult,
    fired: &Fired,
    now: Now,
) -> Option<Vec<u8>> {
    let config = &state.config;
    let full = state.jobs.len() >= config.queue_max || queue::open_of(state, tablet) >= config.tablet_max;
    let ahead_ms = spends(state, tablet, now).saturating_sub(now.mono_ms);
    let (code, retry_ms) = if let Some(until_ms) = state.held_until_ms {
        (ErrorCode::Updating, Some(until_ms.saturating_sub(now.mono_ms)))
    } else if state.storage_full {
        (ErrorCode::StorageFull, Some(FULL_MS))
    } else if full {
        (ErrorCode::Busy, Some(queue::until_a_place_ms(state)))
    } else if ahead_ms > AHEAD_MS_MAX {
        (ErrorCode::Busy, Some(ahead_ms - AHEAD_MS_MAX))
    } else {
        no_model(state, consult, fired)?
    };
    Some(message::error(code, Some(consult.id), retry_ms.map(seconds)))
}

/// Why the model cannot take part, for a tablet that wants nothing without it.
fn no_model(state: &State, consult: &Consult, fired: &Fired) -> Option<(ErrorCode, Option<u64>)> {
    if consult.without_model == WithoutModel::Rules {
        return None;
    }
    match state.engine {
        _ if !state.config.departments.contains_key(&department::choose(&state.config, consult, fired).0) => {
            Some((ErrorCode::UnknownDepartment, None))
        }
        EngineState::Starting | EngineState::Restarting => Some((ErrorCode::ModelLoading, Some(LOADING_MS))),
        EngineState::Unfit => Some((ErrorCode::Internal, None)),
        EngineState::Ready => None,
    }
}

/// The end of a case whose answer would be without the model's opinion, where the tablet wants no such answer.
pub(crate) fn no_opinion(consult: &Consult, answer: &Answer) -> Option<Vec<u8>> {
    if consult.without_model == WithoutModel::Rules || answer.abstained.is_none() {
        return None;
    }
    let why = |reason| answer.provenance.degraded.contains(&reason);
    let code = if why(Degraded::Deadline) {
        ErrorCode::Deadline
    } else if why(Degraded::EngineCrashed) {
        ErrorCode::Quarantined
    } else {
        ErrorCode::Internal
    };
    Some(message::error(code, Some(consult.id), None))
}

pub(crate) fn seconds(ms: u64) -> u32 {
    u32::try_from(ms.div_ceil(1000)).unwrap_or(u32::MAX).max(1)
}
