//! A seat: one context with one adapter, and how a form is filled in it.

use super::branch::Branch;
use crate::{
    form::{BRANCHES, FIRST},
    prompt::{self, PromptFormat, Segment},
    protocol::*,
    worker::Desk,
};
use contract::{
    ids::{Department, Lang},
    reply::Section,
};
use llama_cpp_2::{
    context::{LlamaContext, params::LlamaContextParams},
    llama_backend::LlamaBackend,
    llama_batch::LlamaBatch,
    model::{LlamaLoraAdapter, LlamaModel},
    token::LlamaToken,
};
use std::{num::NonZeroU32, time::Instant};

const JOB: i32 = 2;
const FIRST_BRANCH: i32 = 3;
const SEQUENCES: u32 = FIRST_BRANCH as u32 + BRANCHES.len() as u32;

/// KV cells that a full form can take (its bounds' sum with headers, rounded up) …
pub(super) const CELLS_FORM: u32 = 768;
/// … and the least that must be left for prefixes and case.
pub(super) const CELLS_CASE_MIN: u32 = 512;
/// Tokens evaluated between two looks at the inbox: a cancelled job ends within one such chunk.
const CHUNK: usize = 128;

pub(super) struct Seat<'m> {
    model: &'m LlamaModel,
    context: LlamaContext<'m>,
    batch: LlamaBatch<'static>,
    format: PromptFormat,
    department: Department,
    /// Length of each parked prefix, zero when not parked yet.
    parked: [i32; 2],
    cells: u32,
}

