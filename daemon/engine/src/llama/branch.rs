//! One section being written: a sequence, its lines, and what its tokens were worth.

use super::logits::greedy;
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
    /// Tokens of its header.
    pub(super) header: usize,
    /// Given tokens to evaluate before this branch writes: its header.
    pub(super) given: Vec<LlamaToken>,
    /// Chosen, not yet evaluated. Of meaning once nothing given is left.
    pub(super) next: LlamaToken,
    /// Evaluated tokens of this section's body.
    pub(super) written: Vec<LlamaToken>,
    lines: Lines,
    /// Each finished line's mean log-probability.
    worth: Vec<f32>,
    /// Log-probabilities of the open line.
    open: Vec<f32>,
    begun: bool,
    ended: bool,
}

impl Branch {
    pub(super) fn new(section: Section, sequence: i32, position: i32, given: Vec<LlamaToken>) -> Self {
        Self {
            section,
            sequence,
            position,
            header: given.len(),
            given,
            next: LlamaToken(0),
            written: Vec::new(),
            lines: Lines::new(form::bounds(section)),
            worth: Vec::new(),
            open: Vec::new(),
            begun: false,
            ended: false,
        }
    }

    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Whether it writes, rather than reads what it is given.
    pub(super) fn writes(&self) -> bool {
        self.begun && !self.ended
    }

    /// Its header's last token is being evaluated: from now on it writes.
    pub(super) fn begin(&mut self) {
        self.begun = true;
    }

    /// The chosen token, to be evaluated now, and where.
    pub(super) fn write(&mut self) -> (LlamaToken, i32) {
        let at = self.position;
        self.position += 1;
        self.written.push(self.next);
        (self.next, at)
    }

    /// Takes the logits behind the last evaluated token and chooses the next one, greedily.
    /// True when a line has become whole.
    pub(super) fn choose(&mut self, logits: &[f32], model: &LlamaModel) -> Result<bool, FillFault> {
        let (token, logprob) = greedy(logits).ok_or(FillFault::NotFinite)?;
        self.next = token;
        let vocab = model.vocab();
        let before = self.lines.done().len();
        if vocab.is_eog(token) || vocab.is_control(token) {
            self.lines.close();
            self.ended = true;
        } else {
            self.open.push(logprob);
            self.lines.push(&vocab.token_to_piece(token, false, None));
            self.ended = self.lines.ended();
        }
        let whole = self.lines.done().len() > before;
        if whole {
            let mean = self.open.iter().sum::<f32>() / self.open.len().max(1) as f32;
            self.worth.resize(self.lines.done().len(), mean);
            self.open.clear();
        }
        Ok(whole)
    }

    pub(super) fn lines(&self) -> Vec<WrittenLine> {
        let texts = self.lines.done().iter().zip(&self.worth);
        texts.map(|(text, logprob)| WrittenLine { text: text.clone(), logprob: *logprob }).collect()
    }
}
