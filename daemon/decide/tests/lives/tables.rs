//! The subtle rules one by one: a table each, or the shortest story that shows it.

use crate::cases;
use contract::{
    answer::{Answer, Degraded},
    ids::RequestId,
    reply::{Accepted, ErrorCode, ErrorReply, Progress, Reply, Section},
    request::{Request, parse_request},
    words::Triage,
};
use decide::{
    Config, Effect, EngineState, Event, FillFacts, FormLine, Now, OLD_AFTER_MS, OWED_OF_TABLET_MAX, Plan, Question,
    Record, Score, State, Written, rules::RuleSet, step,
};
use serde_json::{Value, json};
use std::sync::Arc;

const DEADLINE_S: u32 = 180;
const RED: usize = 0;
const GREEN: usize = 5;

/// A box whose clock is in the test's hand.
pub(crate) struct Clinic {
    pub(crate) state: State,
    now: Now,
}

impl Clinic {
    pub(crate) fn new(queue_max: usize) -> Self {
        Self::with(queue_max, 1)
    }

    pub(crate) fn with(queue_max: usize, jobs_max: usize) -> Self {
        let config = Config { jobs_max, ..cases::config(queue_max) };
        Self { state: State::new(config), now: Now::default() }
    }

    pub(crate) fn step(&mut self, event: Event) -> Plan {
        step(&mut self.state, event, self.now)
    }

    pub(crate) fn ready(&mut self) -> Plan {
        self.step(Event::Engine(EngineState::Ready))
    }

    pub(crate) fn consults(&mut self, n: usize, case: usize, priority: &str) -> Plan {
        let bytes = cases::request(cases::id(n), case, "zh", "internal", priority, DEADLINE_S);
        self.consults_in(bytes)
    }

    pub(crate) fn consults_in(&mut self, bytes: Vec<u8>) -> Plan {
        self.consults_as("clinic-1", bytes)
    }

    fn consults_as(&mut self, name: &str, bytes: Vec<u8>) -> Plan {
        let Ok(Request::Consult(consult)) = parse_request(&bytes) else { panic!("a good request") };
        let (tablet, consult) = (cases::tablet(name), Box::new(consult));
        self.step(Event::Consult { tablet, consult, bytes, digest: [0; 32], known: None })
    }

    pub(crate) fn writes(&mut self, job: RequestId, section: Section, text: &str) -> Plan {
        self.writes_lines(job, section, &[text], true)
    }

    fn writes_lines(&mut self, job: RequestId, section: Section, lines: &[&str], complete: bool) -> Plan {
        let lines = lines.iter().map(|text| FormLine { text: (*text).into(), logprob: -0.1 }).collect();
        self.step(Event::Section { job, section, written: Written { lines, complete } })
    }

    pub(crate) fn fills(&mut self, job: RequestId) -> Plan {
        self.step(Event::Filled { job, facts: FillFacts::default() })
    }

    fn after(&mut self, seconds: u64) -> &mut Self {
        self.now.mono_ms += seconds * 1000;
        self
    }
}

fn served(plan: &Plan) -> Option<RequestId> {
    all_served(plan).first().copied()
}

fn all_served(plan: &Plan) -> Vec<RequestId> {
    let fill = |effect: &Effect| match effect {
        Effect::Fill { id, .. } => Some(*id),
        _ => None,
    };
    plan.effects.iter().filter_map(fill).collect()
}

pub(crate) fn replies(plan: &Plan) -> Vec<Reply> {
    let published = |effect: &Effect| match effect {
        Effect::Publish { message, .. } => Some(Reply::parse(message).expect("readable")),
        _ => None,
    };
    plan.effects.iter().filter_map(published).collect()
}

macro_rules! first {
    ($plan:expr, $kind:ident) => {
        replies(&$plan).into_iter().find_map(|reply| match reply {
            Reply::$kind(found) => Some(found),
            _ => None,
        })
    };
}

pub(crate) fn answer(plan: &Plan) -> Answer {
    *first!(plan, Answer).expect("an answer")
}

