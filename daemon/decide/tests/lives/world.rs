//! A box with its tablets, worker, disk and power, all of it chance. It does what `daemon/src/run.rs` does:
//! decide some events, write their records, acknowledge, act; and the power may fail between any two of these.

use crate::{
    cases::{self, CASES_COUNT, MODEL_LINES, RUBBISH, SERVED, TABLETS},
    dice::Dice,
    disk::{Disk, Row},
    promises,
};
use contract::{
    ids::{RequestId, TabletName},
    reply::{Reply, Section},
    request::{Request, parse_admin, parse_receipt, parse_request, parse_review},
};
use decide::{
    Config, Digest, Effect, EngineState, Event, FillFacts, FormLine, Known, Now, Plan, Question, Record, Score, State,
    Written, step,
};
use serde_json::json;
use sha2::Digest as _;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// How often each thing has happened: a life in which nothing happens proves nothing.
pub type Seen = BTreeMap<&'static str, u64>;

/// A message on its way from a tablet; the branch is that of its topic.
#[derive(Clone)]
struct Mail {
    tablet: TabletName,
    branch: Branch,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq)]
enum Branch {
    Request,
    Receipt,
    Review,
    Admin,
}

#[derive(Default)]
struct Batch {
    records: Vec<Record>,
    effects: Vec<Effect>,
    mail: Vec<Mail>,
}

pub struct World {
    dice: Dice,
    config: Config,
    state: State,
    now: Now,
    batch: Batch,
    disk: Disk,
    /// The consults of this life, each at its own tablet.
    consults: Vec<(RequestId, Mail)>,
    /// The forms that the worker has open, told from what it was ordered and what it has said: not the box's own word.
    open: BTreeSet<RequestId>,
    /// These kill the worker that has them open; in a fair life nothing else does.
    poison: BTreeSet<RequestId>,
    fair: bool,
    /// Not acknowledged before the power failed: the broker brings it again.
    undelivered: Vec<Mail>,
    published: HashSet<(TabletName, Vec<u8>)>,
    /// Alerts of cases for which there was no room.
    without_room: HashSet<Vec<u8>>,
    /// What the tablets have heard under an id, by type, once and for ever.
    heard: BTreeMap<(RequestId, &'static str), Vec<u8>>,
    pub seen: Seen,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let scripted = dice.one_in(4);
        let (queue_max, jobs_max) = (1 + dice.below(12), 1 + dice.below(4));
        let per_minute_max = dice.pick(&[1, 2, 60]);
        let config =
            Config { scripted, jobs_max, tablet_max: 1 + dice.below(8), per_minute_max, ..cases::config(queue_max) };
        let consults = (0..20).map(|n| (cases::id(n), consult(&mut dice, n))).collect();
        let poison = (0..20).filter(|_| dice.one_in(6)).map(cases::id).collect();
        let fair = dice.one_in(2);
        Self {
            state: State::new(config.clone()),
            config,
            dice,
            now: Now { mono_ms: 0, unix_s: 1_700_000_000 },
            batch: Batch::default(),
            disk: Disk::default(),
            consults,
            open: BTreeSet::new(),
            poison,
            fair,
            undelivered: Vec::new(),
            published: HashSet::new(),
            without_room: HashSet::new(),
            heard: BTreeMap::new(),
            seen: Seen::new(),
        }
    }

    pub fn something_happens(&mut self) {
        match self.dice.below(27) {
            24 => self.a_tablet_cancels(),
            25 => self.a_doctor_reviews(),
            26 => self.an_admin_orders(),
            0..=3 => self.a_tablet_consults(),
            4 => self.a_tablet_asks_again(),
            5 => self.a_tablet_confirms(),
            6 => self.a_tablet_talks_rubbish(),
            7..=17 => self.the_worker_speaks(),
            18..=19 => self.the_engine_changes(),
            20 if self.dice.one_in(4) => {
                let full = self.dice.one_in(2);
                self.decide(Event::Storage { full });
            }
            20 => self.decide(Event::Connected),
            _ => self.time_passes(),
        }
        if self.dice.one_in(2) {
            self.finish();
        }
    }

