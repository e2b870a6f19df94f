//! One section being written: a sequence, its lines, and what its tokens were worth.

use crate::{
    form::{self, Lines},
    protocol::{FillFault, WrittenLine},
};
use contract::reply::Section;
use llama_cpp_2::{model::LlamaModel, token::LlamaToken};

pub(super) struct Branch {
    pub(super) section: Section,
    pub(super) sequence: i32,
    /// Where the next token goes.
    pub(super) position: i32,
    /// Chosen, not yet evaluated.
    pub(super) next: LlamaToken,
    /// Evaluated tokens of this section's body.
    pub(super) written: Vec<LlamaToken>,
    lines: Lines,
    logprobs: Vec<f32>,
    ended: bool,
}

impl Branch {
    pub(super) fn new(section: Section, sequence: i32, position: i32) -> Self {
        Self {
            section,
            sequence,
            position,
            next: LlamaToken(0),
            written: Vec::new(),
            lines: Lines::new(form::bounds(section)),
            logprobs: Vec::new(),
            ended: false,
        }
    }

    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Takes the logits behind the last evaluated token and chooses the next one, greedily.
    pub(super) fn choose(&mut self, logits: &[f32], model: &LlamaModel) -> Result<(), FillFault> {
        let (token, logprob) = greedy(logits).ok_or(FillFault::NotFinite)?;
        self.next = token;
        let vocab = model.vocab();
        if vocab.is_eog(token) || vocab.is_control(token) {
            self.ended = true;
            return Ok(());
        }
        self.logprobs.push(logprob);
        self.lines.push(&vocab.token_to_piece(token, false, None));
        self.ended = self.lines.ended();
        Ok(())
    }

    /// The lines, each with the section's mean log-probability: a line's own tokens are not kept apart.
    pub(super) fn finish(self) -> Vec<WrittenLine> {
        let mean = self.logprobs.iter().sum::<f32>() / self.logprobs.len().max(1) as f32;
        self.lines.finish().into_iter().map(|text| WrittenLine { text, logprob: mean }).collect()
    }
}

/// The likeliest token and the natural logarithm of its probability; `None` when a logit is not a number,
/// which a damaged adapter makes of all of them.
fn greedy(logits: &[f32]) -> Option<(LlamaToken, f32)> {
    let (mut best, mut max) = (0, f32::NEG_INFINITY);
    for (at, &logit) in logits.iter().enumerate() {
        if logit.is_nan() || logit == f32::INFINITY {
            return None;
        }
        if logit > max {
            (best, max) = (at, logit);
        }
    }
    if max == f32::NEG_INFINITY {
        return None;
    }
    let sum: f32 = logits.iter().map(|l| (l - max).exp()).sum();
    Some((LlamaToken(best as i32), -sum.ln()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greedy_takes_the_first_of_equals_and_refuses_what_is_no_number() {
        let (token, logprob) = greedy(&[0.0, 2.0, 2.0]).expect("finite");
        assert_eq!(token.0, 1);
        assert!((logprob - (2f32.exp() / (2.0 * 2f32.exp() + 1.0)).ln()).abs() < 1e-6);
        assert!(greedy(&[0.0, f32::NAN]).is_none());
        assert!(greedy(&[f32::INFINITY, 0.0]).is_none());
        assert!(greedy(&[]).is_none());
    }
}
