//! What must hold: after each step, of each plan, on the disk, in each message, at the end of each case.

use crate::{
    cases::{self, DOSE, SERVED},
    disk::{Disk, Row},
};
use contract::{
    answer::{Answer, Degraded, UncertaintyBasis},
    case::PregnancyStatus,
    ids::{RequestId, TabletName},
    reply::{ErrorCode, Reply},
    request::{Consult, Priority, WithoutModel, parse_review},
    words::Triage,
};
use decide::{Config, Effect, EngineState, Event, Job, Now, OLD_AFTER_MS, Phase, RESERVE, Record, State};
use std::collections::BTreeSet;

/// After a step nothing is left to do at this moment.
pub fn of_a_state(state: &State, now: Now) {
    let config = &state.config;
    assert!(state.jobs.len() <= config.queue_max, "the queue is over its bound");
    let running: BTreeSet<RequestId> = state.jobs.iter().filter(|(_, job)| runs(job)).map(|(id, _)| *id).collect();
    assert_eq!(running, state.running, "the state says which cases are with the engine");
    let of_routine = running.iter().filter(|id| !presses(&state.jobs[id])).count();
    assert!(of_routine <= config.jobs_max, "routine in the places that are kept for danger");
    assert!(running.len() <= config.jobs_max + RESERVE, "more at a time than there are places");
    if state.engine == EngineState::Ready {
        nobody_waits_beside_a_free_place(state);
    } else {
        assert!(running.is_empty() && state.leaving.is_empty(), "with an engine that is {:?}", state.engine);
    }
    assert!(
        state.engine != EngineState::Unfit || state.jobs.is_empty(),
        "no case waits for an engine that never comes"
    );
    for (id, job) in &state.jobs {
        assert!(job.deadline_ms() > now.mono_ms, "{id} is overdue");
        assert!(job.deaths < config.deaths_max, "{id} has killed too many workers and is still here");
        assert!(job.attempts <= config.attempts_max, "{id} was tried too often");
        assert!(runs(job) || job.attempts < config.attempts_max, "{id} waits for an attempt that it may not have");
        assert!(SERVED.contains(&department(&job.consult)), "{id} waits for an adapter that the box has not got");
        assert!(!state.owed.contains_key(id), "P3: {id} is both open and answered");
    }
    assert!(state.owed.values().all(|owed| owed.due_ms > now.mono_ms), "an answer is due and was not sent");
}

fn nobody_waits_beside_a_free_place(state: &State) {
    let running = || state.jobs.values().filter(|job| runs(job));
    if state.jobs.values().any(|job| job.deaths > 0) {
        let idle = running().count() == 0 && state.leaving.is_empty();
        return assert!(!idle, "a suspect waits for a worker that has nothing to do");
    }
    for job in state.jobs.values().filter(|job| !runs(job)) {
        let full = running().count() == state.config.jobs_max + RESERVE;
        let full_of_routine = running().filter(|job| !presses(job)).count() == state.config.jobs_max;
        assert!(
            full || (full_of_routine && !presses(job)),
            "the engine is ready, there is a place, and nobody gets it"
        );
    }
}