fn accepted(plan: &Plan) -> Accepted {
    first!(plan, Accepted).expect("an acceptance")
}

fn busy(plan: &Plan) -> ErrorReply {
    first!(plan, Error).expect("an error")
}

#[test]
fn danger_is_served_before_urgency_before_the_earlier_deadline_before_arrival() {
    let (routine, urgent) = ("routine", "urgent");
    type Arrival<'a> = (usize, &'a str, u32);
    #[rustfmt::skip]
    let table: [(&[Arrival], &[usize]); 5] = [
        (&[(GREEN, routine, 90), (GREEN, routine, 90), (GREEN, routine, 90)],                     &[0, 1, 2]),
        (&[(GREEN, routine, 90), (GREEN, routine, 80), (GREEN, routine, 70)],                     &[2, 1, 0]),
        (&[(GREEN, routine, 30), (GREEN, urgent, 90), (GREEN, routine, 90)],                      &[1, 0, 2]),
        (&[(GREEN, routine, 30), (GREEN, urgent, 40), (RED, routine, 90), (RED, urgent, 90)],     &[2, 3, 1, 0]),
        (&[(GREEN, urgent, 90), (RED, routine, 600), (GREEN, urgent, 80), (GREEN, routine, 30)],  &[1, 2, 0, 3]),
    ];
    for (arrivals, order) in table {
        let mut clinic = Clinic::new(9);
        for (n, (case, priority, deadline_s)) in arrivals.iter().enumerate() {
            // Ids fall while arrivals rise, so that the order of ids is nobody's order.
            let bytes = cases::request(cases::id(9 - n), *case, "zh", "internal", priority, *deadline_s);
            let _accepted = clinic.consults_in(bytes);
        }
        let mut begun = all_served(&clinic.ready());
        while let Some(id) = clinic.state.running.first().copied() {
            begun.extend(all_served(&clinic.fills(id)));
        }
        // One place for all and two more for danger: those are begun first, and among themselves in their order.
        let expected: Vec<RequestId> = order.iter().map(|n| cases::id(9 - n)).collect();
        assert_eq!(begun, expected, "{arrivals:?}");
    }
}

#[test]
fn danger_does_not_wait_for_a_place_that_routine_has() {
    let mut clinic = Clinic::with(32, 2);
    let _status = clinic.ready();
    let queue = |plan: &Plan| (accepted(plan).queue, !all_served(plan).is_empty());
    assert_eq!(queue(&clinic.consults(1, GREEN, "routine")), (0, true));
    assert_eq!(queue(&clinic.consults(2, GREEN, "routine")), (0, true));
    assert_eq!(queue(&clinic.consults(3, GREEN, "routine")), (1, false), "two at a time");
    assert_eq!(queue(&clinic.consults(4, GREEN, "routine")), (2, false));
    assert_eq!(queue(&clinic.consults(5, RED, "routine")), (0, true), "on top of them");
    assert_eq!(queue(&clinic.consults(6, GREEN, "urgent")), (0, true));
    assert_eq!(queue(&clinic.consults(7, RED, "urgent")), (1, false), "the reserve has an end");
    // An urgent one that ends makes room for the next of its kind, and not for routine.
    assert_eq!(all_served(&clinic.fills(cases::id(6))), [cases::id(7)]);
    assert_eq!(all_served(&clinic.fills(cases::id(5))), []);
    assert_eq!(all_served(&clinic.fills(cases::id(1))), [cases::id(3)]);
}