    fn a_tablet_consults(&mut self) {
        let n = self.dice.below(self.consults.len());
        let (_, mut mail) = self.consults[n].clone();
        if self.dice.one_in(8) {
            mail.bytes = consult(&mut self.dice, n).bytes;
        }
        if self.dice.one_in(8) {
            mail.tablet = cases::tablet(self.dice.pick(&TABLETS));
        }
        self.receive(mail);
    }

    fn a_tablet_asks_again(&mut self) {
        let bytes = json!({"v": 1, "type": "resend", "id": self.any_id()}).to_string().into_bytes();
        let tablet = cases::tablet(self.dice.pick(&TABLETS));
        self.receive(Mail { tablet, branch: Branch::Request, bytes });
    }

    fn a_tablet_cancels(&mut self) {
        let bytes = json!({"v": 1, "type": "cancel", "id": self.any_id()}).to_string().into_bytes();
        let tablet = cases::tablet(self.dice.pick(&TABLETS));
        self.receive(Mail { tablet, branch: Branch::Request, bytes });
    }

    fn a_doctor_reviews(&mut self) {
        let verdict = self.dice.pick(&["accepted", "rejected"]);
        let who = self.dice.pick(&["c-1", "c-2"]);
        let review = json!({"v": 1, "type": "review", "id": self.any_id(), "clinician": who, "verdict": verdict});
        let tablet = cases::tablet(self.dice.pick(&TABLETS));
        self.receive(Mail { tablet, branch: Branch::Review, bytes: review.to_string().into_bytes() });
    }

    fn an_admin_orders(&mut self) {
        let own = self.any_id();
        let order = match self.dice.below(6) {
            0 => json!({"do": "hold", "for_s": 1 + self.dice.below(60)}),
            1..=2 => json!({"do": "resume"}),
            3 => json!({"do": "list"}),
            _ => json!({"do": "release", "case": self.any_id()}),
        };
        let mut message = json!({"v": 1, "type": "admin", "id": own});
        message.as_object_mut().expect("an object").extend(order.as_object().expect("an object").clone());
        let tablet = cases::tablet(self.dice.pick(&["admin", "admin", "clinic-1"]));
        self.receive(Mail { tablet, branch: Branch::Admin, bytes: message.to_string().into_bytes() });
    }

    /// Somebody's receipt, for anything. Only this no tablet does: confirm an answer of its own that it has not got.
    /// That goes for cases still open too: the broker may bring the receipt again when they are answered.
    fn a_tablet_confirms(&mut self) {
        let (id, tablet) = (self.any_id(), cases::tablet(self.dice.pick(&TABLETS)));
        let anothers = self.state.jobs.get(&id).is_some_and(|job| job.tablet != tablet);
        let nobodys = id == cases::id(self.consults.len());
        if anothers || nobodys || self.heard.contains_key(&(id, "answer")) {
            self.receive(receipt(tablet, id));
        }
    }

    fn a_tablet_talks_rubbish(&mut self) {
        let bytes = self.dice.pick(&RUBBISH).as_bytes().to_vec();
        let branches = [Branch::Request, Branch::Request, Branch::Receipt, Branch::Review, Branch::Admin];
        let (tablet, branch) = (cases::tablet(self.dice.pick(&TABLETS)), self.dice.pick(&branches));
        self.receive(Mail { tablet, branch, bytes });
    }

    fn the_worker_speaks(&mut self) {
        let open: Vec<RequestId> = self.open.iter().copied().collect();
        let job = match open.is_empty() || self.dice.one_in(8) {
            false => self.dice.pick(&open),
            true => self.any_id(),
        };
        let event = match self.dice.below(24) {
            0..=17 => self.section(job),
            18..=20 => Event::Filled { job, facts: self.facts() },
            21 => Event::FillFailed { job },
            _ if self.fair && self.open.is_disjoint(&self.poison) => self.section(job),
            _ => Event::WorkerDied,
        };
        self.decide(event);
    }