pub fn of_a_plan(before: &State, event: &Event, records: &[Record], effects: &[Effect], after: &State, now: Now) {
    let asker = match event {
        Event::Consult { tablet, .. }
        | Event::Resend { tablet, .. }
        | Event::Cancel { tablet, .. }
        | Event::Review { tablet, .. }
        | Event::Admin { name: tablet, .. }
        | Event::Receipt { tablet, .. }
        | Event::Refused { tablet, .. } => Some(tablet),
        _ => None,
    };
    if let Event::Consult { tablet, consult, digest, known, .. } = event {
        let first = before.jobs.get(&consult.id).map(|job| (&job.tablet, &job.digest));
        let first = first.or(known.as_ref().map(|known| (&known.tablet, &known.digest)));
        let as_before = effects.iter().any(|effect| matches!(effect, Effect::PublishStored { .. }));
        assert_eq!(
            as_before,
            first == Some((tablet, digest)),
            "P2, P4: the stored answers the same bytes, and only them"
        );
    }
    let sent = |id| effects.iter().any(|effect| matches!(effect, Effect::PublishAnswer { id: it, .. } if *it == id));
    if matches!(event, Event::Connected) {
        assert!(before.owed.keys().all(|id| sent(*id)), "the broker is back and does not get what is owed");
    }
    let mut fills = Vec::new();
    for effect in effects {
        match effect {
            Effect::PublishStored { tablet, .. } => {
                assert_eq!(Some(tablet), asker, "sent to a tablet that did not ask")
            }
            Effect::Publish { tablet, message } => {
                let ends = records.iter().any(|it| matches!(it, Record::Ended { message: end, .. } if end == message));
                if let Ok(Reply::Error(error)) = Reply::parse(message)
                    && !ends
                {
                    assert_eq!(Some(tablet), asker, "an error for a tablet that did nothing");
                    assert_ne!(error.is_final, error.retry_after_s.is_some_and(|s| s > 0));
                    assert_eq!(error.code == ErrorCode::Updating, before.held_until_ms.is_some() && !error.is_final);
                    let own = before.jobs.values().filter(|job| job.tablet == *tablet).count();
                    let full = before.jobs.len() == before.config.queue_max || own == before.config.tablet_max;
                    let spent_until_ms = before.spent_until_ms.get(tablet).copied().unwrap_or(0);
                    let next_ms = 60_000 / u64::from(before.config.per_minute_max);
                    let spent = spent_until_ms.saturating_sub(now.mono_ms) + next_ms > 120_000;
                    assert!(error.code != ErrorCode::Busy || full || spent, "busy with a free place");
                    if error.code == ErrorCode::Busy && !full {
                        let then_ms = now.mono_ms + u64::from(error.retry_after_s.unwrap_or(0)) * 1000;
                        assert!(spent_until_ms + next_ms <= then_ms + 120_000, "told to come again too early");
                    }
                }
            }
            Effect::Fill { id, class, deadline_ms, .. } => {
                fills.push(*id);
                let job = &after.jobs[id];
                assert_eq!(*class, [0, 1, 1, 2][rank(job, now).0]);
                assert_eq!(now.mono_ms + deadline_ms, job.deadline_ms());
            }
            Effect::PublishAnswer { tablet, id } => {
                let owed = before.owed.get(id).map(|owed| &owed.tablet);
                assert_eq!(owed, Some(tablet), "{id} has its receipt, or is another tablet's, and is sent again");
            }
            Effect::Cancel { .. } | Effect::Status => {}
        }
    }
    let attempts: Vec<RequestId> = records.iter().filter_map(attempt).collect();
    assert_eq!(fills, attempts, "each order has its record, each record its order");
    each_is_served_in_its_turn(&fills, after, now);
    the_queue_is_as_it_was_said(event, effects, &fills, after);
    a_case_taken_from_the_worker_is_cancelled(before, event, effects, after);
    every_end_has_the_reason_it_gives(before, event, records, after, now);
}

fn each_is_served_in_its_turn(fills: &[RequestId], after: &State, now: Now) {
    assert!(fills.is_empty() || after.engine == EngineState::Ready);
    let begun: Vec<&Job> = fills.iter().map(|id| &after.jobs[id]).collect();
    assert!(begun.is_sorted_by_key(|job| rank(job, now)), "begun in another order than theirs");
    for job in begun {
        for other in after.jobs.values().filter(|other| !runs(other) && rank(other, now) < rank(job, now)) {
            let passed = other.deaths == 0 && presses(job) && !presses(other);
            assert!(passed, "{:?} was served before {:?}", rank(job, now), rank(other, now));
        }
    }
}

/// `queue: 0` says that it is begun at once; while suspects are served one by one, it is an estimate.
fn the_queue_is_as_it_was_said(event: &Event, effects: &[Effect], fills: &[RequestId], after: &State) {
    let Event::Consult { consult, .. } = event else { return };
    let plain = after.leaving.is_empty() && after.jobs.values().all(|job| job.deaths == 0);
    for effect in effects {
        let Effect::Publish { message, .. } = effect else { continue };
        let Ok(Reply::Accepted(accepted)) = Reply::parse(message) else { continue };
        if plain && after.engine == EngineState::Ready && after.jobs.contains_key(&consult.id) {
            assert_eq!(accepted.queue == 0, fills.contains(&consult.id), "said to be {} cases away", accepted.queue);
        }
    }
}

