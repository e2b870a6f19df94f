//! One exam and what was said of it, as the measures ask about it.

pub mod agreement;
pub mod lapses;
pub mod measures;
pub mod shown;

use super::{conversation::Conversation, exam::Exam, message::Message};
use contract::{
    answer::{Answer, Caution},
    reply::{Alert, ErrorReply, Reply},
    words::Triage,
};
use decide::rules::{Fired, RuleSet};
use std::collections::BTreeSet;

pub struct Judged<'a> {
    pub exam: &'a Exam,
    pub messages: &'a [Message],
    /// What the rules of this program say of the case, without any model.
    pub fired: Fired,
    /// The box judged by the same rules, so that its red flags can be compared with ours.
    pub same_rules: bool,
}

pub fn judged<'a>(exams: &'a [Exam], conversation: &'a Conversation) -> Vec<Judged<'a>> {
    let rules = RuleSet::builtin();
    let ours = rules.reference().sha256;
    let judged = exams.iter().map(|exam| Judged {
        exam,
        messages: conversation.about(exam.id()),
        fired: rules.check(&exam.masked, exam.consult.lang),
        same_rules: true,
    });
    let mut judged: Vec<_> = judged.collect();
    let all_ours = judged.iter().filter_map(Judged::answer).all(|answer| answer.provenance.rules.sha256 == ours);
    for one in &mut judged {
        one.same_rules = one.answer().map_or(all_ours, |answer| answer.provenance.rules.sha256 == ours);
    }
    judged
}

impl<'a> Judged<'a> {
    fn replies(&self) -> impl Iterator<Item = &'a Reply> {
        self.messages.iter().filter_map(|message| message.reply.as_ref())
    }

    pub fn answer(&self) -> Option<&'a Answer> {
        self.replies().find_map(|reply| if let Reply::Answer(answer) = reply { Some(&**answer) } else { None })
    }

    pub fn alert(&self) -> Option<&'a Alert> {
        self.replies().find_map(|reply| if let Reply::Alert(alert) = reply { Some(alert) } else { None })
    }

    pub fn errors(&self) -> impl Iterator<Item = &'a ErrorReply> {
        self.replies().filter_map(|reply| if let Reply::Error(error) = reply { Some(error) } else { None })
    }

    /// What the doctor was told in the end; `None` where nothing came.
    pub fn triage(&self) -> Option<Triage> {
        self.answer().map(|answer| answer.triage).or(self.alert().map(|alert| alert.triage))
    }

    /// The rules that the doctor saw, at once or with the answer.
    pub fn red_flags(&self) -> BTreeSet<&'a str> {
        let at_once = self.alert().into_iter().flat_map(|alert| &alert.red_flags);
        let later = self.answer().into_iter().flat_map(|answer| &answer.red_flags);
        at_once.chain(later).map(|flag| flag.rule.as_str()).collect()
    }

    /// The drug rules that spoke.
    pub fn cautions(&self) -> BTreeSet<&'a str> {
        let of = |cautions: &'a [Caution]| cautions.iter().filter_map(|caution| caution.rule.as_deref());
        let at_once = self.alert().into_iter().flat_map(|alert| of(&alert.medication_cautions));
        let later = self.answer().into_iter().flat_map(|answer| of(&answer.medication_cautions));
        at_once.chain(later).collect()
    }

    /// Whether the red flags that were shown are the rules' own, in content and order, and came before the answer.
    pub fn red_flags_kept(&self) -> bool {
        let in_answer = self.answer().is_none_or(|answer| answer.red_flags == self.fired.red_flags);
        let at_once = match self.alert() {
            Some(alert) => alert.red_flags == self.fired.red_flags,
            None => self.fired.triage == Triage::Green,
        };
        in_answer && at_once
    }
}
