//! The subtle rules one by one: a table each, or the shortest story that shows it.

use crate::cases;
use contract::{
    answer::{Answer, Degraded},
    ids::RequestId,
    reply::{Accepted, ErrorCode, ErrorReply, Progress, Reply, Section},
    request::{Request, parse_request},
};
use decide::{Effect, EngineState, Event, FillFacts, FormLine, Now, Plan, State, step};
use serde_json::{Value, json};

const DEADLINE_S: u32 = 180;
const RED: usize = 0;
const GREEN: usize = 5;

/// A box whose clock is in the test's hand.
struct Clinic {
    state: State,
    now: Now,
}

impl Clinic {
    fn new(queue_max: usize) -> Self {
        Self { state: State::new(cases::config(queue_max)), now: Now::default() }
    }

    fn step(&mut self, event: Event) -> Plan {
        step(&mut self.state, event, self.now)
    }

    fn ready(&mut self) -> Plan {
        self.step(Event::Engine(EngineState::Ready))
    }

    fn consults(&mut self, n: usize, case: usize, priority: &str) -> Plan {
        let bytes = cases::request(cases::id(n), case, "zh", "internal", priority, DEADLINE_S);
        self.consults_in(bytes)
    }

    fn consults_in(&mut self, bytes: Vec<u8>) -> Plan {
        let Ok(Request::Consult(consult)) = parse_request(&bytes) else { panic!("a good request") };
        let (tablet, consult) = (cases::tablet("clinic-1"), Box::new(consult));
        self.step(Event::Consult { tablet, consult, bytes, digest: [0; 32], known: None })
    }

    fn writes(&mut self, job: RequestId, section: Section, text: &str) -> Plan {
        let lines = vec![FormLine { text: text.into(), logprob: -0.1 }];
        self.step(Event::Section { job, section, lines })
    }

    fn fills(&mut self, job: RequestId) -> Plan {
        self.step(Event::Filled { job, facts: FillFacts::default() })
    }

    fn after(&mut self, seconds: u64) -> &mut Self {
        self.now.mono_ms += seconds * 1000;
        self
    }
}

fn served(plan: &Plan) -> Option<RequestId> {
    plan.effects.iter().find_map(|effect| match effect {
        Effect::Fill { id, .. } => Some(*id),
        _ => None,
    })
}

fn replies(plan: &Plan) -> Vec<Reply> {
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

fn answer(plan: &Plan) -> Answer {
    *first!(plan, Answer).expect("an answer")
}

fn accepted(plan: &Plan) -> Accepted {
    first!(plan, Accepted).expect("an acceptance")
}

fn busy(plan: &Plan) -> ErrorReply {
    first!(plan, Error).expect("an error")
}

#[test]
fn danger_is_served_before_urgency_before_arrival() {
    let (routine, urgent) = ("routine", "urgent");
    type Arrival<'a> = (usize, &'a str);
    #[rustfmt::skip]
    let table: [(&[Arrival], &[usize]); 4] = [
        (&[(GREEN, routine), (GREEN, routine), (GREEN, routine)],              &[0, 1, 2]),
        (&[(GREEN, routine), (GREEN, urgent), (GREEN, routine)],               &[1, 0, 2]),
        (&[(GREEN, routine), (GREEN, urgent), (RED, routine), (RED, urgent)],  &[2, 3, 1, 0]),
        (&[(GREEN, urgent), (RED, routine), (GREEN, urgent), (GREEN, routine)], &[1, 0, 2, 3]),
    ];
    for (arrivals, order) in table {
        let mut clinic = Clinic::new(9);
        for (n, (case, priority)) in arrivals.iter().enumerate() {
            // Ids fall while arrivals rise, so that the order of ids is nobody's order.
            let _accepted = clinic.consults(9 - n, *case, priority);
        }
        let mut plan = clinic.ready();
        for n in order {
            let id = served(&plan).expect("somebody waits");
            assert_eq!(id, cases::id(9 - n), "{arrivals:?}");
            plan = clinic.fills(id);
        }
        assert_eq!(served(&plan), None);
    }
}

#[test]
fn a_danger_waits_for_the_case_that_runs_and_counts_it() {
    let mut clinic = Clinic::new(9);
    let _status = clinic.ready();
    assert_eq!(accepted(&clinic.consults(1, GREEN, "routine")).queue, 0);
    let plan = clinic.consults(2, RED, "routine");
    assert_eq!((accepted(&plan).queue, served(&plan)), (1, None), "the one that runs is before it");
    assert_eq!(accepted(&clinic.consults(3, GREEN, "routine")).queue, 2);
    assert_eq!(served(&clinic.fills(cases::id(1))), Some(cases::id(2)));
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
    assert_eq!(accepted(&clinic.consults(2, RED, "urgent")).eta_s, Some(12));
    assert_eq!(busy(&clinic.consults(3, GREEN, "routine")).retry_after_s, Some(12), "one case's time");
}

#[test]
fn at_its_deadline_a_case_is_answered_with_what_is_finished() {
    let mut clinic = Clinic::new(9);
    let (late, next) = (cases::id(1), cases::id(2));
    let _status = clinic.ready();
    let _runs = clinic.consults(1, RED, "routine");
    let _progress = clinic.writes(late, Section::PossibleCauses, "足癣：趾间瘙痒");
    let _waits = clinic.after(100).consults(2, GREEN, "routine");
    assert!(replies(&clinic.after(79).step(Event::Tick)).is_empty(), "a second before it");

    let plan = clinic.after(1).step(Event::Tick);
    let said = answer(&plan);
    assert_eq!(said.id, late);
    assert_eq!(said.provenance.degraded, [Degraded::Deadline, Degraded::FormIncomplete]);
    assert_eq!(said.possible_causes.iter().map(|cause| &*cause.name).collect::<Vec<_>>(), ["足癣"]);
    assert!(!said.red_flags.is_empty() && said.abstained.is_none());
    assert!(plan.effects.iter().any(|effect| matches!(effect, Effect::Cancel { id } if *id == late)));
    assert_eq!(served(&plan), Some(next), "the next is not kept waiting");

    let too_late = [clinic.writes(late, Section::CannotExclude, "湿疹"), clinic.fills(late)];
    assert!(too_late.iter().all(|plan| plan.records.is_empty() && plan.effects.is_empty()), "answered is answered");
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
