//! What each lever of the engine brings: the worker alone, over its pipes, with the demo model.
//!
//! ```text
//! cargo run --release --features llama --example levers -- [runs]
//! ```
//! Each configuration is a worker of its own; the workers take turns (A B C A B C …), so that what else the machine
//! does hits all of them. Printed are medians over the runs, and the ratio to the first configuration.

#[path = "../common/demo.rs"]
mod demo;

use contract::{case::Case, ids::*, reply::Section, sample::Sample};
use engine::{frame, protocol::*};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

const DEPARTMENTS: [&str; 3] = ["internal", "obstetrics", "pediatrics"];

/// The driver holds each case back until the one before has ended, as a box without batching would.
const ONE_BY_ONE: &str = "one form at a time";

/// Threads that do not spin for a moment where they meet.
const NO_SPIN: &str = "threads sleep at once";

/// Samples of each file that the demo adapters have not learnt from: what `train.py --seed 7` holds out of 90.
const HELD_OUT: [usize; 9] = [39, 17, 32, 0, 89, 45, 33, 24, 21];

struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Seconds from the order: to the first line and to the end; the tokens written, and what was written.
#[derive(Debug, Clone, Default)]
struct Times {
    first: f64,
    end: f64,
    tokens: u32,
    lines: BTreeMap<Section, Vec<String>>,
}

impl Worker {
    fn open(name: &str, order: LlamaOrder) -> Self {
        let mut command = Command::new(program());
        command.arg("worker").envs(engine::WORKER_ENVIRONMENT).stdin(Stdio::piped()).stdout(Stdio::piped());
        if name == NO_SPIN {
            command.env("GOMP_SPINCOUNT", "0");
        }
        let mut worker = Self(command.spawn().expect("the worker starts"));
        worker.order(&Order::Open(OpenOrder::Llama(order)));
        match worker.report() {
            Report::Ready(_) => worker,
            other => panic!("{other:?}"),
        }
    }

    fn order(&mut self, order: &Order) {
        frame::write(self.0.stdin.as_mut().expect("a pipe"), order).expect("the worker reads");
    }

    fn report(&mut self) -> Report {
        frame::read(self.0.stdout.as_mut().expect("a pipe")).expect("a frame").expect("the worker lives")
    }

    /// Processor seconds that it has used.
    fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<f64>().ok()).sum::<f64>();
        ticks / 100.0
    }

    /// One after the other, each counted from the moment that all were asked.
    fn serve_one_by_one(&mut self, cases: &[(&str, Case, u8)]) -> Vec<Times> {
        let began = Instant::now();
        let one = |case: &(&str, Case, u8)| {
            let waited = began.elapsed().as_secs_f64();
            let times = self.serve(std::slice::from_ref(case), None).remove(0);
            Times { first: waited + times.first, end: waited + times.end, ..times }
        };
        cases.iter().map(one).collect()
    }

    /// Sends these cases at once (an urgent one may follow after so many lines) and waits for all of them.
    fn serve(&mut self, cases: &[(&str, Case, u8)], late: Option<(usize, (&str, Case, u8))>) -> Vec<Times> {
        let mut began: BTreeMap<RequestId, (usize, Instant, Times)> = BTreeMap::new();
        let mut send = |worker: &mut Self, nth: usize, (department, case, class): &(&str, Case, u8)| {
            let job = RequestId(uuid::Uuid::new_v4());
            began.insert(job, (nth, Instant::now(), Times::default()));
            let department = Department::new(department).expect("a code");
            let (class, case) = (*class, case.clone());
            let fill =
                FillOrder { job, department, lang: Lang::Zh, class, deadline_ms: 600_000, questions: vec![], case };
            worker.order(&Order::Fill(Box::new(fill)));
            job
        };
        let mut left = cases.len();
        for (nth, case) in cases.iter().enumerate() {
            send(self, nth, case);
        }
        let (mut late, mut lines_heard, mut reports) = (late, 0, Vec::new());
        while left > 0 {
            let report = self.report();
            if let Some((after, case)) = &late
                && lines_heard >= *after
            {
                send(self, cases.len(), case);
                left += 1;
                late = None;
            }
            lines_heard += usize::from(matches!(report, Report::Section { .. }));
            left -= usize::from(matches!(report, Report::Filled { .. }));
            reports.push((Instant::now(), report));
        }
        for (at, report) in reports {
            match report {
                Report::Section { job, section, lines, .. } if !lines.is_empty() => {
                    let (_, since, times) = began.get_mut(&job).expect("ours");
                    times.lines.insert(section, lines.into_iter().map(|line| line.text).collect());
                    if times.first == 0.0 {
                        times.first = (at - *since).as_secs_f64();
                    }
                }
                Report::Filled { job, stats, .. } => {
                    let (_, since, times) = began.get_mut(&job).expect("ours");
                    times.end = (at - *since).as_secs_f64();
                    times.tokens = stats.tokens_written;
                }
                Report::Failed { fault, .. } => panic!("{fault}"),
                _ => {}
            }
        }
        let mut all: Vec<(usize, Times)> = began.into_values().map(|(nth, _, times)| (nth, times)).collect();
        all.sort_by_key(|(nth, _)| *nth);
        all.into_iter().map(|(_, times)| times).collect()
    }
}

