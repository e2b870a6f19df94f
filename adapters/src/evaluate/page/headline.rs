//! What somebody takes away who reads nothing else.

use crate::evaluate::{judge::measures::Measure, report::Report, table::percent};
use maud::{Markup, html};

pub fn headline(report: &Report) -> Markup {
    let judged = report.measures.iter().filter_map(Measure::met).count();
    let missed: Vec<&Measure> = report.missed().collect();
    let met = judged - missed.len();
    html! {
        header {
            h1 { "评估报告 · Evaluation · " (report.requests) " 个请求 requests" }
            @if judged == 0 {
                p.verdict { "没有可衡量的目标" span.en lang="en" { " No goal could be measured." } }
            } @else if missed.is_empty() {
                p.verdict.good { "✓ " (judged) " 项目标全部达到" }
                p.en lang="en" { "All " (judged) " goals that could be measured are met." }
            } @else {
                p.verdict.bad { "✗ " (judged) " 项目标中 " (missed.len()) " 项未达到" }
                p { "未达到：" (names(&missed, |it| it.zh, "；")) "。" }
                p.en lang="en" { (met) " of " (judged) " goals are met. Missed: " (names(&missed, |it| it.en, "; ")) "." }
            }
            @for note in &report.notes { div.note { (note.zh) div.en lang="en" { (note.en) } } }
            ul.sentences { @for it in sentences(report) { li { (it) } } }
        }
    }
}

fn names(measures: &[&Measure], name: fn(&Measure) -> &str, joint: &str) -> String {
    measures.iter().map(|it| name(it)).collect::<Vec<_>>().join(joint)
}

/// The figures that matter most, as sentences; those that were not measured say nothing.
fn sentences(report: &Report) -> Vec<Markup> {
    let said = |id: &str, say: fn(&str, &str, &str) -> (String, String)| {
        let share = report.measure(id).share;
        (share.of > 0).then(|| {
            let (zh, en) = say(&share.hits.to_string(), &share.of.to_string(), &percent(share));
            html! { (zh) div.en lang="en" { (en) } }
        })
    };
    let all = [
        said("recall_text", |hits, of, share| {
            let zh = format!("只凭文字描述的 {of} 个危险，看出了 {hits} 个（{share}）。");
            (zh, format!("Of {of} dangers told in words alone it saw {hits} ({share})."))
        }),
        said("recall_coded", |hits, of, share| {
            let zh = format!("另有编码所见和生命体征的 {of} 个危险，看出了 {hits} 个（{share}）。");
            (zh, format!("Of {of} dangers with coded findings and vital signs it saw {hits} ({share})."))
        }),
        said("benign_red", |hits, of, share| {
            let zh = format!("{of} 个无害病例中，{hits} 个误报红色（{share}）。");
            (zh, format!("Of {of} harmless cases {hits} turned red ({share})."))
        }),
        said("forbidden", |hits, of, _| {
            let zh = format!("模型写给医生看的 {of} 行中，{hits} 行含剂量、处方等禁用内容。");
            (
                zh,
                format!(
                    "Of {of} lines that the model showed to the doctor {hits} held a dose, a prescription or the like."
                ),
            )
        }),
        said("ended", |hits, of, _| {
            let zh = format!("{of} 个请求中，{hits} 个恰好得到一个结果。");
            (zh, format!("Of {of} requests {hits} ended exactly once."))
        }),
    ];
    all.into_iter().flatten().collect()
}
