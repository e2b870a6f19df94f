//! CDS Hooks 2.0: the body of a service's response, `{"cards": […]}`, in the answer's language.
//!
//! ```text
//! red flag …        a card each            critical, warning, info by its urgency
//! cannot exclude    always                 by the most urgent entry
//! cautions          where there are any    warning; critical where a rule stops a drug
//! notifiable        where there are any    warning
//! missing           where there are any    info; warning where a rule asks
//! opinion           always                 info; warning where no model had one, or something went wrong
//! ```
//! No `suggestions`, and so no `selectionBehavior`: a suggestion is an order at one touch, and a check is to be ordered
//! by somebody who has thought of it. No `links`: nothing on the box is to be opened from elsewhere.

mod detail;

use super::{
    own,
    text::{cut, labelled, listed},
    uuid, words,
    words::{Words, first, say},
};
use crate::{answer::*, ids::department_name_zh, words::Urgency};
use detail::Detail;
use serde_json::{Value, json};

/// The specification asks for less than 140.
const SUMMARY_MAX: usize = 139;

pub fn cards(answer: &Answer) -> Value {
    let flags = answer.red_flags.iter().enumerate().map(|(at, flag)| red_flag(answer, at, flag));
    let rest = [cannot_exclude(answer), cautions(answer), notifiable(answer), missing(answer), Some(opinion(answer))];
    json!({"cards": flags.chain(rest.into_iter().flatten()).collect::<Vec<_>>()})
}

fn red_flag(answer: &Answer, at: usize, flag: &RedFlag) -> Value {
    let lang = answer.lang;
    let mut detail = Detail::new(answer.lang);
    // Whole: the summary may be cut.
    detail.list(words::RED_FLAG, [first(lang, &flag.title).to_owned()]);
    detail.list(words::MUST_NOT_MISS, flag.must_not_miss.iter().map(|it| with_code(first(lang, &it.name), &it.icd10)));
    detail.list(words::BECAUSE, flag.because.iter().map(|it| it.to_string()));
    detail.list(words::CHECKS, flag.checks.iter().map(|it| first(lang, &it.name).to_owned()));
    detail.list(words::SOURCE, [flag.source.clone(), format!("{} {}", rule_set(answer), flag.rule)]);
    card(answer, &format!("red_flag/{at}"), indicator(flag.urgency), first(lang, &flag.title), detail)
}

fn cannot_exclude(answer: &Answer) -> Option<Value> {
    let mut detail = Detail::new(answer.lang);
    let entry = |it: &Exclusion| {
        let when = format!("{}; {}", say(answer.lang, words::urgency(it.urgency)), by(answer, it.origin, &it.rule));
        let next =
            it.next_check.as_deref().map(|check| labelled(answer.lang, say(answer.lang, words::NEXT_CHECK), check));
        join([with_code(&it.condition, &it.icd10), it.because.to_string(), next.unwrap_or_default(), when])
    };
    detail.list(words::CANNOT_EXCLUDE, answer.cannot_exclude.iter().map(entry));
    let names = listed(answer.lang, answer.cannot_exclude.iter().map(|it| &*it.condition));
    let most_urgent = answer.cannot_exclude.iter().map(|it| it.urgency).max().unwrap_or(Urgency::Urgent);
    Some(card(answer, "cannot_exclude", indicator(most_urgent), &title(answer, words::CANNOT_EXCLUDE, &names), detail))
}

fn cautions(answer: &Answer) -> Option<Value> {
    let drugs = listed(answer.lang, answer.medication_cautions.iter().map(|it| &*it.drug));
    let entry = |it: &Caution| {
        let action = it.action.as_deref().map(|action| labelled(answer.lang, say(answer.lang, words::ACTION), action));
        let when = it.urgency.map_or("", |urgency| say(answer.lang, words::caution(urgency)));
        let because = it.because.as_deref().unwrap_or_default();
        let who = by(answer, it.origin, &it.rule);
        join([
            it.drug.to_string(),
            when.to_owned(),
            with_code(&it.risk, &it.icd10),
            because.to_owned(),
            action.unwrap_or_default(),
            who,
        ])
    };
    let mut detail = Detail::new(answer.lang);
    detail.list(words::CAUTION, answer.medication_cautions.iter().map(entry));
    let summary = title(answer, words::CAUTION, &drugs);
    let stops = answer.medication_cautions.iter().any(|it| it.urgency == Some(CautionUrgency::BlockAndConfirm));
    let indicator = if stops { "critical" } else { "warning" };
    (!answer.medication_cautions.is_empty()).then(|| card(answer, "cautions", indicator, &summary, detail))
}

fn notifiable(answer: &Answer) -> Option<Value> {
    let entry = |it: &Notifiable| {
        let class = say(answer.lang, words::class(it.class)).to_owned();
        join([first(answer.lang, &it.disease).to_owned(), class, by(answer, Origin::Rule, &Some(it.rule.clone()))])
    };
    let mut detail = Detail::new(answer.lang);
    detail.list(words::NOTIFIABLE, answer.notifiable.iter().map(entry));
    let names = listed(answer.lang, answer.notifiable.iter().map(|it| first(answer.lang, &it.disease)));
    let summary = title(answer, words::NOTIFIABLE, &names);
    (!answer.notifiable.is_empty()).then(|| card(answer, "notifiable", "warning", &summary, detail))
}

