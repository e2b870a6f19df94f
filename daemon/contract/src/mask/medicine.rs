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
use std::{cmp::Reverse, ops::Range, sync::LazyLock};

/// What the rules read: a phrase that is added there is safe here.
const FINDINGS: &str = include_str!("../../../../adapters/rules/findings.json");
const WORDS: &str = include_str!("../../../../adapters/rules/words.json");
/// Findings of where somebody was: their words are places, and an address begins with such (西藏, 阿里, 牧区).
const PLACES: [&str; 5] = ["altitude", "dog_sheep_past", "marmot", "rodent", "tropics"];
/// Classes of `words.json` that name a part of the body; what one says of them is a complaint.
const BODY: &str =
    "head chest belly upper_belly back loin throat eye lid ear mouth lips face hand leg limb neck breast joint ball";
const BODY_EN: &str = "e_belly e_chest e_limb e_eye";

/// What complaints begin or go on with, and the parts of complaints that no rule reads yet.
const ZH: &str = "突发|突然|忽然|反复|持续|阵发|剧烈|出现|主诉|自诉|代诉|否认|患者|病人|发病|难受|不适|不舒服|咳嗽|流血|出血|\
    [痛疼肿胀痒麻晕吐喘咳]|高热|低热|中毒|外伤|受伤|咬伤|烧伤|烫伤";
/// What may stand between a part of the body and what is wrong with it.
const OF_IT: &str = "里|上|子|部|也|都|又|很|好|有点|突然|一直|一阵";
const ILL: &str = "[痛疼肿胀痒麻酸闷憋堵紧绞晕昏歪红黄凉软]|难受|不适|没劲|无力|不舒服|流血|出血";
const EN: &str = "sudden(?:ly)?|severe|acute|crushing|pains?|aches?|bleeding|injur(?:y|ed)|fever|cough(?:ing)?|found|fits?|\
    and (?:he|she)|(?:he|she) (?:is|has|was)|complain(?:s|ing|ed)?|presents?|presented|with";

static MEDICINE: LazyLock<Regex> = LazyLock::new(|| {
    let (zh, en) = (phrases("phrases_zh").join("|"), phrases("phrases_en").join("|"));
    let words: Value = serde_json::from_str(WORDS).expect("the rules' words are JSON");
    let class = |names: &str| {
        let lists = names.split(' ').filter_map(|name| words["classes"][name].as_array());
        lists.flatten().filter_map(Value::as_str).collect::<Vec<_>>().join("|")
    };
    let (body, body_en) = (class(BODY), class(BODY_EN));
    let pattern = format!(
        r"(?i){zh}|(?:{body})(?:{OF_IT})?(?:{ILL})|{ZH}|(?-u:\b)(?:(?:{en})s?|(?:{body_en})(?: is| are)? (?:{})|{EN})(?-u:\b)",
        class("e_pain e_weak e_blood")
    );
    // 疼 is written for 痛; the rules read one way of writing.
    Regex::new(&pattern.replace('痛', "[痛疼]")).expect("plain words make a pattern")
});

/// The rules' phrases that are plain words. Of the others, which say how words may stand together, the parts of the body
/// and what is wrong with them are enough.
pub(super) fn phrases(language: &str) -> Vec<String> {
    let findings: Value = serde_json::from_str(FINDINGS).expect("the rules' findings are JSON");
    let complaints = findings.as_object().into_iter().flatten().filter(|(code, _)| !PLACES.contains(&code.as_str()));
    let plain = |phrase: &&str| !phrase.contains(['{', '(', '.', '|', '?']);
    // One character is part of too many names; a short English word is too often one.
    let long = |phrase: &&str| phrase.chars().count() >= if phrase.is_ascii() { 5 } else { 2 };
    let lists = complaints.filter_map(|(_, finding)| finding[language].as_array()).flatten();
    let mut phrases: Vec<_> = lists.filter_map(Value::as_str).filter(plain).filter(long).map(String::from).collect();
    phrases.sort_by_key(|phrase| Reverse(phrase.len())); // the longest is found where several begin
    phrases
}

/// A phrase may begin before a span and end behind it: so far is looked. (不省人事: no province, and no address behind it.)
const BEYOND: usize = 64;
const BEFORE: usize = 9;

/// The first words of medicine in what stands from `at.start` on, if they begin before `at.end`.
pub fn first(text: &str, at: Range<usize>) -> Option<Range<usize>> {
    let before = super::tail(&text[..at.start], BEFORE).len();
    let from = at.start - before;
    let seen = super::head(&text[from..], before + at.len() + BEYOND);
    let found = MEDICINE.find_iter(seen).map(|m| from + m.start()..from + m.end()).find(|m| m.end > at.start)?;
    (found.start < at.end).then(|| found.start.max(at.start)..found.end)
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