#[test]
fn what_several_take_at_a_time_is_in_the_estimate() {
    let mut clinic = Clinic::with(32, 2);
    let _status = clinic.ready();
    let _begun = [clinic.consults(1, GREEN, "routine"), clinic.consults(2, GREEN, "routine")];
    let _ended = [clinic.after(20).fills(cases::id(1)), clinic.fills(cases::id(2))];
    let eta = |plan: Plan| accepted(&plan).eta_s;
    assert_eq!(eta(clinic.consults(3, GREEN, "routine")), Some(20));
    assert_eq!(eta(clinic.consults(4, GREEN, "routine")), Some(20), "beside the other");
    assert_eq!(eta(clinic.consults(5, GREEN, "routine")), Some(30), "one of the two ends after ten seconds");
    assert_eq!(eta(clinic.consults(6, GREEN, "routine")), Some(40));
    assert_eq!(eta(clinic.consults(7, RED, "routine")), Some(20), "danger waits for nobody");

    let mut clinic = Clinic::with(2, 2);
    let _status = clinic.ready();
    let _begun = [clinic.consults(1, GREEN, "routine"), clinic.consults(2, GREEN, "routine")];
    let _ended = [clinic.after(20).fills(cases::id(1)), clinic.fills(cases::id(2))];
    let _begun = [clinic.consults(3, GREEN, "routine"), clinic.consults(4, GREEN, "routine")];
    assert_eq!(busy(&clinic.consults(5, RED, "routine")).retry_after_s, Some(10), "one of the two ends by then");
}

#[test]
fn a_stream_of_urgent_cases_does_not_keep_routine_waiting_for_ever() {
    let mut clinic = Clinic::with(32, 1);
    let _status = clinic.ready();
    let _first = clinic.consults(0, GREEN, "urgent");
    let _more = [clinic.consults(1, GREEN, "urgent"), clinic.consults(2, GREEN, "urgent")];
    let patient = cases::id(9);
    assert_eq!(accepted(&clinic.consults(9, GREEN, "routine")).queue, 1);
    // Each second an urgent case ends and another comes: there is always one to be served before routine.
    let mut waited_s = 0;
    let begun = (10..).find(|n| {
        let _accepted = clinic.consults(*n, GREEN, "urgent");
        waited_s += 1;
        let oldest = *clinic.state.running.first().expect("always somebody");
        clinic.after(1);
        all_served(&clinic.fills(oldest)).contains(&patient) || waited_s > DEADLINE_S as u64
    });
    assert!(begun.is_some());
    assert_eq!(waited_s, OLD_AFTER_MS / 1000, "begun at the first place after it has grown old");
}

#[test]
fn danger_goes_before_what_has_grown_old() {
    let mut clinic = Clinic::with(32, 1);
    let _status = clinic.ready();
    let _running = [0, 1, 2].map(|n| clinic.consults(n, RED, "routine"));
    let _waits = [clinic.consults(3, GREEN, "routine"), clinic.after(61).consults(4, RED, "routine")];
    assert_eq!(all_served(&clinic.fills(cases::id(0))), [cases::id(4)]);
    assert_eq!(all_served(&clinic.fills(cases::id(1))), [cases::id(3)]);
}

#[test]
fn the_innocent_survive_beside_poison_and_it_dies_alone() {
    let mut clinic = Clinic::with(32, 4);
    let (poison, late) = (cases::id(2), cases::id(9));
    let _accepted: Vec<Plan> = (0..4).map(|n| clinic.consults(n, GREEN, "routine")).collect();
    assert_eq!(all_served(&clinic.ready()).len(), 4, "in company");
    assert!(replies(&clinic.step(Event::WorkerDied)).is_empty(), "nobody is guilty yet");
    assert!(clinic.state.jobs.values().all(|job| job.deaths == 1), "everybody is suspect");

    assert_eq!(all_served(&clinic.ready()), [cases::id(0)], "alone");
    assert_eq!(all_served(&clinic.consults(9, GREEN, "routine")), [], "nothing beside it");
    assert_eq!(all_served(&clinic.fills(cases::id(0))), [cases::id(1)]);
    assert_eq!(all_served(&clinic.fills(cases::id(1))), [poison]);
    let plan = clinic.step(Event::WorkerDied);
    assert_eq!((answer(&plan).id, answer(&plan).provenance.degraded), (poison, vec![Degraded::EngineCrashed]));
    assert_eq!(all_served(&clinic.ready()), [cases::id(3)]);
    assert_eq!(all_served(&clinic.fills(cases::id(3))), [late], "and the others go on");
}

