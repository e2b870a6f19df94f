//! The answer from its three sources: rules, the model's form, and what always holds.
//! Nothing of the model's can remove or lower what a rule said.

use crate::{
    coverage, department,
    event::FillFacts,
    opinion::{Form, Opinion},
    place,
    rules::{
        Fired, RuleSet,
        drugs::{Cautioned, Spoken},
    },
    state::{Config, Job, Now, Phase},
    urgency,
};
use contract::{answer::*, bounded::List, case::Case, ids::*, limits::CAUSES_MAX, reply::Section, words::*};
use std::collections::BTreeSet;

pub(crate) fn assemble(
    config: &Config,
    rules: &RuleSet,
    id: RequestId,
    job: &Job,
    facts: FillFacts,
    mut degraded: BTreeSet<Degraded>,
    now: Now,
) -> Answer {
    let (lang, case) = (job.consult.lang, &job.consult.case);
    let department = job.department.clone();
    let adapter = config.departments.get(&department);
    let fired = rules.check(case, lang);

    let nothing = Form::new();
    let (form, began_ms, first_section_ms) = match &job.phase {
        Phase::Running { form, began_ms, first_section_ms } => (form, Some(*began_ms), *first_section_ms),
        Phase::Waiting => (&nothing, None, None),
    };
    let mut model = Opinion::read(form);
    model.forget_exclusions_of(&fired);
    let lines: Vec<&str> = model.lines.iter().map(|line| &**line).collect();
    let drugs = rules.cautions(case, lang, &lines);

    let spoken = !form.is_empty();
    if adapter.is_none() {
        degraded.insert(Degraded::NoAdapter);
    }
    // A form that came back with nothing in it is as incomplete as half a form; where the reason is known, it is enough.
    let expected = spoken || degraded.is_empty();
    let finished = |section| form.get(section).is_some_and(|written| written.complete);
    if expected && (model.causes.is_empty() || !Section::ALL.iter().all(finished)) {
        degraded.insert(Degraded::FormIncomplete);
    }
    if config.scripted {
        degraded.insert(Degraded::ScriptedEngine);
    }
    if facts.case_cut {
        degraded.insert(Degraded::CaseCut);
    }
    let abstained = match (adapter, model.causes.is_empty()) {
        (None, _) => Some(AbstainReason::UnsupportedDepartment),
        (_, true) => Some(AbstainReason::NoModelOpinion),
        _ => None,
    };
    let (triage, triage_raised) = triage(&fired, &drugs, urgency::raise(adapter, &facts.scores));
    let outside_training = match adapter.filter(|_| spoken) {
        Some(adapter) => coverage::outside(&job.consult, &department, adapter),
        None => vec![],
    };

    Answer {
        v: V1,
        kind: AnswerType::Word,
        id,
        lang,
        triage,
        cannot_exclude: cannot_exclude(&fired, &model, rules.standing(&department, lang)),
        possible_causes: causes(&model, &fired),
        suggested_checks: checks(&fired, &model, case, lang),
        medication_cautions: cautions(&drugs.spoken, &model),
        missing_information: missing(fired.ask.into_iter().chain(drugs.ask), &model),
        notifiable: rules.notifiable(&fired.red_flags),
        red_flags: fired.red_flags,
        abstained: abstained.map(|reason| Abstained { reason }),
        uncertainty: uncertainty(
            form,
            config.scripted,
            &outside_training,
            department::calibrated(config, job, &facts.scores),
        ),
        provenance: Provenance {
            box_name: config.box_name.clone(),
            daemon: config.daemon.clone(),
            base_sha256: config.base_sha256.clone().filter(|_| spoken),
            adapter: adapter.cloned().filter(|_| spoken),
            rules: rules.reference(),
            degraded: degraded.into_iter().collect(),
            department_hint: department::hint(config, job, &facts.scores),
            department_choice: Some(department::choice(config, job, &facts.scores)),
            triage_raised,
            outside_training,
            lines_dropped: model.dropped.values().sum(),
            dropped: model.dropped.into_iter().map(|(kind, lines)| DroppedLines { kind, lines }).collect(),
            timings: Timings {
                queued_ms: began_ms.unwrap_or(now.mono_ms).saturating_sub(job.accepted_ms),
                first_section_ms,
                total_ms: now.mono_ms.saturating_sub(job.accepted_ms),
                tokens_read: facts.tokens_read,
                tokens_written: facts.tokens_written,
            },
            at_unix_s: now.unix_s,
        },
        department,
        disclaimer: Disclaimer,
        ai_label: AiLabel,
        review: Review { state: ReviewVerdict::Draft },
        patient_text: None,
        audit: None,
        sig: None,
    }
}

/// From the red flags, raised and never lowered. A drug that must not be given is worth a look before the patient leaves,
/// which is what yellow says; a red flag says more, and stays.
fn triage(fired: &Fired, drugs: &Cautioned, hurry: Option<f32>) -> (Triage, Option<TriageRaised>) {
    let from = fired.triage;
    if from > Triage::Green {
        return (from, None);
    }
    let raised = |by, probability| (Triage::Yellow, Some(TriageRaised { from, by, probability }));
    match hurry {
        _ if drugs.spoken.iter().any(Spoken::blocks) => raised(RaisedBy::DrugRule, None),
        Some(probability) => raised(RaisedBy::Model, Some(probability)),
        None => (from, None),
    }
}

