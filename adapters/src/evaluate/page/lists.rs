//! Tables and lists: the files, what is only counted, and the cases that went wrong.

use super::{heading, part};
use crate::evaluate::{
    judge::lapses::{Lapse, What},
    report::{FileFigures, Report},
    table::percent,
};
use decide::rules::recall::Share;
use maud::{Markup, html};
use std::collections::BTreeMap;

/// A longer list is for a machine: `--json`.
const SHOWN: usize = 200;
/// So many are read without being asked for.
const UNFOLDED: usize = 12;

pub fn files(report: &Report) -> Markup {
    let figure = |share: Share| match share.of {
        0 => "—".to_owned(),
        _ => format!("{}/{} · {}", share.hits, share.of, percent(share)),
    };
    part(
        "病例文件",
        "Files",
        "保留集只看总数。 Of held-out files there are totals only.",
        html! {
            div.wide { table {
                tr { th { "文件 file" } th { "请求 requests" } th { "召回：文字 words" } th { "召回：编码 coded" } th { "无害误报红 false red" } th { "用药警示 drugs" } }
                @for FileFigures { name, held_out, requests, shares } in &report.files {
                    tr {
                        td { (name) @if *held_out { " · 保留集 held out" } }
                        td.n { (requests) }
                        @for share in shares { td.n { (figure(*share)) } }
                    }
                }
            } }
        },
    )
}

pub fn counts(report: &Report) -> Markup {
    let kinds: [(&str, &str, &BTreeMap<String, u32>); 3] = [
        ("弃权", "Abstained", &report.abstained),
        ("降级", "Degraded", &report.degraded),
        ("错误", "Errors", &report.errors),
    ];
    part(
        "其他计数",
        "Other counts",
        "回答自己说的。 As the answers say it.",
        html! {
            div.wide { table {
                @for (zh, en, counts) in kinds {
                    tr {
                        td { (zh) " " span.en { (en) } }
                        td {
                            @if counts.is_empty() { "无 none" }
                            @for (what, count) in counts { (what) " " b { (count) } "  " }
                        }
                    }
                }
            } }
        },
    )
}

pub fn lapses(report: &Report) -> Markup {
    let of = |what: What| report.lapses.iter().filter(|it| it.what == what).collect::<Vec<_>>();
    let about = "只列公开病例。 Of open files only.";
    html! {
        section {
            (heading("要看的病例", "Cases to look at"))
            p.about { (about) }
            @if report.lapses.is_empty() { p { "没有 · none" } }
            @for what in What::ALL {
                @let lapses = of(what);
                @if !lapses.is_empty() { (list(what, &lapses)) }
            }
        }
    }
}

fn list(what: What, lapses: &[&Lapse]) -> Markup {
    let name = what.name();
    html! {
        details open[lapses.len() <= UNFOLDED] {
            summary { (name.zh) " " span.en { (name.en) } " · " (lapses.len()) }
            div.wide { table {
                @for it in lapses.iter().take(SHOWN) {
                    tr {
                        td.text { (it.complaint) div.en { (it.name) " · " (it.place) } }
                        td { (it.detail) }
                    }
                }
            } }
            @if lapses.len() > SHOWN { p.en { "… " (lapses.len() - SHOWN) " 更多 more" } }
        }
    }
}
