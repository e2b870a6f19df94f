//! A seat: one context, the forms that are open in it, and one step of all of them.
//!
//! ```text
//! sequences of a context (unified KV: copying a sequence copies no data)
//!   0 …         parked: a department's instructions, a sequence for each of zh and en
//!   then        five for each open form (llama/job.rs); free ones are on a list
//!
//! a step   │ a token of each branch that writes │ given tokens: cases, headers, as many as fit │
//!          └──────────────── one batch, never larger than one ubatch ─────────────────────────┘
//! ```
//! Every piece of KV belongs to a sequence, and every sequence to one adapter ([`KvKey`]) from its first cell to its
//! last: nothing is ever read under another adapter than it was computed with.

use super::{
    branch::Branch,
    job::{self, Job},
    logits,
};
use crate::{
    form::FIRST,
    memory::{CELLS_FORM, CELLS_PARKED, CELLS_QUESTION, Context, SEQUENCES, Shape},
    prompt::{self, PromptFormat, Segment},
    protocol::*,
    schedule::Flow,
};
use contract::{
    ids::{Department, Lang, RequestId},
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

/// Tokens of a step on a CPU that reads cases.
const READ_CPU: usize = 64;
const READ_MIN: usize = 16;

/// What KV is a function of, besides its tokens. Base, KV type, scale (always 1) and prompt format do not change
/// in a worker's life, and no KV outlives the worker; what is left is the adapter, by its place in the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct KvKey {
    group: usize,
    lang: Lang,
}

struct Parked {
    key: KvKey,
    sequence: i32,
    tokens: i32,
}

/// A form that was given up; it is closed already.
pub(super) struct Failed {
    pub(super) job: RequestId,
    pub(super) fault: FillFault,
}

/// The adapter of a step.
pub(super) struct Group {
    pub(super) department: Department,
    /// None: the base model alone.
    pub(super) adapter: Option<LlamaLoraAdapter>,
}

impl Group {
    /// Sets its adapter on a context, in place of any other. `fresh`: none has been set yet, and the base alone needs that.
    pub(super) fn set(&mut self, context: &mut LlamaContext, fresh: bool) -> Result<(), FillFault> {
        match &mut self.adapter {
            Some(adapter) => context.lora_adapter_set(adapter, 1.0).map_err(|_| FillFault::Decode),
            None if fresh => Ok(()),
            None => Err(FillFault::Decode),
        }
    }
}

pub(super) struct Seat<'m> {
    model: &'m LlamaModel,
    context: LlamaContext<'m>,
    batch: LlamaBatch<'static>,
    format: PromptFormat,
    branching: Branching,
    chunk: usize,
    on_gpu: bool,
    few_cost_more: bool,
    cells: u32,
    /// Adapters that this seat serves: one, or all.
    pub(super) groups: Vec<usize>,
    /// The one that is set.
    set: Option<usize>,
    parked: Vec<Parked>,
    free: Vec<i32>,
    /// For scoring, one an option.
    spare: Vec<i32>,
    pub(super) jobs: Vec<Job>,
}

#[cfg(test)]
thread_local! {
    /// Every row of logits that was read, by its form: what the tests compare bit for bit.
    pub(super) static SEEN: std::cell::RefCell<Vec<(RequestId, Section, u64)>> = const { std::cell::RefCell::new(Vec::new()) };
}

impl<'m> Seat<'m> {
    pub(super) fn new(
        order: &LlamaOrder,
        backend: &LlamaBackend,
        model: &'m LlamaModel,
        groups: Vec<usize>,
        shape: &Shape,
        few_cost_more: bool,
    ) -> Result<Self, llama_cpp_2::LlamaContextLoadError> {
        let Context { chunk, sequences, .. } = shape.context();
        let context = model.new_context(backend, params(order, order.context_tokens, chunk, sequences))?;
        let parked = 2 * groups.len() as i32;
        let spare = parked + (SEQUENCES as u32 * shape.jobs_open()) as i32;
        let chunk = chunk as usize;
        Ok(Self {
            model,
            context,
            batch: LlamaBatch::new(chunk, sequences as i32),
            format: order.prompt_format,
            branching: order.branches,
            chunk,
            on_gpu: shape.gpu_layers > 0,
            few_cost_more,
            cells: order.context_tokens,
            groups,
            set: None,
            parked: Vec::new(),
            free: (parked..spare).rev().collect(),
            spare: (spare..sequences as i32).collect(),
            jobs: Vec::new(),
        })
    }