#[test]
fn a_suspect_at_the_head_is_not_passed() {
    let mut clinic = Clinic::with(32, 2);
    let suspect = cases::id(1);
    let _accepted = clinic.consults(1, GREEN, "urgent");
    let _death = [clinic.ready(), clinic.step(Event::WorkerDied)];
    let _routine = [clinic.consults(2, GREEN, "routine"), clinic.consults(3, RED, "routine")];
    assert_eq!(all_served(&clinic.ready()), [cases::id(3)], "danger goes before it");
    assert_eq!(all_served(&clinic.consults(4, GREEN, "urgent")), [], "and nothing behind it, or company never ends");
    assert_eq!(all_served(&clinic.consults(5, RED, "routine")), [cases::id(5)]);
    assert_eq!(all_served(&clinic.fills(cases::id(3))), []);
    assert_eq!(all_served(&clinic.fills(cases::id(5))), [suspect]);
    assert_eq!(all_served(&clinic.fills(suspect)).len(), 2);
}

#[test]
fn a_suspect_waits_until_the_worker_has_let_go_of_what_was_cancelled() {
    let mut clinic = Clinic::with(32, 2);
    let (late, suspect) = (cases::id(1), cases::id(2));
    let _accepted = clinic.consults(2, GREEN, "routine");
    let _death = [clinic.ready(), clinic.step(Event::WorkerDied), clinic.step(Event::Engine(EngineState::Restarting))];
    let _accepted = clinic.consults_in(cases::request(late, RED, "zh", "internal", "routine", 5));
    assert_eq!(all_served(&clinic.ready()), [late]);
    let plan = clinic.after(5).step(Event::Tick);
    assert_eq!(answer(&plan).id, late);
    assert_eq!(all_served(&plan), [], "its form may still be open");
    assert_eq!(all_served(&clinic.step(Event::FillFailed { job: late })), [suspect]);

    // The same with a worker that hangs in it: its end is nobody else's death.
    let late = cases::id(3);
    let _ended = clinic.fills(suspect);
    let _accepted = [clinic.consults(4, GREEN, "routine"), clinic.step(Event::WorkerDied)];
    assert_eq!(clinic.state.jobs[&cases::id(4)].deaths, 1);
    let _accepted = clinic.consults_in(cases::request(late, RED, "zh", "internal", "routine", 5));
    assert_eq!(all_served(&clinic.ready()), [late]);
    let _late = clinic.after(5).step(Event::Tick);
    let _death = clinic.step(Event::WorkerDied);
    assert_eq!(clinic.state.jobs[&cases::id(4)].deaths, 1);
    assert_eq!(all_served(&clinic.ready()), [cases::id(4)]);
}

#[test]
fn a_flood_of_danger_delays_anothers_by_one() {
    let mut clinic = Clinic::new(20);
    let red = |n, deadline_s| cases::request(cases::id(n), RED, "zh", "internal", "routine", deadline_s);
    let _routine: Vec<Plan> = (11..14)
        .map(|n| cases::request(cases::id(n), GREEN, "zh", "internal", "routine", 600))
        .map(|bytes| clinic.consults_as("clinic-2", bytes))
        .collect();
    let _flood: Vec<Plan> = (1..9).map(|n| clinic.consults_in(red(n, 60))).collect();
    let _other = clinic.consults_as("clinic-2", red(9, 600));
    let begun = all_served(&clinic.ready());
    assert_eq!(begun[..2], [cases::id(1), cases::id(9)]);
}

