//! Where log lines go: to the journal under systemd, to stderr elsewhere. Key and value, one line per fact,
//! and never a word of a patient's.

use tracing_subscriber::EnvFilter;

/// To be called once, at the start of a process.
pub fn start() {
    #[cfg(target_os = "linux")]
    if systemd_journal_logger::connected_to_journal() && to_journal() {
        return;
    }
    let filter = EnvFilter::try_from_env("CONSULTD_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
}

/// Without a subscriber of its own, `tracing` hands its events to `log`, whose logger is the journal's.
#[cfg(target_os = "linux")]
fn to_journal() -> bool {
    let Ok(journal) = systemd_journal_logger::JournalLog::new() else { return false };
    let installed = journal.with_syslog_identifier("consultd".to_owned()).install().is_ok();
    if installed {
        log::set_max_level(log::LevelFilter::Info);
    }
    installed
}
