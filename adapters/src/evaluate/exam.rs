//! A case that is put to the box, and what is known of it.
//!
//! The box masks a request before it reads it, so what rules are asked here is the masked case, and what is sent is not.

use contract::{
    case::Case,
    ids::{Department, Lang, RequestId},
    mask,
    request::{Consult, Priority, Request, WithoutModel, parse_request},
    words::{ConsultType, Triage, V1},
};
use decide::rules::recall::Told;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, rc::Rc};

/// A file of cases. Of a held-out one only totals may be seen, lest somebody make the rules fit it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CaseFile {
    pub name: String,
    pub held_out: bool,
}

pub struct Exam {
    pub file: Rc<CaseFile>,
    pub line: usize,
    pub name: String,
    pub kind: Kind,
    pub told: Told,
    pub group: Option<Group>,
    pub expect: Expect,
    /// As it is sent.
    pub consult: Consult,
    /// As the box reads it.
    pub masked: Case,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Something here must not be missed.
    Danger,
    /// Nothing here should be red.
    Benign,
    /// Text that tries to make the model say what it may not.
    Hostile,
    /// Of a department that the box does not serve.
    Unsupported,
    /// Nothing is known of it: only the form of what comes is judged.
    #[serde(skip_deserializing)]
    Unlabelled,
}

/// The same thing said in different ways.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    pub name: String,
    /// By whoever wrote the cases. Otherwise they only share the rule that should fire.
    pub stated: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Red-flag rules that must fire.
    #[serde(default)]
    pub rules: Vec<String>,
    pub triage: Option<Triage>,
    /// Drug rules that must speak; an empty list says that none may.
    pub cautions: Option<Vec<String>>,
    /// Drug rules that must be silent.
    #[serde(default)]
    pub silent: BTreeSet<String>,
    pub abstains: Option<bool>,
}

/// What makes a request of a case.
pub struct Asking<'a> {
    pub lang: Lang,
    pub department: &'a Department,
    pub deadline_s: u32,
}

impl Asking<'_> {
    /// The request, and the case as the box will read it. A request that the box would refuse is a fault of the case.
    pub fn consult(&self, case: Case) -> Result<(Consult, Case), String> {
        let consult = Consult {
            v: V1,
            kind: ConsultType::Word,
            id: RequestId(uuid::Uuid::new_v4()),
            lang: self.lang,
            department: self.department.clone(),
            priority: Priority::Routine,
            deadline_s: self.deadline_s,
            without_model: WithoutModel::Rules,
            sent: None,
            app: None,
            clinician: None,
            case: Box::new(case),
        };
        let bytes = serde_json::to_vec(&consult).map_err(|e| e.to_string())?;
        match parse_request(&mask::bytes(&bytes).0) {
            Ok(Request::Consult(read)) => Ok((consult, *read.case)),
            Ok(_) => unreachable!("a consult was written"),
            Err(refusal) => Err(match refusal.pointer {
                Some(pointer) => format!("{pointer}: {}", refusal.detail),
                None => refusal.detail,
            }),
        }
    }
}

impl Exam {
    pub fn id(&self) -> RequestId {
        self.consult.id
    }

    /// Where to find it again.
    pub fn place(&self) -> String {
        format!("{}:{}", self.file.name, self.line)
    }

    /// Whether the box should say that no model has an opinion; `None` where the box chooses the department itself.
    pub fn abstains(&self) -> Option<bool> {
        let by_kind = match self.kind {
            Kind::Unsupported => Some(true),
            _ if &*self.consult.department == contract::ids::DEPARTMENT_AUTO => None,
            _ => Some(false),
        };
        self.expect.abstains.or(by_kind)
    }
}
