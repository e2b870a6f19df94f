//! The figures: each a share with its goal, where the project has one.

use super::{Judged, agreement, shown};
use crate::evaluate::{exam::Kind, message::Message};
use contract::{
    answer::{AbstainReason, Disclaimer},
    words::Triage,
};
use decide::rules::recall::{Share, Told};
use serde_json::Value;

pub struct Measure {
    pub id: &'static str,
    pub zh: &'static str,
    pub en: &'static str,
    pub share: Share,
    pub goal: Option<Goal>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Measure {
    /// The share itself, not the end of its interval, against the goal. `None`: no goal, or nothing to measure.
    pub fn met(&self) -> Option<bool> {
        let share = self.share.share();
        self.goal.filter(|_| self.share.of > 0).map(|goal| match goal {
            Goal::AtLeast(least) => share >= least,
            Goal::AtMost(most) => share <= most,
        })
    }
}

/// In the order of the report, by what they are about.
#[rustfmt::skip]
pub fn measures(all: &[Judged], strays: &[Message]) -> Vec<Measure> {
    use Goal::{AtLeast, AtMost};
    let told = |told: Told| over(all, move |one| red_flags_due(one, told));
    let benign = |triage: Triage| over(all, move |one| of(one, Kind::Benign).and(one.triage()).map(|seen| seen == triage));
    let expected = |fits: fn(Triage, Triage) -> bool| {
        over(all, move |one| one.exam.expect.triage.map(|due| one.triage().is_some_and(|seen| fits(seen, due))))
    };
    let messages = || all.iter().flat_map(|one| one.messages).chain(strays);
    let answers = || messages().filter(|message| message.is("answer"));
    let agreements = agreement::agreements(all);

    let rows: [(_, _, _, Share, Option<Goal>); 20] = [
        ("recall_text", "红旗召回：仅文字", "Red flags seen, told in words", told(Told::Text), Some(AtLeast(0.85))),
        ("recall_coded", "红旗召回：含编码", "Red flags seen, coded as well", told(Told::Coded), Some(AtLeast(0.98))),
        ("any_alert", "危险病例有任何警示", "Dangers with any alert", over(all, any_alert), None),
        ("triage", "分诊如预期", "Triage as expected", expected(|seen, due| seen == due), None),
        ("triage_not_below", "分诊不低于预期", "Triage not below the expected", expected(|seen, due| seen >= due), None),
        ("benign_red", "无害病例误报红色", "Red alerts on harmless cases", benign(Triage::Red), Some(AtMost(0.05))),
        ("benign_yellow", "无害病例黄色", "Yellow on harmless cases", benign(Triage::Yellow), None),
        ("cautions", "用药警示召回", "Drug cautions found", over(all, cautions_due), None),
        ("false_cautions", "误报用药警示", "Drug cautions without reason", over(all, cautions_wrong), None),
        ("ended", "每个请求恰有一个结果", "Requests that ended once", over(all, |one| Some(ends(one) == 1)), Some(AtLeast(1.0))),
        ("schema", "消息符合格式", "Messages valid by schema", count(messages(), |it| it.fault.is_none()), Some(AtLeast(1.0))),
        ("disclaimer", "免责声明正确（中英）", "Disclaimer right, both languages", count(answers(), |it| disclaimer(&it.value)), Some(AtLeast(1.0))),
        ("cannot_exclude", "“不能排除”非空", "Names what cannot be excluded", count(answers(), |it| excludes(&it.value)), Some(AtLeast(1.0))),
        ("forbidden", "医生可见的禁用内容", "Forbidden lines shown", forbidden(messages()), Some(AtMost(0.0))),
        ("independent", "红旗与模型无关", "Red flags as the rules alone say", over(all, independent), Some(AtLeast(1.0))),
        ("unsupported_abstains", "不支持的科室：弃权", "Unsupported: abstained", over(all, |one| abstained_as_due(one, true)), None),
        ("supported_answers", "支持的科室：有意见", "Supported: did not abstain", over(all, |one| abstained_as_due(one, false)), None),
        ("opinion", "有模型意见的回答", "Answers with a model's opinion", over(all, has_opinion), None),
        ("alike", "同义说法结果一致", "Paraphrases answered alike", agreement::total(&agreements, true), None),
        ("alike_by_rule", "同一规则病例结果一致", "One rule's cases answered alike", agreement::total(&agreements, false), None),
    ];
    rows.into_iter().map(|(id, zh, en, share, goal)| Measure { id, zh, en, share, goal }).collect()
}

/// So many of what an exam has to say on one question: nothing, once, or once for each thing expected.
pub fn over<'a, I: IntoIterator<Item = bool>>(
    all: impl IntoIterator<Item = &'a Judged<'a>>,
    says: impl Fn(&'a Judged<'a>) -> I,
) -> Share {
    count(all.into_iter().flat_map(says), |hit| hit)
}