    /// Cells that nothing parked, written or promised takes.
    fn cells_free(&self) -> u32 {
        let parked = CELLS_PARKED * 2 * self.groups.len() as u32;
        self.cells.saturating_sub(parked + self.jobs.iter().map(Job::cells).sum::<u32>())
    }

    /// Opens a form, or gives its order back when there is no room for it now.
    pub(super) fn open(
        &mut self,
        group: usize,
        groups: &mut [Group],
        order: FillOrder,
        arrived: Instant,
    ) -> Result<Option<FillOrder>, FillFault> {
        let (case, case_cut) = self.case_tokens(&order);
        if self.free.len() < SEQUENCES || self.cells_free() < case.len() as u32 + CELLS_FORM + CELLS_QUESTION {
            return Ok(Some(order));
        }
        while self.park_next(groups)? {}
        let key = KvKey { group, lang: order.lang };
        let parked = self.parked.iter().find(|parked| parked.key == key).ok_or(FillFault::NoAdapter)?;
        let (parked, tokens) = (parked.sequence, parked.tokens);
        let sequences = self.free.split_off(self.free.len() - SEQUENCES);
        let (sections, to_come) = job::beginning(self.branching);
        let first_at = tokens + case.len() as i32;
        let branches: Vec<Branch> = sections
            .into_iter()
            .zip(&sequences)
            .map(|(section, sequence)| self.branch(section, *sequence, first_at, order.lang))
            .collect();
        let stats = FillStats { case_cut, tokens_read: case.len() as u32, ..FillStats::default() };
        let job = Job {
            group,
            arrived,
            shared: case,
            shared_at: tokens,
            body_at: first_at + branches[0].given.len() as i32,
            branches,
            to_come,
            closed: 0,
            heard: false,
            stats,
            scores: Vec::new(),
            sequences,
            order,
        };
        let copied = job.branches.iter().try_for_each(|branch| self.copy(parked, branch.sequence));
        self.jobs.push(job);
        copied.map_err(|fault| self.drop_job(self.jobs.len() - 1, fault).fault)?;
        Ok(None)
    }

    /// Forgets a form at once, whatever its state; its places are free.
    fn drop_job(&mut self, at: usize, fault: FillFault) -> Failed {
        let job = self.jobs.swap_remove(at);
        self.release(job.sequences);
        Failed { job: job.order.job, fault }
    }

    pub(super) fn cancel(&mut self, id: RequestId) -> Option<Failed> {
        let at = self.jobs.iter().position(|job| job.order.job == id)?;
        Some(self.drop_job(at, FillFault::Cancelled))
    }

    /// Takes every form of a class worse than this one away, to be begun again later.
    pub(super) fn set_aside(&mut self, class: u8) -> Vec<(FillOrder, Instant)> {
        let (aside, stay) = std::mem::take(&mut self.jobs).into_iter().partition(|job| job.order.class > class);
        self.jobs = stay;
        let aside: Vec<Job> = aside;
        aside
            .into_iter()
            .map(|job| {
                self.release(job.sequences);
                (job.order, job.arrived)
            })
            .collect()
    }

    fn release(&mut self, sequences: Vec<i32>) {
        for sequence in &sequences {
            self.clear(*sequence, 0);
        }
        self.free.extend(sequences);
    }

    /// Evaluates the next instructions that are not there yet; false when all are. Always in the same order and before
    /// the first form: where a form's cells lie decides how llama.cpp splits its sums, so the same case must find the
    /// same places today and tomorrow.
    pub(super) fn park_next(&mut self, groups: &mut [Group]) -> Result<bool, FillFault> {
        let keys = self.groups.iter().flat_map(|group| [Lang::Zh, Lang::En].map(|lang| KvKey { group: *group, lang }));
        let missing = |key: &KvKey| self.parked.iter().all(|parked| parked.key != *key);
        let Some(key) = { keys }.find(missing) else { return Ok(false) };
        self.park(key, &mut groups[key.group])?;
        Ok(true)
    }

