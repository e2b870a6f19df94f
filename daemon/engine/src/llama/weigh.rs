//! Texts that are given and not written: how likely the model finds each. For those who measure an adapter.
//!
//! ```text
//! sequence 0   shared ─┬─ sequence 1: the first option, then cleared, the second, …
//! ```

use super::{
    logits,
    seat::{Group, params, tokens},
};
use crate::protocol::*;
use llama_cpp_2::{
    context::LlamaContext, llama_backend::LlamaBackend, llama_batch::LlamaBatch, model::LlamaModel, token::LlamaToken,
};

/// Tokens of a batch. A row of logits is kept for each: 64 MiB with a vocabulary of a quarter of a million.
const CHUNK: usize = 64;
/// Instructions, the longest case that a form would take, and a whole form.
const CELLS: u32 = 4096;

/// A context of its own with one adapter, which never fills a form.
pub(super) struct Scales<'m> {
    model: &'m LlamaModel,
    context: LlamaContext<'m>,
    batch: LlamaBatch<'static>,
    cells: usize,
}

impl<'m> Scales<'m> {
    pub(super) fn new(
        order: &LlamaOrder,
        backend: &LlamaBackend,
        model: &'m LlamaModel,
        group: &mut Group,
    ) -> Result<Self, FillFault> {
        let params = params(order, CELLS, CHUNK as u32, 2);
        let mut context = model.new_context(backend, params).map_err(|_| FillFault::Decode)?;
        group.set(&mut context, true)?;
        Ok(Self { model, context, batch: LlamaBatch::new(CHUNK, 2), cells: CELLS as usize })
    }

    pub(super) fn weigh(&mut self, order: &WeighOrder) -> Result<Vec<Weight>, FillFault> {
        let vocab = self.model.vocab();
        let bos = vocab.should_add_bos().then(|| vocab.bos());
        let mut shared: Vec<LlamaToken> = bos.into_iter().collect();
        shared.extend(order.shared.iter().flat_map(|segment| tokens(self.model, segment)));
        // The first counted token is told by the one before it, which every option brings along: the last shared one.
        let Some(last) = shared.pop() else { return Err(FillFault::TooLong) };
        // Both, so that the cells lie where they lay the last time: sums depend on it, and the same text shall weigh the same.
        self.clear(0)?;
        self.clear(1)?;
        if !order.only_count {
            self.read(0, 0, &shared.iter().map(|token| (*token, None)).collect::<Vec<_>>())?;
        }
        let at = shared.len();
        let mut weights = Vec::new();
        for option in &order.options {
            let mut row = vec![(last, false)];
            for part in option {
                row.extend(tokens(self.model, &part.segment).into_iter().map(|token| (token, part.train)));
            }
            if at + row.len() > self.cells && !order.only_count {
                return Err(FillFault::TooLong);
            }
            // Each token with the one that it should be followed by, where that one counts.
            let next = row.iter().skip(1).map(|(token, counts)| counts.then_some(*token)).chain([None]);
            let asked: Vec<_> = row.iter().zip(next).map(|((token, _), next)| (*token, next)).collect();
            let logprob = if order.only_count { 0.0 } else { self.option(at, &asked)? };
            let tokens = asked.iter().filter(|(_, next)| next.is_some()).count() as u32;
            weights.push(Weight { tokens, tokens_read: (at + row.len()) as u32, logprob });
        }
        Ok(weights)
    }

    /// An option behind what is shared. Those before it leave nothing.
    fn option(&mut self, at: usize, tokens: &[(LlamaToken, Option<LlamaToken>)]) -> Result<f32, FillFault> {
        self.clear(1)?;
        self.context.copy_kv_cache_seq(0, 1, None, None).map_err(|_| FillFault::Decode)?;
        self.read(1, at, tokens)
    }

    /// Evaluates tokens from a position on; the sum of what the wanted followers are worth.
    fn read(
        &mut self,
        sequence: i32,
        from: usize,
        tokens: &[(LlamaToken, Option<LlamaToken>)],
    ) -> Result<f32, FillFault> {
        let mut sum = 0.0;
        let mut position = from as i32;
        for chunk in tokens.chunks(CHUNK) {
            self.batch.clear();
            for (token, next) in chunk {
                self.batch.add(*token, position, &[sequence], next.is_some()).map_err(|_| FillFault::Decode)?;
                position += 1;
            }
            self.context.decode(&mut self.batch).map_err(|_| FillFault::Decode)?;
            for (row, (_, next)) in chunk.iter().enumerate() {
                if let Some(next) = next {
                    let logits = self.context.get_logits_ith(row as i32);
                    sum += logits::logprob(logits, *next).ok_or(FillFault::NotFinite)?;
                }
            }
        }
        Ok(sum)
    }

    fn clear(&mut self, sequence: u32) -> Result<(), FillFault> {
        self.context.clear_kv_cache_seq(Some(sequence), None, None).map(|_| ()).map_err(|_| FillFault::Decode)
    }
}
