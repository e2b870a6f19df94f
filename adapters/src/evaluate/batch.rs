//! Runs `consultd batch` over the requests.
//!
//! ```text
//! requests ─ feeding thread ─▶ stdin  ┐
//!                ▲ a seat             ├ consultd batch
//! messages ◀─ this thread ─── stdout  ┘      stderr ─▶ ours, or a file
//! ```
//! Two threads, because either pipe may be full. At most `seats` requests are open: a box has a queue with an end, and a
//! request's deadline runs while it waits in it. A request that is lost gives its seat back after its deadline.

use super::{
    exam::Exam,
    message::{Message, Schemas},
};
use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::{Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
};

pub struct Batch<'a> {
    pub program: PathBuf,
    pub config: &'a Path,
    /// Where the box's log goes; without it, where ours does.
    pub log: Option<&'a Path>,
    pub seats: usize,
    pub deadline_s: u32,
}

/// Beyond its deadline: the box answers at the deadline itself.
const GRACE_S: u32 = 30;

impl Batch<'_> {
    /// Each message as it comes, and the line it was. Returns how the box ended.
    pub fn run(
        &self,
        exams: &[Exam],
        schemas: &Schemas,
        mut hear: impl FnMut(&str, Message) -> Result<(), String>,
    ) -> Result<ExitStatus, String> {
        let fault = |e: std::io::Error| format!("{}: {e}", self.program.display());
        let mut command = Command::new(&self.program);
        command.arg("batch").arg("--config").arg(self.config).stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(log) = self.log {
            command.stderr(File::create(log).map_err(|e| format!("{}: {e}", log.display()))?);
        }
        let requests = exams.iter().map(|exam| serde_json::to_string(&exam.consult)).collect::<Result<Vec<_>, _>>();
        let requests = requests.map_err(|e| e.to_string())?;
        let mut child = command.spawn().map_err(fault)?;
        let mut stdin = child.stdin.take().expect("was piped");
        let stdout = BufReader::new(child.stdout.take().expect("was piped"));
        let seats = Seats::new(self.seats);
        let patience = Duration::from_secs(u64::from(self.deadline_s + GRACE_S));

        let heard = thread::scope(|scope| {
            let feeder = scope.spawn(|| {
                for request in requests {
                    // A box that is gone is seen by what it does not say.
                    if !seats.take(patience) || writeln!(stdin, "{request}").and_then(|()| stdin.flush()).is_err() {
                        break;
                    }
                }
                drop(stdin); // the box ends when it has answered all
            });
            let heard = stdout.lines().try_for_each(|line| {
                let line = line.map_err(fault)?;
                let message = Message::read(&line, schemas);
                if message.ends() {
                    seats.give();
                }
                hear(&line, message)
            });
            seats.close();
            feeder.join().expect("it has nothing to panic about");
            heard
        });
        if heard.is_err() {
            let _ = child.kill(); // nobody listens to it any more
        }
        let ended = child.wait().map_err(fault)?;
        heard.map(|()| ended)
    }
}

/// Free places for requests; `None` when nobody is to take one any more.
struct Seats {
    free: Mutex<Option<usize>>,
    changed: Condvar,
}

impl Seats {
    fn new(free: usize) -> Self {
        Self { free: Mutex::new(Some(free)), changed: Condvar::new() }
    }

    /// Waits for a place, and no longer than `patience`. `false`: there will be none.
    fn take(&self, patience: Duration) -> bool {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut free, _) = self
            .changed
            .wait_timeout_while(free, patience, |free| *free == Some(0))
            .unwrap_or_else(PoisonError::into_inner);
        *free = free.map(|places| places.saturating_sub(1));
        free.is_some()
    }

    fn give(&self) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        *free = free.map(|places| places + 1);
        self.changed.notify_one();
    }

    fn close(&self) {
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.changed.notify_one();
    }
}

/// `consultd` beside this program, else wherever PATH has it.
pub fn default_program() -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join("consultd")));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from("consultd"))
}
