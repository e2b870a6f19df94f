//! Orders of whoever looks after the box. Each is answered by a report of how the box is then.

use crate::{
    message,
    plan::{Effect, Plan, Record},
    refuse,
    state::{Job, Now, Phase, State},
};
use contract::{
    admin::{Admin, Command, OpenCase, Report},
    bounded::List,
    ids::{RequestId, TabletName},
    reply::ErrorCode,
    words::{ReportType, V1},
};

pub(crate) fn obey(state: &State, name: TabletName, admin: &Admin, now: Now) -> Plan {
    if !state.config.admins.contains(&name) {
        let message = message::error(ErrorCode::NotAllowed, Some(admin.id), None);
        return Plan::default().effect(Effect::Publish { tablet: name, message });
    }
    let done = match admin.command {
        Command::List => Plan::default(),
        Command::Hold { for_s } => hold(Some(now.mono_ms + u64::from(for_s) * 1000)),
        Command::Resume => hold(None),
        Command::Release { case } => match state.quarantine.iter().find(|(_, it)| it.id == case) {
            Some((digest, _)) => Plan::default().record(Record::QuarantineEnded { case: *digest }),
            None => {
                let message = message::error(ErrorCode::UnknownId, Some(admin.id), None);
                return Plan::default().effect(Effect::Publish { tablet: name, message });
            }
        },
    };
    // The report is of the state after the order.
    let mut after = state.clone();
    done.records.iter().for_each(|record| after.apply(record, now));
    done.effect(Effect::Publish { tablet: name, message: message::bytes(&report(&after, admin.id, now)) })
}

fn hold(until_ms: Option<u64>) -> Plan {
    Plan::default().record(Record::Held { until_ms }).effect(Effect::Status)
}

fn report(state: &State, id: RequestId, now: Now) -> Report {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let mut open: Vec<(&RequestId, &Job)> = state.jobs.iter().collect();
    open.sort_by_key(|(_, job)| job.arrival);
    Report {
        v: V1,
        kind: ReportType::Word,
        id,
        held_s: state.held_until_ms.map(|until_ms| refuse::seconds(until_ms.saturating_sub(now.mono_ms))),
        open: count(state.jobs.len()),
        open_cases: List::take_from(open.into_iter().map(|(id, job)| OpenCase {
            id: *id,
            tablet: job.tablet.to_string(),
            waited_s: u32::try_from(now.mono_ms.saturating_sub(job.accepted_ms) / 1000).unwrap_or(u32::MAX),
            running: matches!(job.phase, Phase::Running { .. }),
            deaths: job.deaths,
        })),
        owed: count(state.owed.len()),
        quarantined: count(state.quarantine.len()),
        quarantined_cases: List::take_from(state.quarantine.values().map(|it| it.id)),
    }
}