#[test]
fn what_a_tablet_does_not_confirm_is_sent_a_few_at_a_time_and_delays_nobody() {
    let mut clinic = Clinic::new(9);
    for n in 0..5000 {
        let end = Record::Ended { id: cases::id(n), tablet: cases::tablet("clinic-1"), message: vec![], link: None };
        clinic.state.apply(&end, clinic.now);
    }
    assert_eq!(clinic.state.owed.len(), OWED_OF_TABLET_MAX);
    assert!((4900..5000).all(|n| clinic.state.owed.contains_key(&cases::id(n))), "the newest");
    let _ready = clinic.ready();
    let mut sent = clinic.step(Event::Connected).effects;
    assert!(sent.len() <= 65, "{} at once", sent.len());
    let red = cases::request(cases::id(6000), RED, "zh", "internal", "routine", DEADLINE_S);
    let plan = clinic.consults_as("clinic-2", red);
    assert_eq!((served(&plan), plan.effects.len()), (Some(cases::id(6000)), 3), "accepted, alert, to the engine");
    sent.extend(clinic.step(Event::Tick).effects);
    let sent = sent.iter().filter(|effect| matches!(effect, Effect::PublishAnswer { .. })).count();
    assert_eq!(sent, OWED_OF_TABLET_MAX, "each of them once");
}

#[test]
fn a_tablet_whose_cases_are_answered_at_once_is_bounded_by_time() {
    let mut clinic = Clinic::new(9);
    let at_once = |n| cases::request(cases::id(n), GREEN, "zh", "surgery", "routine", DEADLINE_S);
    let count = |clinic: &mut Clinic, name: &str, from: usize| {
        (from..from + 500).take_while(|n| first!(clinic.consults_as(name, at_once(*n)), Accepted).is_some()).count()
    };
    assert_eq!(count(&mut clinic, "clinic-1", 0), 120, "two minutes' at once");
    assert_eq!(count(&mut clinic, "clinic-2", 1000), 120, "the other's are its own");
    let refused = busy(&clinic.consults_as("clinic-1", at_once(2000)));
    assert_eq!((refused.code, refused.retry_after_s), (ErrorCode::Busy, Some(1)));
    assert_eq!(count(clinic.after(1), "clinic-1", 2001), 1, "as it was told");
    assert_eq!(count(clinic.after(59), "clinic-1", 3001), 59);
    assert_eq!(count(clinic.after(3600), "clinic-1", 4001), 120, "and no more after an hour");
}

#[test]
fn a_full_queue_is_an_answer() {
    let mut clinic = Clinic::new(1);
    let _status = clinic.ready();
    let _runs = clinic.consults(1, GREEN, "routine");
    let refused = clinic.consults(2, RED, "urgent");
    assert!(refused.records.is_empty(), "what is refused is not stored");
    assert_eq!((busy(&refused).code, busy(&refused).retry_after_s), (ErrorCode::Busy, Some(30)), "without experience");
    assert!(!busy(&refused).is_final, "the same id may come again");

    let _answered = clinic.after(12).fills(cases::id(1));
    assert_eq!(accepted(&clinic.consults(2, GREEN, "routine")).eta_s, Some(12));
    assert_eq!(busy(&clinic.consults(3, GREEN, "routine")).retry_after_s, Some(12), "one case's time");
}

#[test]
fn at_its_deadline_a_case_is_answered_with_what_is_finished() {
    let mut clinic = Clinic::new(9);
    let (late, next) = (cases::id(1), cases::id(2));
    let _status = clinic.ready();
    let _runs = clinic.consults(1, GREEN, "routine");
    let _progress = clinic.writes(late, Section::PossibleCauses, "足癣：趾间瘙痒");
    let _waits = clinic.after(100).consults(2, GREEN, "routine");
    assert!(replies(&clinic.after(79).step(Event::Tick)).is_empty(), "a second before it");

    let plan = clinic.after(1).step(Event::Tick);
    let said = answer(&plan);
    assert_eq!(said.id, late);
    assert_eq!(said.provenance.degraded, [Degraded::Deadline, Degraded::FormIncomplete]);
    assert_eq!(said.possible_causes.iter().map(|cause| &*cause.name).collect::<Vec<_>>(), ["足癣"]);
    assert!(said.abstained.is_none());
    assert!(plan.effects.iter().any(|effect| matches!(effect, Effect::Cancel { id } if *id == late)));
    assert_eq!(served(&plan), Some(next), "the next is not kept waiting");

    let too_late = [clinic.writes(late, Section::CannotExclude, "湿疹"), clinic.fills(late)];
    let changes = |plan: &Plan| plan.records.iter().any(Record::is_durable) || !plan.effects.is_empty();
    assert!(!too_late.iter().any(changes), "answered is answered");
}

