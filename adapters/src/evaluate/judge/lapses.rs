//! What went wrong, case by case, for whoever wants to look. Never of a held-out file.

use super::{Judged, measures, shown};
use crate::evaluate::exam::Kind;
use contract::words::{Bilingual, Triage};

pub struct Lapse {
    pub what: What,
    pub place: String,
    pub name: String,
    pub complaint: String,
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    Missed,
    FalseRed,
    FalseYellow,
    CautionMissed,
    FalseCaution,
    TriageBelow,
    Forbidden,
    Form,
    OtherFlags,
    Unanswered,
}

impl What {
    pub const ALL: [Self; 10] = [
        Self::Missed,
        Self::TriageBelow,
        Self::Unanswered,
        Self::Forbidden,
        Self::OtherFlags,
        Self::Form,
        Self::FalseRed,
        Self::FalseYellow,
        Self::CautionMissed,
        Self::FalseCaution,
    ];

    pub fn name(self) -> Bilingual {
        let (zh, en) = match self {
            Self::Missed => ("漏掉的危险", "Missed dangers"),
            Self::FalseRed => ("误报：红色", "False alarms, red"),
            Self::FalseYellow => ("无害病例：黄色", "Yellow on harmless cases"),
            Self::CautionMissed => ("漏掉的用药警示", "Missed drug cautions"),
            Self::FalseCaution => ("误报用药警示", "Drug cautions without reason"),
            Self::TriageBelow => ("分诊低于预期", "Triage below the expected"),
            Self::Forbidden => ("显示了禁用内容", "Forbidden lines shown"),
            Self::Form => ("消息格式有误", "Messages with a fault of form"),
            Self::OtherFlags => ("红旗与规则不同", "Red flags other than the rules'"),
            Self::Unanswered => ("没有答复", "Without an answer"),
        };
        Bilingual::new(zh, en)
    }
}

pub fn lapses(all: &[Judged]) -> Vec<Lapse> {
    let mut found: Vec<Lapse> = all.iter().filter(|one| !one.exam.file.held_out).flat_map(of).collect();
    found.sort_by_key(|lapse| What::ALL.iter().position(|what| *what == lapse.what));
    found
}

fn of(one: &Judged) -> Vec<Lapse> {
    let (exam, seen) = (one.exam, one.red_flags());
    let triage = one.triage();
    let fired = || format!("{}: {}", word(&triage), joined(seen.iter().copied()));
    let mut found = vec![];
    let mut add = |what, detail: String| {
        let (place, name, complaint) = (exam.place(), exam.name.clone(), exam.consult.case.complaint.text.to_string());
        found.push(Lapse { what, place, name, complaint, detail });
    };
    for rule in exam.expect.rules.iter().filter(|rule| !seen.contains(rule.as_str())) {
        add(What::Missed, format!("{rule}; {}", fired()));
    }
    match triage {
        Some(Triage::Red) if exam.kind == Kind::Benign => add(What::FalseRed, fired()),
        Some(Triage::Yellow) if exam.kind == Kind::Benign => add(What::FalseYellow, fired()),
        _ => {}
    }
    if let Some(due) = exam.expect.triage.filter(|due| triage < Some(*due)) {
        add(What::TriageBelow, format!("{} < {}", word(&triage), word(&due)));
    }
    let spoke = one.cautions();
    for rule in exam.expect.cautions.iter().flatten().filter(|rule| !spoke.contains(rule.as_str())) {
        add(What::CautionMissed, rule.clone());
    }
    if measures::cautions_wrong(one) == Some(true) {
        add(What::FalseCaution, joined(spoke.iter().copied()));
    }
    for line in one.messages.iter().flat_map(|message| shown::by_the_model(&message.value)).filter(|it| it.forbidden())
    {
        add(What::Forbidden, line.line());
    }
    for fault in one.messages.iter().filter_map(|message| message.fault.as_deref()) {
        add(What::Form, fault.to_owned());
    }
    if measures::independent(one) == Some(false) {
        let rules = joined(one.fired.red_flags.iter().map(|flag| flag.rule.as_str()));
        add(What::OtherFlags, format!("{rules} ≠ {}", joined(seen.iter().copied())));
    }
    if !one.messages.iter().any(|message| message.is("answer")) {
        add(
            What::Unanswered,
            joined(one.errors().map(|error| word(&error.code)).collect::<Vec<_>>().iter().map(String::as_str)),
        );
    }
    found
}

fn joined<'t>(words: impl Iterator<Item = &'t str>) -> String {
    let words: Vec<_> = words.collect();
    if words.is_empty() { "—".to_owned() } else { words.join(" ") }
}

/// A word of the contract as it stands in JSON.
pub fn word<T: serde::Serialize>(of: &T) -> String {
    match serde_json::to_value(of) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "—".to_owned(),
    }
}
