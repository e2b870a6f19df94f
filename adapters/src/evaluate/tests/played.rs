//! A box that answers from the rules alone, with the model's part of a golden answer. Shared with `adapters/tests`.

use contract::{
    case::Case,
    ids::Lang,
    mask,
    request::{Request, parse_request},
    words::Triage,
};
use decide::rules::{RuleSet, drugs::NamedIn};
use serde_json::{Value, json};

const ANSWER: &str = include_str!("../../../../daemon/contract/golden/answer.json");
const ACCEPTED: &str = include_str!("../../../../daemon/contract/golden/accepted.json");
const ALERT: &str = include_str!("../../../../daemon/contract/golden/alert.json");

/// What it says to the request of this line.
pub fn said_to(request: &str) -> Vec<Value> {
    let bytes = mask::bytes(request.as_bytes()).0.into_owned();
    let Ok(Request::Consult(consult)) = parse_request(&bytes) else { panic!("no consult: {request}") };
    let (case, lang): (&Case, Lang) = (&consult.case, consult.lang);
    let rules = RuleSet::builtin();
    let (fired, drugs) = (rules.check(case, lang), rules.cautions(case, lang, &[]));
    let of_the_plan: Vec<_> = drugs.spoken.iter().filter(|it| it.blocks() && it.named_in == NamedIn::Plan).collect();
    let blocked = drugs.spoken.iter().any(|it| it.blocks());
    let raised = if blocked { fired.triage.max(Triage::Yellow) } else { fired.triage };

    let mut said = vec![golden(ACCEPTED)];
    if fired.triage > Triage::Green || !of_the_plan.is_empty() {
        let mut alert = golden(ALERT);
        alert["triage"] = json!(if of_the_plan.is_empty() { fired.triage } else { raised });
        alert["red_flags"] = exact(&fired.red_flags);
        alert["medication_cautions"] = exact(&of_the_plan.iter().map(|it| &it.caution).collect::<Vec<_>>());
        said.push(alert);
    }
    let department = if &*consult.department == "auto" { "internal" } else { &*consult.department };
    let standing = rules.standing(department, lang);
    let mut answer = golden(ANSWER);
    answer["lang"] = json!(lang);
    answer["department"] = json!(department);
    answer["triage"] = json!(raised);
    answer["red_flags"] = exact(&fired.red_flags);
    answer["cannot_exclude"] = exact(&fired.exclusions.iter().chain([&standing]).collect::<Vec<_>>());
    answer["medication_cautions"] = exact(&drugs.spoken.iter().map(|it| &it.caution).collect::<Vec<_>>());
    answer["provenance"]["rules"] = json!(rules.reference());
    said.push(answer);
    said.iter_mut().for_each(|message| message["id"] = json!(consult.id));
    said
}

fn golden(text: &str) -> Value {
    serde_json::from_str(text).expect("golden files are JSON")
}

/// By way of text, as on the wire.
fn exact<T: serde::Serialize>(of: &T) -> Value {
    serde_json::from_str(&serde_json::to_string(of).expect("serialises")).expect("was written just now")
}
