//! Which department a case with `department: auto` belongs to.

use crate::{
    event::{Question, Score},
    state::Config,
};
use contract::{
    case::{Case, PregnancyStatus},
    ids::{DEPARTMENT_AUTO, Department},
    request::Consult,
};

/// Where a case goes that gives no reason for another.
const DEFAULT: &str = "internal";

/// With less, the model prefers a department and does not know it.
const CLEAR_MAJORITY: f32 = 0.6;

/// The stated department, or for `auto` a choice by the plain facts: pregnancy, then age, then internal medicine.
pub(crate) fn of(consult: &Consult) -> Department {
    if is_auto(consult) {
        let code = by_facts(&consult.case).unwrap_or(DEFAULT);
        Department::new(code).expect("codes of the contract's own list are valid")
    } else {
        consult.department.clone()
    }
}

/// The model is asked where our own choice had no reason, and only there.
pub(crate) fn questions(config: &Config, consult: &Consult) -> Vec<Question> {
    if fell_through(consult) && config.departments.len() > 1 {
        vec![Question::Department { options: config.departments.keys().cloned().collect() }]
    } else {
        Vec::new()
    }
}

/// The other department that the model clearly prefers. It is said and nothing more: the model routes nobody.
pub(crate) fn hint(config: &Config, consult: &Consult, scores: &[Score]) -> Option<Department> {
    let ours = of(consult);
    let served = |name: &str| config.departments.keys().find(|department| ***department == *name);
    let mut preferred = scores.iter().filter(|_| fell_through(consult)).flat_map(|score| {
        let Question::Department { .. } = score.question;
        score.options.iter().filter(|(_, probability)| *probability >= CLEAR_MAJORITY)
    });
    preferred.find_map(|(name, _)| served(name)).filter(|department| **department != ours).cloned()
}

fn is_auto(consult: &Consult) -> bool {
    &*consult.department == DEPARTMENT_AUTO
}

fn fell_through(consult: &Consult) -> bool {
    is_auto(consult) && by_facts(&consult.case).is_none()
}

fn by_facts(case: &Case) -> Option<&'static str> {
    use PregnancyStatus::{Postpartum, Pregnant};
    if case.pregnancy.is_some_and(|p| matches!(p.status, Pregnant | Postpartum)) {
        Some("obstetrics")
    } else if case.age.is_some_and(|age| age.years() < 14.0) {
        Some("pediatrics")
    } else {
        None
    }
}
