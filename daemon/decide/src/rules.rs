//! The red-flag rules: what must not be missed in a case, whatever the model says or does not say.
//!
//! ```text
//! adapters/rules/*.json ──(built in)──▶ RuleSet ──check(case)──▶ red flags, exclusions, questions, triage
//! ```
//! A rule fires only on what is known. Where the age or a pregnancy is unknown and would decide,
//! it does not guess: it asks. No I/O and no clock, so the same case always gives the same flags.

mod data;
pub mod drugs;
mod negation;
mod notifiable;
mod patient;
mod trigger;
mod vital;

#[cfg(test)]
mod tests;

use contract::{
    answer::{Exclusion, Line, Notifiable, Origin, Question, RedFlag, ReviewState, RulesRef},
    case::Case,
    ids::Lang,
    words::{Bilingual, Triage, Urgency},
};
use data::{Fault, RuleText, StandingText};
use drugs::{Cautioned, DrugRules};
use notifiable::NotifiableTable;
use patient::{Finding, Patient};
use std::{
    cell::OnceCell,
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};
use trigger::{Evidence, Missing, Verdict};

/// The rules, their phrases compiled. Rules stand in the order of the answer: urgency, then id.
pub struct RuleSet {
    findings: BTreeMap<String, Finding>,
    rules: Vec<RuleText>,
    standing: StandingText,
    drugs: DrugRules,
    notifiable: NotifiableTable,
    sha256: String,
}

/// What the rules say about one case. `red_flags` and `exclusions` are in the same order, the urgent first.
#[derive(Debug, Clone, PartialEq)]
pub struct Fired {
    pub red_flags: Vec<RedFlag>,
    pub exclusions: Vec<Exclusion>,
    /// What is unknown and would decide whether a rule fires; each question once.
    pub ask: Vec<Question>,
    pub triage: Triage,
}

impl RuleSet {
    /// The rule set that this program was built with.
    pub fn builtin() -> &'static RuleSet {
        static BUILTIN: LazyLock<RuleSet> = LazyLock::new(|| {
            RuleSet::load(data::FINDINGS, data::STANDING, &data::RULES)
                .expect("the built-in rules are loaded by every test, so a fault in them is never shipped")
        });
        &BUILTIN
    }

    /// Says which rules spoke. The set counts as reviewed only when a physician has signed all of it.
    pub fn reference(&self) -> RulesRef {
        let all_reviewed =
            self.drugs.all_reviewed() && self.rules.iter().all(|rule| rule.review == ReviewState::PhysicianReviewed);
        RulesRef {
            version: data::VERSION.into(),
            sha256: self.sha256.clone(),
            review: if all_reviewed { ReviewState::PhysicianReviewed } else { ReviewState::NotPhysicianReviewed },
        }
    }

    pub fn check(&self, case: &Case, lang: Lang) -> Fired {
        let patient = Patient::read(case, &self.findings);
        let mut fired = Fired { red_flags: vec![], exclusions: vec![], ask: vec![], triage: Triage::Green };
        let mut waiting: BTreeMap<Missing, BTreeSet<&str>> = BTreeMap::new();
        for rule in &self.rules {
            match rule.trigger.judge(&patient) {
                Verdict::Silent => {}
                Verdict::Fires(evidence) => {
                    fired.triage = fired.triage.max(rule.urgency.triage());
                    fired.exclusions.push(exclusion(rule, &evidence, lang));
                    fired.red_flags.push(red_flag(rule, evidence));
                }
                Verdict::Waits(missing) => {
                    let disease = said(&rule.must_not_miss[0].name, lang);
                    for missing in missing {
                        waiting.entry(missing).or_default().insert(disease);
                    }
                }
            }
        }
        fired.ask = waiting.into_iter().map(|(missing, diseases)| question(missing, &diseases, lang)).collect();
        fired
    }

    /// What the drugs that are planned, taken or written in the model's lines can do to this patient.
    pub fn cautions(&self, case: &Case, lang: Lang, model: &[&str]) -> Cautioned {
        // Read only when a drug rule asks for it: most cases have no drug that any rule is about.
        let patient = OnceCell::new();
        let read = || Patient::read(case, &self.findings);
        self.drugs.check(case, lang, model, &|code| patient.get_or_init(read).found(code).is_some())
    }

    /// Diseases that the law wants reported, among those that the fired rules name.
    pub fn notifiable(&self, red_flags: &[RedFlag]) -> Vec<Notifiable> {
        self.notifiable.among(red_flags)
    }

    /// The exclusion that always holds in a department, so that no answer is without one.
    pub fn standing(&self, department: &str, lang: Lang) -> Exclusion {
        let text = self.standing.departments.get(department).unwrap_or(&self.standing.general);
        Exclusion {
            condition: Line::cut(said(&text.condition.name, lang)),
            icd10: text.condition.icd10.clone(),
            because: Line::cut(said(&text.because, lang)),
            next_check: Some(Line::cut(said(&text.next_check, lang))),
            // Nothing in this case asked for it: worth a look, and no reason to raise the triage.
            urgency: Urgency::Routine,
            origin: Origin::Standing,
            rule: None,
        }
    }

    fn load(findings: data::File, standing: data::File, rules: &[data::File]) -> Result<Self, Fault> {
        let sha256 =
            data::sha256([findings, standing, data::DRUG_NAMES, data::DRUGS, data::NOTIFIABLE].iter().chain(rules));
        let drugs = DrugRules::load(data::DRUG_NAMES, data::DRUGS)?;
        let notifiable = NotifiableTable::load(data::NOTIFIABLE)?;
        let findings = data::findings(findings)?;
        let standing = data::standing(standing)?;
        let mut rules = data::rules(rules, &findings)?;
        rules.sort_by(|a, b| (Reverse(a.urgency), &a.id).cmp(&(Reverse(b.urgency), &b.id)));
        Ok(Self { findings, rules, standing, drugs, notifiable, sha256 })
    }
}