fn every_end_has_the_reason_it_gives(before: &State, event: &Event, records: &[Record], after: &State, now: Now) {
    use Degraded::{Deadline, EngineCrashed, EngineDown, NoAdapter};
    for record in records {
        let Record::Ended { id, message, .. } = record else { continue };
        let answer = match Reply::parse(message) {
            Ok(Reply::Answer(answer)) => answer,
            Ok(Reply::Error(error)) => {
                let asked = matches!(event, Event::Cancel { id: it, .. } if it == id);
                assert_eq!(error.code == ErrorCode::Cancelled, asked, "{id} ends by {:?}", error.code);
                assert!(error.is_final && error.retry_after_s.is_none());
                continue;
            }
            other => panic!("{id} ends with {other:?}"),
        };
        let says = |why| answer.provenance.degraded.contains(&why);
        let runs = before.running.contains(id);
        let filled = runs && matches!(event, Event::Filled { job, .. } if job == id);
        let failed = runs && matches!(event, Event::FillFailed { job } if job == id);
        let overdue = before.jobs.get(id).is_some_and(|job| job.deadline_ms() <= now.mono_ms);
        assert!(!says(Deadline) || overdue, "{id} ends before its deadline and blames it");
        assert!(!says(EngineDown) || failed || after.engine == EngineState::Unfit, "{id} blames an engine that works");
        let killed = before.jobs.get(id).is_some_and(|job| {
            let deaths = job.deaths + u32::from(runs && matches!(event, Event::WorkerDied));
            let quarantined = before.quarantine.contains_key(&job.case);
            quarantined || deaths >= before.config.deaths_max || job.attempts >= before.config.attempts_max
        });
        assert!(!says(EngineCrashed) || killed, "{id} is said to kill workers and does not");
        let known = [Deadline, EngineDown, EngineCrashed, NoAdapter].into_iter().any(says);
        assert!(known || filled, "{id} ends by the word of a worker that does not have it");
    }
}

fn a_case_taken_from_the_worker_is_cancelled(before: &State, event: &Event, effects: &[Effect], after: &State) {
    for id in before.running.iter().filter(|id| !after.jobs.contains_key(id)) {
        let let_go = match event {
            Event::Filled { job, .. } | Event::FillFailed { job } => job == id,
            Event::WorkerDied | Event::Engine(_) => true,
            _ => false,
        };
        let cancelled = effects.iter().any(|effect| matches!(effect, Effect::Cancel { id: it } if it == id));
        assert!(let_go || cancelled, "the worker goes on with {id}, which is answered");
    }
}

/// What is durable is the same in memory and on the disk.
pub fn of_the_disk(state: &State, disk: &Disk) {
    let mut jobs: Vec<(&RequestId, &Job)> = state.jobs.iter().collect();
    jobs.sort_by_key(|(_, job)| job.arrival);
    let in_memory = jobs.into_iter().map(|(id, job)| (*id, &job.tablet, job.digest, job.attempts, job.deaths));
    let on_disk = disk.open().map(|row| (row.id, &row.tablet, row.digest, row.attempts, row.deaths));
    assert!(in_memory.eq(on_disk), "the open cases differ");
    assert_eq!(state.chain.seq, disk.chain.len() as u64, "the chain differs");
    let quarantine = state.quarantine.iter().map(|(case, it)| (*case, it.id));
    assert!(quarantine.eq(disk.quarantine.iter().map(|(case, id)| (*case, *id))), "the quarantine differs");
    let in_memory: BTreeSet<_> = state.owed.iter().map(|(id, owed)| (*id, &owed.tablet)).collect();
    let on_disk: BTreeSet<_> = disk.owed().map(|row| (row.id, &row.tablet)).collect();
    assert_eq!(in_memory, on_disk, "the owed answers differ");
}

