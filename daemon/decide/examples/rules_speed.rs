//! How long the rules take on a long case, beside what serde_json takes to read the same request in the same run.
//!
//! `cargo run --release -p decide --example rules_speed`; a slow or busy machine slows both, so the ratio travels.

use contract::{
    bounded::Text,
    case::{Case, Complaint},
    ids::Lang,
};
use decide::rules::RuleSet;
use std::{hint::black_box, time::Instant};

const ROUNDS: usize = 2000;
const CHARS: usize = 2000;

/// Much that findings are made of, and nothing twice in the same clause.
const TOLD: &str = "老汉昨天后晌在地里割麦，突然头痛得像要炸开，恶心吐了两回，没发烧，也不抽筋；血压160/100，心率88，体温37.2℃。\
    以前有高血压，邻居去年中风了，他没有糖尿病，左手有点麻，走路不稳，咳嗽三周，痰里没血，夜里出汗，瘦了五斤。";

fn main() {
    let set = RuleSet::builtin();
    let one_clause = || dense().replace(['，', '。', '；'], "的");
    let told = [("dense", dense()), ("plain", plain()), ("one clause", one_clause())];
    let hostile = ["咳嗽三天没有发热", "无力无力头痛没有", "邻居说邻居头痛", "没过去没过去咳嗽", "胸 痛 头 痛 "];
    let hostile = hostile.map(|unit| ("hostile", unit.repeat(CHARS)));
    for (name, text) in told.into_iter().chain(hostile) {
        let cut: String = text.chars().take(CHARS).collect();
        let case = Case { complaint: Complaint { text: Text::cut(&cut), duration: None }, ..Case::default() };
        assert_eq!(case.complaint.text.chars().count(), CHARS);
        let request = serde_json::to_vec(&case).expect("a case is JSON");
        let mut rules = Vec::with_capacity(ROUNDS);
        let mut parsing = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            rules.push(timed(|| set.check(black_box(&case), Lang::Zh)));
            parsing.push(timed(|| serde_json::from_slice::<Case>(black_box(&request)).expect("our own JSON")));
        }
        let ((r50, r99), (p50, p99)) = (percentiles(rules), percentiles(parsing));
        println!(
            "{name:<10} rules p50 {r50:>6.0} µs p99 {r99:>6.0} µs | serde_json p50 {p50:>4.0} µs p99 {p99:>4.0} µs | ratio of p50 {:.0}",
            r50 / p50
        );
    }
}

fn dense() -> String {
    TOLD.repeat(CHARS / TOLD.chars().count() + 1)
}

fn plain() -> String {
    "今天来拿上次说好的那种贴膏，家里一切都好，顺便问问几点关门。".repeat(CHARS / 20)
}

#[allow(clippy::disallowed_methods, reason = "the clock is what is measured here")]
fn timed<T>(work: impl FnOnce() -> T) -> f64 {
    let began = Instant::now();
    black_box(work());
    began.elapsed().as_secs_f64() * 1e6
}

fn percentiles(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
}
