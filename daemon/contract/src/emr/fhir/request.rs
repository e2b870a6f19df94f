//! ServiceRequest: a check that is suggested. Intent `proposal` and status `draft`: it orders nothing, and an EMR makes
//! its own order of it when a physician wants that.

use super::{device, element, guidance, instant, issue, notes, own, refer, resource, subject, text, words};
use crate::{
    answer::{Answer, Check, Origin},
    words::{Triage, Urgency},
};
use serde_json::{Value, json};

pub fn entries(answer: &Answer) -> impl Iterator<Item = (String, Value)> {
    answer.suggested_checks.iter().enumerate().map(|(at, check)| (format!("check/{at}"), entry(answer, check)))
}

fn entry(answer: &Answer, check: &Check) -> Value {
    let flags: Vec<usize> = flags(answer, check).collect();
    let parts = std::iter::once(guidance::PART.to_owned()).chain(flags.iter().map(|at| issue::red_flag_part(*at)));
    let supporting: Vec<Value> = parts.map(|part| refer(answer, &part)).collect();
    let told = text::labelled(answer.lang, words::say(answer.lang, words::CHECKS), &check.what);
    let why = text::labelled(answer.lang, words::say(answer.lang, words::WHY), &check.why);
    let fields = json!({
        "extension": [element::origin(check.origin)],
        "status": "draft",
        "intent": "proposal",
        "priority": priority(answer, check, &flags),
        "code": element::concept(&check.what),
        "subject": subject(answer),
        "authoredOn": instant(answer.provenance.at_unix_s),
        "requester": device(answer),
        "locationCode": check.place.map(|place| {
            let coding = json!({"system": own("where"), "code": words::code(&place)});
            json!([{"coding": [coding], "text": words::say(answer.lang, words::place(place))}])
        }),
        "reasonCode": [element::concept(&check.why)],
        "supportingInfo": supporting,
        "note": notes(),
    });
    resource(answer, "ServiceRequest", &[told, why], fields)
}

/// The red flags that ask for this check.
fn flags<'a>(answer: &'a Answer, check: &'a Check) -> impl Iterator<Item = usize> + 'a {
    let asks = |text: &str| text == &*check.what;
    let flags = answer.red_flags.iter().enumerate();
    flags.filter(move |(_, flag)| flag.checks.iter().any(|it| asks(&it.name.zh) || asks(&it.name.en))).map(|(at, _)| at)
}

/// As urgent as the red flags that ask for it; a rule's check whose red flag is not found, as the case itself. The
/// model's own ideas are no more urgent for standing beside a red flag.
fn priority(answer: &Answer, check: &Check, flags: &[usize]) -> &'static str {
    let by_flags = flags.iter().map(|at| answer.red_flags[*at].urgency).max().map(Urgency::triage);
    let urgent = by_flags.or((check.origin == Origin::Rule).then_some(answer.triage));
    match urgent.unwrap_or(Triage::Green) {
        Triage::Green => "routine",
        Triage::Yellow => "urgent",
        Triage::Red => "stat",
    }
}
