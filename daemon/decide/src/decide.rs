//! One event in, one plan out. Match on the event, name what is refused.

use crate::{
    admin, answer, department,
    event::*,
    message, opinion,
    plan::{Effect, Plan, Record},
    queue, refuse,
    rules::{Fired, RuleSet, drugs::NamedIn},
    state::{EngineState, Job, Now, Phase, QUARANTINE_MS, Quarantine, State},
    urgency,
};
use contract::{
    answer::{Caution, Degraded},
    ids::{RequestId, TabletName},
    limits::REVIEWS_MAX,
    reply::{ErrorCode, ErrorReply, Section},
    request::{Consult, Refusal},
    review::Review,
    words::Triage,
};
use std::collections::BTreeSet;

/// Answers that are sent again at a tick. The rest is sent at the next ones: a new case must not wait behind the
/// repetitions of all others, and the way to the broker holds no more than some hundreds.
const SENT_MAX: usize = 64;

/// Decides, applies, and goes on until nothing is left to do at this moment: the loop's only call.
pub fn step(state: &mut State, event: Event, now: Now) -> Plan {
    let may_send_again = matches!(event, Event::Tick | Event::Connected);
    let mut plan = decide(state, event, now);
    plan.records.iter().for_each(|record| state.apply(record, now));
    while let Some(more) = next(state, now) {
        more.records.iter().for_each(|record| state.apply(record, now));
        plan.join(more);
    }
    if may_send_again {
        let again = send_again(state, now);
        again.records.iter().for_each(|record| state.apply(record, now));
        plan.join(again);
    }
    plan
}

fn decide(state: &State, event: Event, now: Now) -> Plan {
    match event {
        Event::Consult { tablet, consult, bytes, digest, known } => match state.jobs.get(&consult.id) {
            Some(job) => repeat(tablet, consult.id, digest, &job.tablet, &job.digest),
            None => match known {
                Some(known) if known.gone && known.tablet == tablet => unknown(tablet, consult.id),
                Some(known) => repeat(tablet, consult.id, digest, &known.tablet, &known.digest),
                None => accept(state, tablet, consult, bytes, digest, now),
            },
        },
        Event::Resend { tablet, id, known } => resend(state, tablet, id, known),
        Event::Cancel { tablet, id, known } => cancel(state, tablet, id, known),
        Event::Review { tablet, review, bytes, known, said } => {
            review_of(state, tablet, &review, bytes, known, said, now)
        }
        Event::Admin { name, admin } => admin::obey(state, name, &admin, now),
        Event::Receipt { tablet, id, known } => match known {
            Some(known) if known.owed && known.tablet == tablet => Plan::default().record(Record::Received { id }),
            _ => Plan::default(), // repeated, or another tablet's: nothing to say
        },
        Event::Refused { tablet, refusal } => refused(tablet, refusal),
        Event::Engine(engine) => engine_changed(state, engine),
        Event::WorkerDied => worker_died(state),
        Event::Section { job, section, written } => take_section(state, job, section, written),
        Event::Filled { job, facts } => match state.jobs.get(&job) {
            Some(found) if state.running.contains(&job) => end(state, job, found, facts, [], now),
            _ => released(state, job), // answered in the meantime, by the deadline
        },
        Event::FillFailed { job } => match state.jobs.get(&job) {
            Some(found) if state.running.contains(&job) => {
                end(state, job, found, FillFacts::default(), [Degraded::EngineDown], now)
            }
            _ => released(state, job),
        },
        Event::Rules(rules) if rules.reference() == state.rules.reference() => Plan::default(),
        Event::Rules(rules) => Plan::default().record(Record::Rules(rules)),
        Event::Storage { full } if full == state.storage_full => Plan::default(),
        Event::Storage { full } => Plan::default().record(Record::Storage { full }).effect(Effect::Status),
        Event::Connected => Plan::default().record(Record::AllDue).effect(Effect::Status),
        Event::Tick => Plan::default(), // what time has made due is found by `next`
    }
}

