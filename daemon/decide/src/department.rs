//! Which department a case with `department: auto` belongs to.
//!
//! ```text
//! stated ─▶ facts: pregnancy, age ─▶ a red flag's specialty ─▶ words of the complaint ─▶ internal medicine,
//!                                    (the last two: of those that this box serves)       and the model is asked
//! ```

use crate::{
    event::{Question, Score},
    rules::Fired,
    state::{Config, Job},
};
use contract::{
    answer::{ChosenBy, DepartmentChoice},
    case::{Case, PregnancyStatus},
    ids::{DEPARTMENT_AUTO, Department},
    request::Consult,
};
use regex::Regex;
use std::sync::LazyLock;

/// Where a case goes that gives no reason for another.
const DEFAULT: &str = "internal";

/// With less, the model prefers a department and does not know it.
const CLEAR_MAJORITY: f32 = 0.6;

/// The department of a case and why, as it stays from its acceptance on.
pub(crate) fn choose(config: &Config, consult: &Consult, fired: &Fired) -> (Department, ChosenBy) {
    if !is_auto(consult) {
        return (consult.department.clone(), ChosenBy::Stated);
    }
    let code = |code: &str| Department::new(code).expect("codes of the contract's own list are valid");
    if let Some(fact) = by_facts(&consult.case) {
        return (code(fact), ChosenBy::Facts);
    }
    let served = |name: &&str| config.departments.keys().any(|department| **department == **name);
    if let Some(name) = by_rules(fired).find(served) {
        return (code(name), ChosenBy::Rule);
    }
    match by_words(&consult.case).find(served) {
        Some(name) => (code(name), ChosenBy::Facts),
        None => (code(DEFAULT), ChosenBy::Default),
    }
}

/// The model is asked where our own choice had no reason, and where what it says is calibrated.
pub(crate) fn question(config: &Config, job: &Job) -> Option<Question> {
    is_asked(config, job).then(|| Question::Department { options: config.departments.keys().cloned().collect() })
}

fn is_asked(config: &Config, job: &Job) -> bool {
    let calibrated = config.departments.get(&job.department).is_some_and(|adapter| adapter.calibration.is_some());
    (job.chosen_by == ChosenBy::Default || calibrated) && config.departments.len() > 1
}

/// The other department that the model clearly prefers. It is said and nothing more: the model routes nobody. By the time
/// it can be asked, the form is written, and a second one would cost the doctor as much time again for a guess.
pub(crate) fn hint(config: &Config, job: &Job, scores: &[Score]) -> Option<Department> {
    let served = |name: &str| config.departments.keys().find(|department| ***department == *name);
    let asked = job.chosen_by == ChosenBy::Default;
    let mut preferred = options(scores).filter(|_| asked).filter(|(_, probability)| *probability >= CLEAR_MAJORITY);
    preferred.find_map(|(name, _)| served(name)).filter(|department| **department != job.department).cloned()
}

/// Who chose, and how sure the model is of the one that answered.
pub(crate) fn choice(config: &Config, job: &Job, scores: &[Score]) -> DepartmentChoice {
    let probability = probability(config, job, scores);
    let by = match job.chosen_by {
        ChosenBy::Default if probability.is_some_and(|p| p >= CLEAR_MAJORITY) => ChosenBy::Model,
        by => by,
    };
    DepartmentChoice { by, probability }
}

/// What the model gives the department that answered, where it was asked.
fn probability(config: &Config, job: &Job, scores: &[Score]) -> Option<f32> {
    let ours = options(scores).find(|(name, _)| is_asked(config, job) && **name == *job.department);
    ours.map(|(_, probability)| *probability).filter(|p| p.is_finite())
}

/// The same as its adapter's calibration has it.
pub(crate) fn calibrated(config: &Config, job: &Job, scores: &[Score]) -> Option<f32> {
    config.departments.get(&job.department)?.calibration?.of(probability(config, job, scores)?)
}

fn options(scores: &[Score]) -> impl Iterator<Item = &(String, f32)> {
    let about = |score: &&Score| matches!(score.question, Question::Department { .. });
    scores.iter().filter(about).flat_map(|score| &score.options)
}

fn is_auto(consult: &Consult) -> bool {
    &*consult.department == DEPARTMENT_AUTO
}

/// These hold whether or not the box serves the department: no other is made for a pregnant woman or a child.
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

/// By the ICD-10 code of what must not be missed, the most urgent rule first. The longest beginning counts.
fn by_rules(fired: &Fired) -> impl Iterator<Item = &'static str> {
    #[rustfmt::skip]
    const SPECIALTIES: &[(&str, &str)] = &[
        ("K35", "surgery"), ("K37", "surgery"), ("K40", "surgery"), ("K46", "surgery"), ("K56", "surgery"), ("K65", "surgery"),
        ("N44", "urology"), ("H0", "ophthalmology"), ("H1", "ophthalmology"), ("H2", "ophthalmology"),
        ("H3", "ophthalmology"), ("H4", "ophthalmology"), ("H5", "ophthalmology"), ("H", "ent"), ("I6", "neurology"),
        ("A", "infectious"), ("B", "infectious"), ("C", "oncology"), ("E", "internal"), ("F", "psychiatry"),
        ("G", "neurology"), ("I", "internal"), ("J", "internal"), ("K", "internal"), ("L", "dermatology"),
        ("M", "orthopedics"), ("N", "internal"), ("O", "obstetrics"), ("P", "pediatrics"), ("S", "surgery"), ("T", "emergency"),
    ];
    let codes = fired.red_flags.iter().filter_map(|flag| flag.must_not_miss.first()?.icd10.as_deref());
    let specialty = |code: &str| SPECIALTIES.iter().find(|(from, _)| code.starts_with(from)).map(|(_, name)| *name);
    codes.filter_map(specialty).collect::<Vec<_>>().into_iter()
}

/// Words that leave no doubt whose they are. A complaint that could be two departments' has none here.
fn by_words(case: &Case) -> impl Iterator<Item = &'static str> {
    static WORDS: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
        #[rustfmt::skip]
        let table = [
            ("obstetrics",    r"月经|经期|痛经|白带|停经|阴道|下身(?:出血|见红|痒)|怀孕|孕\d|胎动|产后|坐月子|奶胀|\b(?:pregnan|menstrua|vaginal|breast-?feeding)"),
            ("pediatrics",    r"宝宝|患儿|小儿|婴儿|\b(?:infant|toddler)\b"),
            ("stomatology",   r"牙疼|牙痛|牙龈|蛀牙|\b(?:tooth|gums?)\b"),
            ("ophthalmology", r"眼(?:睛)?(?:疼|痛|红|花|干|痒)|看不清|\beyes?\b"),
            ("ent",           r"耳(?:朵)?(?:疼|痛|鸣|聋|流脓)|鼻(?:塞|出血|窦)|嗓子|咽(?:痛|喉)|\b(?:ear|nose|throat)\b"),
            ("dermatology",   r"皮疹|湿疹|脚气|癣|痤疮|\b(?:eczema|acne|ringworm)\b"),
            ("orthopedics",   r"骨折|扭伤|崴脚|\b(?:fracture|sprain)"),
            ("psychiatry",    r"抑郁|幻觉|自杀|\b(?:depress|hallucinat|suicid)"),
        ];
        let each = table
            .into_iter()
            .map(|(name, words)| (name, Regex::new(&format!("(?i){words}")).expect("constant and tested")));
        each.collect()
    });
    let text = &*case.complaint.text;
    WORDS.iter().filter(move |(_, words)| words.is_match(text)).map(|(name, _)| *name)
}
