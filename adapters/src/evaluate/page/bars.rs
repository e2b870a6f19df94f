//! Shares as bars, with the interval as a whisker and the goal as a dashed line.

use super::{name, part};
use crate::evaluate::{
    judge::measures::{Goal, Measure},
    report::Report,
    table::{self, percent},
};
use decide::rules::recall::Share;
use maud::{Markup, html};
use std::cmp::Reverse;

/// Groups that are shown one by one.
const GROUPS_SHOWN: usize = 10;

/// (the first measure of it, its name)
const CHAPTERS: [(&str, &str, &str); 5] = [
    ("recall_text", "危险", "Dangers"),
    ("benign_red", "误报", "False alarms"),
    ("cautions", "用药", "Drugs"),
    ("ended", "形式与安全", "Form and safety"),
    ("unsupported_abstains", "弃权与一致", "Abstention and agreement"),
];

pub fn measures(report: &Report) -> Markup {
    let about = "长条为比例，细线为 95 % 区间，虚线为目标。橙色：未达标。 Bars are shares, thin lines 95 % intervals, dashed lines goals. Orange: missed.";
    let unmeasured: Vec<_> = report.measures.iter().filter(|it| it.share.of == 0).collect();
    part(
        "各项指标",
        "Measures",
        about,
        html! {
            @for (at, (_, zh, en)) in CHAPTERS.iter().enumerate() {
                @let measured = chapter(report, at);
                @if !measured.is_empty() { h3 { (zh) " · " (en) } }
                @for it in measured {
                    div.row {
                        (name(it.zh, it.en))
                        div.chart { (bar(it.share, it.goal, look(it))) }
                        div.figure { (figure(it)) }
                    }
                }
            }
            @if !unmeasured.is_empty() {
                h3 { "这些病例测不出 · Not measured by these cases" }
                p.en { @for it in unmeasured { (it.zh) " " span lang="en" { (it.en) } "； " } }
            }
        },
    )
}

/// The measures of a chapter of which there is something to show.
fn chapter(report: &Report, at: usize) -> Vec<&Measure> {
    let place = |id: &str| report.measures.iter().position(|it| it.id == id);
    let from = place(CHAPTERS[at].0).expect("chapters begin with a measure");
    let to = CHAPTERS.get(at + 1).and_then(|next| place(next.0)).unwrap_or(report.measures.len());
    report.measures[from..to].iter().filter(|it| it.share.of > 0).collect()
}

fn look(measure: &Measure) -> &'static str {
    match measure.met() {
        Some(true) => "good",
        Some(false) => "bad",
        None => "plain",
    }
}

fn figure(it: &Measure) -> Markup {
    let (from, to) = it.share.wilson();
    html! {
        b { (percent(it.share)) }
        small { (it.share.hits) " / " (it.share.of) " · " (format!("{:.1}–{:.1}", from * 100.0, to * 100.0)) }
        @if let Some(goal) = it.goal {
            @match it.met() {
                Some(true) => span.mark.good { "✓ 目标 " (table::bound(goal)) },
                Some(false) => span.mark.bad { "✗ 目标 " (table::bound(goal)) },
                None => {},
            }
        }
    }
}

/// Drawn on 100 × 24 and stretched to the place there is; strokes are not.
fn bar(share: Share, goal: Option<Goal>, look: &str) -> Markup {
    let x = |share: f64| format!("{:.2}", share * 100.0);
    let (from, to) = share.wilson();
    let label = format!("{} / {}", share.hits, share.of);
    html! {
        svg.bar viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label=(label) {
            rect.track x="0" y="6" width="100" height="12" {}
            @if share.of > 0 {
                rect.fill.(look) x="0" y="6" width=(x(share.share())) height="12" {}
                // Twice: a seam of the paper's colour keeps it visible on any bar.
                @for class in ["seam", "whisker"] {
                    path.(class) d=(format!("M{0} 12H{1}M{0} 8V16M{1} 8V16", x(from), x(to))) {}
                }
            }
            @if let Some(Goal::AtLeast(at) | Goal::AtMost(at)) = goal {
                line.goal x1=(x(at)) x2=(x(at)) y1="0" y2="24" {}
            }
        }
    }
}

fn small_row(label: &str, share: Share) -> Markup {
    html! {
        div.row {
            div.name { (label) }
            div.chart { (bar(share, None, "plain")) }
            div.figure { b { (share.hits) " / " (share.of) } small { (percent(share)) } }
        }
    }
}

pub fn weakest(report: &Report) -> Markup {
    html! {
        @if !report.weakest.is_empty() {
            (part("最弱的规则", "Weakest rules", "公开病例中漏报最多的规则，至多十条。 Of open files; ten at most.", html! {
                @for (rule, share) in &report.weakest { (small_row(rule, *share)) }
            }))
        }
    }
}

pub fn groups(report: &Report) -> Markup {
    let about = "一组中，分诊和首个“不能排除”与多数相同的回答所占比例；只列最不一致的。 Of each group, the answers with the most frequent pair of triage and first exclusion; the least alike are shown.";
    html! {
        @if !report.groups.is_empty() {
            (part("说法不同，结果是否相同", "Agreement over paraphrases", about, html! {
                @for (group, _, share) in report.groups.iter().take(GROUPS_SHOWN) { (small_row(group, *share)) }
                @if report.groups.len() > GROUPS_SHOWN {
                    p.en { "… " (report.groups.len() - GROUPS_SHOWN) " 组更一致 more groups, more alike" }
                }
            }))
        }
    }
}

pub fn dropped(report: &Report) -> Markup {
    let all: u32 = report.dropped.values().sum();
    let mut kinds: Vec<_> = report.dropped.iter().collect();
    kinds.sort_by_key(|(_, lines)| Reverse(**lines));
    let most = report.dropped.values().copied().max().unwrap_or(1);
    let about = format!(
        "过滤器去掉了 {all} 行，医生看到了 {} 行。 The filter left out {all} lines; the doctor saw {}.",
        report.lines_shown, report.lines_shown
    );
    let width = |lines: u32| format!("{:.2}", f64::from(lines) / f64::from(most) * 100.0);
    html! {
        @if all > 0 {
            (part("被去掉的行", "Lines left out", &about, html! {
                @for (kind, lines) in kinds {
                    div.row {
                        div.name { (reason(kind)) span.en { (kind) } }
                        div.chart {
                            svg.bar viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label=(lines) {
                                rect.fill.plain x="0" y="6" width=(width(*lines)) height="12" {}
                            }
                        }
                        div.figure { b { (lines) } }
                    }
                }
            }))
        }
    }
}

fn reason(kind: &str) -> &'static str {
    match kind {
        "dose" => "剂量或频次",
        "prescription" => "处方",
        "no_tests" => "称无需检查",
        "certainty" => "断言确诊或排除",
        "reassurance" => "安慰",
        "other_patient" => "他人信息",
        "link" => "链接",
        "outside_form" => "表格之外",
        "own_disclaimer" => "自拟声明",
        "instructions" => "提示词原文",
        "no_name" => "无名称",
        _ => "其他",
    }
}