    fn park(&mut self, key: KvKey, group: &mut Group) -> Result<(), FillFault> {
        let place = self.groups.iter().position(|index| *index == key.group).ok_or(FillFault::NoAdapter)?;
        let sequence = (2 * place + key.lang as usize) as i32;
        let bos = self.model.vocab().should_add_bos().then(|| self.model.vocab().bos());
        let mut tokens: Vec<LlamaToken> = bos.into_iter().collect();
        tokens.extend(self.tokens(&prompt::prefix(self.format, &group.department, key.lang)));
        if tokens.len() > CELLS_PARKED as usize {
            return Err(FillFault::Decode); // a tokeniser far wordier than any we know
        }
        self.set(key.group, group)?;
        let mut position = 0;
        for chunk in tokens.chunks(self.chunk) {
            self.batch.clear();
            for token in chunk {
                self.batch.add(*token, position, &[sequence], false).map_err(|_| FillFault::Decode)?;
                position += 1;
            }
            if self.context.decode(&mut self.batch).is_err() {
                self.clear(sequence, 0);
                return Err(FillFault::Decode);
            }
        }
        self.parked.push(Parked { key, sequence, tokens: position });
        Ok(())
    }

    /// Sets the adapter whose turn it is. In a seat of its own this happens once.
    fn set(&mut self, index: usize, group: &mut Group) -> Result<(), FillFault> {
        if self.set != Some(index) {
            let fresh = self.set.take().is_none();
            group.set(&mut self.context, fresh)?;
            self.set = Some(index);
        }
        Ok(())
    }

    /// One step for the forms of a flow and better ones of its group. Failed forms are gone when this returns;
    /// a fault of the whole step fails all of them.
    pub(super) fn step(&mut self, flow: Flow, group: &mut Group, tell: &mut dyn FnMut(Report)) -> Vec<Failed> {
        let began = Instant::now();
        let between = |job: &&Job| serves(flow, job) && job.stats.read_ms > 0 && job.reads();
        let between: Vec<RequestId> = self.jobs.iter().filter(between).map(|job| job.order.job).collect();
        let rows = match self.evaluate(flow, group) {
            Ok(rows) => rows,
            Err(fault) => {
                let mut failed = Vec::new();
                while let Some(at) = self.jobs.iter().position(|job| serves(flow, job)) {
                    failed.push(self.drop_job(at, fault));
                }
                return failed;
            }
        };
        let mut failed = Vec::new();
        for Row { job, branch, row } in rows {
            match self.choose(job, branch, row) {
                Ok(true) => tell(self.jobs[job].section(branch)),
                Ok(false) => {}
                Err(fault) => failed.push((job, fault)),
            }
        }
        for job in self.jobs.iter_mut().filter(|job| between.contains(&job.order.job)) {
            job.stats.headers_ms += began.elapsed().as_millis() as u64;
        }
        for at in 0..self.jobs.len() {
            if let Err(fault) = self.advance(at) {
                failed.push((at, fault));
            }
        }
        // From the back, so that what is still to be removed keeps its place.
        failed.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        failed.dedup_by_key(|(at, _)| *at);
        let failed = failed.into_iter().map(|(at, fault)| self.drop_job(at, fault)).collect();
        self.finish(tell);
        failed
    }

