//! Texts that a length limit would cut, by the engine's own tokenizer: what is cut off is the end, and the end is what
//! the doctor wrote last.

use super::{Finding, Kind};
use crate::{
    dataset::{Dataset, Line},
    gate::{EngineArgs, sha256},
    render::{Asked, Renderer},
    worker::Worker,
};
use contract::ids::Department;
use engine::protocol::LlamaOrder;
use std::path::Path;

pub struct Lengths {
    /// Tokens.
    pub longest: u32,
    pub findings: Vec<Finding>,
}

impl Lengths {
    pub fn told(&self) -> String {
        self.findings.iter().map(|finding| format!("  {}\n", finding.text)).collect()
    }
}

pub fn of(
    set: &Dataset,
    lines: &[&Line],
    renderer: &Renderer,
    base_model: &Path,
    engine: &EngineArgs,
    tokens_max: u32,
) -> Result<Lengths, String> {
    let nobody = Department::new("count").expect("a code");
    let order =
        LlamaOrder { bare: vec![nobody.clone()], ..engine.order(base_model, &sha256(base_model)?, renderer.format) };
    let mut worker = Worker::open(&engine.program(), order)?;
    let mut lengths = Lengths { longest: 0, findings: Vec::new() };
    for line in lines {
        let mut tokens = 0;
        for row in renderer.rows(&line.lesson, true)? {
            for mut text in [Some(row.segments), row.rejected].into_iter().flatten() {
                let shared = vec![text.remove(0).segment];
                let counted = worker.weigh(&nobody, Asked { shared, options: vec![text] }, true)?;
                tokens = tokens.max(counted[0].tokens_read);
            }
        }
        lengths.longest = lengths.longest.max(tokens);
        if tokens > tokens_max {
            let text = format!("{}: {tokens} tokens of at most {tokens_max}", set.at(line.place));
            lengths.findings.push(Finding::fault(Some(line.place), Kind::TooLong, text));
        }
    }
    Ok(lengths)
}
