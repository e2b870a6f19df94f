//! A reviewed case as a training candidate: what the model was shown, and what the doctor let stand.
//!
//! | verdict | completion | without the model's part |
//! |---|---|---|
//! | `accepted` | the answer's lines as the model wrote them | no candidate: there is nothing to learn |
//! | `edited` | the doctor's; the model's lines beside it as `rejected`, a before/after pair | the doctor's alone |
//! | `rejected` | as in `accepted`, to learn what to avoid; never to be trained on as it is | no candidate |
//!
//! Free of what identifies somebody as far as patterns go: masked once more, ages from 90 on are 90, ids are pseudonyms,
//! and of the date there is the year.

use contract::{
    answer::{Answer, Origin},
    case::{Age, AgeUnit, Case},
    ids::Lang,
    mask,
    reply::Section,
    request::Consult,
    review::{Review, Verdict},
    sample::{Completion, Sample, SampleReview, SampleVerdict},
};
use serde_json::from_value;

/// The oldest age that is told, as HIPAA's safe harbour has it (45 CFR 164.514(b)(2)(i)(C)): there are few beyond.
const AGE_YEARS_MAX: f32 = 90.0;

/// Who is who, told by somebody else: only the box can tell a pseudonym's owner.
pub struct Pseudonyms {
    pub case: String,
    pub clinician: String,
    pub source: String,
}

/// `None` where the model took no part in the answer and the doctor wrote none either.
pub fn sample(consult: &Consult, answer: &Answer, review: &Review, who: Pseudonyms, year: String) -> Option<Sample> {
    let completion = match &review.final_text {
        Some(text) => {
            completion(answer.lang, |section| text.lines(section).iter().map(|line| line.to_string()).collect())
        }
        None if by_a_model(answer) => completion(answer.lang, |section| written(answer, section)),
        None => return None,
    };
    let draft = (review.final_text.is_some() && by_a_model(answer))
        .then(|| self::completion(answer.lang, |section| written(answer, section)))
        .filter(|draft| *draft != completion);
    let (case, completion, rejected) = unidentified(Case::clone(&consult.case), completion, draft)?;
    let verdict = match review.verdict {
        Verdict::Accepted => SampleVerdict::Accepted,
        Verdict::Edited => SampleVerdict::Edited,
        Verdict::Rejected => SampleVerdict::Rejected,
    };
    Some(Sample {
        id: who.case,
        department: answer.department.clone(),
        lang: answer.lang,
        case,
        completion,
        rejected,
        review: SampleReview { by: Some(who.clinician), at: Some(year), verdict },
        source: who.source,
        license: "clinic data; not for redistribution".to_owned(),
        deid: true,
    })
}

fn by_a_model(answer: &Answer) -> bool {
    answer.abstained.is_none() && answer.provenance.base_sha256.is_some()
}

fn completion(lang: Lang, lines: impl Fn(Section) -> Vec<String>) -> Completion {
    let nothing = if lang == Lang::Zh { "无" } else { "None" };
    let or_nothing = |section| match lines(section) {
        none if none.is_empty() => vec![nothing.to_owned()],
        some => some,
    };
    Completion {
        causes: lines(Section::PossibleCauses),
        exclusions: lines(Section::CannotExclude),
        checks: or_nothing(Section::SuggestedChecks),
        cautions: or_nothing(Section::MedicationCautions),
        missing: or_nothing(Section::MissingInformation),
    }
}

/// A section's lines as the model wrote them; where it wrote none, those of the rules, which the doctor let stand as well.
fn written(answer: &Answer, section: Section) -> Vec<String> {
    let line =
        |origin, name: &str, reason: &str, action: Option<&str>| (origin, joined(answer.lang, name, reason, action));
    let lines: Vec<(Origin, String)> = match section {
        Section::PossibleCauses => {
            answer.possible_causes.iter().map(|it| line(Origin::Model, &it.name, &it.because, None)).collect()
        }
        Section::CannotExclude => answer
            .cannot_exclude
            .iter()
            .map(|it| line(it.origin, &it.condition, &it.because, it.next_check.as_deref()))
            .collect(),
        Section::SuggestedChecks => {
            answer.suggested_checks.iter().map(|it| line(it.origin, &it.what, &it.why, None)).collect()
        }
        Section::MedicationCautions => answer
            .medication_cautions
            .iter()
            .map(|it| line(it.origin, &it.drug, &it.risk, it.action.as_deref()))
            .collect(),
        Section::MissingInformation => {
            answer.missing_information.iter().map(|it| line(it.origin, &it.question, &it.why, None)).collect()
        }
    };
    let of_the_model = lines.iter().any(|(origin, _)| *origin == Origin::Model);
    lines.into_iter().filter(|(origin, _)| !of_the_model || *origin == Origin::Model).map(|(_, line)| line).collect()
}

/// The inverse of how a line is read (`answer.rs`).
fn joined(lang: Lang, name: &str, reason: &str, action: Option<&str>) -> String {
    let (colon, semicolon) = if lang == Lang::Zh { ("：", "；") } else { (": ", "; ") };
    let reason = if reason.is_empty() { String::new() } else { format!("{colon}{reason}") };
    let action = action.map_or(String::new(), |action| format!("{semicolon}{action}"));
    format!("{name}{reason}{action}")
}

/// `None` for what no mask leaves within its bounds: it is better lost to the training than told.
fn unidentified(
    mut case: Case,
    completion: Completion,
    draft: Option<Completion>,
) -> Option<(Case, Completion, Option<Completion>)> {
    case.age = case.age.map(|age| match age.years() > AGE_YEARS_MAX {
        true => Age { value: AGE_YEARS_MAX, unit: AgeUnit::Year },
        false => age,
    });
    let mut shown = serde_json::json!({"case": case, "completion": completion, "draft": draft});
    mask::message(&mut shown);
    let mut part = |name: &str| shown.as_object_mut()?.remove(name);
    let (case, completion, draft) = (part("case")?, part("completion")?, part("draft")?);
    Some((from_value(case).ok()?, from_value(completion).ok()?, from_value(draft).ok()?))
}