/// The daemon's binary beside this example.
fn program() -> PathBuf {
    let own = std::env::current_exe().expect("a path");
    own.parent().and_then(Path::parent).expect("two folders up").join("consultd")
}

fn order() -> LlamaOrder {
    LlamaOrder {
        context_tokens: 8192,
        contexts_max: 3,
        threads: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
        gpu_layers: 999,
        ..demo::demo_order(&DEPARTMENTS)
    }
}

fn samples(department: &str) -> Vec<Sample> {
    let file = demo::root().join("adapters/demo/data").join(format!("{department}.jsonl"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    text.lines().map(|line| serde_json::from_str(line).expect("a sample")).collect()
}

/// How much of two sections' text is the same: F1 over pairs of characters, from 0 to 1. Two empty ones are the same.
fn likeness(written: &[String], wanted: &[String]) -> f64 {
    let pairs = |lines: &[String]| {
        let mut all = BTreeMap::<(char, char), usize>::new();
        for line in lines {
            let next = line.chars().skip(1);
            line.chars().zip(next).for_each(|pair| *all.entry(pair).or_default() += 1);
        }
        all
    };
    let (written, wanted) = (pairs(written), pairs(wanted));
    let size: usize = written.values().chain(wanted.values()).sum();
    let same: usize = written.iter().map(|(pair, n)| n.min(wanted.get(pair).unwrap_or(&0))).sum();
    if size == 0 { 1.0 } else { 2.0 * same as f64 / size as f64 }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn main() {
    let runs: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(3);
    let only = std::env::args().nth(2);
    let configurations: Vec<(&str, LlamaOrder)> = vec![
        ("as shipped", order()),
        ("all at once", LlamaOrder { branches: Branching::AllAtOnce, ..order() }),
        ("in sequence", LlamaOrder { branches: Branching::Sequential, ..order() }),
        ("epochs", LlamaOrder { residency: Residency::Epochs, ..order() }),
        (ONE_BY_ONE, order()),
        (NO_SPIN, order()),
        ("one context, cold", LlamaOrder { contexts_max: 1, ..order() }),
    ];
    let chosen = |name: &&str| only.as_ref().is_none_or(|only| only.split(',').any(|word| name.contains(word)));
    let configurations: Vec<_> = configurations.into_iter().filter(|(name, _)| chosen(name)).collect();
    let samples: Vec<Vec<Sample>> = DEPARTMENTS.iter().map(|d| samples(d)).collect();
    let pool: Vec<Vec<Case>> = samples.iter().map(|all| all.iter().map(|s| s.case.clone()).collect()).collect();
    let pick = |department: usize, nth: usize| {
        let cases = &pool[department];
        (DEPARTMENTS[department], cases[nth % cases.len()].clone(), 2)
    };
    let mut workers: Vec<Worker> =
        configurations.iter().map(|(name, order)| Worker::open(name, order.clone())).collect();
    for worker in &mut workers {
        (0..3).for_each(|department| drop(worker.serve(&[pick(department, 80)], None)));
    }
    let mut figures: BTreeMap<(usize, &str), Vec<f64>> = BTreeMap::new();
    for run in 0..runs {
        for (at, worker) in workers.iter_mut().enumerate() {
            let together = |worker: &mut Worker, cases: &[(&str, Case, u8)]| match configurations[at].0 {
                ONE_BY_ONE => worker.serve_one_by_one(cases),
                _ => worker.serve(cases, None),
            };
            let n = run * 7;
            let mut note = |what, value| figures.entry((at, what)).or_default().push(value);
            let cpu = worker.cpu();
            let one: Vec<Times> = (0..3).map(|i| worker.serve(&[pick(0, n + i)], None).remove(0)).collect();
            note("1 one tablet, warm: to the end, s", median(one.iter().map(|t| t.end).collect()));
            note("1b one tablet, warm: CPU seconds an answer", (worker.cpu() - cpu) / 3.0);
            note("2 one tablet, warm: first line, s", median(one.iter().map(|t| t.first).collect()));
            note("3 one tablet: tokens/s", median(one.iter().map(|t| f64::from(t.tokens) / t.end).collect()));
            let switched: Vec<Times> = (0..3).map(|i| worker.serve(&[pick(i % 3, n + i)], None).remove(0)).collect();
            note("4 department changes: to the end, s", median(switched.iter().map(|t| t.end).collect()));
            note("4b same: first line, s", median(switched.iter().map(|t| t.first).collect()));
            let mixed: Vec<_> = (0..6).map(|i| pick(i % 3, n + i)).collect();
            let cpu = worker.cpu();
            let mixed = together(worker, &mixed);
            note("7b same: CPU seconds an answer", (worker.cpu() - cpu) / 6.0);
            let last = mixed.iter().map(|t| t.end).fold(0.0, f64::max);
            note("5 six tablets, three departments: last end, s", last);
            note("6 same: worst first line, s", mixed.iter().map(|t| t.first).fold(0.0, f64::max));
            note("7 same: tokens/s", mixed.iter().map(|t| f64::from(t.tokens)).sum::<f64>() / last);
            let many: Vec<_> = (0..8).map(|i| pick(0, n + i)).collect();
            let cpu = worker.cpu();
            let many = together(worker, &many);
            note("9b same: CPU seconds an answer", (worker.cpu() - cpu) / 8.0);
            let last = many.iter().map(|t| t.end).fold(0.0, f64::max);
            note("8 eight tablets, one department: last end, s", last);
            note("9 same: tokens/s", many.iter().map(|t| f64::from(t.tokens)).sum::<f64>() / last);
            let routine: Vec<_> = (0..8).map(|i| pick(i % 2, n + i)).collect();
            let (department, case, _) = pick(2, n + 3);
            let urgent = worker.serve(&routine, Some((3, (department, case.clone(), 0)))).pop().expect("urgent");
            let idle = worker.serve(&[(department, case, 0)], None).remove(0);
            note("A urgent among eight: first line, s", urgent.first);
            note("B urgent: first line against an idle box", urgent.first / idle.first);
        }
        eprintln!("run {} of {runs}", run + 1);
    }
    print(&configurations, &figures);
    eprintln!("now the quality, which takes as long as a run");
    figures.clear();
    // Not a matter of time, so once: what the held-out samples' authors wrote, and whether company changes an answer.
    for (at, worker) in workers.iter_mut().enumerate() {
        let mut note = |what, value| figures.entry((at, what)).or_default().push(value);
        let (mut like, mut same, mut lines) = (Vec::new(), 0, 0);
        for (department, samples) in samples.iter().enumerate() {
            let held_out = HELD_OUT.map(|nth| &samples[nth]);
            let cases: Vec<_> = HELD_OUT.iter().map(|nth| pick(department, *nth)).collect();
            let alone: Vec<Times> =
                cases.iter().map(|c| worker.serve(std::slice::from_ref(c), None).remove(0)).collect();
            for (sample, times) in held_out.iter().zip(&alone) {
                for section in Section::ALL {
                    let written = times.lines.get(&section).map_or(&[][..], Vec::as_slice);
                    like.push(likeness(written, sample.completion.lines(section)));
                }
            }
            for (alone, together) in alone.iter().zip(worker.serve(&cases, None)) {
                for (section, wanted) in &alone.lines {
                    let found = together.lines.get(section).map_or(&[][..], Vec::as_slice);
                    lines += wanted.len();
                    same += wanted.iter().filter(|line| found.contains(line)).count();
                }
            }
        }
        note("C held-out samples: likeness to the author's text, 0 to 1", like.iter().sum::<f64>() / like.len() as f64);
        note(
            "D lines that are the same alone and in a full batch, share",
            f64::from(same as u32) / f64::from(lines as u32),
        );
    }
    print(&configurations, &figures);
}

/// A table in Markdown: a row a figure, a column a configuration, medians and ratios to the first column.
fn print(configurations: &[(&str, LlamaOrder)], figures: &BTreeMap<(usize, &'static str), Vec<f64>>) {
    let names: Vec<&str> = configurations.iter().map(|(name, _)| *name).collect();
    println!("| | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len()));
    let mut rows: Vec<&str> = figures.keys().map(|(_, what)| *what).collect();
    rows.sort_unstable();
    rows.dedup();
    for what in rows {
        let values: Vec<f64> = (0..names.len()).map(|at| median(figures[&(at, what)].clone())).collect();
        let cells: Vec<String> = values.iter().map(|v| format!("{v:.2} ({:.2} ×)", v / values[0])).collect();
        println!("| {} | {} |", what.split_once(" ").unwrap_or(("", what)).1, cells.join(" | "));
    }
}
