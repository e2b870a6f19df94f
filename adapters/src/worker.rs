//! `consultd worker` as the adapter tools use it: the box's own engine, in a process of its own, one question at a time.

use crate::render::Asked;
use contract::{
    ids::{Department, RequestId},
    reply::Section,
};
use engine::{frame, protocol::*};
use std::{
    collections::BTreeMap,
    io::{BufReader, BufWriter, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

pub struct Worker {
    child: Child,
    stdin: BufWriter<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

/// A form as it was filled.
pub struct Filled {
    pub sections: BTreeMap<Section, Vec<String>>,
    pub stats: FillStats,
}

impl Worker {
    /// Loads model and adapters. `log`: where llama.cpp and the worker say what they do; without it, nowhere.
    pub fn open(program: &Path, order: LlamaOrder) -> Result<Self, String> {
        let fault = |e: &dyn std::error::Error| format!("{} worker: {e}", program.display());
        let mut child = Command::new(program)
            .arg("worker")
            .envs(engine::WORKER_ENVIRONMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| fault(&e))?;
        let stdin = BufWriter::new(child.stdin.take().expect("was piped"));
        let stdout = BufReader::new(child.stdout.take().expect("was piped"));
        let mut worker = Self { child, stdin, stdout };
        worker.say(&Order::Open(OpenOrder::Llama(order)))?;
        match worker.hear()? {
            Report::Ready(ready) => match ready.refused.first() {
                Some(refused) => Err(format!("the engine does not take the adapter: {}", refused.reason)),
                None => Ok(worker),
            },
            Report::Unfit { reason, .. } => Err(format!("the engine cannot work: {reason}")),
            other => Err(format!("the engine said {other:?} before it was ready")),
        }
    }

    pub fn weigh(&mut self, department: &Department, asked: Asked, only_count: bool) -> Result<Vec<Weight>, String> {
        let job = RequestId(uuid::Uuid::new_v4());
        let Asked { shared, options } = asked;
        self.say(&Order::Weigh(Box::new(WeighOrder {
            job,
            department: department.clone(),
            shared,
            options,
            only_count,
        })))?;
        loop {
            match self.hear()? {
                Report::Weighed { options, .. } => return Ok(options),
                Report::Failed { fault, .. } => return Err(format!("the engine: {fault}")),
                _ => {}
            }
        }
    }

    pub fn fill(&mut self, order: FillOrder) -> Result<Filled, String> {
        self.say(&Order::Fill(Box::new(order)))?;
        let mut sections = BTreeMap::new();
        loop {
            match self.hear()? {
                Report::Section { section, lines, .. } => {
                    sections.insert(section, lines.into_iter().map(|line| line.text).collect());
                }
                Report::Filled { stats, .. } => return Ok(Filled { sections, stats }),
                Report::Failed { fault, .. } => return Err(format!("the engine: {fault}")),
                _ => {}
            }
        }
    }

    fn say(&mut self, order: &Order) -> Result<(), String> {
        let said = frame::write(&mut self.stdin, order).map_err(|e| engine::chain(&e));
        said.and_then(|()| self.stdin.flush().map_err(|e| e.to_string()))
            .map_err(|e| format!("the engine is gone: {e}"))
    }

    fn hear(&mut self) -> Result<Report, String> {
        match frame::read(&mut self.stdout) {
            Ok(Some(report)) => Ok(report),
            Ok(None) => Err("the engine ended (CONSULTD_LLAMA_LOG=1 consultd worker says more)".to_owned()),
            Err(fault) => Err(format!("the engine: {}", engine::chain(&fault))),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
