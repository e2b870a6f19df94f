//! Words of medicine, which no address and no name may swallow: a red flag that is masked is a patient who is not seen.
//!
//! ```text
//! 住址：栾川县庙子镇突发胸痛大汗2小时        Address: Wang village. Sudden chest pain with sweating
//!            └┬─┘ └─ stays ─┘                       └─────┬────┘  └─────────── stays ──────────┘
//! ```
//! They are the phrases that the rules themselves read, and the words that complaints begin with.

use super::{Kind, Span};
use regex::Regex;
use serde_json::Value;
use std::{ops::Range, sync::LazyLock};

/// What the rules read: a phrase that is added there is safe here.
pub(super) const FINDINGS: &str = include_str!("../../../../adapters/rules/findings.json");

/// What complaints begin or go on with, and the parts of complaints that no rule reads yet.
const ZH: &str = "突发|突然|忽然|反复|持续|阵发|剧烈|出现|主诉|自诉|代诉|否认|患者|病人|发病|难受|不适|不舒服|咳嗽|流血|出血|\
    [痛疼肿胀痒麻晕吐喘咳]|高热|低热|中毒|外伤|受伤|咬伤|烧伤|烫伤";
const EN: &str = "sudden(?:ly)?|severe|acute|crushing|pains?|aches?|bleeding|injur(?:y|ed)|fever|cough(?:ing)?|found|fits?|\
    and (?:he|she)|(?:he|she) (?:is|has|was)|complain(?:s|ing|ed)?|presents?|presented|with";

static MEDICINE: LazyLock<Regex> = LazyLock::new(|| {
    let findings: Value = serde_json::from_str(FINDINGS).expect("the rules' findings are JSON");
    let read = |language: &str| {
        let lists = findings.as_object().into_iter().flatten().filter_map(|(_, f)| f[language].as_array());
        let phrases = lists.flatten().filter_map(|phrase| phrase.as_str().map(String::from));
        phrases.collect::<Vec<_>>().join("|")
    };
    let (zh, en) = (read("phrases_zh"), read("phrases_en"));
    let pattern = format!(r"(?i){zh}|{ZH}|(?-u:\b)(?:(?:{en})s?|{EN})(?-u:\b)");
    Regex::new(&pattern).expect("the rules compile the same phrases")
});

/// A phrase may begin in a span and end behind it: so far is looked.
const BEYOND: usize = 64;

/// Where the first word of medicine begins in what stands from `at.start` on, if that is before `at.end`.
pub fn first(text: &str, at: Range<usize>) -> Option<Range<usize>> {
    let seen = super::head(&text[at.start..], at.len() + BEYOND);
    let found = MEDICINE.find(seen)?;
    (found.start() < at.len()).then(|| at.start + found.start()..at.start + found.end())
}

/// Addresses and names without the medicine in them. What stands before it is still masked; what stands behind it only
/// where it is an address of its own (突发抽搐李庄村3组).
pub fn spared(text: &str, spans: Vec<Span>) -> Vec<Span> {
    let mut kept = Vec::with_capacity(spans.len());
    for Span { at, kind } in spans {
        let (mut from, mut behind) = (at.start, false);
        while from < at.end {
            let medicine = first(text, from..at.end);
            let end = medicine.as_ref().map_or(at.end, |m| m.start);
            let part = text[from..end].trim_end();
            let placed =
                kind == Kind::Address && part.contains(['村', '屯', '寨', '庄', '镇', '乡', '组', '路', '街', '号']);
            if part.chars().count() >= 2 && (!behind || placed) {
                kept.push(Span { at: from..from + part.len(), kind });
            }
            let Some(medicine) = medicine else { break };
            (from, behind) = (medicine.end, true);
        }
    }
    kept
}

/// Compiled at start, not while the first patient waits.
pub fn ready() {
    LazyLock::force(&MEDICINE);
}