/// Read as a tablet reads it: it is of its own case and says what is stored.
pub fn of_a_message(disk: &Disk, config: &Config, tablet: &TabletName, message: &[u8]) -> Reply {
    let text = String::from_utf8(message.to_vec()).expect("UTF-8");
    assert!(!text.replace(' ', "").contains(DOSE), "a dose: {text}");
    let reply = Reply::parse(message).expect("P5: the contract's own reader reads it");
    if matches!(reply, Reply::Error(_) | Reply::Report(_)) {
        return reply;
    }
    let row = reply.id().and_then(|id| disk.row(id)).expect("P1: published and not stored");
    assert_eq!(row.tablet, *tablet, "one tablet's case was published to another");
    match &reply {
        Reply::Answer(answer) => {
            assert_eq!(row.answer(), Some(message), "P2: published, and other bytes are stored");
            of_an_answer(answer, row, config);
        }
        Reply::Progress(_) => assert!(row.attempts > 0, "progress of a case that no engine has seen"),
        Reply::Reviewed(_) => assert!(row.reviews.iter().any(|(_, said)| said == message), "P2: said and not stored"),
        _ => assert!(row.messages.iter().any(|stored| stored == message), "P2: published, and other bytes are stored"),
    }
    reply
}

fn of_an_answer(answer: &Answer, row: &Row, config: &Config) {
    let consult = row.consult();
    let rules = cases::rules_alone(&consult);
    assert_eq!((answer.id, answer.lang, &*answer.department), (row.id, consult.lang, department(&consult)));
    assert_eq!(answer.red_flags, rules.red_flags, "P10: the flags depend on more than the case");
    assert_eq!(answer.triage, rules.triage, "P10: the triage depends on more than the case");
    assert!(!answer.cannot_exclude.is_empty(), "P5");
    let cautioned = answer.medication_cautions.iter().any(|caution| caution.rule.as_deref() == Some("DR01"));
    assert_eq!(cautioned, consult.case.plan.is_some(), "a planned drug that harms, and no word of it");
    let dropped: u32 = answer.provenance.dropped.iter().map(|one| one.lines).sum();
    assert_eq!(dropped, answer.provenance.lines_dropped, "each dropped line has its kind");
    assert!(
        rules.exclusions.iter().all(|by_rule| answer.cannot_exclude.contains(by_rule)),
        "P10: an exclusion is lost"
    );
    assert_eq!(answer.patient_text, None);
    let provenance = &answer.provenance;
    if let Some(hint) = &provenance.department_hint {
        assert!(*hint != answer.department && SERVED.contains(&&**hint), "a hint at {hint}");
        assert!(&*consult.department == "auto" && &*answer.department == "internal", "there was a reason");
    }
    let opinion = !answer.possible_causes.is_empty();
    assert!(opinion || answer.abstained.is_some(), "no opinion, and it does not say that it abstains");
    let by_rules_alone = answer.uncertainty.basis == UncertaintyBasis::RulesOnly;
    let reasons = provenance.degraded.iter().filter(|why| **why != Degraded::ScriptedEngine).count();
    assert!(!by_rules_alone || reasons > 0, "an answer of the rules alone does not say why");
    let named = provenance.adapter.is_some() && provenance.base_sha256.is_some();
    assert!(by_rules_alone || named, "the model spoke and is not named");
    assert_eq!(config.scripted, provenance.degraded.contains(&Degraded::ScriptedEngine), "scripted and unlabelled");
}