/// What the state itself owes at this moment, one thing at a time; `None` when it owes nothing.
pub fn next(state: &State, now: Now) -> Option<Plan> {
    hold_is_over(state, now)
        .or_else(|| quarantine_is_over(state, now))
        .or_else(|| overdue(state, now))
        .or_else(|| hopeless(state, now))
        .or_else(|| serve(state, now))
}

fn quarantine_is_over(state: &State, now: Now) -> Option<Plan> {
    let over = |it: &Quarantine| now.mono_ms.saturating_sub(it.since_ms) >= QUARANTINE_MS;
    let (case, _) = state.quarantine.iter().find(|(_, it)| over(it))?;
    Some(Plan::default().record(Record::QuarantineEnded { case: *case }))
}

fn hold_is_over(state: &State, now: Now) -> Option<Plan> {
    state.held_until_ms.filter(|until_ms| *until_ms <= now.mono_ms)?;
    Some(Plan::default().record(Record::Held { until_ms: None }).effect(Effect::Status))
}

/// The deadline has come: the rules answer, with whatever sections the model has finished.
fn overdue(state: &State, now: Now) -> Option<Plan> {
    let (id, job) = state.jobs.iter().find(|(_, job)| job.deadline_ms() <= now.mono_ms)?;
    let plan = end(state, *id, job, FillFacts::default(), [Degraded::Deadline], now);
    Some(taken_away(state, *id, plan))
}

/// The worker is told to let go of what has ended while it had it.
fn taken_away(state: &State, id: RequestId, plan: Plan) -> Plan {
    match state.running.contains(&id) {
        true => plan.record(Record::Cancelled { id }).effect(Effect::Cancel { id }),
        false => plan,
    }
}

/// Cases that the engine will not or must not serve are answered from the rules at once.
fn hopeless(state: &State, now: Now) -> Option<Plan> {
    let config = &state.config;
    state.jobs.iter().filter(|(_, job)| matches!(job.phase, Phase::Waiting)).find_map(|(id, job)| {
        let why = if state.quarantine.contains_key(&job.case)
            || job.deaths >= config.deaths_max
            || job.attempts >= config.attempts_max
        {
            Degraded::EngineCrashed
        } else if !config.departments.contains_key(&job.department) {
            Degraded::NoAdapter
        } else if state.engine == EngineState::Unfit {
            Degraded::EngineDown
        } else {
            return None;
        };
        Some(end(state, *id, job, FillFacts::default(), [why], now))
    })
}

fn serve(state: &State, now: Now) -> Option<Plan> {
    let (id, job) = queue::next(state, now)?;
    let fill = Effect::Fill {
        id: *id,
        department: job.department.clone(),
        lang: job.consult.lang,
        class: job.rank(now).class,
        deadline_ms: job.deadline_ms().saturating_sub(now.mono_ms),
        questions: questions(state, job),
        case: job.consult.case.clone(),
    };
    Some(Plan::default().record(Record::Attempt { id: *id }).effect(fill))
}

fn questions(state: &State, job: &Job) -> Vec<Question> {
    let adapter = state.config.departments.get(&job.department);
    department::question(&state.config, job).into_iter().chain(urgency::question(adapter, job.triage)).collect()
}

/// What was due first.
fn send_again(state: &State, now: Now) -> Plan {
    let due = state.owed.iter().filter(|(_, owed)| owed.due_ms <= now.mono_ms);
    let mut due: Vec<_> = due.map(|(id, owed)| (owed.due_ms, id, &owed.tablet)).collect();
    due.sort_unstable();
    due.into_iter().take(SENT_MAX).fold(Plan::default(), |plan, (_, id, tablet)| {
        let answer = Effect::PublishAnswer { tablet: tablet.clone(), id: *id };
        plan.record(Record::Sent { id: *id }).effect(answer)
    })
}