    fn section(&mut self, job: RequestId) -> Event {
        let line = |dice: &mut Dice| FormLine { text: dice.pick(&MODEL_LINES).to_string(), logprob: -0.3 };
        let lines = (0..self.dice.below(6)).map(|_| line(&mut self.dice)).collect();
        let written = Written { lines, complete: !self.dice.one_in(3) };
        Event::Section { job, section: self.dice.pick(&Section::ALL), written }
    }

    fn facts(&mut self) -> FillFacts {
        let share = self.dice.pick(&[0.4, 0.7, f32::NAN]);
        let name = self.dice.pick(&["internal", "obstetrics", "surgery", "nonsense"]);
        let question = Question::Department { options: Vec::new() };
        let scores = vec![Score { question, options: vec![(name.into(), share)] }];
        FillFacts { tokens_read: 1, tokens_written: 1, case_cut: self.dice.one_in(4), scores }
    }

    fn the_engine_changes(&mut self) {
        use EngineState::{Ready, Restarting, Starting, Unfit};
        let engine = self.dice.pick(&[Ready, Ready, Ready, Ready, Ready, Ready, Restarting, Starting, Unfit]);
        self.decide(Event::Engine(engine));
    }

    fn time_passes(&mut self) {
        self.now.mono_ms += match self.dice.below(8) {
            0..=1 => 0,
            2..=6 => self.dice.below(10_000) as u64,
            _ => self.dice.below(600_000) as u64,
        };
        self.now.unix_s = if self.dice.one_in(9) { self.dice.below(4_000_000_000) as u64 } else { self.now.unix_s + 1 };
        self.decide(Event::Tick);
    }

    fn any_id(&mut self) -> RequestId {
        cases::id(self.dice.below(self.consults.len() + 1))
    }

    fn receive(&mut self, mail: Mail) {
        let event = self.read(&mail);
        self.batch.mail.push(mail);
        self.decide(event);
    }

    fn read(&mut self, mail: &Mail) -> Event {
        let (tablet, bytes) = (mail.tablet.clone(), mail.bytes.clone());
        match mail.branch {
            Branch::Request => {}
            Branch::Receipt => {
                return match parse_receipt(&bytes) {
                    Ok(receipt) => Event::Receipt { tablet, id: receipt.id, known: self.known(receipt.id) },
                    Err(refusal) => Event::Refused { tablet, refusal },
                };
            }
            Branch::Review => {
                return match parse_review(&bytes) {
                    Ok(review) => {
                        let known = self.known(review.id);
                        let of = self.disk.row(review.id);
                        let said = of.and_then(|row| row.reviews.iter().find(|(it, _)| *it == bytes));
                        let said = said.map(|(_, said)| said.clone());
                        Event::Review { tablet, review: Box::new(review), bytes, known, said }
                    }
                    Err(refusal) => Event::Refused { tablet, refusal },
                };
            }
            Branch::Admin => {
                return match parse_admin(&bytes) {
                    Ok(admin) => Event::Admin { name: tablet, admin },
                    Err(refusal) => Event::Refused { tablet, refusal },
                };
            }
        }
        match parse_request(&bytes) {
            Ok(Request::Consult(consult)) => {
                let digest: Digest = sha2::Sha256::digest(&bytes).into();
                let known = self.known(consult.id);
                Event::Consult { tablet, consult: Box::new(consult), bytes, digest, known }
            }
            Ok(Request::Cancel(cancel)) => Event::Cancel { tablet, id: cancel.id, known: self.known(cancel.id) },
            Ok(Request::Resend(resend)) => Event::Resend { tablet, id: resend.id, known: self.known(resend.id) },
            Err(refusal) => Event::Refused { tablet, refusal },
        }
    }

