//! The report for a terminal, and for machines.

use super::{
    judge::measures::{Goal, Measure},
    report::{Report, percentile},
};
use decide::rules::recall::Share;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt::Write};

pub fn table(report: &Report) -> String {
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").expect("a String takes everything");
    line(format!("{} requests; {}", report.requests, report.made_by.join(", ")));
    line(format!("{:<34} {:>11} {:>8}  {:<15} {:<9}", "", "n", "share", "Wilson 95 %", "goal"));
    for it in &report.measures {
        line(row(it.en, it.share, &goal(it)));
    }
    let files: Vec<_> = report.files.iter().filter(|_| report.files.len() > 1).collect();
    for file in files {
        line(format!("{} ({} requests{})", file.name, file.requests, if file.held_out { ", held out" } else { "" }));
        let names =
            ["  red flags, told in words", "  red flags, coded as well", "  red on harmless", "  drug cautions"];
        for (name, share) in names.into_iter().zip(file.shares).filter(|(_, share)| share.of > 0) {
            line(row(name, share, ""));
        }
    }
    for (kind, [green, yellow, red, none]) in &report.triage {
        let kind = format!("{kind:?}").to_lowercase();
        line(format!("triage, {kind:<12} green {green}, yellow {yellow}, red {red}, nothing {none}"));
    }
    let weakest: Vec<_> = report.weakest.iter().map(|(rule, it)| format!("{rule} {}/{}", it.hits, it.of)).collect();
    line(format!("weakest rules         {}", if weakest.is_empty() { "—".to_owned() } else { weakest.join(", ") }));
    line(format!("lines shown, dropped  {}; {}", report.lines_shown, counts(&report.dropped)));
    line(format!("abstained             {}", counts(&report.abstained)));
    line(format!("degraded              {}", counts(&report.degraded)));
    line(format!("errors                {}", counts(&report.errors)));
    line(format!("in work               {}", latency(&report.work_ms)));
    line(format!("from the request on   {}", latency(&report.total_ms)));
    report.notes.iter().for_each(|note| line(format!("NOTE: {}", note.en)));
    let missed: Vec<_> = report.missed().map(|it| it.en).collect();
    line(if missed.is_empty() { "no goal missed".to_owned() } else { format!("MISSED: {}", missed.join("; ")) });
    out.truncate(out.trim_end().len());
    out
}

fn row(name: &str, share: Share, goal: &str) -> String {
    let (from, to) = share.wilson();
    let n = format!("{}/{}", share.hits, share.of);
    if share.of == 0 {
        return format!("{name:<34} {:>11} {:>8}  {:<15} {goal}", "0", "—", "").trim_end().to_owned();
    }
    let interval = format!("{:.1}–{:.1}", from * 100.0, to * 100.0);
    format!("{name:<34} {n:>11} {:>8}  {interval:<15} {goal}", percent(share)).trim_end().to_owned()
}

/// Never 100 % where one is missing, nor 0 % where one is there: of thousands, one would round away.
pub fn percent(share: Share) -> String {
    let least = if share.hits > 0 { 0.1 } else { 0.0 };
    let most = if share.hits < share.of { 99.9 } else { 100.0 };
    format!("{:.1}\u{a0}%", (share.share() * 100.0).clamp(least, most))
}

/// `≥ 85 % met`, `≤ 5 % MISSED`, or nothing.
fn goal(measure: &Measure) -> String {
    let Some(goal) = measure.goal else { return String::new() };
    let bound = bound(goal);
    match measure.met() {
        Some(true) => format!("{bound} met"),
        Some(false) => format!("{bound} MISSED"),
        None => bound,
    }
}

pub fn bound(goal: Goal) -> String {
    match goal {
        Goal::AtLeast(1.0) => "100 %".to_owned(),
        Goal::AtLeast(least) => format!("≥ {:.0} %", least * 100.0),
        Goal::AtMost(0.0) => "0 %".to_owned(),
        Goal::AtMost(most) => format!("≤ {:.0} %", most * 100.0),
    }
}

fn counts(of: &BTreeMap<String, u32>) -> String {
    let each: Vec<_> = of.iter().map(|(what, n)| format!("{what} {n}")).collect();
    if each.is_empty() { "none".to_owned() } else { each.join(", ") }
}

fn latency(sorted: &[u64]) -> String {
    match (percentile(sorted, 0.5), percentile(sorted, 0.99)) {
        (Some(p50), Some(p99)) => format!("p50 {p50} ms, p99 {p99} ms ({} answers with a model)", sorted.len()),
        _ => "no answer with a model".to_owned(),
    }
}

impl Report {
    pub fn json(&self) -> String {
        let measures: Vec<Value> = self.measures.iter().map(measure).collect();
        let files = self.files.iter().map(|file| {
            let [text, coded, benign_red, cautions] = file.shares.map(share);
            json!({"name": file.name, "held_out": file.held_out, "requests": file.requests,
                   "recall_text": text, "recall_coded": coded, "benign_red": benign_red, "cautions": cautions})
        });
        let triage = self.triage.iter().map(|(kind, [green, yellow, red, none])| {
            json!({"kind": kind, "green": green, "yellow": yellow, "red": red, "nothing": none})
        });
        let named = |name: &str, it: &Share| json!({"name": name, "share": share(*it)});
        let lapses = self
            .lapses
            .iter()
            .map(|it| json!({"what": it.what.name().en, "place": it.place, "name": it.name, "detail": it.detail}));
        let latency = |sorted: &[u64]| json!({"n": sorted.len(), "p50": percentile(sorted, 0.5), "p99": percentile(sorted, 0.99)});
        let report = json!({
            "format": "adapterctl-evaluate/1",
            "requests": self.requests,
            "made_by": self.made_by,
            "all_met": self.all_met(),
            "measures": measures,
            "files": files.collect::<Vec<_>>(),
            "triage": triage.collect::<Vec<_>>(),
            "weakest": self.weakest.iter().map(|(rule, it)| named(rule, it)).collect::<Vec<_>>(),
            "lines_shown": self.lines_shown,
            "dropped": self.dropped,
            "abstained": self.abstained,
            "degraded": self.degraded,
            "errors": self.errors,
            "groups": self.groups.iter().map(|(name, _, it)| named(name, it)).collect::<Vec<_>>(),
            "work_ms": latency(&self.work_ms),
            "total_ms": latency(&self.total_ms),
            "lapses": lapses.collect::<Vec<_>>(),
            "notes": self.notes.iter().map(|note| &note.en).collect::<Vec<_>>(),
        });
        serde_json::to_string_pretty(&report).expect("words and numbers")
    }
}

fn measure(it: &Measure) -> Value {
    let goal = it.goal.map(|goal| match goal {
        Goal::AtLeast(least) => json!({"at_least": least}),
        Goal::AtMost(most) => json!({"at_most": most}),
    });
    let mut value = share(it.share);
    value["id"] = json!(it.id);
    value["name"] = json!(it.en);
    value["goal"] = json!(goal);
    value["met"] = json!(it.met());
    value
}

fn share(it: Share) -> Value {
    let (from, to) = it.wilson();
    let measured = it.of > 0;
    json!({"hits": it.hits, "of": it.of, "share": measured.then(|| it.share()), "from": measured.then_some(from), "to": measured.then_some(to)})
}
