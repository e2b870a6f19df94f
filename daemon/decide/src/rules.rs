//! The red-flag rules: what must not be missed in a case, whatever the model says or does not say.
//!
//! ```text
//! adapters/rules/*.json ──(built in, or a folder)──▶ RuleSet ──check(case)──▶ red flags, exclusions, questions, triage
//!
//! case ──normal──▶ plain text ──phrase──▶ words ──clause──▶ stated findings ─┐
//!                      └──number──▶ measured: vitals, ages, durations ───────┴─patient──▶ trigger ──▶ fires, waits, silent
//! ```
//! A rule fires only on what is known. Where the age, the sex or a pregnancy is unknown and would decide,
//! it does not guess: it asks. No I/O and no clock, so the same case always gives the same flags.

mod clause;
mod data;
pub mod drugs;
mod language;
mod measured;
mod normal;
mod notifiable;
mod number;
mod patient;
mod phrase;
pub mod recall;
mod relative;
mod trigger;
mod vital;

#[cfg(test)]
mod tests;

pub use data::{Fault, File, MANIFEST, Manifest};

use contract::{
    answer::{Exclusion, Line, Notifiable, Origin, Question, RedFlag, ReviewState, RulesRef},
    case::Case,
    ids::Lang,
    words::{Triage, Urgency},
};
use data::{RuleText, StandingText};
use drugs::{Cautioned, DrugRules};
use language::Language;
use notifiable::NotifiableTable;
use patient::Patient;
use serde_json::Value;
use std::{
    cell::OnceCell,
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, LazyLock},
};
use trigger::{Evidence, Missing, Verdict};

/// The rules, their phrases compiled. Rules stand in the order of the answer: urgency, then id.
pub struct RuleSet {
    version: String,
    language: Language,
    rules: Vec<RuleText>,
    standing: StandingText,
    drugs: DrugRules,
    notifiable: NotifiableTable,
    sha256: String,
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RuleSet {} ({} rules, {})", self.version, self.rules.len(), &self.sha256[..12])
    }
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
    pub fn builtin() -> Arc<RuleSet> {
        static BUILTIN: LazyLock<Arc<RuleSet>> = LazyLock::new(|| {
            let built = RuleSet::load(&data::BUILTIN);
            Arc::new(built.expect("the built-in rules are proven by a test, so a fault in them is never shipped"))
        });
        Arc::clone(&BUILTIN)
    }

    /// A set from its files, if each rule fires for its own examples and is silent for those that it should be silent for.
    pub fn proven(files: &[File]) -> Result<Self, Fault> {
        let set = Self::load(files)?;
        for (rule, example, expected) in set.drugs.examples() {
            let speaks = |one: &drugs::Spoken| one.caution.rule.as_deref() == Some(rule);
            prove(rule, example, expected, |case| set.cautions(case, Lang::Zh, &[]).spoken.iter().any(speaks))?;
        }
        for rule in &set.rules {
            let positive = rule.examples.positive.iter().map(|example| (example, true));
            let negative = rule.examples.negative.iter().map(|example| (example, false));
            for (example, expected) in positive.chain(negative) {
                prove(&rule.id, example, expected, |case| {
                    matches!(rule.trigger.judge(&Patient::read(case, &set.language)), Verdict::Fires(_))
                })?;
            }
        }
        Ok(set)
    }

    /// Says which rules spoke. The set counts as reviewed only when a physician has signed all of it.
    pub fn reference(&self) -> RulesRef {
        let all_reviewed = self.drugs.all_reviewed() && self.rules.iter().all(|rule| rule.review.is_signed());
        RulesRef {
            version: self.version.clone(),
            sha256: self.sha256.clone(),
            review: if all_reviewed { ReviewState::PhysicianReviewed } else { ReviewState::NotPhysicianReviewed },
        }
    }

    /// The rules' ids, in the order of the answer.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.id.as_str())
    }

    /// What a rule is about, in Chinese.
    pub fn title(&self, id: &str) -> Option<&str> {
        self.rules.iter().find(|rule| rule.id == id).map(|rule| rule.title.zh.as_str())
    }

    /// The codes of `case.resources` that its checks take.
    #[cfg(test)]
    pub fn needs(&self) -> BTreeSet<String> {
        let checks = self.rules.iter().flat_map(|rule| rule.minimum_checks.iter());
        checks.filter_map(|check| check.needs.clone()).collect()
    }

    pub fn check(&self, case: &Case, lang: Lang) -> Fired {
        let patient = Patient::read(case, &self.language);
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
                    let disease = rule.must_not_miss[0].name.get(lang);
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
        let read = || Patient::read(case, &self.language);
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
            condition: Line::cut(text.condition.name.get(lang)),
            icd10: text.condition.icd10.clone(),
            because: Line::cut(text.because.get(lang)),
            next_check: Some(Line::cut(text.next_check.get(lang))),
            // Nothing in this case asked for it: worth a look, and no reason to raise the triage.
            urgency: Urgency::Routine,
            origin: Origin::Standing,
            rule: None,
        }
    }

    fn load(files: &[File]) -> Result<Self, Fault> {
        let data::Parsed { manifest, language, standing, mut rules, drugs, notifiable, sha256 } = data::parse(files)?;
        rules.sort_by(|a, b| (Reverse(a.urgency), &a.id).cmp(&(Reverse(b.urgency), &b.id)));
        Ok(Self { version: manifest.version, language, rules, standing, drugs, notifiable, sha256 })
    }
}

/// Whether a rule does with its own example what the example says.
fn prove(rule: &str, example: &Value, expected: bool, fires: impl Fn(&Case) -> bool) -> Result<(), Fault> {
    let case: Case =
        serde_json::from_value(example.clone()).map_err(|source| Fault::NoCase { rule: rule.to_owned(), source })?;
    match fires(&case) {
        fires if fires == expected => Ok(()),
        fires => Err(Fault::Example { rule: rule.to_owned(), example: example.to_string(), fires }),
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
    let names: Vec<_> = rule.must_not_miss.iter().take(NAMES_MAX).map(|d| d.name.get(lang)).collect();
    let mut labels: Vec<_> = evidence.iter().map(|e| e.label.get(lang)).collect();
    labels.dedup();
    Exclusion {
        condition: Line::cut(&names.join(names_joint)),
        icd10: rule.must_not_miss[0].icd10.clone(),
        because: Line::cut(&labels.join(labels_joint)),
        next_check: Some(Line::cut(rule.minimum_checks[0].name.get(lang))),
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
        (Missing::Sex, Lang::Zh) => ("患者是男是女？", "性别不明，无法判断是否需警惕："),
        (Missing::Sex, Lang::En) => ("Is the patient male or female?", "Without the sex the rules cannot judge: "),
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