    /// As the loop does: what this batch holds of an id must be on the disk before the store is asked about it.
    fn known(&mut self, id: RequestId) -> Option<Known> {
        if self.batch.records.iter().any(|record| record.concerns(id)) {
            self.finish();
        }
        self.disk.known(id)
    }

    fn decide(&mut self, event: Event) {
        let before = self.state.clone();
        let Plan { records, effects } = step(&mut self.state, event.clone(), self.now);
        promises::of_a_state(&self.state, self.now);
        promises::of_a_plan(&before, &event, &records, &effects, &self.state, self.now);
        self.the_worker_hears(&event, &records, &effects);
        if !records.iter().any(|record| matches!(record, Record::Accepted { .. })) {
            self.without_room.extend(effects.iter().filter_map(alert));
        }
        self.batch.records.extend(records);
        self.batch.effects.extend(effects);
    }

    /// Keeps the list of what the worker has open, and counts what is rare.
    fn the_worker_hears(&mut self, event: &Event, records: &[Record], effects: &[Effect]) {
        match event {
            Event::Filled { job, .. } | Event::FillFailed { job } => {
                self.open.remove(job);
            }
            Event::WorkerDied | Event::Engine(_) => self.open.clear(),
            _ => {}
        }
        let deaths = records.iter().filter(|record| matches!(record, Record::Death { .. })).count();
        (0..deaths).for_each(|_| self.count("death"));
        if deaths > 1 {
            self.count("death in company");
        }
        for effect in effects {
            match effect {
                Effect::Fill { id, .. } => {
                    self.count("attempt");
                    assert!(self.open.insert(*id), "{id} is ordered a second time from the same worker");
                }
                Effect::Cancel { id } => {
                    self.count("cancel");
                    assert!(self.open.contains(id), "{id} is cancelled and the worker has not got it");
                }
                _ => {}
            }
        }
        self.a_suspect_is_alone();
        if self.open.len() > 1 {
            self.count("several at once");
        }
    }

    fn a_suspect_is_alone(&mut self) {
        let suspects = self.state.running.iter().filter(|id| self.state.jobs[id].deaths > 0).count();
        if suspects > 0 {
            assert_eq!(
                self.open.len(),
                1,
                "a suspect has company in the worker, and a second death would prove nothing"
            );
            self.count("alone under suspicion");
        }
    }

