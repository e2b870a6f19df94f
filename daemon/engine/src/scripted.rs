//! The engine of the tests. It says so in its lines, and the daemon says so in every answer.

use crate::{protocol::*, worker::Engine};
use contract::{
    ids::{Lang, RequestId},
    reply::Section,
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

pub(crate) struct Scripted {
    script: Script,
    /// The first of them is at work.
    jobs: VecDeque<Job>,
}

struct Job {
    order: FillOrder,
    /// Sections that are handed over.
    sections: usize,
    written: u32,
    /// When the section now at work was begun.
    began: Option<Instant>,
}

impl Scripted {
    pub(crate) fn new(script: Script) -> Self {
        Self { script, jobs: VecDeque::new() }
    }

    fn lines(&self, section: Section, lang: Lang) -> Vec<String> {
        if let Some(lines) = &self.script.lines {
            return lines.clone();
        }
        let line = match (lang, section) {
            (Lang::Zh, Section::PossibleCauses) => "测试病名：脚本引擎，不是意见",
            (Lang::Zh, Section::CannotExclude) => "测试疾病：脚本引擎；请忽略",
            (Lang::Zh, Section::SuggestedChecks) => "测试检查：脚本引擎",
            (Lang::Zh, Section::MedicationCautions) => "测试药物：脚本引擎；请忽略",
            (Lang::Zh, Section::MissingInformation) => "测试问题：脚本引擎",
            (Lang::En, Section::PossibleCauses) => "Test disease: scripted engine, no opinion",
            (Lang::En, Section::CannotExclude) => "Test disease two: scripted engine; ignore",
            (Lang::En, Section::SuggestedChecks) => "Test check: scripted engine",
            (Lang::En, Section::MedicationCautions) => "Test drug: scripted engine; ignore",
            (Lang::En, Section::MissingInformation) => "Test question: scripted engine",
        };
        vec![line.to_owned()]
    }
}

impl Engine for Scripted {
    fn begin(&mut self, order: FillOrder) {
        self.jobs.push_back(Job { order, sections: 0, written: 0, began: None });
    }

    fn cancel(&mut self, id: RequestId, tell: &mut dyn FnMut(Report)) {
        let before = self.jobs.len();
        self.jobs.retain(|job| job.order.job != id);
        if self.jobs.len() < before {
            tell(Report::Failed { job: id, fault: FillFault::Cancelled });
        }
    }

    /// It has no opinion on texts.
    fn weigh(&mut self, order: WeighOrder, tell: &mut dyn FnMut(Report)) {
        tell(Report::Failed { job: order.job, fault: FillFault::NoAdapter });
    }

    fn idle(&self) -> bool {
        self.jobs.is_empty()
    }

    fn step(&mut self, tell: &mut dyn FnMut(Report)) {
        let Some(job) = self.jobs.front_mut() else { return };
        let told = |word: &Option<String>| word.as_ref().is_some_and(|w| job.order.case.complaint.text.contains(w));
        if told(&self.script.crash_on) {
            std::process::abort();
        }
        while told(&self.script.hang_on) {
            std::thread::sleep(Duration::from_secs(1));
        }
        let began = *job.began.get_or_insert_with(Instant::now);
        if began.elapsed() < Duration::from_millis(self.script.delay_ms_per_section) {
            std::thread::sleep(Duration::from_millis(5));
            return;
        }
        let (section, lang) = (Section::ALL[job.sections], job.order.lang);
        let lines = self.lines(section, lang);
        let Some(job) = self.jobs.front_mut() else { return };
        job.began = None;
        job.sections += 1;
        job.written += lines.len() as u32;
        let id = job.order.job;
        let lines = lines.into_iter().map(|text| WrittenLine { text, logprob: 0.0 }).collect();
        tell(Report::Section { job: id, section, lines, complete: true });
        if job.sections == Section::ALL.len() {
            let stats = FillStats { tokens_written: job.written, ..FillStats::default() };
            self.jobs.pop_front();
            tell(Report::Filled { job: id, stats, scores: Vec::new() });
        }
    }
}
