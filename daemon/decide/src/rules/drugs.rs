//! The drug rules: what a drug that is planned, taken or written by the model can do to this patient.
//!
//! ```text
//! plan.drugs, current_drugs, "吃了布洛芬", the model's lines ──names.rs──▶ drugs ─┐
//! pregnancy, age, allergies, conditions, what is said ──patient.rs──▶ yes/no/unknown ┴─▶ cautions, questions
//! ```
//! A rule speaks once, whatever names it was given: 18 rules, so never more cautions than an answer's list takes. It says
//! neither dose nor prescription; what to do is the physician's to decide. What is unknown and would decide is asked.

mod data;
mod names;
mod normal;
mod patient;
mod said;

#[cfg(test)]
mod tests;

use super::data::File;
use contract::{
    answer::{Caution, CautionUrgency, Line, Origin, Question},
    case::Case,
    ids::Lang,
    words::Bilingual,
};
use data::{Atom, DrugExamples, Fault, Forms, RuleText, RulesText};
use names::{Form, Named, Names};
use normal::normal;
use patient::{Context, Missing, Patient, Truth};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

pub struct DrugRules {
    names: Names,
    contexts: BTreeMap<String, Context>,
    rules: Vec<RuleText>,
}

/// Where a drug was named. The first weigh most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NamedIn {
    Plan,
    CurrentDrugs,
    /// Complaint or history: taken, or about to be.
    Text,
    /// The model wrote it; nobody takes it yet.
    Model,
}

/// A rule that spoke.
#[derive(Debug, Clone, PartialEq)]
pub struct Spoken {
    pub caution: Caution,
    pub named_in: NamedIn,
}

impl Spoken {
    /// The drug must not be given before a physician has confirmed it, and somebody means to give it or does.
    pub fn blocks(&self) -> bool {
        self.caution.urgency == Some(CautionUrgency::BlockAndConfirm) && self.named_in != NamedIn::Model
    }
}

/// What the drug rules say about one case: dangers first, then what is planned, taken, told, written by the model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cautioned {
    pub spoken: Vec<Spoken>,
    pub ask: Vec<Question>,
}

struct Drug<'n> {
    named: Named<'n>,
    named_in: NamedIn,
}

impl DrugRules {
    pub fn load(names: File, rules: File) -> Result<Self, Fault> {
        let names = Names::compile(data::json(names)?)?;
        let RulesText { contexts, mut rules } = data::json(rules)?;
        let compiled = contexts.into_iter().map(|(code, text)| {
            let context = Context::compile(&code, text)?;
            Ok((code, context))
        });
        let contexts = compiled.collect::<Result<BTreeMap<_, _>, Fault>>()?;
        let mut ids = BTreeSet::new();
        for rule in &rules {
            if !ids.insert(rule.id.clone()) {
                return Err(Fault::RuleTwice { rule: rule.id.clone() });
            }
            if !rule.review.is_complete() {
                return Err(Fault::Signature { rule: rule.id.clone() });
            }
            let classes = rule.drug.iter().chain(&rule.weigh).chain(rule.when.iter().filter_map(class_of));
            if let Some(unknown) = classes.into_iter().find(|class| !names.knows_class(class)) {
                return Err(Fault::UnknownDrug { name: unknown.clone() });
            }
            let unknown = rule.when.iter().find_map(|atom| match atom {
                Atom::Is(code) if !contexts.contains_key(code) => Some(code.clone()),
                _ => None,
            });
            if let Some(finding) = unknown {
                return Err(Fault::UnknownFinding { rule: rule.id.clone(), finding });
            }
        }
        rules.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(Self { names, contexts, rules })
    }

    pub fn all_reviewed(&self) -> bool {
        self.rules.iter().all(|rule| rule.review.is_signed())
    }

