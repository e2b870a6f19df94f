//! What the model may do to the triage: raise green to yellow, in the answer, when it is clear. It lowers nothing, makes
//! no alert and changes no order of service, because a small model's word would tire doctors of both.

use crate::event::{Question, Score};
use contract::{answer::AdapterRef, words::Triage};

/// The option that says that there is no hurry; the others say that there is.
const NO_HURRY: &str = "routine";
/// Less is no clear word, whatever a manifest says.
const CLEAR_AT_MIN: f32 = 0.5;

/// Asked of an adapter whose manifest gives the bound that was measured for it, about a case that no rule has raised.
pub(crate) fn question(adapter: Option<&AdapterRef>, triage: Triage) -> Option<Question> {
    (clear_at(adapter).is_some() && triage == Triage::Green).then_some(Question::Urgency)
}

/// The probability of a hurry, where it is clear.
pub(crate) fn raise(adapter: Option<&AdapterRef>, scores: &[Score]) -> Option<f32> {
    let clear_at = clear_at(adapter)?;
    let score = scores.iter().find(|score| score.question == Question::Urgency)?;
    let (_, no_hurry) = score.options.iter().find(|(name, _)| name == NO_HURRY)?;
    let hurry = 1.0 - no_hurry;
    (0.0..=1.0).contains(&hurry).then_some(hurry).filter(|hurry| *hurry >= clear_at)
}

fn clear_at(adapter: Option<&AdapterRef>) -> Option<f32> {
    adapter.and_then(|adapter| adapter.urgency_clear_at).filter(|bound| (CLEAR_AT_MIN..=1.0).contains(bound))
}
