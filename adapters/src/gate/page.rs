//! The examination as a page: what changed, in pictures, and some answers side by side. Loads nothing and runs nothing.

use super::{
    table::{change, figure, goal, name},
    *,
};
use crate::page;
use maud::{Markup, html};

pub fn page(gate: &Gate) -> Markup {
    let (word, look) = if gate.evaluation.passed { ("通过 PASSED", "good") } else { ("未通过 NOT PASSED", "bad") };
    let body = html! {
        header {
            h1 { "适配器考核 " span.en lang="en" { "Examination of an adapter" } }
            p { b { (gate.group) } " · " span.mark.(look) { (word) } }
            @for missed in gate.missed() { p.en lang="en" { "✗ " (missed) } }
        }
        @for measure in ORDER { (part(gate, measure)) }
        @if !gate.examples.is_empty() { (examples(gate)) }
        footer {
            p { "adapter " code { (gate.adapter_sha256) } }
            p { "base " code { (gate.base_sha256) } }
            p { "held out " code { (gate.held_out_root) } }
            p { "仅用于评估适配器，不是医疗建议。 " span lang="en" { "For judging an adapter; nothing here is medical advice." } }
        }
    };
    page::page(&format!("适配器考核 · {}", gate.group), &[page::STYLE, STYLE], "", body)
}

const ORDER: [MeasureName; 8] = [
    MeasureName::Nll,
    MeasureName::RightOfThree,
    MeasureName::DepartmentChosen,
    MeasureName::ExclusionNamed,
    MeasureName::DangerNamed,
    MeasureName::ForbiddenLines,
    MeasureName::TokensPerSecond,
    MeasureName::Change,
];

const STYLE: &str = "table.sides td{vertical-align:top;padding:.4rem .6rem;border-top:1px solid #8884}\
    table.sides{border-collapse:collapse;width:100%}svg.pair{width:100%;height:30px}svg.pair .base{fill:#8889}\
    svg.pair .ours{fill:#2a7d6f}svg.pair .bad{fill:#d9822b}";

fn part(gate: &Gate, measure: MeasureName) -> Markup {
    let rows: Vec<&Measured> = gate.evaluation.measures.iter().filter(|it| it.measure == measure).collect();
    let (zh, en) = name(measure);
    // A share has its whole; of what has none the largest is.
    let most = rows.iter().flat_map(|it| [Some(it.adapter), it.base]).flatten().fold(0.0, f32::max);
    let whole = match measure {
        MeasureName::Nll | MeasureName::TokensPerSecond | MeasureName::Change => most.max(1e-6),
        _ => 1.0,
    };
    html! {
        @if !rows.is_empty() {
            section {
                h2 { (zh) " " span.en lang="en" { (en) } }
                @for it in rows {
                    div.row {
                        div.name { (it.of) span.en { "n = " (it.n) } }
                        div.chart { (bars(it, whole)) }
                        div.figure {
                            b { (figure(measure, it.adapter)) }
                            small {
                                @if let Some(base) = it.base { "base " (figure(measure, base)) " " (change(it)) }
                            }
                            @match it.met {
                                Some(true) => span.mark.good { "✓ " (goal(it, it.of == gate.group)) },
                                Some(false) => span.mark.bad { "✗ " (goal(it, it.of == gate.group)) },
                                None => {},
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The base above, the adapter below.
fn bars(it: &Measured, whole: f32) -> Markup {
    let width = |value: f32| format!("{:.2}", (value / whole * 100.0).clamp(0.0, 100.0));
    let look = if it.met == Some(false) { "bad" } else { "ours" };
    html! {
        svg.pair viewBox="0 0 100 30" preserveAspectRatio="none" role="img" {
            @if let Some(base) = it.base { rect.base x="0" y="3" width=(width(base)) height="10" {} }
            rect.(look) x="0" y="15" width=(width(it.adapter)) height="12" {}
        }
    }
}

fn examples(gate: &Gate) -> Markup {
    let lines = |lines: &[String]| html! { @for line in lines { (line) br; } };
    html! {
        section {
            h2 { "写出的内容 " span.en lang="en" { "What was written" } }
            table.sides {
                tr { th { "病例 case" } th { "基座 base" } th { "适配器 adapter" } th { "参考 reference" } }
                @for it in &gate.examples {
                    tr { td { small { (it.id) } br; (it.question) } td { (lines(&it.base)) } td { (lines(&it.adapter)) } td { (lines(&it.reference)) } }
                }
            }
        }
    }
}