    /// Each rule's own examples, and whether it should speak of them.
    pub fn examples(&self) -> impl Iterator<Item = (&str, &serde_json::Value, bool)> {
        self.rules.iter().flat_map(|rule| {
            let DrugExamples { positive, negative, asks } = &rule.examples;
            let silent = negative.iter().chain(asks.iter()).map(|example| (example, false));
            let each = positive.iter().map(|example| (example, true)).chain(silent);
            each.map(|(example, speaks)| (rule.id.as_str(), example, speaks))
        })
    }

    /// `model`: the lines that the model wrote. `finding`: whether the red-flag rules found a code stated.
    pub fn check(&self, case: &Case, lang: Lang, model: &[&str], finding: &dyn Fn(&str) -> bool) -> Cautioned {
        let patient = Patient::read(case, finding);
        let drugs = self.drugs(case, &patient, model);
        let mut asked: BTreeMap<Missing, BTreeSet<&str>> = BTreeMap::new();
        let mut spoken: Vec<Spoken> = vec![];
        for rule in &self.rules {
            if !drugs.iter().any(|drug| concerns(rule, drug) != Concern::None) {
                continue;
            }
            // Read once for all drugs of the rule: a long text with many names must not be read as often.
            let known: Vec<Option<Truth>> = rule.when.iter().map(|atom| self.of_the_patient(atom, &patient)).collect();
            let found: Vec<Found> =
                drugs.iter().filter_map(|drug| self.judge(rule, &known, drug, &drugs, &patient)).collect();
            for missing in found.iter().flat_map(|found| &found.missing) {
                asked.entry(missing.clone()).or_default().insert(rule.risk.name.get(lang));
            }
            spoken.extend(self.caution(rule, &found, lang));
        }
        spoken.sort_by_key(|one| (Reverse(one.caution.urgency), one.named_in));
        let context = |code: &str| self.contexts[code].question.clone();
        let ask = asked.into_iter().map(|(missing, risks)| {
            let (why, joint) = match lang {
                Lang::Zh => ("用药前须知，关系到：", "、"),
                Lang::En => ("To know before giving the drug; it decides: ", ", "),
            };
            let risks: Vec<&str> = risks.into_iter().collect();
            Question {
                question: Line::cut(patient::question(&missing, &context).get(lang)),
                why: Line::cut(&format!("{why}{}", risks.join(joint))),
                origin: Origin::Rule,
            }
        });
        Cautioned { ask: ask.collect(), spoken }
    }

