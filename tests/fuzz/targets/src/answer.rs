//! The model's output: tokens of any bytes become lines, lines an answer that every reader takes and whose seal is good.
//!
//! ```text
//! first byte: which case     then five sections, each ended by 0x1E     tokens end at 0x1F
//! ```

use contract::{
    answer::{AdapterRef, ReviewState},
    ids::{DEPARTMENTS, Department, RequestId, TabletName},
    reply::{Reply, Section},
    request::{Request, parse_request},
};
use decide::{Config, Effect, EngineState, Event, FillFacts, FormLine, Now, Plan, State, Written, seal, step};
use engine::form::{self, Lines};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

const CASES: [&str; 3] = [
    include_str!("../../../../daemon/contract/golden/consult.least.json"),
    include_str!("../../../../daemon/contract/golden/consult.zh.json"),
    include_str!("../../../../daemon/contract/golden/consult.en.json"),
];
const SECRET: [u8; 32] = [7; 32];

pub fn holds(bytes: &[u8]) -> bool {
    let (which, written) = bytes.split_first().unwrap_or((&0, &[]));
    let mut sections = written.split(|byte| *byte == 0x1e);
    let mut a_box = Begun::with_case(CASES[usize::from(*which) % CASES.len()]);
    for section in Section::ALL {
        let lines = lines(section, sections.next().unwrap_or_default());
        let written = Written { lines, complete: true };
        a_box.hears(Event::Section { job: a_box.id, section, written });
    }
    let said = a_box.hears(Event::Filled { job: a_box.id, facts: FillFacts::default() });
    assert_eq!(said.iter().filter(|message| is_good_answer(message)).count(), 1, "one answer");
    true
}

/// The lines as the worker reads them from the tokens.
fn lines(section: Section, tokens: &[u8]) -> Vec<FormLine> {
    let bounds = form::bounds(section);
    let mut lines = Lines::new(bounds);
    tokens.split_inclusive(|byte| *byte == 0x1f).for_each(|token| lines.push(token));
    lines.close();
    assert!(lines.ended() && lines.done().len() <= bounds.lines_max);
    for line in lines.done() {
        assert!(!line.is_empty() && line.trim() == line && !line.chars().any(char::is_control), "{line:?}");
    }
    lines.done().iter().map(|text| FormLine { text: text.clone(), logprob: -0.5 }).collect()
}

fn is_good_answer(message: &[u8]) -> bool {
    let Reply::Answer(answer) = Reply::parse(message).expect("what the box says can be read") else { return false };
    assert!(!answer.cannot_exclude.is_empty());
    // As `consultd verify` checks it.
    let body = seal::body(message).expect("an answer is sealed");
    let (audit, sig) = (answer.audit.expect("a place in the chain"), answer.sig.expect("a signature"));
    assert_eq!(audit.hash.0, seal::hang(&audit.prev_hash.0, &Sha256::digest(&body).into()));
    assert!(seal::signed(&seal::Seal::new(&SECRET).public(), seal::ANSWER, &audit.hash.0, &sig));
    true
}

/// A box that has begun one case.
struct Begun {
    state: State,
    id: RequestId,
}

impl Begun {
    fn with_case(message: &str) -> Self {
        let Ok(Request::Consult(consult)) = parse_request(message.as_bytes()) else { panic!("a golden file") };
        let mut new = Self { state: State::new(config()), id: consult.id };
        new.hears(Event::Engine(EngineState::Ready));
        new.hears(Event::Consult {
            tablet: TabletName::new("clinic-7").expect("a name"),
            consult: consult.into(),
            bytes: message.into(),
            digest: Sha256::digest(message).into(),
            known: None,
        });
        new.hears(Event::Tick);
        new
    }

    /// What it says to that.
    fn hears(&mut self, event: Event) -> Vec<Vec<u8>> {
        let Plan { effects, .. } = step(&mut self.state, event, Now { mono_ms: 1000, unix_s: 1_700_000_000 });
        let messages = effects.into_iter().filter_map(|effect| match effect {
            Effect::Publish { message, .. } => Some(message),
            _ => None,
        });
        messages.collect()
    }
}

fn config() -> Config {
    let adapter = |code: &str| AdapterRef {
        id: code.into(),
        version: "1".into(),
        sha256: "00".repeat(32),
        trained_on: BTreeMap::new(),
        covers: None,
        urgency_clear_at: None,
        calibration: None,
        review: ReviewState::NotPhysicianReviewed,
    };
    let served = DEPARTMENTS.iter().map(|(code, _)| (Department::new(code).expect("a code"), adapter(code)));
    Config {
        box_name: "box".into(),
        daemon: "test".into(),
        base_sha256: None,
        departments: served.collect(),
        scripted: false,
        queue_max: 4,
        jobs_max: 1,
        deaths_max: 2,
        attempts_max: 4,
        tablet_max: 4,
        per_minute_max: 60,
        admins: [].into(),
        seal: seal::Seal::new(&SECRET),
    }
}
