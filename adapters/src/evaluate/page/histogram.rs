//! How long answers took.

use super::part;
use crate::evaluate::report::{Report, percentile};
use maud::{Markup, html};

const BINS: usize = 24;
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 150.0;
/// Room above for the percentiles' names, below for the seconds.
const TOP: f64 = 22.0;

pub fn latency(report: &Report) -> Markup {
    let sorted = &report.work_ms;
    let (Some(p50), Some(p99), Some(last)) = (percentile(sorted, 0.5), percentile(sorted, 0.99), sorted.last()) else {
        return html! {};
    };
    let about = format!(
        "{} 个有模型参与的回答，不含排队：中位 {}，99 % 在 {} 以内。 Answers with a model, without their time in the queue.",
        sorted.len(),
        seconds(p50),
        seconds(p99)
    );
    let end = (*last).max(1);
    let x = |ms: u64| ms as f64 / end as f64 * WIDTH;
    let bins = bins(sorted, end);
    let most = bins.iter().copied().max().unwrap_or(1).max(1);
    let (step, base) = (WIDTH / BINS as f64, TOP + HEIGHT);
    part(
        "用时",
        "Time in work",
        &about,
        html! {
            svg.histogram viewBox=(format!("-4 0 {} {}", WIDTH + 8.0, base + 20.0)) role="img" aria-label=(format!("p50 {p50} ms, p99 {p99} ms")) {
                @for (at, count) in bins.iter().enumerate() {
                    @let height = f64::from(*count) / f64::from(most) * HEIGHT;
                    rect.bin x=(format!("{:.1}", at as f64 * step + 1.0)) y=(format!("{:.1}", base - height))
                        width=(format!("{:.1}", step - 2.0)) height=(format!("{height:.1}")) {}
                }
                line.axis x1="0" x2=(WIDTH) y1=(base) y2=(base) {}
                // One to the left of its line and one to the right, so that they do not lie on each other.
                @for (name, ms, side, gap) in [("p50", p50, "end", -6.0), ("p99", p99, "start", 6.0)] {
                    @let side = if x(ms) < WIDTH * 0.1 { "start" } else if x(ms) > WIDTH * 0.9 { "end" } else { side };
                    line.goal x1=(x(ms)) x2=(x(ms)) y1=(TOP - 4.0) y2=(base) {}
                    text x=(x(ms) + gap) y="12" text-anchor=(side) { (name) " " (seconds(ms)) }
                }
                @for quarter in 0..=4u64 {
                    @let anchor = match quarter { 0 => "start", 4 => "end", _ => "middle" };
                    // The inner ones have no room on a phone.
                    text.inner[quarter % 2 == 1] x=(x(end * quarter / 4)) y=(base + 16.0) text-anchor=(anchor) { (seconds(end * quarter / 4)) }
                }
            }
        },
    )
}

fn bins(sorted: &[u64], end: u64) -> [u32; BINS] {
    let mut bins = [0; BINS];
    for ms in sorted {
        // Wide enough for any time that a box can have measured.
        let at = u128::from(*ms) * BINS as u128 / u128::from(end);
        bins[(at as usize).min(BINS - 1)] += 1;
    }
    bins
}

fn seconds(ms: u64) -> String {
    if ms < 1000 { format!("{ms} ms") } else { format!("{:.1} s", ms as f64 / 1000.0) }
}
