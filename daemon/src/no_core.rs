//! No core files. A core holds what the process held, and these hold patients' cases: it would lie in a working folder
//! or with a crash reporter that sends it to a maker, long after the case is masked, answered and deleted.
//!
//! | the kernel gives a core to… | and does not | |
//! |---|---|---|
//! | a file | where the limit is 0 | everywhere; also for what the process starts |
//! | a program or socket (`core_pattern` begins with a pipe or `@`) | where the process is not dumpable | Linux |
//!
//! The limit alone is not enough: for a program the kernel does not ask it. systemd-coredump asks it by itself,
//! Ubuntu's apport keeps the core of a packaged program all the same. (It does ask for a limit of exactly 1, its own guard against
//! handlers that crash; but a hard limit of 0, as in our unit, cannot be raised to 1.)
//!
//! The price: `/proc/<pid>/fd`, `smaps` and the like are root's alone, and only root attaches a debugger. For this
//! program that is as it should be. Its user's other processes have no business in its memory.

use rustix::process::{Resource, Rlimit, setrlimit};
use std::io::Write;

/// First in every command: `ask` and `export` hold cases too. A worker needs it for itself, since a program that is
/// started anew is dumpable again.
pub fn from_now_on() {
    let nothing = Rlimit { current: Some(0), maximum: Some(0) };
    if setrlimit(Resource::Core, nothing).is_err() {
        let _ =
            writeln!(std::io::stderr(), "cannot forbid core files: a crash could leave patients' cases on the disk");
    }
    #[cfg(target_os = "linux")]
    if rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).is_err() {
        let _ = writeln!(
            std::io::stderr(),
            "cannot forbid core dumps: a crash could give patients' cases to a crash reporter"
        );
    }
}

#[cfg(test)]
mod tests {
    /// What a running daemon and worker show of it is looked at in `tests/canary.rs`.
    #[test]
    #[cfg(target_os = "linux")]
    fn from_now_on_this_process_gives_a_core_to_nobody() {
        use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};
        super::from_now_on();
        let limit = getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
        assert!(matches!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable)));
    }
}