#[test]
fn auto_is_pregnancy_before_age_before_internal() {
    let years = |n: u32| json!({"value": n, "unit": "year"});
    #[rustfmt::skip]
    let table = [
        (Value::Null, Value::Null,     "internal"),
        (years(14),   Value::Null,     "internal"),
        (years(13),   Value::Null,     "pediatrics"),
        (json!({"value": 5, "unit": "day"}), Value::Null, "pediatrics"),
        (years(30),   json!({"status": "pregnant", "weeks": 30}), "obstetrics"),
        (years(13),   json!({"status": "pregnant"}),     "obstetrics"),
        (years(30),   json!({"status": "postpartum"}),   "obstetrics"),
        (years(30),   json!({"status": "not_pregnant"}), "internal"),
        (Value::Null, json!({"status": "not_pregnant"}), "internal"),
    ];
    for (n, (age, pregnancy, department)) in table.into_iter().enumerate() {
        let mut case = json!({"complaint": {"text": "脚气痒一周"}});
        for (field, value) in [("age", &age), ("pregnancy", &pregnancy)] {
            if !value.is_null() {
                case[field] = value.clone();
            }
        }
        let request = json!({"v": 1, "type": "consult", "id": cases::id(n), "department": "auto", "case": case});
        let mut clinic = Clinic::new(9);
        let _accepted = clinic.consults_in(request.to_string().into_bytes());
        let plan = clinic.ready();
        let chosen = plan.effects.iter().find_map(|effect| match effect {
            Effect::Fill { department, .. } => Some(department.to_string()),
            _ => None,
        });
        assert_eq!(chosen.as_deref(), Some(department), "{age} {pregnancy}");
    }
}

#[test]
fn a_case_that_kills_workers_is_taken_away_from_them() {
    let mut clinic = Clinic::new(9);
    let _accepted = clinic.consults(1, RED, "routine");
    let _attempt = clinic.ready();
    assert!(replies(&clinic.step(Event::WorkerDied)).is_empty(), "once may be chance");
    assert_eq!(served(&clinic.ready()), Some(cases::id(1)));
    let said = answer(&clinic.step(Event::WorkerDied));
    assert_eq!(said.provenance.degraded, [Degraded::EngineCrashed]);
    assert!(!said.red_flags.is_empty(), "P10");
}

#[test]
fn the_case_that_runs_does_not_wait_for_an_engine_that_never_comes() {
    let mut clinic = Clinic::new(9);
    let _accepted = clinic.consults(1, GREEN, "routine");
    let _attempt = clinic.ready();
    let said = answer(&clinic.step(Event::Engine(EngineState::Unfit)));
    assert_eq!(said.provenance.degraded, [Degraded::EngineDown]);
}

#[test]
fn an_empty_form_says_that_it_is_incomplete() {
    let mut clinic = Clinic::new(9);
    let _accepted = clinic.consults(1, GREEN, "routine");
    let _attempt = clinic.ready();
    assert_eq!(answer(&clinic.fills(cases::id(1))).provenance.degraded, [Degraded::FormIncomplete]);
}

#[test]
fn a_control_character_hides_no_dose() {
    let mut clinic = Clinic::new(9);
    let _accepted = clinic.consults(1, GREEN, "routine");
    let _attempt = clinic.ready();
    let plan = clinic.writes(cases::id(1), Section::MedicationCautions, "阿莫西林：0.5\u{1}g口服");
    let progress: Progress = first!(plan, Progress).expect("progress");
    assert!(progress.lines.is_empty(), "left out of the progress");
    let said = answer(&clinic.fills(cases::id(1)));
    assert!(said.medication_cautions.is_empty());
    assert_eq!(said.provenance.lines_dropped, 1);
}