/// Rules first, then the model, and last what the department can never exclude, unless one of them has named it.
fn cannot_exclude(fired: &Fired, model: &Opinion, standing: Exclusion) -> AtLeastOne<Exclusion> {
    let mut all: Vec<Exclusion> = fired.exclusions.iter().chain(&model.exclusions).cloned().collect();
    let name = head(&standing.condition);
    if !all.iter().any(|named| named.condition.contains(name)) {
        all.push(standing.clone());
    }
    AtLeastOne::from_vec(all).unwrap_or_else(|| AtLeastOne::new(standing, []))
}

/// A condition without what stands in brackets behind it.
fn head(condition: &str) -> &str {
    let end = condition.find(['(', '（', '/', '、']).unwrap_or(condition.len());
    condition[..end].trim()
}

fn causes(model: &Opinion, fired: &Fired) -> List<Cause, CAUSES_MAX> {
    let dangerous = |name: &str| {
        let same = |known: &str| name.contains(known) || known.contains(name);
        fired.red_flags.iter().flat_map(|flag| &flag.must_not_miss).any(|d| same(&d.name.zh) || same(&d.name.en))
    };
    List::take_from(model.causes.iter().cloned().map(|cause| {
        let band = if dangerous(&cause.name) { Band::MustNotMiss } else { Band::Possible };
        Cause { band, ..cause }
    }))
}

fn checks(fired: &Fired, model: &Opinion, case: &Case, lang: Lang) -> Lines<Check> {
    let by_rules = fired.red_flags.iter().flat_map(|flag| {
        flag.checks.iter().map(move |check| Check {
            what: Line::cut(check.name.get(lang)),
            why: Line::cut(flag.title.get(lang)),
            origin: Origin::Rule,
            place: place::of_rule(check, case),
        })
    });
    let by_model = model.checks.iter().map(|check| Check { place: place::of(&check.what, case), ..check.clone() });
    let mut seen = BTreeSet::new();
    List::take_from(by_rules.chain(by_model).filter(|check| seen.insert(check.what.clone())))
}

/// The rules' own first, dangers before the rest; they are fewer than the list takes. Each line of the model's once.
fn cautions(by_rules: &[Spoken], model: &Opinion) -> Lines<Caution> {
    let mut seen = BTreeSet::new();
    let once = model.cautions.iter().filter(|own| seen.insert((own.drug.clone(), own.risk.clone())));
    List::take_from(by_rules.iter().map(|one| &one.caution).chain(once).cloned())
}

/// Each question once; where two rules ask the same, the reasons of both.
fn missing(by_rules: impl Iterator<Item = Question>, model: &Opinion) -> Lines<Question> {
    let mut asked: Vec<Question> = vec![];
    for one in by_rules.chain(model.missing.iter().cloned()) {
        match asked.iter_mut().find(|known| known.question == one.question) {
            Some(known) if known.origin == Origin::Rule && one.origin == Origin::Rule => {
                known.why = Line::cut(&format!("{}；{}", &*known.why, &*one.why));
            }
            Some(_) => {}
            None => asked.push(one),
        }
    }
    List::take_from(asked)
}

/// Below this mean log-probability the model was guessing. Chosen on the demonstration data, not calibrated.
const GUESSING_BELOW: f32 = -0.8;

/// Below this the case is rather another department's than the one's whose adapter spoke. The calibration is fitted on as many
/// cases of others as of its own; where nine of ten are its own, because a doctor chose the department, even odds are here.
const NOT_OURS_BELOW: f32 = 0.1;

fn uncertainty(form: &Form, scripted: bool, outside: &[Outside], in_department: Option<f32>) -> Uncertainty {
    let all: Vec<f32> = form.values().flat_map(|written| &written.lines).map(|line| line.logprob).collect();
    if all.is_empty() {
        return Uncertainty {
            level: UncertaintyLevel::High,
            basis: UncertaintyBasis::RulesOnly,
            mean_logprob: None,
            in_department: None,
        };
    }
    let mean = all.iter().sum::<f32>() / all.len() as f32;
    let too_few = outside.iter().any(|one| one.samples.is_some());
    let not_ours = in_department.is_some_and(|p| p < NOT_OURS_BELOW);
    let basis = match in_department {
        _ if scripted => UncertaintyBasis::Scripted,
        Some(_) => UncertaintyBasis::CalibratedDepartment,
        None => UncertaintyBasis::UncalibratedLogprob,
    };
    let high = scripted || too_few || not_ours || mean < GUESSING_BELOW;
    let level = if high { UncertaintyLevel::High } else { UncertaintyLevel::Moderate };
    Uncertainty { level, basis, mean_logprob: Some(mean), in_department }
}