impl<'m> Seat<'m> {
    pub(super) fn new(
        order: &LlamaOrder,
        backend: &LlamaBackend,
        model: &'m LlamaModel,
        adapter: &mut LlamaLoraAdapter,
        department: &Department,
    ) -> Result<Self, llama_cpp_2::LlamaContextLoadError> {
        let threads = i32::try_from(order.threads).unwrap_or(1).max(1);
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(order.context_tokens))
            .with_n_batch(CHUNK as u32)
            .with_n_ubatch(CHUNK as u32)
            .with_n_seq_max(SEQUENCES)
            .with_n_threads(threads)
            .with_n_threads_batch(threads)
            // Without a unified cache a partial copy between sequences ends the process.
            .with_kv_unified(true)
            // A sliding window that forgets could not be rolled back to the case.
            .with_swa_full(true);
        let mut context = model.new_context(backend, params)?;
        context.lora_adapter_set(adapter, 1.0).map_err(|_| llama_cpp_2::LlamaContextLoadError::NullReturn)?;
        Ok(Self {
            model,
            context,
            batch: LlamaBatch::new(CHUNK, SEQUENCES as i32),
            format: order.prompt_format,
            department: department.clone(),
            parked: [0; 2],
            cells: order.context_tokens,
        })
    }

    pub(super) fn fill(&mut self, order: &FillOrder, desk: &mut dyn Desk) -> Result<FillStats, FillFault> {
        let began = Instant::now();
        let mut stats = FillStats::default();
        let parked = self.park(order.lang, desk)?;
        let case = self.case_tokens(order, &mut stats)?;
        self.copy(order.lang as i32, JOB)?;
        self.read(&case, parked, JOB, desk)?;
        stats.tokens_read = case.len() as u32;
        stats.read_ms = began.elapsed().as_millis() as u64;

        let body_at = parked + case.len() as i32;
        let mut first = vec![Branch::new(FIRST, JOB, body_at)];
        self.choose_last(&mut first[0])?;
        let causes = self.write(first, desk, &mut stats)?.remove(0);

        let branches = self.branch_off(&causes, body_at, order.lang)?;
        self.write(branches, desk, &mut stats)?;
        stats.write_ms = began.elapsed().as_millis() as u64 - stats.read_ms;
        Ok(stats)
    }

    /// Frees what a job left, whether it ended well or not.
    pub(super) fn clear_job(&mut self) {
        for sequence in JOB..SEQUENCES as i32 {
            let _ = self.context.clear_kv_cache_seq(Some(sequence as u32), None, None);
        }
    }

    /// Evaluates the department's instructions once per language. Returns their length.
    fn park(&mut self, lang: Lang, desk: &mut dyn Desk) -> Result<i32, FillFault> {
        let sequence = lang as usize;
        if self.parked[sequence] == 0 {
            let bos = self.model.vocab().should_add_bos().then(|| self.model.vocab().bos());
            let mut tokens: Vec<LlamaToken> = bos.into_iter().collect();
            tokens.extend(self.tokens(&prompt::prefix(self.format, &self.department, lang)));
            let read = self.read(&tokens, 0, sequence as i32, desk);
            if read.is_err() {
                let _ = self.context.clear_kv_cache_seq(Some(sequence as u32), None, None);
            }
            read?;
            self.parked[sequence] = tokens.len() as i32;
        }
        Ok(self.parked[sequence])
    }

    /// The case's tokens, cut at the end of its text where the context would not hold it: headers and marks stay.
    fn case_tokens(&self, order: &FillOrder, stats: &mut FillStats) -> Result<Vec<LlamaToken>, FillFault> {
        let segments = prompt::case(self.format, &order.case, order.lang);
        let (text, rest) = segments.split_first().ok_or(FillFault::Decode)?;
        let mut tokens = self.tokens(std::slice::from_ref(text));
        let rest = self.tokens(rest);
        let taken = CELLS_FORM as usize + self.parked.iter().sum::<i32>() as usize + rest.len();
        let room = (self.cells as usize).saturating_sub(taken);
        if tokens.len() > room {
            tokens.truncate(room);
            stats.case_cut = true;
        }
        tokens.extend(rest);
        Ok(tokens)
    }

    fn tokens(&self, segments: &[Segment]) -> Vec<LlamaToken> {
        let vocab = self.model.vocab();
        segments
            .iter()
            .filter(|segment| !segment.text.is_empty())
            .flat_map(|segment| vocab.tokenize(segment.text.as_bytes(), false, segment.special))
            .collect()
    }

    fn copy(&mut self, from: i32, to: i32) -> Result<(), FillFault> {
        self.context.copy_kv_cache_seq(from, to, None, None).map_err(|_| FillFault::Decode)
    }

    /// Evaluates given tokens in chunks; logits are kept for the very last.
    fn read(&mut self, tokens: &[LlamaToken], at: i32, sequence: i32, desk: &mut dyn Desk) -> Result<(), FillFault> {
        let mut position = at;
        let chunks = tokens.chunks(CHUNK).count();
        for (nth, chunk) in tokens.chunks(CHUNK).enumerate() {
            desk.step()?;
            self.batch.clear();
            for (i, token) in chunk.iter().enumerate() {
                let last = nth + 1 == chunks && i + 1 == chunk.len();
                self.batch.add(*token, position, &[sequence], last).map_err(|_| FillFault::Decode)?;
                position += 1;
            }
            self.context.decode(&mut self.batch).map_err(|_| FillFault::Decode)?;
        }
        Ok(())
    }

    /// Chooses a branch's first token from the logits of the token evaluated last.
    fn choose_last(&mut self, branch: &mut Branch) -> Result<(), FillFault> {
        let last = self.batch.n_tokens() - 1;
        branch.choose(self.context.get_logits_ith(last), self.model)
    }

    /// Writes sections together until all have ended, handing each over as it does. Returns those that the
    /// caller still needs: what was written into the context.
    fn write(
        &mut self,
        mut open: Vec<Branch>,
        desk: &mut dyn Desk,
        stats: &mut FillStats,
    ) -> Result<Vec<Written>, FillFault> {
        let mut written = Vec::new();
        loop {
            for at in (0..open.len()).rev() {
                if open[at].ended() {
                    let branch = open.remove(at);
                    written.push(hand_over(branch, desk));
                }
            }
            if open.is_empty() {
                return Ok(written);
            }
            desk.step()?;
            self.batch.clear();
            for branch in &mut open {
                self.batch
                    .add(branch.next, branch.position, &[branch.sequence], true)
                    .map_err(|_| FillFault::Decode)?;
                branch.position += 1;
                branch.written.push(branch.next);
            }
            self.context.decode(&mut self.batch).map_err(|_| FillFault::Decode)?;
            for (at, branch) in open.iter_mut().enumerate() {
                branch.choose(self.context.get_logits_ith(at as i32), self.model)?;
                stats.tokens_written += 1;
            }
        }
    }

    /// Starts the other sections behind the causes. First the causes are put into the context as their lines
    /// read, ended by an empty line, whatever tokens the model used or broke off at: so every branch sees
    /// exactly the text that it was trained on.
    fn branch_off(&mut self, causes: &Written, body_at: i32, lang: Lang) -> Result<Vec<Branch>, FillFault> {
        let body = self.tokens(&[prompt::section_body(&causes.lines)]);
        let same = body.iter().zip(&causes.tokens).take_while(|(a, b)| a == b).count();
        let tail_at = body_at + same as i32;
        self.context.clear_kv_cache_seq(Some(JOB as u32), Some(tail_at as u32), None).map_err(|_| FillFault::Decode)?;
        let tail = &body[same..];

        let mut branches: Vec<Branch> = BRANCHES
            .iter()
            .zip(FIRST_BRANCH..)
            .map(|(section, sequence)| Branch::new(*section, sequence, tail_at))
            .collect();
        for branch in &branches {
            self.copy(JOB, branch.sequence)?;
        }
        // All headers in one step. They are short, but so is the chunk; a tail too long for it goes first.
        let headers: Vec<Vec<LlamaToken>> =
            branches.iter().map(|b| self.tokens(&[prompt::section_header(b.section, lang)])).collect();
        self.batch.clear();
        let all: Vec<i32> = branches.iter().map(|b| b.sequence).collect();
        if tail.len() + headers.iter().map(Vec::len).sum::<usize>() > CHUNK {
            for chunk in tail.chunks(CHUNK) {
                self.batch.clear();
                self.add(chunk, &mut branches, &all)?;
                self.context.decode(&mut self.batch).map_err(|_| FillFault::Decode)?;
            }
            self.batch.clear();
        } else {
            self.add(tail, &mut branches, &all)?;
        }
        let mut ends = Vec::new();
        for (branch, header) in branches.iter_mut().zip(&headers) {
            for (i, token) in header.iter().enumerate() {
                let last = i + 1 == header.len();
                self.batch.add(*token, branch.position, &[branch.sequence], last).map_err(|_| FillFault::Decode)?;
                branch.position += 1;
            }
            ends.push(self.batch.n_tokens() - 1);
        }
        self.context.decode(&mut self.batch).map_err(|_| FillFault::Decode)?;
        for (branch, end) in branches.iter_mut().zip(ends) {
            branch.choose(self.context.get_logits_ith(end), self.model)?;
        }
        Ok(branches)
    }

    /// Tokens that all branches share: evaluated once, a cell of each.
    fn add(&mut self, tokens: &[LlamaToken], branches: &mut [Branch], all: &[i32]) -> Result<(), FillFault> {
        for token in tokens {
            let position = branches[0].position;
            self.batch.add(*token, position, all, false).map_err(|_| FillFault::Decode)?;
            branches.iter_mut().for_each(|b| b.position += 1);
        }
        Ok(())
    }
}

/// What a section left behind.
struct Written {
    lines: Vec<String>,
    tokens: Vec<LlamaToken>,
}

fn hand_over(mut branch: Branch, desk: &mut dyn Desk) -> Written {
    let section: Section = branch.section;
    let tokens = std::mem::take(&mut branch.written);
    let lines = branch.finish();
    let texts = lines.iter().map(|line| line.text.clone()).collect();
    desk.section(section, lines);
    Written { lines: texts, tokens }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::{Bounds, bounds};

    #[test]
    fn a_full_form_fits_the_cells_kept_for_it() {
        let of = |section: Section| {
            let Bounds { lines_max, tokens_per_line_max } = bounds(section);
            lines_max * tokens_per_line_max
        };
        // A header takes at most 12 tokens in the tokenisers we know; the causes are read once more at worst.
        let headers = 12 * Section::ALL.len();
        let full = Section::ALL.into_iter().map(of).sum::<usize>() + headers;
        assert!(full <= CELLS_FORM as usize, "{full}");
    }
}