#[test]
fn each_line_is_shown_once_as_it_comes_and_the_end_of_a_section_is_told() {
    let mut clinic = Clinic::new(9);
    let job = cases::id(1);
    let _begun = [clinic.consults(1, GREEN, "routine"), clinic.ready()];
    let (causes, dose) = (Section::PossibleCauses, "阿莫西林：0.5g口服");
    type Shown = Option<(usize, bool)>;
    #[rustfmt::skip]
    let table: [(&[&str], bool, Shown); 8] = [
        (&[],                            false, None), // nothing to be seen yet
        (&["足癣：痒"],                  false, Some((1, false))),
        (&["足癣：痒"],                  false, None),
        (&["足癣：痒", dose],            false, None), // a line that the doctor may not see is none
        (&["足癣：痒", dose, "湿疹：痒"], false, Some((2, false))),
        (&["足癣：痒", dose, "湿疹：痒"], true,  Some((2, true))),
        (&["足癣：痒", dose, "湿疹：痒"], true,  None),
        (&["足癣：痒"],                  true,  Some((1, true))),
    ];
    for (lines, complete, shown) in table {
        let plan = clinic.writes_lines(job, causes, lines, complete);
        let progress: Option<Progress> = first!(plan, Progress);
        assert_eq!(progress.map(|p| (p.lines.len(), p.complete)), shown, "{lines:?} {complete}");
    }
    let progress: Option<Progress> = first!(clinic.writes_lines(job, Section::CannotExclude, &[], true), Progress);
    assert_eq!(progress.map(|p| (p.lines.len(), p.complete)), Some((0, true)), "finished, and nothing in it");
}

#[test]
fn what_is_written_of_a_section_is_in_the_answer_and_said_to_be_unfinished() {
    let mut clinic = Clinic::new(9);
    let job = cases::id(1);
    let _begun = [clinic.consults(1, GREEN, "routine"), clinic.ready()];
    let _all = Section::ALL.map(|section| clinic.after(1).writes(job, section, "足癣：痒"));
    let _more = clinic.writes_lines(job, Section::PossibleCauses, &["足癣：痒", "湿疹：痒"], false);
    let late = clinic.after(180).step(Event::Tick);
    assert_eq!(answer(&late).provenance.degraded, [Degraded::Deadline, Degraded::FormIncomplete]);
    assert_eq!(answer(&late).possible_causes.len(), 2);
    assert_eq!(answer(&late).provenance.timings.first_section_ms, Some(1000));

    // The same form to its end; and its first lines are no finished section.
    let job = cases::id(2);
    let _begun = [clinic.fills(cases::id(1)), clinic.consults(2, GREEN, "routine")];
    let _lines = clinic.after(1).writes_lines(job, Section::PossibleCauses, &["足癣：痒"], false);
    let _all = Section::ALL.map(|section| clinic.after(1).writes(job, section, "足癣：痒"));
    let said = answer(&clinic.fills(job));
    assert_eq!((said.provenance.degraded, said.provenance.timings.first_section_ms), (vec![], Some(2000)));
}