    /// All drugs of the case, and those that the model names.
    fn drugs<'n>(&'n self, case: &Case, patient: &Patient, model: &[&str]) -> Vec<Drug<'n>> {
        let mut drugs = vec![];
        // Said ten times is said once.
        let mut take = |named_in, found: Vec<Named<'n>>| {
            for named in found {
                let same = |known: &Drug| {
                    known.named_in == named_in && known.named.said == named.said && known.named.form == named.form
                };
                if !drugs.iter().any(same) {
                    drugs.push(Drug { named, named_in });
                }
            }
        };
        let listed = |items: &[contract::case::Item]| -> Vec<Named<'n>> {
            let each = items.iter().flat_map(|item| {
                let text = normal(item);
                let found = self.names.find(item, &text);
                found.into_iter().filter(move |named| !said::left_out(&text, named.at.clone())).collect::<Vec<_>>()
            });
            each.collect()
        };
        take(NamedIn::Plan, listed(case.plan.as_ref().map(|plan| &*plan.drugs).unwrap_or_default()));
        take(NamedIn::CurrentDrugs, listed(case.current_drugs.as_deref().unwrap_or_default()));
        for clause in patient.told() {
            let found = self.names.find(clause, clause);
            let all: Vec<_> = found.iter().map(|named| named.at.clone()).collect();
            let taken = |named: &Named| said::taken(clause, named.at.clone(), &all, patient.is_child());
            take(NamedIn::Text, found.into_iter().filter(taken).collect());
        }
        for line in model {
            take(NamedIn::Model, self.names.find(line, &normal(line)));
        }
        drugs
    }

    /// What a rule makes of one drug; nothing where the drug is not its own or the patient is safe.
    fn judge<'d, 'n>(
        &self,
        rule: &RuleText,
        known: &[Option<Truth>],
        drug: &'d Drug<'n>,
        drugs: &[Drug],
        patient: &Patient,
    ) -> Option<Found<'d, 'n>> {
        let named = &drug.named;
        let vague = match concerns(rule, drug) {
            Concern::None => return None,
            concern => concern == Concern::Perhaps,
        };
        let mut found =
            Found { drug, because: vec![], missing: BTreeSet::new(), weigh: rule.weigh.iter().any(|c| named.is(c)) };
        for (atom, known) in rule.when.iter().zip(known) {
            match known.clone().unwrap_or_else(|| self.of_the_drugs(atom, drug, drugs, patient)) {
                Truth::Yes(because) => found.because.push(because),
                Truth::Likely(because, missing) => {
                    found.weigh |= found.because.is_empty();
                    found.because.push(because);
                    found.missing.insert(missing);
                }
                Truth::Unknown(missing) if worth_asking(&missing, drug.named_in) => drop(found.missing.insert(missing)),
                Truth::Unknown(_) | Truth::No => {}
            }
        }
        if vague {
            // Only where the answer would decide: which 消炎药 is asked of whom some would harm.
            let harmful = !found.because.is_empty() && drug.named_in != NamedIn::Model;
            let missing = BTreeSet::from([Missing::DrugName(named.said.clone())]);
            return harmful.then(|| Found { because: vec![], missing, ..found });
        }
        if !found.because.is_empty() && !found.weigh {
            found.missing.clear(); // it is decided
        }
        (!found.because.is_empty() || !found.missing.is_empty()).then_some(found)
    }

    /// What holds of the patient, whatever the drug; nothing where other drugs decide.
    fn of_the_patient(&self, atom: &Atom, patient: &Patient) -> Option<Truth> {
        match atom {
            Atom::Pregnant { weeks_from } => Some(patient.pregnant(*weeks_from)),
            Atom::Lactating => Some(patient.lactating()),
            Atom::AgeBelow(years) => Some(patient.younger_than(*years)),
            Atom::Allergy(class) => Some(patient.allergic(class, &self.names)),
            Atom::Is(code) => Some(patient.is(code, &self.contexts[code])),
            Atom::With(_) | Atom::Twice(_) => None,
        }
    }

    fn of_the_drugs(&self, atom: &Atom, drug: &Drug, drugs: &[Drug], patient: &Patient) -> Truth {
        let real = || drugs.iter().filter(|other| other.named_in != NamedIn::Model && !std::ptr::eq(*other, drug));
        match atom {
            Atom::With(class) if drug.named.is(class) => Truth::No, // it is that one itself
            Atom::With(class) => match real().find(|other| other.named.is(class)) {
                Some(other) => together(&other.named.said),
                None => other_drugs(patient),
            },
            Atom::Twice(class) => {
                let another = |other: &&Drug| !other.named.says_again() && !other.named.same_product(&drug.named);
                let mut others = real().filter(|_| !drug.named.says_again()).filter(another);
                match others.clone().find(|other| other.named.is(class)) {
                    Some(other) => together(&other.named.said),
                    None => match others.find(|other| other.named.may_be(class)) {
                        Some(vague) => Truth::Unknown(Missing::DrugName(vague.named.said.clone())),
                        None => other_drugs(patient),
                    },
                }
            }
            Atom::Pregnant { .. } | Atom::Lactating | Atom::AgeBelow(_) | Atom::Allergy(_) | Atom::Is(_) => Truth::No,
        }
    }

    /// One caution of a rule, with all drugs that it is about.
    fn caution(&self, rule: &RuleText, found: &[Found], lang: Lang) -> Option<Spoken> {
        let harmful: Vec<&Found> = found.iter().filter(|found| !found.because.is_empty()).collect();
        // What the model wrote adds nothing to what the patient takes anyway.
        let named_in = harmful.iter().map(|found| found.drug.named_in).min()?;
        let about =
            || harmful.iter().filter(|found| named_in == NamedIn::Model || found.drug.named_in != NamedIn::Model);
        let joint = if lang == Lang::Zh { "、" } else { ", " };
        let drugs = each_once(about().map(|found| found.drug.named.label(&self.names, &rule.drug, lang)));
        let reasons =
            each_once(about().flat_map(|found| found.because.iter().map(|because| because.get(lang).to_owned())));
        let weigh = about().all(|found| found.weigh);
        let because =
            [where_said(named_in, lang).to_owned()].into_iter().chain(reasons).collect::<Vec<_>>().join(joint);
        let caution = Caution {
            drug: Line::cut(&drugs.join(joint)),
            risk: Line::cut(rule.risk.name.get(lang)),
            action: Some(Line::cut(rule.action.get(lang))),
            origin: Origin::Rule,
            rule: Some(rule.id.clone()),
            urgency: Some(if weigh { CautionUrgency::Weigh } else { rule.urgency }),
            because: Some(Line::cut(&because)),
            icd10: rule.risk.icd10.clone(),
        };
        Some(Spoken { caution, named_in })
    }
}

