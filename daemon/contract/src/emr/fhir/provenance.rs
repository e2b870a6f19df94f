//! Provenance: which box wrote all this, with which model and rules, when by its own clock, under which seal.

use super::{
    consultation, device,
    element::{extension, extensions, string},
    instant, own, refer, resource, words,
};
use crate::answer::{AdapterRef, Answer, ReviewState};
use serde_json::{Value, json};

const PARTICIPANT: &str = "http://terminology.hl7.org/CodeSystem/provenance-participant-type";
const OPERATION: &str = "http://terminology.hl7.org/CodeSystem/v3-DataOperation";
const ABSENT: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";

pub fn entry<'a>(answer: &Answer, targets: impl Iterator<Item = &'a str>) -> (String, Value) {
    let made_by = &answer.provenance;
    let recorded = instant(made_by.at_unix_s);
    let absent = recorded.is_none().then(|| json!({"url": ABSENT, "valueCode": "error"}));
    let clock = extension("clock", "valueString", json!(words::say(answer.lang, words::CLOCK)));
    let fields = json!({
        "extension": [seal(answer)],
        "target": targets.map(|part| refer(answer, part)).collect::<Vec<_>>(),
        "recorded": recorded,
        "_recorded": {"extension": [absent, clock]},
        "activity": {"coding": [{"system": OPERATION, "code": "CREATE", "display": "create"}]},
        // Whose box it is, and for whom it asked, the EMR knows: `onBehalfOf` is left to it.
        "agent": [{
            "type": {"coding": [{"system": PARTICIPANT, "code": "author", "display": "Author"}]},
            "who": device(answer),
        }],
        "entity": entities(answer),
    });
    ("provenance".to_owned(), resource(answer, "Provenance", &told(answer), fields))
}

/// What it was made from, each by the SHA-256 of its file.
fn entities(answer: &Answer) -> Vec<Value> {
    let made_by = &answer.provenance;
    let entity = |what: &str, display: String, sha256: &str, review: Option<ReviewState>| {
        json!({
            "extension": [review.map(|review| extension("review", "valueCode", json!(words::code(&review))))],
            "role": "source",
            "what": {
                "identifier": {"type": {"text": what}, "system": own("sha256"), "value": string(sha256)},
                "display": string(&display),
            },
        })
    };
    let base = made_by.base_sha256.iter().map(|sha256| entity("base model", "base model".to_owned(), sha256, None));
    let adapter = made_by.adapter.iter().map(|it| entity("adapter", trained(it), &it.sha256, Some(it.review)));
    let rules = &made_by.rules;
    let rules = entity("rule set", format!("rules {}", rules.version), &rules.sha256, Some(rules.review));
    let answered = json!({"role": "source", "what": {"identifier": consultation(answer), "display": "answer"}});
    base.chain(adapter).chain([rules, answered]).collect()
}

/// `demo-internal 1; samples: internal 81`
fn trained(adapter: &AdapterRef) -> String {
    let samples: Vec<String> = adapter.trained_on.iter().map(|(name, number)| format!("{name} {number}")).collect();
    let samples = if samples.is_empty() { String::new() } else { format!("; samples: {}", samples.join(", ")) };
    format!("adapter {} {}{samples}", adapter.id, adapter.version)
}

/// The answer's own seal, which is none of this bundle: an extension that says so, and no `signature`.
fn seal(answer: &Answer) -> Value {
    if answer.audit.is_none() && answer.sig.is_none() {
        return Value::Null;
    }
    extensions(
        "seal",
        [
            ("covers", "valueString", json!(words::say(answer.lang, words::SEALED))),
            ("seq", "valueString", json!(answer.audit.map(|audit| audit.seq.to_string()))),
            ("prev-hash", "valueString", json!(answer.audit.map(|audit| audit.prev_hash))),
            ("hash", "valueString", json!(answer.audit.map(|audit| audit.hash))),
            ("sig", "valueString", json!(answer.sig)),
        ],
    )
}

fn told(answer: &Answer) -> Vec<String> {
    let made_by = &answer.provenance;
    let unreviewed = |review: ReviewState| match review {
        ReviewState::NotPhysicianReviewed => format!("; {}", words::say(answer.lang, words::NOT_REVIEWED)),
        ReviewState::PhysicianReviewed => String::new(),
    };
    let adapter = made_by.adapter.iter().map(|it| trained(it) + &unreviewed(it.review));
    let rules = format!("rules {}{}", made_by.rules.version, unreviewed(made_by.rules.review));
    let seal = answer.audit.map(|_| words::say(answer.lang, words::SEALED).to_owned());
    let clock = words::say(answer.lang, words::CLOCK).to_owned();
    adapter.chain([rules, clock]).chain(seal).collect()
}