    /// Evaluates one batch and says whose logits stand where.
    fn evaluate(&mut self, flow: Flow, group: &mut Group) -> Result<Vec<Row>, FillFault> {
        self.set(flow.group, group)?;
        self.batch.clear();
        let mut rows = Vec::new();
        let mut theirs: Vec<(usize, &mut Job)> = self.jobs.iter_mut().enumerate().collect();
        theirs.retain(|(_, job)| serves(flow, job));
        // On a GPU a larger batch costs little. On a CPU each token costs, and a doctor who sees nothing yet goes first.
        // New forms come only in the place of ended ones, so this ends.
        if !self.on_gpu && theirs.iter().any(|(_, job)| !job.heard) {
            theirs.retain(|(_, job)| !job.heard);
        }
        let few = self.few_cost_more && theirs.iter().all(|(_, job)| !job.reads());
        let only = if few { one_of_few(&theirs) } else { None };
        for (at, job) in &mut theirs {
            let chosen = |nth: usize| only.is_none_or(|only| only == (*at, nth));
            let writes = |(nth, branch): &(usize, &mut Branch)| branch.writes() && chosen(*nth);
            for (nth, branch) in job.branches.iter_mut().enumerate().filter(writes) {
                rows.push(Row { job: *at, branch: nth, row: self.batch.n_tokens() });
                let (token, position) = branch.write();
                self.batch.add(token, position, &[branch.sequence], true).map_err(|_| FillFault::Decode)?;
                job.stats.tokens_written += 1;
            }
        }
        // Cases that are read: best class, then the earliest deadline, as the daemon ordered them.
        let until = read_until(self.batch.n_tokens() as usize, self.chunk, self.on_gpu);
        theirs.sort_by_key(|(_, job)| (job.order.class, job.due()));
        for (at, job) in &mut theirs {
            let room = until.saturating_sub(self.batch.n_tokens() as usize);
            let all: Vec<i32> = job.branches.iter().map(|branch| branch.sequence).collect();
            for token in job.shared.drain(..room.min(job.shared.len())) {
                self.batch.add(token, job.shared_at, &all, false).map_err(|_| FillFault::Decode)?;
                job.shared_at += 1;
            }
            if !job.shared.is_empty() {
                continue;
            }
            for (nth, branch) in job.branches.iter_mut().enumerate() {
                let room = until.saturating_sub(self.batch.n_tokens() as usize);
                let given: Vec<LlamaToken> = branch.given.drain(..room.min(branch.given.len())).collect();
                for (i, token) in given.iter().enumerate() {
                    let last = branch.given.is_empty() && i + 1 == given.len();
                    if last {
                        rows.push(Row { job: *at, branch: nth, row: self.batch.n_tokens() });
                        branch.begin();
                    }
                    self.batch.add(*token, branch.position, &[branch.sequence], last).map_err(|_| FillFault::Decode)?;
                    branch.position += 1;
                }
            }
        }
        self.context.decode(&mut self.batch).map_err(|_| FillFault::Decode)?;
        Ok(rows)
    }

