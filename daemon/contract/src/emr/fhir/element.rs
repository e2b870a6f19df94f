//! FHIR's small parts. What has no content is null here, and [`prune`] takes it away in the end.

use crate::{
    answer::{AiLabel, Answer, Disclaimer, Origin},
    emr::{own, text, words},
    ids::{Department, Lang, department_name_zh},
    words::Bilingual,
};
use serde_json::{Map, Value, json};

const ICD_10: &str = "http://hl7.org/fhir/sid/icd-10";
const OBSERVATION_VALUE: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";
const TRANSLATION: &str = "http://hl7.org/fhir/StructureDefinition/translation";

/// A resource that a person can read too: `told` line by line, then the label and the disclaimer.
pub fn resource(answer: &Answer, kind: &str, told: &[String], fields: Value) -> Value {
    let head = json!({
        "resourceType": kind,
        "meta": meta(answer),
        "language": words::code(&answer.lang),
        "text": {"status": "generated", "div": narrative(answer.lang, told)},
    });
    let (Value::Object(mut resource), Value::Object(fields)) = (head, fields) else { unreachable!("two objects") };
    resource.extend(fields);
    Value::Object(resource)
}

/// That it comes from an artificial intelligence, in HL7's word for machines and in ours for people.
pub fn meta(answer: &Answer) -> Value {
    let label = words::say(answer.lang, (AiLabel::ZH, AiLabel::EN));
    json!({
        "security": [{"system": OBSERVATION_VALUE, "code": "AIAST", "display": "Artificial Intelligence asserted"}],
        "tag": [{"system": own("label"), "code": "ai-generated", "display": label}],
    })
}

fn narrative(lang: Lang, told: &[String]) -> String {
    let ends = [words::say(lang, (AiLabel::ZH, AiLabel::EN)), words::say(lang, (Disclaimer::ZH, Disclaimer::EN))];
    let lines = told.iter().map(String::as_str).chain(ends).filter_map(text::plain);
    let lines: String = lines.map(|line| format!("<p>{}</p>", text::xhtml(&line))).collect();
    format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{lines}</div>")
}

pub fn string(text: &str) -> Value {
    json!(text::plain(text))
}

pub fn concept(text: &str) -> Value {
    json!({"text": string(text)})
}

/// In the answer's language, with the other one as FHIR's own extension has it.
pub fn bilingual(lang: Lang, text: &Bilingual, codings: Vec<Value>) -> Value {
    let (other, said) = match lang {
        Lang::Zh => ("en", &text.en),
        Lang::En => ("zh", &text.zh),
    };
    let translation = text::plain(said).map(|said| {
        json!({"extension": [{"url": TRANSLATION, "extension": [
            {"url": "lang", "valueCode": other}, {"url": "content", "valueString": said},
        ]}]})
    });
    json!({"coding": codings, "text": string(words::first(lang, text)), "_text": translation})
}

pub fn icd10(code: Option<&String>) -> Vec<Value> {
    let code = code.and_then(|code| text::one_line(code));
    code.map(|code| json!({"system": ICD_10, "code": code})).into_iter().collect()
}

/// A rule of the rule set that this answer was made with.
pub fn rule(answer: &Answer, rule: &str) -> Value {
    let version = string(&answer.provenance.rules.version);
    let code = text::one_line(rule).map(|code| json!({"system": own("rule"), "version": version, "code": code}));
    json!(code)
}

pub fn department(lang: Lang, department: &Department) -> Value {
    let zh = department_name_zh(department).filter(|_| lang == Lang::Zh);
    json!({"system": own("department"), "code": **department, "display": zh})
}

pub fn origin(origin: Origin) -> Value {
    extension("origin", "valueCode", json!(words::code(&origin)))
}

/// By way of text: as a 64-bit number -0.52 would be -0.5199999809….
pub fn decimal(number: Option<f32>) -> Value {
    json!(number.and_then(|number| number.to_string().parse::<f64>().ok()))
}

/// One of our own, which the README lists.
pub fn extension(name: &str, kind: &str, value: Value) -> Value {
    if value.is_null() { Value::Null } else { json!({"url": own(name), kind: value}) }
}

/// An extension of parts, which go by their bare names.
pub fn extensions<'a>(name: &str, parts: impl IntoIterator<Item = (&'a str, &'a str, Value)>) -> Value {
    let part = |(name, kind, value): (&str, &str, Value)| (!value.is_null()).then(|| json!({"url": name, kind: value}));
    json!({"url": own(name), "extension": parts.into_iter().filter_map(part).collect::<Vec<_>>()})
}

/// Without what is null or empty; an extension that says nothing goes with it.
pub fn prune(value: Value) -> Value {
    fn empty(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Array(entries) => entries.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            _ => false,
        }
    }
    match value {
        Value::Array(entries) => entries.into_iter().map(prune).filter(|entry| !empty(entry)).collect(),
        Value::Object(fields) => {
            let kept: Map<_, _> =
                fields.into_iter().map(|(key, value)| (key, prune(value))).filter(|(_, value)| !empty(value)).collect();
            if kept.len() == 1 && kept.contains_key("url") { Value::Null } else { Value::Object(kept) }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_empty_is_left() {
        let full = json!({"a": [null, {}, [], {"b": null}], "c": [{"url": "x", "valueString": null}, 0], "d": ""});
        assert_eq!(prune(full), json!({"c": [0], "d": ""}));
    }
}