pub fn of_a_finished_case(row: &Row, config: &Config) {
    let replies: Vec<Reply> =
        row.messages.iter().map(|bytes| Reply::parse(bytes).expect("stored and readable")).collect();
    let rules = cases::rules_alone(&row.consult());
    assert!(row.received && row.attempts <= config.attempts_max && row.deaths <= config.deaths_max);
    of_the_reviews(row);
    match &replies[..] {
        [Reply::Accepted(_), Reply::Error(error)] | [Reply::Accepted(_), Reply::Alert(_), Reply::Error(error)] => {
            let wants_opinion = row.consult().without_model == WithoutModel::Error;
            let why = [ErrorCode::Deadline, ErrorCode::Internal, ErrorCode::Quarantined];
            assert!(error.code == ErrorCode::Cancelled || (wants_opinion && why.contains(&error.code)));
        }
        [Reply::Accepted(_), Reply::Answer(answer)] => {
            assert_eq!(rules.triage, Triage::Green, "P10: a danger without its alert");
            of_an_answer(answer, row, config);
        }
        [Reply::Accepted(_), Reply::Alert(alert), Reply::Answer(answer)] => {
            assert!(rules.triage > Triage::Green, "an alert for a green case");
            assert_eq!((alert.triage, &alert.red_flags), (rules.triage, &rules.red_flags), "P10");
            of_an_answer(answer, row, config);
        }
        other => panic!("P3: not one acceptance and one answer: {other:?}"),
    }
}

fn of_the_reviews(row: &Row) {
    for (bytes, said) in &row.reviews {
        let review = parse_review(bytes).expect("stored and readable");
        let Ok(Reply::Reviewed(said)) = Reply::parse(said) else { panic!("something else was said to a review") };
        assert_eq!((said.id, said.verdict, &said.patient_text), (row.id, review.verdict, &review.patient_text));
        assert!(said.audit.is_some() && said.sig.is_some());
    }
}

fn runs(job: &Job) -> bool {
    matches!(job.phase, Phase::Running { .. })
}

fn attempt(record: &Record) -> Option<RequestId> {
    match record {
        Record::Attempt { id } => Some(*id),
        _ => None,
    }
}

/// Danger, the long waiting, urgency, routine; then time; said again in other words than the core's.
fn rank(job: &Job, now: Now) -> (usize, usize, u64, u64) {
    let waited = now.mono_ms.saturating_sub(job.accepted_ms);
    match (presses(job), red(job)) {
        (_, true) => (0, job.turn, job.deadline_ms(), job.arrival),
        (false, _) if waited >= OLD_AFTER_MS => (1, 0, job.accepted_ms, job.arrival),
        (true, _) => (2, job.turn, job.deadline_ms(), job.arrival),
        (false, _) => (3, job.turn, job.deadline_ms(), job.arrival),
    }
}

fn red(job: &Job) -> bool {
    cases::rules_alone(&job.consult).triage == Triage::Red
}

fn presses(job: &Job) -> bool {
    red(job) || job.consult.priority == Priority::Urgent
}

fn department(consult: &Consult) -> &str {
    let case = &consult.case;
    match &*consult.department {
        "auto" if case.pregnancy.is_some_and(|p| p.status == PregnancyStatus::Pregnant) => "obstetrics",
        "auto" if case.age.is_some_and(|age| age.years() < 14.0) => "pediatrics",
        // The red flag of a pregnancy that nobody coded
        "auto" if case.complaint.text.contains("怀孕") => "obstetrics",
        "auto" => "internal",
        stated => stated,
    }
}

pub fn name(why: Degraded) -> &'static str {
    match why {
        Degraded::ScriptedEngine => "scripted engine",
        Degraded::EngineDown => "engine down",
        Degraded::EngineCrashed => "engine crashed",
        Degraded::Deadline => "deadline",
        Degraded::FormIncomplete => "form incomplete",
        Degraded::NoAdapter => "no adapter",
        Degraded::CaseCut => "case cut",
        #[allow(unreachable_patterns, reason = "the contract may learn new reasons")]
        _ => "other",
    }
}

pub fn code(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Busy => "busy",
        ErrorCode::IdConflict => "id conflict",
        ErrorCode::UnknownId => "unknown id",
        ErrorCode::Cancelled => "cancelled",
        ErrorCode::Updating => "updating",
        ErrorCode::ModelLoading => "model loading",
        ErrorCode::StorageFull => "storage full",
        ErrorCode::NotAllowed => "not allowed",
        ErrorCode::Quarantined | ErrorCode::Deadline | ErrorCode::Internal => "no opinion in place of one",
        _ => "refused",
    }
}
