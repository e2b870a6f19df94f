//! The engine of the tests. It says so in its lines, and the daemon says so in every answer.

use crate::{
    protocol::*,
    worker::{Desk, Engine},
};
use contract::{ids::Lang, reply::Section};
use std::time::{Duration, Instant};

pub(crate) struct Scripted {
    script: Script,
}

impl Scripted {
    pub(crate) fn new(script: Script) -> Self {
        Self { script }
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
    fn fill(&mut self, order: &FillOrder, desk: &mut dyn Desk) -> Result<FillStats, FillFault> {
        let told = |word: &Option<String>| word.as_ref().is_some_and(|w| order.case.complaint.text.contains(w));
        if told(&self.script.crash_on) {
            std::process::abort();
        }
        while told(&self.script.hang_on) {
            std::thread::sleep(Duration::from_secs(1));
        }
        let mut written = 0;
        for section in Section::ALL {
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(self.script.delay_ms_per_section) {
                desk.step()?;
                std::thread::sleep(Duration::from_millis(5));
            }
            let lines = self.lines(section, order.lang);
            written += lines.len() as u32;
            desk.section(section, lines.into_iter().map(|text| WrittenLine { text, logprob: 0.0 }).collect());
        }
        Ok(FillStats { tokens_written: written, ..FillStats::default() })
    }
}
