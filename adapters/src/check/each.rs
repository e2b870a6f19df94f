//! What one sample must be, whatever the others are. Nothing of a line is quoted that could identify somebody.

use super::{Finding, Kind};
use crate::{
    dataset::{Lesson, Line, name},
    metadata::{Metadata, ReviewPlan},
    near::plain,
    scrub,
};
use contract::{
    answer::Dropped,
    case::implausible,
    mask,
    reply::Section,
    sample::{Sample, SampleVerdict},
};
use engine::form;
use serde_json::Value;

pub fn check(line: &Line, metadata: &Metadata, found: &mut dyn FnMut(Finding)) {
    let lesson = &line.lesson;
    let mut fault = |kind, text: String| found(Finding::fault(Some(line.place), kind, text));
    let reviewed = lesson.is_reviewed();
    if !reviewed && metadata.review == ReviewPlan::Required {
        fault(Kind::Unreviewed, "no physician has reviewed it (review.by and review.verdict)".to_owned());
    }
    if !lesson.is_deidentified() {
        fault(
            Kind::NotDeidentified,
            "deid is not true: nobody says that it is free of what identifies a patient".to_owned(),
        );
    }
    if !metadata.licenses.iter().any(|license| license == lesson.license()) {
        let text = format!("license {:?} is none of those in the metadata", lesson.license());
        fault(Kind::License, text);
    }
    for (pointer, what) in identifiers(lesson) {
        fault(Kind::IdentifiesSomebody, format!("{pointer}: {what}"));
    }
    for (section, lines) in lesson.sections() {
        lines.iter().filter_map(|line| forbidden(line)).for_each(|what| {
            fault(Kind::ForbiddenLine, format!("completion/{section}: {what}, which the box never shows"));
        });
    }
    if let Some(sample) = lesson.consult() {
        consult(sample, &mut fault);
        if sample.review.verdict == SampleVerdict::Rejected {
            let text = "rejected by the doctor: not taught".to_owned();
            found(Finding::remark(Some(line.place), Kind::Rejected, text));
        }
    }
}

fn consult(sample: &Sample, fault: &mut dyn FnMut(Kind, String)) {
    if let Some((pointer, what)) = implausible(&sample.case) {
        fault(Kind::BrokenForm, format!("{pointer}: {what}"));
    }
    let said = |section| sample.completion.lines(section).iter().filter(|line| !form::is_nothing(line));
    let names = |section| said(section).map(|line| plain(name(line))).collect::<Vec<_>>();
    let causes = names(Section::PossibleCauses);
    let exclusions = names(Section::CannotExclude);
    if exclusions.is_empty() {
        fault(Kind::NoExclusion, "nothing is named that cannot be excluded".to_owned());
    } else if exclusions.iter().all(|name| causes.contains(name)) {
        fault(Kind::ExclusionRepeatsCause, "what cannot be excluded only repeats a cause".to_owned());
    }
    if causes.is_empty() {
        fault(Kind::BrokenForm, "completion/causes: names none".to_owned());
    }
    for section in Section::ALL {
        let (lines, most) = (sample.completion.lines(section).len(), form::bounds(section).lines_max);
        if lines > most {
            fault(Kind::BrokenForm, format!("{section:?}: {lines} lines, and the form has {most}"));
        }
        if lines == 0 {
            fault(Kind::BrokenForm, format!("{section:?}: empty; a section with nothing to say holds 无 or None"));
        }
        for line in said(section).filter(|line| !line.contains(['：', ':'])) {
            fault(Kind::BrokenForm, format!("{section:?}: {:?} has no reason behind a colon", short(line)));
        }
    }
}

fn short(line: &str) -> String {
    line.chars().take(12).collect()
}

fn forbidden(line: &str) -> Option<&'static str> {
    Some(match decide::forbidden::kind(line)? {
        Dropped::Dose => "an amount or a frequency",
        Dropped::Prescription => "a prescription",
        Dropped::NoTests => "that no test, visit or referral is needed",
        Dropped::Certainty => "certainty",
        Dropped::Reassurance => "comfort that ends the search",
        Dropped::OtherPatient => return None, // told of as an identifier
        Dropped::Link => "a link",
        Dropped::OutsideForm => "marks or roles that are no line of the form",
        Dropped::OwnDisclaimer => "a disclaimer of its own",
        Dropped::Instructions => "the prompt's own words",
        Dropped::NoName => "a line without a name",
    })
}

/// Where something identifies a patient, and what kind of thing it is: its JSON pointer, never its text.
fn identifiers(lesson: &Lesson) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    let mut value = lesson.value();
    // Not of the patient: the set's own words.
    for own in ["id", "source", "license", "review", "department", "lang", "task"] {
        value.as_object_mut().map(|fields| fields.shift_remove(own));
    }
    walk(&value, String::new(), &mut found);
    found
}

fn walk(value: &Value, pointer: String, found: &mut Vec<(String, &'static str)>) {
    match value {
        Value::String(text) => {
            if let Some(what) = identifies(text) {
                found.push((pointer, what));
            }
        }
        Value::Array(entries) => {
            entries.iter().enumerate().for_each(|(at, entry)| walk(entry, format!("{pointer}/{at}"), found));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(key, entry)| walk(entry, format!("{pointer}/{key}"), found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn identifies(text: &str) -> Option<&'static str> {
    if let Some(kind) = mask::kinds(text).first() {
        return Some(match kind {
            mask::Kind::IdentityCard => "an identity card number",
            mask::Kind::Phone => "a telephone number",
            mask::Kind::Email => "an e-mail address",
            mask::Kind::Account => "an account name or number",
            mask::Kind::Record => "a record number",
            mask::Kind::BirthDate => "a date of birth",
            mask::Kind::Address => "an address",
            mask::Kind::Name => "a name",
        });
    }
    scrub::has_exact_date(text).then_some("an exact date")
}