fn missing(answer: &Answer) -> Option<Value> {
    let asked = listed(answer.lang, answer.missing_information.iter().map(|it| &*it.question));
    let entry = |it: &Question| join([it.question.to_string(), it.why.to_string(), by(answer, it.origin, &None)]);
    let mut detail = Detail::new(answer.lang);
    detail.list(words::QUESTION, answer.missing_information.iter().map(entry));
    let by_rule = answer.missing_information.iter().any(|it| it.origin == Origin::Rule);
    let summary = title(answer, words::QUESTION, &asked);
    let indicator = if by_rule { "warning" } else { "info" };
    (!answer.missing_information.is_empty()).then(|| card(answer, "missing", indicator, &summary, detail))
}

fn opinion(answer: &Answer) -> Value {
    let lang = answer.lang;
    let made_by = &answer.provenance;
    let mut detail = Detail::new(answer.lang);
    detail.list(words::TRIAGE, [say(lang, words::triage(answer.triage)).to_owned()]);
    detail.list(words::RAISED, made_by.triage_raised.iter().map(|it| say(lang, words::raised(it.by)).to_owned()));
    detail.list(words::ABSTAINED, answer.abstained.iter().map(|it| say(lang, words::abstained(it.reason)).to_owned()));
    detail.list(words::DEGRADED, made_by.degraded.iter().map(|it| say(lang, words::degraded(*it)).to_owned()));
    let outside = made_by.outside_training.iter().map(|it| say(lang, words::outside(it.what)).to_owned());
    detail.list(words::OUTSIDE, outside);
    let cause = |it: &Cause| join([labelled(lang, say(lang, words::band(it.band)), &it.name), it.because.to_string()]);
    detail.list(words::CAUSES, answer.possible_causes.iter().map(cause));
    let check = |it: &Check| {
        let place = it.place.map_or("", |place| say(lang, words::place(place)));
        join([it.what.to_string(), it.why.to_string(), place.to_owned(), by(answer, it.origin, &None)])
    };
    detail.list(words::CHECKS, answer.suggested_checks.iter().map(check));
    detail.list(words::DEPARTMENT, [department(answer, &answer.department)]);
    detail.list(words::HINT, made_by.department_hint.iter().map(|it| department(answer, it)));
    let (level, basis) = (words::level(answer.uncertainty.level), words::basis(answer.uncertainty.basis));
    detail.list(words::UNCERTAINTY, [format!("{}; {}", say(lang, level), say(lang, basis))]);
    let adapter = made_by.adapter.as_ref().map(|it| reviewed(answer, format!("{} {}", it.id, it.version), it.review));
    detail.list(words::SOURCE, adapter.into_iter().chain([reviewed(answer, rule_set(answer), made_by.rules.review)]));

    let causes = listed(lang, answer.possible_causes.iter().map(|it| &*it.name));
    let summary = match &answer.abstained {
        Some(it) => title(answer, words::ABSTAINED, say(lang, words::abstained(it.reason))),
        None if causes.is_empty() => say(lang, words::NO_CAUSES).to_owned(),
        None => title(answer, words::CAUSES, &causes),
    };
    let troubled = answer.abstained.is_some() || !made_by.degraded.is_empty();
    card(answer, "opinion", if troubled { "warning" } else { "info" }, &summary, detail)
}

/// `part` is its name, and its kind where several have one.
fn card(answer: &Answer, part: &str, indicator: &str, summary: &str, detail: Detail) -> Value {
    let kind = part.split('/').next().unwrap_or(part);
    let topic = match kind {
        "red_flag" => words::RED_FLAG,
        "cannot_exclude" => words::CANNOT_EXCLUDE,
        "cautions" => words::CAUTION,
        "notifiable" => words::NOTIFIABLE,
        "missing" => words::QUESTION,
        _ => words::CAUSES,
    };
    let summary = cut(summary, SUMMARY_MAX);
    json!({
        "uuid": uuid(answer, &format!("card/{part}")),
        "summary": if summary.is_empty() { say(answer.lang, topic) } else { &summary },
        "detail": detail.end(),
        "indicator": indicator,
        "source": {
            "label": say(answer.lang, (AiLabel::ZH, AiLabel::EN)).to_owned() + " · consultd",
            "topic": {"system": own("card"), "code": kind, "display": say(answer.lang, topic)},
        },
    })
}

fn indicator(urgency: Urgency) -> &'static str {
    match urgency {
        Urgency::Routine | Urgency::Soon => "info",
        Urgency::Urgent => "warning",
        Urgency::Immediate => "critical",
    }
}

fn title(answer: &Answer, label: Words, text: &str) -> String {
    labelled(answer.lang, say(answer.lang, label), text)
}

fn with_code(name: &str, icd10: &Option<String>) -> String {
    icd10.as_ref().map_or_else(|| name.to_owned(), |code| format!("{name} ({code})"))
}

fn by(answer: &Answer, origin: Origin, rule: &Option<String>) -> String {
    join([say(answer.lang, words::origin(origin)).to_owned(), rule.clone().unwrap_or_default()])
}

fn rule_set(answer: &Answer) -> String {
    format!("{} {}", say(answer.lang, words::origin(Origin::Rule)), answer.provenance.rules.version)
}

fn reviewed(answer: &Answer, what: String, review: ReviewState) -> String {
    match review {
        ReviewState::PhysicianReviewed => what,
        ReviewState::NotPhysicianReviewed => join([what, say(answer.lang, words::NOT_REVIEWED).to_owned()]),
    }
}

fn department(answer: &Answer, code: &str) -> String {
    let zh = department_name_zh(code).unwrap_or_default();
    join([say(answer.lang, (zh, "")).to_owned(), code.to_owned()])
}

fn join<const N: usize>(parts: [String; N]) -> String {
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect::<Vec<_>>().join("; ")
}
