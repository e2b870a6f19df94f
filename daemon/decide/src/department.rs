//! Which department a case with `department: auto` belongs to.

use contract::{
    case::{Case, PregnancyStatus},
    ids::{DEPARTMENT_AUTO, Department},
    request::Consult,
};

/// The stated department, or for `auto` a choice by the plain facts: pregnancy, then age, then internal medicine.
pub(crate) fn of(consult: &Consult) -> Department {
    if &*consult.department == DEPARTMENT_AUTO {
        Department::new(by_facts(&consult.case)).expect("codes of the contract's own list are valid")
    } else {
        consult.department.clone()
    }
}

fn by_facts(case: &Case) -> &'static str {
    use PregnancyStatus::{Postpartum, Pregnant};
    if case.pregnancy.is_some_and(|p| matches!(p.status, Pregnant | Postpartum)) {
        "obstetrics"
    } else if case.age.is_some_and(|age| age.years() < 14.0) {
        "pediatrics"
    } else {
        "internal"
    }
}