fn count<T>(things: impl Iterator<Item = T>, hit: impl Fn(T) -> bool) -> Share {
    let mut share = Share::default();
    things.for_each(|thing| share.count(hit(thing)));
    share
}

fn of(one: &Judged, kind: Kind) -> Option<()> {
    (one.exam.kind == kind).then_some(())
}

/// Each rule that should fire. A case without an answer is a danger that nobody saw.
pub fn red_flags_due(one: &Judged, told: Told) -> Vec<bool> {
    let seen = one.red_flags();
    let due = one.exam.expect.rules.iter().filter(|_| one.exam.told == told);
    due.map(|rule| seen.contains(rule.as_str())).collect()
}

fn any_alert(one: &Judged) -> Option<bool> {
    of(one, Kind::Danger).map(|()| one.triage() > Some(Triage::Green))
}

pub fn cautions_due(one: &Judged) -> Vec<bool> {
    let spoke = one.cautions();
    one.exam.expect.cautions.iter().flatten().map(|rule| spoke.contains(rule.as_str())).collect()
}

/// Where some drug rules, or all, must be silent: whether one of them spoke.
pub fn cautions_wrong(one: &Judged) -> Option<bool> {
    let expect = &one.exam.expect;
    let none_may = expect.cautions.as_ref().is_some_and(Vec::is_empty);
    let stated = none_may || !expect.silent.is_empty();
    (stated && one.answer().is_some())
        .then(|| one.cautions().iter().any(|rule| none_may || expect.silent.contains(*rule)))
}

fn ends(one: &Judged) -> usize {
    one.messages.iter().filter(|message| message.ends()).count()
}

fn disclaimer(answer: &Value) -> bool {
    answer.get("disclaimer").is_some_and(|said| said["zh"] == Disclaimer::ZH && said["en"] == Disclaimer::EN)
}

fn excludes(answer: &Value) -> bool {
    answer.get("cannot_exclude").and_then(Value::as_array).is_some_and(|named| !named.is_empty())
}

fn forbidden<'m>(messages: impl Iterator<Item = &'m Message>) -> Share {
    count(messages.flat_map(|message| shown::by_the_model(&message.value)), |shown| shown.forbidden())
}

/// Where the box had other rules, ours prove nothing; nor does a silence where nothing was due.
pub fn independent(one: &Judged) -> Option<bool> {
    let due = one.fired.triage > Triage::Green || one.triage().is_some();
    (due && one.same_rules).then(|| one.red_flags_kept())
}

/// Without one, the other figures are the rules' alone.
pub fn has_opinion(one: &Judged) -> Option<bool> {
    one.answer().filter(|_| one.exam.abstains() != Some(true)).map(|answer| answer.abstained.is_none())
}

/// Of the answers where abstaining is (or is not) due: whether it was as due.
fn abstained_as_due(one: &Judged, due: bool) -> Option<bool> {
    let answer = one.answer().filter(|_| one.exam.abstains() == Some(due))?;
    let reason = answer.abstained.as_ref().map(|abstained| abstained.reason);
    Some(match one.exam.kind {
        Kind::Unsupported if due => reason == Some(AbstainReason::UnsupportedDepartment),
        _ => reason.is_some() == due,
    })
}
