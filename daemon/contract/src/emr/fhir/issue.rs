//! DetectedIssue: a danger that a rule saw, or what speaks against a drug.
//!
//! The checks that a rule proposes are an extension and stand in `detail`, not in `mitigation`: by its definition that
//! is an action taken or committed, and nobody has done anything yet.

use super::{
    device,
    element::{self, bilingual, concept, extension, icd10, string},
    instant, resource, subject, text, words,
};
use crate::{
    answer::{Answer, Caution, Disease, RedFlag},
    emr::words::{Words, first},
    words::Urgency,
};
use serde_json::{Value, json};

pub fn entries(answer: &Answer) -> impl Iterator<Item = (String, Value)> {
    let flags = answer.red_flags.iter().map(|it| red_flag(answer, it));
    let cautions = answer.medication_cautions.iter().map(|it| caution(answer, it));
    parts(answer).zip(flags.chain(cautions))
}

/// The names of all of them, in their order.
pub fn parts(answer: &Answer) -> impl Iterator<Item = String> {
    let flags = (0..answer.red_flags.len()).map(red_flag_part);
    flags.chain((0..answer.medication_cautions.len()).map(|at| format!("caution/{at}")))
}

pub fn red_flag_part(at: usize) -> String {
    format!("red_flag/{at}")
}

fn red_flag(answer: &Answer, it: &RedFlag) -> Value {
    let lang = answer.lang;
    let diseases = it.must_not_miss.iter().map(|disease| {
        let name = bilingual(lang, &disease.name, icd10(disease.icd10.as_ref()));
        extension("must-not-miss", "valueCodeableConcept", name)
    });
    let checks = it
        .checks
        .iter()
        .map(|check| extension("proposed-check", "valueCodeableConcept", bilingual(lang, check, vec![])));
    let source = extension("source", "valueString", string(&it.source));
    let detail = paragraphs(
        answer,
        [
            (words::MUST_NOT_MISS, text::listed(lang, it.must_not_miss.iter().map(|disease| named(answer, disease)))),
            (words::CHECKS, text::listed(lang, it.checks.iter().map(|check| first(lang, check)))),
            (words::SOURCE, it.source.clone()),
        ],
    );
    let title = first(lang, &it.title).to_owned();
    issue(
        answer,
        title,
        &detail,
        json!({
            "extension": diseases.chain(checks).chain([source]).collect::<Vec<_>>(),
            "code": bilingual(lang, &it.title, vec![element::rule(answer, &it.rule)]),
            "severity": match it.urgency {
                Urgency::Routine => "low",
                Urgency::Urgent => "moderate",
                Urgency::Immediate => "high",
            },
            "evidence": it.because.iter().map(|because| json!({"code": [concept(because)]})).collect::<Vec<_>>(),
        }),
    )
}

fn caution(answer: &Answer, it: &Caution) -> Value {
    let title = text::labelled(answer.lang, words::say(answer.lang, words::CAUTION), &it.drug);
    let action = it.action.as_deref().unwrap_or_default();
    let detail = paragraphs(answer, [(words::WHY, it.risk.to_string()), (words::ACTION, action.to_owned())]);
    let fields = json!({
        "extension": [
            element::origin(it.origin),
            extension("proposed-action", "valueString", string(action)),
        ],
        "code": concept(&title),
        "implicated": text::plain(&it.drug).map(|drug| json!([{"type": "Medication", "display": drug}])),
    });
    issue(answer, title, &detail, fields)
}

/// What both have: not yet confirmed by anybody, seen by the box.
fn issue(answer: &Answer, title: String, detail: &[String], mut own: Value) -> Value {
    own["status"] = json!("preliminary");
    own["patient"] = subject(answer);
    own["identifiedDateTime"] = json!(instant(answer.provenance.at_unix_s));
    own["author"] = device(answer);
    own["detail"] = string(&detail.join("\n"));
    let told: Vec<String> = std::iter::once(title).chain(detail.iter().cloned()).collect();
    resource(answer, "DetectedIssue", &told, own)
}

fn paragraphs<const N: usize>(answer: &Answer, said: [(Words, String); N]) -> Vec<String> {
    let line = |(label, said): (Words, String)| {
        text::plain(&said).map(|said| text::labelled(answer.lang, words::say(answer.lang, label), &said))
    };
    said.into_iter().filter_map(line).collect()
}

fn named(answer: &Answer, disease: &Disease) -> String {
    let name = first(answer.lang, &disease.name);
    disease.icd10.as_ref().map_or_else(|| name.to_owned(), |code| format!("{name} ({code})"))
}