fn accept(state: &State, tablet: TabletName, consult: Box<Consult>, bytes: Vec<u8>, digest: Digest, now: Now) -> Plan {
    let id = consult.id;
    let fired = state.rules.check(&consult.case, consult.lang);
    let triage = fired.triage;
    let alert = alert(&state.rules, &consult, &fired);
    if let Some(refusal) = refuse::no_room(state, &tablet, &consult, &fired, now) {
        // Danger is said even to whom the box cannot serve: the rules need neither the engine nor the disk.
        let messages = alert.into_iter().chain([refusal]);
        let effects = messages.map(|message| Effect::Publish { tablet: tablet.clone(), message }).collect();
        return Plan { records: Vec::new(), effects };
    }
    let outlook = queue::outlook(state, &tablet, triage, &consult, now);
    let messages: Vec<Vec<u8>> =
        [message::accepted(id, outlook.queue, outlook.eta_ms.map(refuse::seconds))].into_iter().chain(alert).collect();
    let sent = messages.clone().into_iter().map(|message| Effect::Publish { tablet: tablet.clone(), message });
    Plan {
        effects: sent.collect(),
        records: vec![Record::Accepted { id, tablet, consult, digest, bytes, at_unix_s: now.unix_s, messages }],
    }
}

/// What cannot wait for the answer: red flags, and a drug of the plan that must not be given before a physician has
/// confirmed it. The answer may come minutes later, with the tablets already in the patient's hand. A drug that is taken
/// anyway, or only spoken of, waits for the answer: an alarm too many costs the next one its hearing.
fn alert(rules: &RuleSet, consult: &Consult, fired: &Fired) -> Option<Vec<u8>> {
    let said = rules.cautions(&consult.case, consult.lang, &[]);
    let of_the_plan = said.spoken.into_iter().filter(|one| one.blocks() && one.named_in == NamedIn::Plan);
    let cautions: Vec<Caution> = of_the_plan.map(|one| one.caution).collect();
    let triage = if cautions.is_empty() { fired.triage } else { fired.triage.max(Triage::Yellow) };
    (triage > Triage::Green).then(|| message::alert(consult.id, triage, fired.red_flags.clone(), cautions))
}

/// The same id again: the same bytes get the stored messages, others are refused. Another tablet's id is not its.
fn repeat(tablet: TabletName, id: RequestId, digest: Digest, owner: &TabletName, first: &Digest) -> Plan {
    if *owner == tablet && *first == digest {
        Plan::default().effect(Effect::PublishStored { tablet, id })
    } else {
        let message = message::error(ErrorCode::IdConflict, Some(id), None);
        Plan::default().effect(Effect::Publish { tablet, message })
    }
}

fn resend(state: &State, tablet: TabletName, id: RequestId, known: Option<Known>) -> Plan {
    let known = known.as_ref().filter(|known| !known.gone);
    let owner = state.jobs.get(&id).map(|job| &job.tablet).or(known.map(|known| &known.tablet));
    if owner == Some(&tablet) {
        Plan::default().effect(Effect::PublishStored { tablet, id })
    } else {
        unknown(tablet, id)
    }
}

/// Never heard of, another tablet's, or kept no longer: who asks need not know which.
fn unknown(tablet: TabletName, id: RequestId) -> Plan {
    let message = message::error(ErrorCode::UnknownId, Some(id), None);
    Plan::default().effect(Effect::Publish { tablet, message })
}

/// The end of an open case; what has ended stays as it ended.
fn cancel(state: &State, tablet: TabletName, id: RequestId, known: Option<Known>) -> Plan {
    let Some(job) = state.jobs.get(&id).filter(|job| job.tablet == tablet) else {
        return resend(state, tablet, id, known);
    };
    let message = message::error(ErrorCode::Cancelled, Some(id), None);
    let plan = Plan::default()
        .record(Record::Ended { id, tablet: job.tablet.clone(), message: message.clone(), link: None })
        .effect(Effect::Publish { tablet, message });
    taken_away(state, id, plan)
}