#[test]
fn the_model_is_asked_for_a_department_only_where_ours_had_no_reason_and_routes_nobody() {
    let adult = json!({"complaint": {"text": "脚气痒一周"}});
    let child = json!({"age": {"value": 5, "unit": "year"}, "complaint": {"text": "脚气痒一周"}});
    let prefers = |name: &str, share: f32| vec![(name.to_owned(), share), ("internal".to_owned(), 1.0 - share)];
    #[rustfmt::skip]
    let table = [
        ("auto",     &adult, true,  prefers("obstetrics", 0.6),  Some("obstetrics")),
        ("auto",     &adult, true,  prefers("obstetrics", 0.59), None),
        ("auto",     &adult, true,  prefers("obstetrics", 0.1),  None), // clearly ours
        ("auto",     &adult, true,  prefers("surgery", 0.9),     None), // not served here
        ("auto",     &adult, true,  prefers("obstetrics", f32::NAN), None),
        ("auto",     &child, false, prefers("obstetrics", 0.9),  None),
        ("internal", &adult, false, prefers("obstetrics", 0.9),  None),
    ];
    for (n, (department, case, asked, options, hint)) in table.into_iter().enumerate() {
        let id = cases::id(n);
        let request = json!({"v": 1, "type": "consult", "id": id, "department": department, "case": case});
        let mut clinic = Clinic::new(9);
        let _accepted = clinic.consults_in(request.to_string().into_bytes());
        let plan = clinic.ready();
        let question = Question::Department { options: clinic.state.config.departments.keys().cloned().collect() };
        let questions = plan.effects.iter().find_map(|effect| match effect {
            Effect::Fill { questions, .. } => Some(questions.clone()),
            _ => None,
        });
        assert_eq!(questions, Some(if asked { vec![question.clone()] } else { vec![] }), "{department} {case}");

        let scores = vec![Score { question, options }];
        let said = answer(&clinic.step(Event::Filled { job: id, facts: FillFacts { scores, ..FillFacts::default() } }));
        assert_eq!(said.provenance.department_hint.as_deref(), hint, "{n}");
        assert_ne!(&*said.department, "obstetrics", "{n}: routed by the model");
    }
}

#[test]
fn a_box_with_one_department_asks_for_none() {
    let mut clinic = Clinic::new(9);
    clinic.state.config.departments.retain(|department, _| &**department == "internal");
    let _accepted = clinic.consults_in(cases::request(cases::id(1), GREEN, "zh", "auto", "routine", DEADLINE_S));
    let asked = |effect: &Effect| matches!(effect, Effect::Fill { questions, .. } if !questions.is_empty());
    assert!(!clinic.ready().effects.iter().any(asked));
}

/// Our own rules, but that athlete's foot is a snake bite and the version is another.
fn other_rules() -> Arc<RuleSet> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../adapters/rules");
    let names = std::fs::read_dir(folder).expect("our rules").map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.into_string().expect("a name")).filter(|name| name.ends_with(".json"));
    let read = |name: String| {
        let text = std::fs::read_to_string(format!("{folder}/{name}")).expect("readable");
        let mut content: Value = serde_json::from_str(&text).expect("JSON");
        match name.as_str() {
            "findings.json" => content["snake"]["phrases_zh"].as_array_mut().expect("phrases").push("脚气".into()),
            "manifest.json" => content["version"] = "9.9.9".into(),
            _ => return (name, text),
        }
        (name, content.to_string())
    };
    let files: Vec<(String, String)> = names.map(read).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, content)| (name.as_str(), content.as_str())).collect();
    Arc::new(RuleSet::proven(&files).expect("a good set"))
}

#[test]
fn other_rules_judge_from_their_arrival_and_the_answer_names_them() {
    const ATHLETES_FOOT: usize = GREEN;
    const FEVER: usize = 8;
    let mut clinic = Clinic::new(9);
    let _ = clinic.ready();
    let before = clinic.consults(1, ATHLETES_FOOT, "routine");
    assert!(first!(before, Alert).is_none(), "the built-in rules see no danger in it");
    let _ = clinic.consults(2, FEVER, "urgent");
    let _ = clinic.consults(3, ATHLETES_FOOT, "routine");

    let rules = other_rules();
    let taken = clinic.step(Event::Rules(Arc::clone(&rules)));
    assert_eq!(served(&taken), Some(cases::id(3)), "what waited is served by what the new rules see in it");
    assert!(clinic.step(Event::Rules(Arc::clone(&rules))).records.is_empty(), "the same rules again are no news");
    let after = clinic.consults(4, ATHLETES_FOOT, "routine");
    assert_eq!(first!(after, Alert).expect("an alert").red_flags[0].rule, "RF104");

    let said = answer(&clinic.fills(cases::id(1)));
    assert_eq!((said.provenance.rules, said.triage), (rules.reference(), Triage::Red));
}
