//! DetectedIssue: a danger that a rule saw, what speaks against a drug, or a disease that may have to be reported.
//!
//! The checks that a rule proposes are an extension and stand in `detail`, not in `mitigation`: by its definition that
//! is an action taken or committed, and nobody has done anything yet.

use super::{
    device,
    element::{self, bilingual, concept, extension, icd10, string},
    instant, resource, subject, text, words,
};
use crate::{
    answer::{Answer, Caution, CautionUrgency, Disease, Notifiable, RedFlag},
    emr::words::{Words, first},
    ids::Lang,
    words::{Bilingual, Urgency},
};
use serde_json::{Value, json};

pub fn entries(answer: &Answer) -> impl Iterator<Item = (String, Value)> {
    let flags = answer.red_flags.iter().map(|it| red_flag(answer, it));
    let cautions = answer.medication_cautions.iter().map(|it| caution(answer, it));
    let diseases = answer.notifiable.iter().map(|it| notifiable(answer, it));
    parts(answer).zip(flags.chain(cautions).chain(diseases))
}

/// The names of all of them, in their order.
pub fn parts(answer: &Answer) -> impl Iterator<Item = String> {
    let flags = (0..answer.red_flags.len()).map(red_flag_part);
    let cautions = (0..answer.medication_cautions.len()).map(|at| format!("caution/{at}"));
    flags.chain(cautions).chain((0..answer.notifiable.len()).map(|at| format!("notifiable/{at}")))
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
        .map(|check| extension("proposed-check", "valueCodeableConcept", bilingual(lang, &check.name, vec![])));
    let source = extension("source", "valueString", string(&it.source));
    let detail = paragraphs(
        answer,
        [
            (words::MUST_NOT_MISS, text::listed(lang, it.must_not_miss.iter().map(|disease| named(answer, disease)))),
            (words::CHECKS, text::listed(lang, it.checks.iter().map(|check| first(lang, &check.name)))),
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
                Urgency::Routine | Urgency::Soon => "low",
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
    let when = it.urgency.map_or("", |urgency| words::say(answer.lang, words::caution(urgency)));
    let detail = paragraphs(
        answer,
        [
            (words::CAUTION, when.to_owned()),
            (words::WHY, it.risk.to_string()),
            (words::BECAUSE, it.because.as_deref().unwrap_or_default().to_owned()),
            (words::ACTION, action.to_owned()),
        ],
    );
    let fields = json!({
        "extension": [
            element::origin(it.origin),
            extension("proposed-action", "valueString", string(action)),
            it.icd10.as_ref().map(|code| {
                let risk = json!({"coding": icd10(Some(code)), "text": string(&it.risk)});
                extension("risk", "valueCodeableConcept", risk)
            }),
        ],
        "code": {"coding": [it.rule.as_ref().map(|rule| element::rule(answer, rule))], "text": string(&title)},
        "severity": it.urgency.map(|urgency| match urgency {
            CautionUrgency::Weigh => "moderate",
            CautionUrgency::BlockAndConfirm => "high",
        }),
        "evidence": it.because.iter().map(|because| json!({"code": [concept(because)]})).collect::<Vec<_>>(),
        "implicated": text::plain(&it.drug).map(|drug| json!([{"type": "Medication", "display": drug}])),
    });
    issue(answer, title, &detail, fields)
}

/// To report it or not is the physician's word: suspected, and no severity.
fn notifiable(answer: &Answer, it: &Notifiable) -> Value {
    let suspected = |lang, name: &str| {
        text::plain(name)
            .map(|name| text::labelled(lang, words::say(lang, words::NOTIFIABLE), &name))
            .unwrap_or_default()
    };
    let name = Bilingual::new(suspected(Lang::Zh, &it.disease.zh), suspected(Lang::En, &it.disease.en));
    let class = words::say(answer.lang, words::class(it.class)).to_owned();
    let fields = json!({
        "extension": [extension("notifiable", "valueCode", json!(words::code(&it.class)))],
        "code": bilingual(answer.lang, &name, vec![element::rule(answer, &it.rule)]),
    });
    issue(answer, first(answer.lang, &name).to_owned(), &[class], fields)
}

/// What all have: not yet confirmed by anybody, seen by the box.
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
