//! ClinicalImpression: what the patient may have. A finding's text says how sure it is, because an EMR that does not
//! know our extensions would otherwise show what cannot be excluded as if it were found.

use super::{
    device,
    element::{self, extension, icd10, string},
    guidance, instant, issue, notes, refer, resource, subject, text, words,
};
use crate::{
    answer::{Answer, Cause, Exclusion, ReviewVerdict},
    emr::words::Words,
};
use serde_json::{Value, json};

pub const PART: &str = "impression";

pub fn entry(answer: &Answer) -> (String, Value) {
    let findings: Vec<Value> = (answer.cannot_exclude.iter().map(|it| excluded(answer, it)))
        .chain(answer.possible_causes.iter().map(|it| cause(answer, it)))
        .collect();
    let supporting = std::iter::once(guidance::PART.to_owned()).chain(issue::parts(answer));
    let fields = json!({
        "extension": [extension("device", "valueReference", device(answer))],
        "status": match answer.review.state {
            ReviewVerdict::Draft => "in-progress",
        },
        "description": words::say(answer.lang, words::DRAFT),
        "subject": subject(answer),
        "date": instant(answer.provenance.at_unix_s),
        "summary": text::labelled(
            answer.lang,
            words::say(answer.lang, words::TRIAGE),
            words::say(answer.lang, words::triage(answer.triage)),
        ),
        "finding": findings,
        "supportingInfo": supporting.map(|part| refer(answer, &part)).collect::<Vec<_>>(),
        "note": notes(),
    });
    (PART.to_owned(), resource(answer, "ClinicalImpression", &told(answer), fields))
}

fn excluded(answer: &Answer, it: &Exclusion) -> Value {
    json!({
        "extension": [
            extension("band", "valueCode", json!("cannot_exclude")),
            element::origin(it.origin),
            extension("urgency", "valueCode", json!(words::code(&it.urgency))),
            it.rule.as_ref().map(|rule| extension("rule", "valueCoding", element::rule(answer, rule))),
            it.next_check.as_ref().map(|check| extension("next-check", "valueString", string(check))),
        ],
        "itemCodeableConcept": {
            "coding": icd10(it.icd10.as_ref()),
            "text": said(answer, words::CANNOT_EXCLUDE, &it.condition),
        },
        "basis": string(&it.because),
    })
}

fn cause(answer: &Answer, it: &Cause) -> Value {
    json!({
        "extension": [extension("band", "valueCode", json!(words::code(&it.band)))],
        "itemCodeableConcept": {"text": said(answer, words::band(it.band), &it.name)},
        "basis": string(&it.because),
    })
}

fn said(answer: &Answer, how_sure: Words, name: &str) -> Option<String> {
    text::plain(name).map(|name| text::labelled(answer.lang, words::say(answer.lang, how_sure), &name))
}

fn told(answer: &Answer) -> Vec<String> {
    let excluded = answer.cannot_exclude.iter().filter_map(|it| said(answer, words::CANNOT_EXCLUDE, &it.condition));
    let causes = answer.possible_causes.iter().filter_map(|it| said(answer, words::band(it.band), &it.name));
    excluded.chain(causes).collect()
}