/// What a rule found about one drug.
struct Found<'d, 'n> {
    drug: &'d Drug<'n>,
    /// Why it harms this patient; nothing where that is not known.
    because: Vec<Bilingual>,
    missing: BTreeSet<Missing>,
    weigh: bool,
}

fn other_drugs(patient: &Patient) -> Truth {
    if patient.drugs_are_known() { Truth::No } else { Truth::Unknown(Missing::OtherDrugs) }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Concern {
    None,
    /// Its name leaves it open.
    Perhaps,
    Its,
}

/// Whether a rule is about a drug, given as it is.
fn concerns(rule: &RuleText, drug: &Drug) -> Concern {
    let named = &drug.named;
    if !fits(rule.forms, named.form) {
        Concern::None
    } else if rule.drug.iter().any(|class| named.is(class)) {
        Concern::Its
    } else if rule.drug.iter().any(|class| named.may_be(class)) {
        Concern::Perhaps
    } else {
        Concern::None
    }
}

/// Of a drug that only the model has named, what belongs to any visit is asked, and no more: nobody means to give it.
fn worth_asking(missing: &Missing, named_in: NamedIn) -> bool {
    let of_any_visit = matches!(missing, Missing::Pregnancy | Missing::Weeks | Missing::Age | Missing::Allergies);
    named_in != NamedIn::Model || of_any_visit
}

fn fits(forms: Forms, form: Form) -> bool {
    match forms {
        Forms::Any => true,
        Forms::Systemic => form != Form::Local,
        Forms::Injected => form == Form::Systemic,
    }
}

fn together(other: &str) -> Truth {
    Truth::Yes(Bilingual::new(format!("同时用{other}"), format!("together with {other}")))
}

fn where_said(named_in: NamedIn, lang: Lang) -> &'static str {
    match (named_in, lang) {
        (NamedIn::Plan, Lang::Zh) => "拟用",
        (NamedIn::Plan, Lang::En) => "planned",
        (NamedIn::CurrentDrugs, Lang::Zh) => "在用",
        (NamedIn::CurrentDrugs, Lang::En) => "taken now",
        (NamedIn::Text, Lang::Zh) => "病史中提到",
        (NamedIn::Text, Lang::En) => "told in the history",
        (NamedIn::Model, Lang::Zh) => "模型提到，未拟用",
        (NamedIn::Model, Lang::En) => "named by the model, not planned",
    }
}

fn class_of(atom: &Atom) -> Option<&String> {
    match atom {
        Atom::Allergy(class) | Atom::With(class) | Atom::Twice(class) => Some(class),
        Atom::Pregnant { .. } | Atom::Lactating | Atom::AgeBelow(_) | Atom::Is(_) => None,
    }
}

fn each_once(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    words.filter(|word| seen.insert(word.clone())).collect()
}
