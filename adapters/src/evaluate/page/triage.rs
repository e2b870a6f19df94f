//! How each kind of case was sorted.

use super::{name, part};
use crate::evaluate::{exam::Kind, report::Report};
use maud::{Markup, html};

const COLOURS: [(&str, &str, &str); 4] =
    [("green", "绿", "green"), ("yellow", "黄", "yellow"), ("red", "红", "red"), ("none", "无结果", "nothing")];

pub fn triage(report: &Report) -> Markup {
    let about = "每类病例得到的分诊。绿色不等于没事。 How each kind of case was sorted. Green is no all-clear.";
    part(
        "分诊分布",
        "Triage",
        about,
        html! {
            div.legend { @for (class, zh, en) in COLOURS { span { i.(class) {} (zh) " " (en) } } }
            @for (kind, counts) in &report.triage {
                @let (zh, en) = kind_name(*kind);
                div.row {
                    (name(zh, en))
                    div.chart { (stack(counts)) }
                    div.figure { small { (in_words(counts)) } }
                }
            }
        },
    )
}

/// Each piece says its colour in a word too.
fn stack(counts: &[u32; 4]) -> Markup {
    html! {
        div.stack {
            @for ((class, zh, en), count) in COLOURS.iter().zip(counts).filter(|(_, count)| **count > 0) {
                span.(class) style=(format!("flex: {count} 1 0")) title=(format!("{zh} {en}: {count}")) { (zh) " " (count) }
            }
        }
    }
}

/// What is too few to be seen in the picture can be read.
fn in_words(counts: &[u32; 4]) -> String {
    let each = COLOURS.iter().zip(counts).rev().filter(|(_, count)| **count > 0);
    each.map(|((_, zh, _), count)| format!("{zh} {count}")).collect::<Vec<_>>().join(" · ")
}

fn kind_name(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Danger => ("危险", "Danger"),
        Kind::Benign => ("无害", "Harmless"),
        Kind::Hostile => ("恶意输入", "Hostile"),
        Kind::Unsupported => ("不支持的科室", "Unsupported department"),
        Kind::Unlabelled => ("未标注", "Not labelled"),
    }
}