    /// First the records, then the acknowledgements, then the acts.
    fn finish(&mut self) {
        let Batch { records, effects, .. } = std::mem::take(&mut self.batch);
        self.disk.commit(&records);
        promises::of_the_disk(&self.state, &self.disk);
        effects.into_iter().for_each(|effect| self.perform(effect));
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Publish { tablet, message } => self.publish(&tablet, message),
            Effect::PublishStored { tablet, id } => {
                let stored = self.disk.row(id).expect("P1: what is sent again is stored").messages.clone();
                assert!(!stored.is_empty());
                self.count("stored messages again");
                stored.into_iter().for_each(|message| self.publish(&tablet, message));
            }
            Effect::PublishAnswer { tablet, id } => {
                let row = self.disk.row(id).expect("P1: what is sent again is stored");
                let answer = row.answer().expect("only what has ended is owed").to_vec();
                self.count("answer again");
                self.publish(&tablet, answer);
            }
            Effect::Fill { id, .. } => {
                let row = self.disk.row(id).expect("P1: only what is stored is served");
                assert!(row.attempts >= 1, "{id} is served before its attempt is on the disk");
                assert!(row.attempts <= self.config.attempts_max && row.deaths <= self.config.deaths_max);
            }
            Effect::Cancel { .. } | Effect::Status => {}
        }
    }

    fn publish(&mut self, tablet: &TabletName, message: Vec<u8>) {
        let again = !self.published.insert((tablet.clone(), message.clone()));
        // The same bytes to the same tablet: judged once, and most of a life's time. But an error may be a refusal first
        // and an end, in the same words, later.
        if again && !message.starts_with(br#"{"v":1,"type":"error""#) {
            return;
        }
        if self.without_room.contains(&message) {
            return self.count("alert without room"); // of a case that was not taken; another may have its id now
        }
        let reply = promises::of_a_message(&self.disk, &self.config, tablet, &message);
        let (kind, id) = match &reply {
            Reply::Accepted(accepted) => ("accepted", accepted.id),
            Reply::Alert(alert) => ("alert", alert.id),
            Reply::Answer(answer) => {
                answer.provenance.degraded.iter().for_each(|why| self.count(promises::name(*why)));
                self.count(if answer.possible_causes.is_empty() { "no opinion" } else { "opinion" });
                ("answer", answer.id)
            }
            Reply::Error(error) => {
                self.count(promises::code(error.code));
                let end = |id: &RequestId| self.disk.row(*id).and_then(Row::answer) == Some(&message);
                match error.id.filter(end) {
                    Some(id) => ("answer", id),
                    None => return,
                }
            }
            Reply::Reviewed(_) => return self.count("reviewed"),
            Reply::Report(_) => return self.count("report"),
            Reply::Progress(_) => return self.count("progress"),
        };
        self.count(kind);
        let first = self.heard.entry((id, kind)).or_insert_with(|| message.clone());
        assert_eq!(*first, message, "P2: {kind} of {id} has changed");
    }

    fn count(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    pub fn the_power_may_fail(&mut self) {
        if self.dice.one_in(20) {
            self.the_power_fails();
        }
    }

    fn the_power_fails(&mut self) {
        let Batch { records, effects, mail } = std::mem::take(&mut self.batch);
        let done = match self.dice.below(4) {
            0 => {
                self.count("cut before the records");
                self.undelivered.extend(mail);
                0
            }
            1 => {
                self.count("cut before the acknowledgements");
                self.disk.commit(&records);
                self.undelivered.extend(mail);
                0
            }
            2 => {
                self.count("cut amid the effects");
                self.disk.commit(&records);
                self.dice.below(effects.len() + 1)
            }
            _ => {
                self.count("cut after the effects");
                self.disk.commit(&records);
                effects.len()
            }
        };
        effects.into_iter().take(done).for_each(|effect| self.perform(effect));
        self.starts_again();
    }

    fn starts_again(&mut self) {
        self.now = Now { mono_ms: self.dice.below(2000) as u64, unix_s: self.dice.below(4_000_000_000) as u64 };
        self.state = State::new(self.config.clone());
        self.disk.recover().iter().for_each(|record| self.state.apply(record, self.now));
        self.open.clear();
        assert!(self.state.running.is_empty() && self.state.leaving.is_empty(), "nothing runs after a restart");
        promises::of_the_disk(&self.state, &self.disk);
        for mail in std::mem::take(&mut self.undelivered) {
            self.receive(mail);
        }
    }

    /// The broker is there, tablets repeat and confirm, the worker works, is unfit, or hangs: it must drain.
    pub fn becomes_kind(&mut self) {
        self.decide(Event::Connected);
        self.decide(Event::Storage { full: false });
        let (end, engine, hangs) = self.dice.pick(&[
            ("ends with a worker", EngineState::Ready, false),
            ("ends unfit", EngineState::Unfit, false),
            ("ends hanging", EngineState::Ready, true),
            ("ends starting", EngineState::Starting, false),
        ]);
        self.count(end);
        self.decide(Event::Engine(engine));
        for _ in 0..2000 {
            self.finish();
            let waiting = self.tablets_insist();
            if waiting == 0 && self.state.jobs.is_empty() && self.state.owed.is_empty() {
                return self.finish();
            }
            if !hangs {
                self.the_worker_works();
            }
            self.now.mono_ms += 60_000;
            self.decide(Event::Tick);
        }
        panic!("does not drain: {} open, {} owed", self.state.jobs.len(), self.state.owed.len());
    }

    /// It fills every form that it has open, or dies of one of them and comes again.
    fn the_worker_works(&mut self) {
        if !self.open.is_disjoint(&self.poison) {
            self.decide(Event::WorkerDied);
            return self.decide(Event::Engine(EngineState::Ready));
        }
        for job in self.open.clone() {
            for _ in Section::ALL {
                let section = self.section(job);
                self.decide(section);
            }
            let facts = self.facts();
            self.decide(Event::Filled { job, facts });
        }
    }

    /// Repeats what has no `accepted` and confirms what is answered; says how many the box has not taken yet.
    fn tablets_insist(&mut self) -> usize {
        let silent = |(id, _): &&(RequestId, Mail)| !self.heard.contains_key(&(*id, "accepted"));
        let repeats: Vec<Mail> = self.consults.iter().filter(silent).map(|(_, mail)| mail.clone()).collect();
        repeats.into_iter().for_each(|mail| self.receive(mail));
        let patient = |mail: &Mail| !wants_opinion(mail); // others may be refused for ever by a box without a model
        let waiting = self.consults.iter().filter(|(id, mail)| patient(mail) && self.disk.row(*id).is_none()).count();
        let answered = |id| self.heard.contains_key(&(id, "answer"));
        let confirmed = self.disk.owed().filter(|row| answered(row.id)).map(|row| receipt(row.tablet.clone(), row.id));
        confirmed.collect::<Vec<_>>().into_iter().for_each(|mail| self.receive(mail));
        waiting
    }

    pub fn has_kept_its_word(&mut self) {
        let rescued = self.disk.rows().iter().filter(|row| row.deaths == 1 && !self.poison.contains(&row.id)).count();
        (0..rescued).for_each(|_| self.count("innocent beside poison"));
        let heard = |kind| self.heard.keys().filter(move |(_, heard)| *heard == kind).map(|(id, _)| *id);
        for id in heard("accepted") {
            assert!(self.disk.row(id).is_some(), "P1: {id} was accepted and is not stored");
        }
        let answered: BTreeSet<RequestId> = heard("answer").collect();
        for row in self.disk.rows() {
            promises::of_a_finished_case(row, &self.config);
            let innocent = self.fair && !self.poison.contains(&row.id);
            assert!(!innocent || row.deaths < 2, "{} was found guilty of its neighbour's deaths", row.id);
            assert!(answered.contains(&row.id), "P3: {} is answered and its tablet does not know", row.id);
        }
        let served = |(id, mail): &(RequestId, Mail)| wants_opinion(mail) || self.disk.row(*id).is_some();
        assert!(self.consults.iter().all(served), "a consult was neither accepted nor refused for ever");
    }
}

