//! The report as one page for people who would rather look than read. It loads nothing and runs nothing; whatever comes
//! from cases or models is escaped by `maud`.

mod bars;
mod headline;
mod histogram;
mod lists;
mod triage;

use super::report::Report;
use crate::page;
use maud::{Markup, html};

pub fn page(report: &Report) -> Markup {
    let body = html! {
        (headline::headline(report))
        (bars::measures(report))
        (triage::triage(report))
        (bars::weakest(report))
        (bars::dropped(report))
        (bars::groups(report))
        (histogram::latency(report))
        (lists::files(report))
        (lists::counts(report))
        (lists::lapses(report))
        (foot(report))
    };
    page::page("评估报告 · Evaluation", &[page::STYLE], "", body)
}

/// A part of the page, with its name in both languages and how to read it.
fn part(zh: &str, en: &str, about: &str, body: Markup) -> Markup {
    html! { section { (heading(zh, en)) p.about { (about) } (body) } }
}

fn heading(zh: &str, en: &str) -> Markup {
    html! { h2 { (zh) span.en lang="en" { (en) } } }
}

fn name(zh: &str, en: &str) -> Markup {
    html! { div.name { (zh) span.en lang="en" { (en) } } }
}

fn foot(report: &Report) -> Markup {
    html! {
        footer {
            p { "被评估者 · made by: " (report.made_by.join(" · ")) }
            p {
                "细线为威尔逊 95 % 置信区间，虚线为目标；达标与否看比例本身。所有内容仅用于评估系统，不是医疗建议。"
                br;
                span lang="en" {
                    "Thin lines are Wilson's 95 % intervals, dashed ones goals; a goal is met or missed by the share itself. "
                    "For judging the system; nothing here is medical advice."
                }
            }
        }
    }
}
