//! Runs `consultd batch` over the requests.
//!
//! ```text
//! requests ─ feeding thread ─▶ stdin  ┐
//!                                      ├ consultd batch
//! messages ◀─ this thread ─── stdout  ┘      stderr ─▶ ours, or a file
//! ```
//! Two threads, because either pipe may be full. The box reads no further than it can serve, so that no deadline passes in
//! a queue; the feeding thread simply waits for it.

use super::message::{Message, Schemas};
use contract::request::Consult;
use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
};

pub struct Batch<'a> {
    pub program: PathBuf,
    pub config: &'a Path,
    /// Where the box's log goes; without it, where ours does.
    pub log: Option<&'a Path>,
    /// See `consultd batch --help`.
    pub ask_department: bool,
}

impl Batch<'_> {
    /// Each message as it comes, and the line it was. Returns how the box ended.
    pub fn run(
        &self,
        consults: &[&Consult],
        schemas: &Schemas,
        mut hear: impl FnMut(&str, Message) -> Result<(), String>,
    ) -> Result<ExitStatus, String> {
        let fault = |e: std::io::Error| format!("{}: {e}", self.program.display());
        let mut command = Command::new(&self.program);
        command.arg("batch").arg("--config").arg(self.config).stdin(Stdio::piped()).stdout(Stdio::piped());
        if self.ask_department {
            command.arg("--ask-department");
        }
        if let Some(log) = self.log {
            command.stderr(File::create(log).map_err(|e| format!("{}: {e}", log.display()))?);
        }
        let requests = consults.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>();
        let requests = requests.map_err(|e| e.to_string())?;
        let mut child = command.spawn().map_err(fault)?;
        let mut stdin = child.stdin.take().expect("was piped");
        let stdout = BufReader::new(child.stdout.take().expect("was piped"));

        let heard = thread::scope(|scope| {
            scope.spawn(move || {
                // A box that is gone is seen by what it does not say.
                let _ = requests.iter().try_for_each(|request| writeln!(stdin, "{request}"));
                drop(stdin); // the box ends when it has answered all
            });
            let heard = stdout.lines().try_for_each(|line| {
                let line = line.map_err(fault)?;
                hear(&line, Message::read(&line, schemas))
            });
            if heard.is_err() {
                let _ = child.kill(); // nobody listens to it any more, and the feeder must not wait for it
            }
            heard
        });
        let ended = child.wait().map_err(fault)?;
        heard.map(|()| ended)
    }
}

/// `consultd` beside this program, else wherever PATH has it.
pub fn default_program() -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join("consultd")));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from("consultd"))
}