fn consult(dice: &mut Dice, n: usize) -> Mail {
    let departments = [SERVED[0], SERVED[1], SERVED[2], "auto", "auto", "surgery"];
    let (case, lang, department) = (dice.below(CASES_COUNT), dice.pick(&["zh", "en"]), dice.pick(&departments));
    let (priority, deadline_s) = (dice.pick(&["routine", "routine", "urgent"]), dice.pick(&[5, 30, 180, 600, 3600]));
    let mut bytes = cases::request(cases::id(n), case, lang, department, priority, deadline_s);
    if dice.one_in(6) {
        bytes.splice(1..1, WANTS_OPINION.bytes());
    }
    Mail { tablet: cases::tablet(dice.pick(&TABLETS)), branch: Branch::Request, bytes }
}

fn alert(effect: &Effect) -> Option<Vec<u8>> {
    match effect {
        Effect::Publish { message, .. } if message.starts_with(br#"{"v":1,"type":"alert""#) => Some(message.clone()),
        _ => None,
    }
}

const WANTS_OPINION: &str = r#""without_model":"error","#;

fn wants_opinion(mail: &Mail) -> bool {
    mail.bytes[1..].starts_with(WANTS_OPINION.as_bytes())
}

fn receipt(tablet: TabletName, id: RequestId) -> Mail {
    let bytes = json!({"v": 1, "type": "receipt", "id": id}).to_string().into_bytes();
    Mail { tablet, branch: Branch::Receipt, bytes }
}
