//! Where log lines go: to the journal under systemd, to stderr elsewhere. Key and value, one line per fact,
//! and never a word of a patient's.
//!
//! ```text
//! whoever has a line ──try──▶ queue ──▶ a thread that may block ──▶ stderr or journal
//!                      └─full: counted, and lost
//! ```
//! A reader that is gone, slow or full takes lines from the log, and nothing from a doctor.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvError, SyncSender, TryRecvError, sync_channel},
    },
    time::{Duration, Instant},
};
use tracing_subscriber::EnvFilter;

/// Some 200 bytes each, so less than 1 MiB as a rule.
const LINES_MAX: usize = 4096;
/// For the last lines, at the end of the process.
const FAREWELL: Duration = Duration::from_secs(1);

/// Writes one line, wherever lines go.
type Line = Box<dyn FnOnce() + Send>;

#[derive(Clone)]
struct Queue {
    lines: SyncSender<Line>,
    lost: Arc<AtomicU64>,
}

/// While it lives, lines are written; it goes when they are, or when nobody takes them.
pub struct Trace(Queue);

/// To be called once, at the start of a process.
pub fn start() -> Trace {
    let queue = Queue::begin();
    #[cfg(target_os = "linux")]
    if systemd_journal_logger::connected_to_journal() && journal::install(queue.clone()) {
        return Trace(queue);
    }
    let filter = EnvFilter::try_from_env("CONSULTD_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = io::IsTerminal::is_terminal(&io::stderr());
    let stderr = queue.clone();
    let writer = move || ToStderr(stderr.clone());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(colours).init();
    Trace(queue)
}

impl Queue {
    fn begin() -> Self {
        let (lines, waiting) = sync_channel(LINES_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = lost.clone();
        std::thread::spawn(move || write_all(&waiting, &counted));
        Self { lines, lost }
    }

    fn put(&self, line: Line) {
        if self.lines.try_send(line).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn write_all(waiting: &Receiver<Line>, lost: &AtomicU64) {
    loop {
        let next = waiting.try_recv().or_else(|why| match why {
            TryRecvError::Disconnected => Err(RecvError),
            TryRecvError::Empty => {
                match lost.swap(0, Ordering::Relaxed) {
                    0 => {}
                    lost => tracing::warn!(lost, "nobody took the log's lines for a while"),
                }
                waiting.recv()
            }
        });
        let Ok(line) = next else { return };
        line();
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let began = Instant::now();
        let (tell, told) = sync_channel(1);
        let mut last: Line = Box::new(move || {
            let _ = tell.send(());
        });
        while let Err(std::sync::mpsc::TrySendError::Full(again)) = self.0.lines.try_send(last) {
            if began.elapsed() >= FAREWELL {
                return;
            }
            last = again;
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = told.recv_timeout(FAREWELL);
    }
}

/// A line is one call of `write`.
struct ToStderr(Queue);

impl Write for ToStderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let bytes = line.to_vec();
        self.0.put(Box::new(move || {
            let _ = io::stderr().write_all(&bytes); // nobody is left to hear of it
        }));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Without a subscriber of its own, `tracing` hands its events to `log`, whose logger is the journal's.
#[cfg(target_os = "linux")]
mod journal {
    use super::{Arc, Queue};
    use log::{LevelFilter, Log, Metadata, Record};
    use systemd_journal_logger::JournalLog;

    struct ToJournal {
        queue: Queue,
        journal: Arc<JournalLog>,
    }

    pub fn install(queue: Queue) -> bool {
        let Ok(journal) = JournalLog::new() else { return false };
        let journal = Arc::new(journal.with_syslog_identifier("consultd".to_owned()));
        let installed = log::set_boxed_logger(Box::new(ToJournal { queue, journal })).is_ok();
        if installed {
            log::set_max_level(LevelFilter::Info);
        }
        installed
    }

    impl Log for ToJournal {
        fn enabled(&self, metadata: &Metadata) -> bool {
            self.journal.enabled(metadata)
        }

        fn log(&self, record: &Record) {
            let journal = self.journal.clone();
            let (level, line) = (record.level(), record.line());
            let (target, text) = (record.target().to_owned(), record.args().to_string());
            let [module, file] = [record.module_path(), record.file()].map(|it| it.map(str::to_owned));
            self.queue.put(Box::new(move || {
                let mut again = Record::builder();
                again.level(level).line(line).target(&target).module_path(module.as_deref()).file(file.as_deref());
                journal.log(&again.args(format_args!("{text}")).build());
            }));
        }

        fn flush(&self) {}
    }
}