fn red_flag(rule: &RuleText, evidence: Vec<Evidence>) -> RedFlag {
    RedFlag {
        rule: rule.id.clone(),
        title: rule.title.clone(),
        must_not_miss: rule.must_not_miss.to_vec(),
        checks: rule.minimum_checks.to_vec(),
        urgency: rule.urgency,
        source: rule.source.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        because: evidence.into_iter().map(|e| e.because).collect(),
    }
}

/// Two names at most: a line that lists everything is not read.
const NAMES_MAX: usize = 2;

fn exclusion(rule: &RuleText, evidence: &[Evidence], lang: Lang) -> Exclusion {
    let (names_joint, labels_joint) = match lang {
        Lang::Zh => ("、", "、"),
        Lang::En => (" / ", ", "),
    };
    let names: Vec<_> = rule.must_not_miss.iter().take(NAMES_MAX).map(|d| said(&d.name, lang)).collect();
    let mut labels: Vec<_> = evidence.iter().map(|e| said(&e.label, lang)).collect();
    labels.dedup();
    Exclusion {
        condition: Line::cut(&names.join(names_joint)),
        icd10: rule.must_not_miss[0].icd10.clone(),
        because: Line::cut(&labels.join(labels_joint)),
        next_check: Some(Line::cut(said(&rule.minimum_checks[0], lang))),
        urgency: rule.urgency,
        origin: Origin::Rule,
        rule: Some(rule.id.clone()),
    }
}

fn question(missing: Missing, diseases: &BTreeSet<&str>, lang: Lang) -> Question {
    let diseases: Vec<_> = diseases.iter().copied().collect();
    let (question, why) = match (missing, lang) {
        (Missing::Age, Lang::Zh) => ("患者年龄是多少？", "年龄不明，无法判断是否需警惕："),
        (Missing::Age, Lang::En) => ("How old is the patient?", "Without the age the rules cannot judge: "),
        (Missing::Pregnancy, Lang::Zh) => ("是否怀孕或在产后？孕几周？", "妊娠情况不明，无法判断是否需警惕："),
        (Missing::Pregnancy, Lang::En) => (
            "Is the patient pregnant or post-partum? How many weeks?",
            "Without the pregnancy status the rules cannot judge: ",
        ),
    };
    let joint = if lang == Lang::Zh { "、" } else { ", " };
    Question {
        question: Line::cut(question),
        why: Line::cut(&format!("{why}{}", diseases.join(joint))),
        origin: Origin::Rule,
    }
}

fn said(text: &Bilingual, lang: Lang) -> &str {
    match lang {
        Lang::Zh => &text.zh,
        Lang::En => &text.en,
    }
}
