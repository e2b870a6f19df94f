//! P9: what a patient says is in the store and in what the box says to that tablet, and nowhere else. The real binary and
//! broker with the scripted engine.

mod common;

use common::*;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// As a developer or launchd starts it: with a limit that allows cores, which goes into the file `limit`.
fn start_with_cores_allowed(clinic: &mut Clinic, folder: &Path) {
    let log = fs::OpenOptions::new().append(true).create(true).open(clinic.log()).expect("a log file");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -S -c $(ulimit -H -c); ulimit -c >limit; exec \"$1\" run --config \"$2\"", "sh"]);
    command.arg(env!("CARGO_BIN_EXE_consultd")).arg(&clinic.settings);
    clinic.daemon = Some(Running::start(command.current_dir(folder).stderr(log).stdin(Stdio::null())));
}

fn core_limit(pid: u32) -> Vec<String> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("a process");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).expect("the kernel's line");
    line.split_whitespace().take(2).map(str::to_owned).collect()
}

#[test]
#[cfg(target_os = "linux")]
fn a_daemon_and_a_worker_that_crash_leave_no_core_behind() {
    use std::os::{linux::fs::MetadataExt, unix::process::ExitStatusExt};
    let mut clinic = Clinic::scripted("{ delay_ms_per_section = 60000 }", "");
    clinic.kill_daemon();
    let here = tempfile::tempdir().expect("a working folder");
    start_with_cores_allowed(&mut clinic, here.path());
    let tablet = clinic.ready();
    let request = consult("咳嗽");
    tablet.ask(&request);
    tablet.expect("accepted", &request);
    clinic.wait_for_status("degraded");
    let allowed = fs::read_to_string(here.path().join("limit")).expect("what the shell was given");
    if allowed.trim() == "0" {
        println!("no cores are allowed here, whoever starts it: not tried that the daemon gives them up");
    }
    let (daemon, worker) = (clinic.daemon_pid(), clinic.worker_pid().expect("a worker"));
    assert_eq!(core_limit(daemon), ["0", "0"], "the daemon's");
    assert_eq!(core_limit(worker), ["0", "0"], "the worker's");
    // What is not dumpable is root's. To root itself it looks like everything else.
    if !rustix::process::geteuid().is_root() {
        for pid in [daemon, worker] {
            let owner = fs::metadata(format!("/proc/{pid}/environ")).expect("a process").st_uid();
            assert_eq!(
                owner, 0,
                "{pid} is dumpable: where the kernel gives cores to a program, it does not ask for the limit"
            );
        }
    }
    for pid in [worker, daemon] {
        let pid = Pid::from_raw(pid as i32).expect("a process number");
        kill_process(pid, Signal::ABORT).expect("it can be signalled");
    }
    let end = clinic.daemon.take().expect("a daemon").0.wait().expect("it ends");
    assert_eq!((end.signal(), end.core_dumped()), (Some(6), false), "to whomever it was given");
    wait_for_its_end(worker);
    let left: Vec<_> = fs::read_dir(here.path()).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["limit"], "left by a crash");
}

/// A dump is written before its process is gone.
fn wait_for_its_end(pid: u32) {
    let began = Instant::now();
    while fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(began.elapsed() < PATIENCE, "{pid} does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}
