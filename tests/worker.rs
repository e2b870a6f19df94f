//! The worker alone, over its pipes, with the real model: what it does with good and bad orders.

mod common;

use common::*;
use contract::{case::Case, ids::*, reply::Section};
use engine::{frame, protocol::*};
use std::{
    io::Write,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

struct Worker(Child);

impl Worker {
    fn start() -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_consultd"))
            .arg("worker")
            .envs(engine::WORKER_ENVIRONMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        Self(child.expect("the worker starts"))
    }
    fn open(order: LlamaOrder) -> (Self, Report) {
        let mut worker = Self::start();
        worker.order(&Order::Open(OpenOrder::Llama(order)));
        let report = worker.report().expect("a word after opening");
        (worker, report)
    }
    fn ready() -> Self {
        let (worker, report) = Self::open(order());
        assert!(matches!(report, Report::Ready(_)), "{report:?}");
        worker
    }
    fn order(&mut self, order: &Order) {
        frame::write(self.0.stdin.as_mut().expect("a pipe"), order).expect("the worker reads");
    }
    fn report(&mut self) -> Option<Report> {
        loop {
            match frame::read(self.0.stdout.as_mut().expect("a pipe")).ok()?? {
                Report::Beat => {}
                report => return Some(report),
            }
        }
    }
    fn fill(&mut self, department: &str, case: Case) -> (Vec<(Section, Vec<WrittenLine>)>, Report) {
        let job = RequestId(uuid::Uuid::new_v4());
        let department = Department::new(department).expect("a code");
        self.order(&Order::Fill(Box::new(fill_order(job, department, case))));
        let mut sections = Vec::new();
        loop {
            match self.report().expect("the worker lives") {
                Report::Section { complete: false, .. } => {}
                Report::Section { section, lines, .. } => sections.push((section, lines)),
                end => return (sections, end),
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn order() -> LlamaOrder {
    demo_order(&["internal", "obstetrics"])
}

fn fill_order(job: RequestId, department: Department, case: Case) -> FillOrder {
    FillOrder { job, department, lang: Lang::Zh, class: 2, deadline_ms: 300_000, questions: Vec::new(), case }
}

fn a_case(text: &str) -> Case {
    serde_json::from_value(serde_json::json!({"complaint": {"text": text}})).expect("a case")
}

fn unfit(order: LlamaOrder) -> String {
    match Worker::open(order) {
        (_, Report::Unfit { reason, .. }) => reason,
        (_, other) => panic!("must be unfit: {other:?}"),
    }
}

#[test]
fn bad_settings_are_a_sentence_and_not_a_crash() {
    let missing = LlamaOrder { model: PathBuf::from("/nowhere.gguf"), ..order() };
    assert!(unfit(missing).contains("cannot read /nowhere.gguf"));
    let other = LlamaOrder { model_sha256: "0".repeat(64), ..order() };
    assert!(unfit(other).contains("the settings say"));
    let small = LlamaOrder { context_tokens: 256, ..order() };
    assert!(unfit(small).contains("its form need"));
}

#[test]
fn a_bad_adapter_takes_its_department_away_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut swapped = order();
    swapped.adapters[0].sha256 = "0".repeat(64);
    // Whole by its hash and useless by its contents: the model itself, which is no adapter.
    let mut foreign = order();
    foreign.adapters[0].path = folder.path().join("adapter.gguf");
    std::os::unix::fs::symlink(demo_model(), &foreign.adapters[0].path).expect("links");
    foreign.adapters[0].sha256 = DEMO_MODEL_SHA256.to_owned();
    for (order, wanted) in [(swapped, "has SHA-256"), (foreign, "does not load the adapter")] {
        let (mut worker, report) = Worker::open(order);
        let Report::Ready(ready) = report else { panic!("must be ready: {report:?}") };
        assert_eq!(ready.refused.len(), 1);
        assert!(ready.refused[0].reason.contains(wanted), "{}", ready.refused[0].reason);
        let end = worker.fill("internal", a_case("头晕")).1;
        assert!(matches!(end, Report::Failed { fault: FillFault::NoAdapter, .. }), "{end:?}");
        assert!(matches!(worker.fill("obstetrics", a_case("头晕")).1, Report::Filled { .. }));
    }
}

#[test]
fn a_truncated_model_is_a_sentence_and_not_a_crash() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cut.gguf");
    let whole = std::fs::read(demo_model()).expect("reads");
    std::fs::File::create(&path).and_then(|mut f| f.write_all(&whole[..whole.len() / 2])).expect("writes");
    let model_sha256 = engine::file_sha256(&path).expect("hashes");
    assert!(unfit(LlamaOrder { model: path, model_sha256, ..order() }).contains("truncated download?"));
}

#[test]
fn forms_are_filled_the_same_alone_and_after_others() {
    let text = "干活时胸口闷，歇一会儿就好";
    let (alone, end) = Worker::ready().fill("internal", a_case(text));
    assert!(matches!(end, Report::Filled { .. }), "{end:?}");
    assert_eq!(alone.len(), 5);
    assert_eq!(alone[0].0, Section::PossibleCauses, "causes come first");

    let mut worker = Worker::ready();
    worker.fill("obstetrics", a_case("怀孕八个月，腿肿"));
    worker.fill("internal", a_case("咳嗽，痰黄"));
    let sorted = |mut sections: Vec<(Section, Vec<WrittenLine>)>| {
        sections.sort_by_key(|(section, _)| *section);
        sections
    };
    assert_eq!(sorted(worker.fill("internal", a_case(text)).0), sorted(alone));
}

#[test]
fn a_case_longer_than_the_context_loses_its_end_and_says_so() {
    let mut case = a_case(&"咳嗽很久了。".repeat(300));
    case.history = Some(contract::bounded::Text::new("抽烟喝酒，干活累。".repeat(400)).expect("within its bound"));
    let (sections, end) = Worker::ready().fill("internal", case);
    assert_eq!(sections.len(), 5);
    assert!(matches!(end, Report::Filled { stats: FillStats { case_cut: true, .. }, .. }), "{end:?}");
}

#[test]
fn a_cancelled_job_ends_and_the_next_is_filled() {
    let mut worker = Worker::ready();
    let job = RequestId(uuid::Uuid::new_v4());
    let department = Department::new("internal").expect("a code");
    worker.order(&Order::Fill(Box::new(fill_order(job, department, a_case("头晕")))));
    worker.order(&Order::Cancel { job });
    let end = loop {
        match worker.report().expect("the worker lives") {
            Report::Section { .. } => {}
            end => break end,
        }
    };
    assert!(matches!(end, Report::Failed { fault: FillFault::Cancelled, .. }), "{end:?}");
    assert!(matches!(worker.fill("internal", a_case("头晕")).1, Report::Filled { .. }));
}

#[test]
fn an_unknown_department_is_no_adapter() {
    let end = Worker::ready().fill("surgery", a_case("腹痛")).1;
    assert!(matches!(end, Report::Failed { fault: FillFault::NoAdapter, .. }), "{end:?}");
}

#[test]
fn a_worker_without_its_daemon_or_fed_with_garbage_ends() {
    let mut orphan = Worker::ready();
    drop(orphan.0.stdin.take());
    assert!(orphan.report().is_none());
    let mut confused = Worker::ready();
    confused.0.stdin.as_mut().expect("a pipe").write_all(b"\xff\xff\xff\xffrubbish").expect("writes");
    assert!(confused.report().is_none());
}