/// The doctor's word on an answer of this tablet's. The same bytes get what was said to them.
fn review_of(
    state: &State,
    tablet: TabletName,
    review: &Review,
    bytes: Vec<u8>,
    known: Option<Known>,
    said: Option<Vec<u8>>,
    now: Now,
) -> Plan {
    let id = review.id;
    let answered = known.filter(|known| known.tablet == tablet && known.answered && !known.gone);
    let Some(known) = answered else {
        return unknown(tablet, id);
    };
    if let Some(message) = said {
        return Plan::default().effect(Effect::Publish { tablet, message });
    }
    if known.reviews >= REVIEWS_MAX {
        let detail = format!("at most {REVIEWS_MAX} reviews of one answer");
        let refusal = Refusal { code: ErrorCode::BadField, id: Some(id), pointer: None, detail };
        return refused(tablet, refusal);
    }
    let number = known.reviews + 1;
    let (reply, link) = state.config.seal.review(&state.chain, &bytes, message::reviewed(review, number));
    Plan::default()
        .record(Record::Reviewed { id, number, at_unix_s: now.unix_s, bytes, reply: reply.clone(), link })
        .effect(Effect::Publish { tablet, message: reply })
}

fn refused(tablet: TabletName, refusal: Refusal) -> Plan {
    let message = message::bytes(&ErrorReply::from(refusal));
    Plan::default().effect(Effect::Publish { tablet, message })
}

/// News of the engine is news of a worker that has none of our cases: what was running waits again.
fn engine_changed(state: &State, engine: EngineState) -> Plan {
    let plan = Plan::default().record(Record::Engine(engine)).effect(Effect::Status);
    state.running.iter().fold(plan, |plan, id| plan.record(Record::Interrupted { id: *id }))
}

/// Which of the open forms killed it nobody knows: a death for each, and each is served alone from now on.
fn worker_died(state: &State) -> Plan {
    let engine = match state.engine {
        EngineState::Unfit => EngineState::Unfit,
        _ => EngineState::Restarting,
    };
    let plan = Plan::default().record(Record::Engine(engine)).effect(Effect::Status);
    state.running.iter().fold(plan, |plan, id| plan.record(Record::Death { id: *id }))
}

/// The last word of the worker on a case that was taken from it.
fn released(state: &State, id: RequestId) -> Plan {
    match state.leaving.contains(&id) {
        true => Plan::default().record(Record::Released { id }),
        false => Plan::default(),
    }
}

/// Published when the tablet would see a difference: a line that the doctor may not see is none.
fn take_section(state: &State, id: RequestId, section: Section, written: Written) -> Plan {
    let Some(Job { tablet, phase: Phase::Running { form, .. }, .. }) = state.jobs.get(&id) else {
        return Plan::default();
    };
    let shown = |written: &Written| (opinion::visible(&written.lines).0, written.complete);
    let (before, after) = (form.get(&section).map(shown).unwrap_or_default(), shown(&written));
    let plan = Plan::default().record(Record::Section { id, section, written });
    if after == before {
        return plan;
    }
    let message = message::progress(id, section, after.0, after.1);
    plan.effect(Effect::Publish { tablet: tablet.clone(), message })
}

fn end(
    state: &State,
    id: RequestId,
    job: &Job,
    facts: FillFacts,
    degraded: impl IntoIterator<Item = Degraded>,
    now: Now,
) -> Plan {
    let degraded: BTreeSet<Degraded> = degraded.into_iter().collect();
    let killed = job.deaths >= state.config.deaths_max && !state.quarantine.contains_key(&job.case);
    let quarantine =
        (killed && degraded.contains(&Degraded::EngineCrashed)).then(|| Record::Quarantined { case: job.case, id });
    let answer = answer::assemble(&state.config, &state.rules, id, job, facts, degraded, now);
    let (message, link) = match refuse::no_opinion(&job.consult, &answer) {
        Some(message) => (message, None),
        None => {
            let (message, link) = state.config.seal.answer(&state.chain, id, &message::bytes(&answer));
            (message, Some(link))
        }
    };
    let tablet = job.tablet.clone();
    let plan = Plan::default()
        .record(Record::Ended { id, tablet: tablet.clone(), message: message.clone(), link })
        .effect(Effect::Publish { tablet, message });
    quarantine.into_iter().fold(plan, Plan::record)
}
