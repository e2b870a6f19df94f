//! The shapes that a line of cases may have, told apart by the fields that only one of them has.
//!
//! | shape | told by | becomes |
//! |---|---|---|
//! | a paraphrase of a rule (`adapters/rules/paraphrases.jsonl`) | `rule`, `text` | two exams: text only, and coded |
//! | a case of a drug rule (`adapters/rules/drugs-held-out.jsonl`) | `fires` | one, with a caution that must or must not come |
//! | a general one ([`General`]) | `case` | one |
//! | a training sample (`contract::sample`) | `completion` | one of which nothing is known |

use super::exam::{Asking, CaseFile, Exam, Expect, Group, Kind};
use contract::{
    bounded::{List, Text},
    case::{Age, Case, Complaint, Item, Items, Plan, Pregnancy, Sex},
    ids::{DEPARTMENT_AUTO, Department, Lang},
    sample::Sample,
};
use decide::rules::recall::{Paraphrase, Told};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::{collections::BTreeSet, rc::Rc};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct General {
    name: Option<String>,
    kind: Option<Kind>,
    department: Option<Department>,
    #[serde(default)]
    lang: Lang,
    case: Case,
    #[serde(default)]
    expect: Expect,
    group: Option<String>,
}

/// A drug that is planned, taken or told of, and whether the rule should speak.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DrugCase {
    rule: String,
    fires: bool,
    age: Option<Age>,
    sex: Option<Sex>,
    pregnancy: Option<Pregnancy>,
    lactating: Option<bool>,
    allergies: Option<Items>,
    conditions: Option<Items>,
    current_drugs: Option<Items>,
    #[serde(default)]
    plan_drugs: Option<Items>,
    text: String,
}

/// What a line says before it is made a request.
struct Known {
    name: String,
    kind: Kind,
    told: Told,
    group: Option<Group>,
    expect: Expect,
    lang: Lang,
    department: Option<Department>,
    case: Case,
}

/// Where a line stands, and what is asked where it does not say.
pub struct Context<'a> {
    pub file: &'a Rc<CaseFile>,
    pub line: usize,
    pub department: &'a Department,
    pub deadline_s: u32,
}

pub fn exams(text: &str, at: &Context) -> Result<Vec<Exam>, String> {
    let line: Value = serde_json::from_str(text).map_err(|e| format!("no JSON: {e}"))?;
    let has = |field: &str| line.get(field).is_some();
    let known = if has("completion") {
        vec![sample(read(line)?)]
    } else if has("fires") {
        vec![drug(read(line)?)]
    } else if has("case") {
        vec![general(read(line)?)]
    } else if has("rule") && has("text") {
        paraphrase(&read(line)?)
    } else {
        return Err("no case: neither `case`, nor `rule` and `text`, nor `fires`, nor `completion`".to_owned());
    };
    known.into_iter().map(|known| known.exam(at)).collect()
}

fn read<T: DeserializeOwned>(line: Value) -> Result<T, String> {
    // By way of text, so that a fault says what it expected as it does for a message.
    serde_json::from_str(&line.to_string()).map_err(|e| {
        // Its column is one of our own text.
        let said = e.to_string();
        said.split(" at line ").next().unwrap_or(&said).to_owned()
    })
}

impl Known {
    fn exam(self, at: &Context) -> Result<Exam, String> {
        let department = self.department.as_ref().unwrap_or(at.department);
        let asking = Asking { lang: self.lang, department, deadline_s: at.deadline_s };
        let (consult, masked) = asking.consult(self.case)?;
        let name = if self.name.is_empty() { format!("{}:{}", at.file.name, at.line) } else { self.name };
        let Known { kind, told, group, expect, .. } = self;
        Ok(Exam { file: Rc::clone(at.file), line: at.line, name, kind, told, group, expect, consult, masked })
    }
}

fn paraphrase(line: &Paraphrase) -> Vec<Known> {
    let told_as = |told| {
        let way = if told == Told::Text { "text" } else { "coded" };
        let rule = line.rule.as_deref();
        Known {
            name: format!("{} ({way})", rule.unwrap_or("benign")),
            kind: if rule.is_some() { Kind::Danger } else { Kind::Benign },
            told,
            group: rule.map(|rule| Group { name: format!("{rule} ({way})"), stated: false }),
            expect: Expect { rules: line.rule.iter().cloned().collect(), ..Expect::default() },
            lang: line.lang,
            department: None,
            case: line.case(told),
        }
    };
    vec![told_as(Told::Text), told_as(Told::Coded)]
}

fn drug(line: DrugCase) -> Known {
    let expect = match line.fires {
        true => Expect { cautions: Some(vec![line.rule.clone()]), ..Expect::default() },
        false => Expect { silent: BTreeSet::from([line.rule.clone()]), ..Expect::default() },
    };
    let case = Case {
        age: line.age,
        sex: line.sex.unwrap_or_default(),
        pregnancy: line.pregnancy,
        lactating: line.lactating,
        allergies: line.allergies,
        conditions: line.conditions,
        current_drugs: line.current_drugs,
        complaint: Complaint { text: Text::cut(&line.text), duration: None },
        plan: line
            .plan_drugs
            .map(|drugs| Plan { drugs: List::take_from(drugs.iter().map(Item::clone)), ..Plan::default() }),
        ..Case::default()
    };
    let name = format!("{} ({})", line.rule, if line.fires { "fires" } else { "silent" });
    Known {
        name,
        kind: Kind::Unlabelled,
        told: told(&case),
        group: None,
        expect,
        lang: Lang::Zh,
        department: None,
        case,
    }
}

fn general(line: General) -> Known {
    let General { name, kind, department, lang, case, expect, group } = line;
    let group = group.map(|name| Group { name, stated: true });
    let kind = kind.unwrap_or(Kind::Unlabelled);
    Known { name: name.unwrap_or_default(), kind, told: told(&case), group, expect, lang, department, case }
}

fn sample(line: Sample) -> Known {
    Known {
        name: line.id,
        kind: Kind::Unlabelled,
        told: told(&line.case),
        group: None,
        expect: Expect::default(),
        lang: line.lang,
        department: Some(line.department),
        case: line.case,
    }
}

/// A case with a coded finding or a vital sign is a coded one.
fn told(case: &Case) -> Told {
    if case.findings.is_empty() && case.vitals.is_unknown() { Told::Text } else { Told::Coded }
}

pub fn department_auto() -> Department {
    Department::new(DEPARTMENT_AUTO).expect("a code")
}
