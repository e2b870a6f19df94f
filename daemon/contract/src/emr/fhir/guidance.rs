//! GuidanceResponse: that the box answered, and how far its answer goes.

use super::{
    consultation, device,
    element::{self, extension, extensions, string},
    instant, notes, own, resource, subject, text, words,
};
use crate::answer::{AbstainReason, Answer, Degraded, Origin, Question};
use serde_json::{Value, json};

pub const PART: &str = "guidance";

pub fn entry(answer: &Answer) -> (String, Value) {
    let messages = messages(answer);
    let fields = json!({
        "contained": if messages.is_empty() { Value::Null } else {
            json!([{"resourceType": "OperationOutcome", "id": "messages", "issue": messages}])
        },
        "extension": [
            extension("triage", "valueCode", json!(words::code(&answer.triage))),
            extension("department", "valueCoding", element::department(answer.lang, &answer.department)),
            answer.provenance.department_hint.as_ref().map(|hint| {
                extension("department-hint", "valueCoding", element::department(answer.lang, hint))
            }),
            answer.provenance.department_choice.as_ref().map(|it| {
                extensions("department-choice", [
                    ("by", "valueCode", json!(words::code(&it.by))),
                    ("probability", "valueDecimal", element::decimal(it.probability)),
                ])
            }),
            answer.provenance.triage_raised.as_ref().map(|it| {
                extensions("triage-raised", [
                    ("from", "valueCode", json!(words::code(&it.from))),
                    ("by", "valueCode", json!(words::code(&it.by))),
                    ("probability", "valueDecimal", element::decimal(it.probability)),
                ])
            }),
            uncertainty(answer),
        ],
        "requestIdentifier": consultation(answer),
        "moduleUri": module(answer),
        "status": status(answer),
        "subject": subject(answer),
        "occurrenceDateTime": instant(answer.provenance.at_unix_s),
        "performer": device(answer),
        "note": notes(),
        "evaluationMessage": if messages.is_empty() { Value::Null } else { json!([{"reference": "#messages"}]) },
        "dataRequirement": answer.missing_information.iter().map(requirement).collect::<Vec<_>>(),
    });
    (PART.to_owned(), resource(answer, "GuidanceResponse", &told(answer), fields))
}

/// FHIR's words: `data-required`, the evaluation is not complete without; `data-requested`, it may be better with. What
/// a rule misses it cannot do without; what the model would like to know it has managed without.
fn status(answer: &Answer) -> &'static str {
    let missing = &answer.missing_information;
    if answer.abstained.is_some() {
        "failure"
    } else if missing.iter().any(|question| question.origin == Origin::Rule) {
        "data-required"
    } else if !missing.is_empty() {
        "data-requested"
    } else {
        "success"
    }
}

/// Rule set and adapter in one name; their hashes are in the Provenance.
fn module(answer: &Answer) -> String {
    let made_by = &answer.provenance;
    let part = |kind: &str, name: &str| format!(":{kind}:{}", text::percent(name));
    let adapter = made_by.adapter.as_ref();
    let adapter = adapter.map(|it| part("adapter", &it.id) + &part("version", &it.version)).unwrap_or_default();
    own("module") + &part("rules", &made_by.rules.version) + &adapter
}

fn uncertainty(answer: &Answer) -> Value {
    let it = &answer.uncertainty;
    extensions(
        "uncertainty",
        [
            ("level", "valueCode", json!(words::code(&it.level))),
            ("basis", "valueCode", json!(words::code(&it.basis))),
            ("mean-logprob", "valueDecimal", element::decimal(it.mean_logprob)),
            ("in-department", "valueDecimal", element::decimal(it.in_department)),
        ],
    )
}

/// An observation that is wanted, by the question it answers.
fn requirement(question: &Question) -> Value {
    json!({
        "extension": [
            element::origin(question.origin),
            extension("why", "valueString", string(&question.why)),
        ],
        "type": "Observation",
        "codeFilter": [{"path": "code", "code": [{"display": string(&question.question)}]}],
    })
}

/// What kept the answer from being what it should be.
fn messages(answer: &Answer) -> Vec<Value> {
    let issue = |severity: &str, kind: &str, code: String, said: String| {
        json!({
            "severity": severity,
            "code": kind,
            "details": {"coding": [{"system": own("message"), "code": code}], "text": said},
        })
    };
    let say = |words| words::say(answer.lang, words).to_owned();
    let abstained = answer.abstained.iter().map(|it| {
        let kind = match it.reason {
            AbstainReason::UnsupportedDepartment => "not-supported",
            AbstainReason::NoModelOpinion => "incomplete",
        };
        issue("error", kind, words::code(&it.reason), say(words::abstained(it.reason)))
    });
    let degraded = answer.provenance.degraded.iter().map(|it| {
        let kind = match it {
            Degraded::ScriptedEngine => "informational",
            Degraded::EngineDown => "transient",
            Degraded::EngineCrashed => "exception",
            Degraded::Deadline => "timeout",
            Degraded::FormIncomplete => "incomplete",
            Degraded::NoAdapter => "not-supported",
            Degraded::CaseCut => "too-long",
        };
        issue("warning", kind, words::code(it), say(words::degraded(*it)))
    });
    let outside = answer.provenance.outside_training.iter().map(|it| {
        let samples = it.samples.map(|samples| format!(" ({samples})")).unwrap_or_default();
        let said = text::labelled(answer.lang, words::say(answer.lang, words::OUTSIDE), &say(words::outside(it.what)));
        issue("warning", "business-rule", words::code(&it.what), said + &samples)
    });
    let left_out = |code: String, lines: u32| {
        let said = text::labelled(answer.lang, words::say(answer.lang, words::DROPPED), &lines.to_string());
        issue("information", "suppressed", code, said)
    };
    let lines = answer.provenance.lines_dropped;
    let dropped = (lines > 0).then(|| left_out("lines_dropped".to_owned(), lines));
    let kinds = answer.provenance.dropped.iter().map(|it| left_out(words::code(&it.kind), it.lines));
    abstained.chain(degraded).chain(outside).chain(dropped).chain(kinds).collect()
}

fn told(answer: &Answer) -> Vec<String> {
    let say = |words| words::say(answer.lang, words);
    let labelled = |label, text: &str| text::labelled(answer.lang, say(label), text);
    let head = [say(words::DRAFT).to_owned(), labelled(words::TRIAGE, say(words::triage(answer.triage)))];
    let abstained = answer.abstained.iter().map(|it| labelled(words::ABSTAINED, say(words::abstained(it.reason))));
    let degraded = answer.provenance.degraded.iter().map(|it| labelled(words::DEGRADED, say(words::degraded(*it))));
    let missing = answer.missing_information.iter().map(|it| labelled(words::QUESTION, &it.question));
    head.into_iter().chain(abstained).chain(degraded).chain(missing).collect()
}