    /// Chooses a branch's next token. True when its doctor can read something new.
    fn choose(&mut self, job: usize, branch: usize, row: i32) -> Result<bool, FillFault> {
        let job = &mut self.jobs[job];
        let logits = self.context.get_logits_ith(row);
        #[cfg(test)]
        SEEN.with_borrow_mut(|seen| {
            // FNV-1a over the bits.
            let hash = logits.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, logit| {
                (hash ^ u64::from(logit.to_bits())).wrapping_mul(0x0100_0000_01b3)
            });
            seen.push((job.order.job, job.branches[branch].section, hash));
        });
        if job.stats.read_ms == 0 {
            job.stats.read_ms = job.age_ms();
        }
        let branch = &mut job.branches[branch];
        let whole = branch.choose(logits, self.model)?;
        Ok(whole || branch.ended())
    }

    /// Closes the sections that have ended and opens those that follow.
    fn advance(&mut self, at: usize) -> Result<(), FillFault> {
        while let Some(nth) = self.jobs[at].branches.iter().position(Branch::ended) {
            let job = &mut self.jobs[at];
            let branch = job.branches.swap_remove(nth);
            let first = branch.section == FIRST && !job.order.questions.is_empty();
            if job.to_come.is_empty() && !first {
                self.clear(branch.sequence, 0); // its cells are free at once
                continue;
            }
            self.close(at, branch)?;
        }
        Ok(())
    }

    /// Puts a section into the context as training showed it and opens what follows. The others read it.
    fn close(&mut self, at: usize, branch: Branch) -> Result<(), FillFault> {
        let body = self.tokens(&[job::body_text(&branch)]);
        let job = &self.jobs[at];
        let (own, lang) = (job.sequences[0], job.order.lang);
        let (same, tail) = job::canonical(&branch.written, &body);
        let tail_at = job.body_at + same as i32;
        self.clear(own, tail_at);
        if branch.section == FIRST {
            self.jobs[at].scores = self.score(at, &tail, tail_at)?;
        }
        let together = self.branching == Branching::CausesFirst;
        let job = &mut self.jobs[at];
        if job.to_come.is_empty() {
            self.clear(own, 0); // it was closed for the questions alone
            return Ok(());
        }
        let sections: Vec<Section> = if together {
            std::mem::take(&mut job.to_come)
        } else {
            job.to_come.drain(..1.min(job.to_come.len())).collect()
        };
        job.closed += (branch.header + body.len()) as u32;
        let sequences: Vec<i32> = if together { job.sequences[1..].to_vec() } else { vec![own] };
        let next_at = tail_at + tail.len() as i32;
        job.shared_at = tail_at;
        job.shared = tail;
        let mut branches = Vec::new();
        for (section, sequence) in sections.into_iter().zip(sequences) {
            if sequence != own {
                self.copy(own, sequence)?;
            }
            branches.push(self.branch(section, sequence, next_at, lang));
        }
        let job = &mut self.jobs[at];
        job.body_at = next_at + branches.first().map_or(0, |b| b.header as i32);
        job.branches.extend(branches);
        Ok(())
    }

    /// The options of a form's questions by their probability: each question in one pass, each option in a sequence.
    fn score(&mut self, at: usize, tail: &[LlamaToken], tail_at: i32) -> Result<Vec<Score>, FillFault> {
        let job = &self.jobs[at];
        let (own, lang) = (job.sequences[0], job.order.lang);
        let questions = job.order.questions.clone();
        let mut scores = Vec::new();
        for question in questions {
            let (header, options) = prompt::question(&question, lang);
            let mut given = tail.to_vec();
            given.extend(self.tokens(&[header]));
            let options: Vec<(String, Vec<LlamaToken>)> = options
                .into_iter()
                .take(self.spare.len())
                .map(|(name, text)| (name, self.tokens(&[text])))
                .filter(|(_, tokens)| !tokens.is_empty())
                .collect();
            let total = given.len() + options.iter().map(|(_, tokens)| tokens.len()).sum::<usize>();
            if options.len() < 2 || given.is_empty() || total > self.chunk.min(CELLS_QUESTION as usize) {
                continue; // nothing to choose, or too much for one pass: no score is better than half of one
            }
            let spare: Vec<i32> = self.spare[..options.len()].to_vec();
            let scored = self.score_one(own, &spare, &given, tail_at, &options);
            spare.iter().for_each(|sequence| self.clear(*sequence, 0));
            let logprobs = scored?;
            let max = logprobs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f32 = logprobs.iter().map(|logprob| (logprob - max).exp()).sum();
            let options =
                options.into_iter().zip(logprobs).map(|((name, _), logprob)| (name, (logprob - max).exp() / sum));
            scores.push(Score { question, options: options.collect() });
        }
        Ok(scores)
    }

    /// The log-probability of each option's text, whole.
    fn score_one(
        &mut self,
        own: i32,
        spare: &[i32],
        given: &[LlamaToken],
        given_at: i32,
        options: &[(String, Vec<LlamaToken>)],
    ) -> Result<Vec<f32>, FillFault> {
        spare.iter().try_for_each(|sequence| self.copy(own, *sequence))?;
        self.batch.clear();
        for (i, token) in given.iter().enumerate() {
            let last = i + 1 == given.len();
            self.batch.add(*token, given_at + i as i32, spare, last).map_err(|_| FillFault::Decode)?;
        }
        let first_row = self.batch.n_tokens() - 1;
        let option_at = given_at + given.len() as i32;
        let mut rows = Vec::new();
        for ((_, tokens), sequence) in options.iter().zip(spare) {
            rows.push(self.batch.n_tokens());
            for (i, token) in tokens.iter().enumerate() {
                let needed = i + 1 < tokens.len(); // the last token predicts nothing that is asked
                self.batch.add(*token, option_at + i as i32, &[*sequence], needed).map_err(|_| FillFault::Decode)?;
            }
        }
        self.context.decode(&mut self.batch).map_err(|_| FillFault::Decode)?;
        let logprob = |row: i32, token: LlamaToken| {
            logits::logprob(self.context.get_logits_ith(row), token).ok_or(FillFault::NotFinite)
        };
        let score = |((_, tokens), row): (&(String, Vec<LlamaToken>), &i32)| {
            let before = std::iter::once(first_row).chain(*row..);
            before.zip(tokens).try_fold(0.0, |sum, (row, token)| Ok(sum + logprob(row, *token)?))
        };
        options.iter().zip(&rows).map(score).collect()
    }

    /// Reports forms that have nothing left to write.
    fn finish(&mut self, tell: &mut dyn FnMut(Report)) {
        while let Some(at) = self.jobs.iter().position(Job::ended) {
            let mut job = self.jobs.swap_remove(at);
            self.release(std::mem::take(&mut job.sequences));
            job.stats.write_ms = job.age_ms().saturating_sub(job.stats.read_ms);
            tell(Report::Filled { job: job.order.job, stats: job.stats, scores: job.scores });
        }
    }

    /// The case's tokens, cut at the end of its text where the context would not hold it: marks stay.
    fn case_tokens(&self, order: &FillOrder) -> (Vec<LlamaToken>, bool) {
        let segments = prompt::case(self.format, &order.case, order.lang);
        let (text, rest) = segments.split_first().expect("a case begins with its text");
        let rest = &rest[..rest.len() - 1]; // the first header is fed with the section
        let mut tokens = self.tokens(std::slice::from_ref(text));
        let rest = self.tokens(rest);
        let parked = CELLS_PARKED * 2 * self.groups.len() as u32;
        let taken = (CELLS_FORM + CELLS_QUESTION + parked) as usize + rest.len();
        let room = (self.cells as usize).saturating_sub(taken);
        let cut = tokens.len() > room;
        tokens.truncate(room);
        tokens.extend(rest);
        (tokens, cut)
    }

    fn branch(&self, section: Section, sequence: i32, position: i32, lang: Lang) -> Branch {
        Branch::new(section, sequence, position, self.tokens(&[prompt::section_header(section, lang)]))
    }

    fn tokens(&self, segments: &[Segment]) -> Vec<LlamaToken> {
        segments.iter().flat_map(|segment| tokens(self.model, segment)).collect()
    }

    fn copy(&mut self, from: i32, to: i32) -> Result<(), FillFault> {
        self.context.copy_kv_cache_seq(from, to, None, None).map_err(|_| FillFault::Decode)
    }

    /// Removes a sequence's cells from a position on. The only error is a number that is none, and ours are.
    fn clear(&mut self, sequence: i32, from: i32) {
        let _ = self.context.clear_kv_cache_seq(u32::try_from(sequence).ok(), u32::try_from(from).ok(), None);
    }
}

/// Of every context.
pub(super) fn params(order: &LlamaOrder, cells: u32, chunk: u32, sequences: u32) -> LlamaContextParams {
    let threads = i32::try_from(order.threads).unwrap_or(1).max(1);
    LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(cells))
        .with_n_batch(chunk)
        .with_n_ubatch(chunk)
        .with_n_seq_max(sequences)
        .with_n_threads(threads)
        .with_n_threads_batch(threads)
        // Without a unified cache a partial copy between sequences ends the process.
        .with_kv_unified(true)
        // A sliding window that forgets could not be rolled back to the case.
        .with_swa_full(true)
}

/// Segment by segment, as in training.
pub(super) fn tokens(model: &LlamaModel, segment: &Segment) -> Vec<LlamaToken> {
    if segment.text.is_empty() {
        return Vec::new();
    }
    model.vocab().tokenize(segment.text.as_bytes(), false, segment.special)
}

/// Whether a step of a flow is for this form too.
fn serves(flow: Flow, job: &Job) -> bool {
    job.group == flow.group && job.order.class <= flow.class
}

/// Up to how many tokens a step is filled with what is to be read, when so many are written.
fn read_until(written: usize, chunk: usize, on_gpu: bool) -> usize {
    // On a CPU a token costs the same in a short step as in a long one, and an urgent case waits for a whole step.
    let short = if on_gpu { chunk } else { READ_CPU };
    // However many write, somebody's header must get on.
    short.max(written + READ_MIN).min(chunk)
}

/// Where two or three rows cost more together than one by one: the branch that has written least, to go alone.
fn one_of_few(theirs: &[(usize, &mut Job)]) -> Option<(usize, usize)> {
    let writers = theirs.iter().flat_map(|(at, job)| {
        let of_job = job.branches.iter().enumerate().filter(|(_, branch)| branch.writes());
        of_job.map(|(nth, branch)| (branch.written.len(), (*at, nth)))
    });
    let writers: Vec<(usize, (usize, usize))> = writers.collect();
    let (_, first) = writers.iter().min()?;
    (writers.len() <= 3).then_some(*first)
}

/// Whose logits stand in which row of a step.
struct Row {
    job: usize,
    branch: usize,
    row: i32,
}
