//! Many requests through the real binary and broker with the scripted engine.
//!
//! | run | what |
//! |---|---|
//! | `make test` | 10,000 requests from 20 tablets: the daemon's memory and files stay flat |
//! | `make bench-intake` | how long `accepted` takes with 20 tablets, against one sync of the same disk and the broker's own echo in the same minute; then the same on a disk whose syncs take as long as those of a box |
//! | `make bench-alert` | how long an alert takes, to an idle box and to one whose queue is full and whose engine works; `MODEL=1` with llama.cpp |

mod common;

use common::*;
use serde_json::json;
use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const TABLETS: usize = 20;
/// The tablets must not meet the queue's limits here; that is the affair of other tests.
const ROOM: &str = "[queue]\nqueue_max = 10000\ntablet_max = 10000\nper_minute_max = 60000\n";

/// Asks `count` times, one after another, and confirms the answers as they come. How long each `accepted` took.
fn day(tablet: &Tablet, count: usize) -> Vec<Duration> {
    let mut accepted = Vec::with_capacity(count);
    let mut answered = 0;
    for _ in 0..count {
        let request = consult("咳嗽三天，没有发热");
        let began = Instant::now();
        tablet.ask(&request);
        loop {
            let message = tablet.next(PATIENCE).unwrap_or_else(|| panic!("nothing after {answered} answers"));
            answered += usize::from(confirm(tablet, &message));
            if message["type"] == "accepted" && message["id"] == request["id"] {
                accepted.push(began.elapsed());
                break;
            }
        }
    }
    while answered < count {
        let message = tablet.next(PATIENCE).unwrap_or_else(|| panic!("{answered} of {count} answers"));
        answered += usize::from(confirm(tablet, &message));
    }
    accepted
}

fn confirm(tablet: &Tablet, message: &serde_json::Value) -> bool {
    assert_ne!(message["type"], "error", "{message:#}");
    let answer = message["type"] == "answer";
    if answer {
        tablet.receipt(&json!({"id": message["id"]}));
    }
    answer
}

/// All tablets at once; the times of all `accepted`.
fn days(tablets: &mut [Tablet], count: usize) -> Vec<Duration> {
    std::thread::scope(|scope| {
        let running: Vec<_> = tablets.iter_mut().map(|tablet| scope.spawn(move || day(tablet, count))).collect();
        running.into_iter().flat_map(|run| run.join().expect("a tablet's day ends well")).collect()
    })
}

fn village(clinic: &Clinic) -> Vec<Tablet> {
    drop(clinic.ready());
    (0..TABLETS).map(|n| Tablet::new(clinic, &format!("tablet-{n}"))).collect()
}

/// What belongs to the process and to nobody else, and its open files. None but root may know: it is not dumpable.
fn size(pid: u32) -> Option<(u64, usize)> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let of = |name: &str| {
        let line = rollup.lines().find(|line| line.starts_with(name)).expect("a line of the kernel's");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number")
    };
    let files = fs::read_dir(format!("/proc/{pid}/fd")).expect("a running daemon").count();
    Some((of("Private_Clean:") + of("Private_Dirty:"), files))
}

#[test]
#[cfg(target_os = "linux")]
fn ten_thousand_requests_leave_the_daemon_as_large_as_it_was() {
    let clinic = Clinic::scripted("{}", ROOM);
    let mut tablets = village(&clinic);
    let pid = clinic.daemon_pid();
    // Caches fill: SQLite's pages, the allocator's arenas, a queue as long as it gets here.
    (0..10).for_each(|_| drop(days(&mut tablets, 260 / TABLETS)));
    let Some((kib, files)) = size(pid) else {
        assert!(!rustix::process::geteuid().is_root(), "a running daemon");
        return println!("only root may look into the daemon: not tried");
    };
    let look = || size(pid).expect("a running daemon");
    let sizes: Vec<u64> = (0..40)
        .map(|_| {
            days(&mut tablets, 260 / TABLETS);
            look().0
        })
        .collect();
    let (_, files_now) = look();
    let largest = sizes[sizes.len() - 1];
    println!("{kib} KiB, then {sizes:?}");
    assert!(largest < kib + 1024, "{kib} KiB have become {largest}: {sizes:?}");
    assert!(files_now <= files + 2, "{files} files have become {files_now}");
}

/// The middle and the 99th of a hundred.
fn quantiles(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1000.0;
    (at(0.5), at(0.99))
}

/// One page appended and synced, as the least that a durable record costs.
fn syncs(folder: &Path, count: usize) -> Vec<Duration> {
    let mut file = File::create(folder.join("syncs")).expect("a file beside the store");
    let sync = |_| {
        let began = Instant::now();
        file.write_all(&[0x5a; 4096]).and_then(|()| file.sync_data()).expect("the disk takes a page");
        began.elapsed()
    };
    (0..count).map(sync).collect()
}

/// A message of a request's size through the broker and back, all tablets at once: no daemon in between.
fn echoes(clinic: &Clinic, count: usize) -> Vec<Duration> {
    let mut tablets: Vec<Tablet> = (0..TABLETS)
        .map(|n| Tablet::listen(clinic, &format!("echo-{n}"), &format!("consult/1/echo/echo-{n}")))
        .collect();
    let message = consult("咳嗽三天，没有发热").to_string();
    let run = &|tablet: &Tablet| -> Vec<Duration> {
        let echo = |_| {
            let began = Instant::now();
            tablet.send_to("echo", message.as_bytes());
            tablet.next_bytes(PATIENCE).expect("it comes back");
            began.elapsed()
        };
        (0..count).map(echo).collect()
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = tablets.iter_mut().map(|tablet| scope.spawn(move || run(tablet))).collect();
        running.into_iter().flat_map(|run| run.join().expect("an echo")).collect()
    })
}

#[test]
#[ignore = "a measurement: make bench-intake"]
fn intake() {
    let rounds: usize = std::env::var("RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(5);
    println!("This disk as it is:");
    table(&Clinic::scripted("{}", ROOM), rounds, Duration::ZERO);
    // A virtual disk may sync in a tenth of a millisecond, and then it is the two processors that count. The flash of a
    // box takes milliseconds: 4 to 6 were measured.
    let slower = Duration::from_millis(5);
    println!("\nWith 5 ms more for each sync, as on the flash of a box:");
    match slow(slower) {
        Ok(clinic) => table(&clinic, rounds, slower),
        Err(why) => println!("not possible here: {why}"),
    }
}

/// From the tablet's publish to its alert, before anything else is waited for; the broker's two ways are in it.
#[test]
#[ignore = "a measurement: make bench-alert"]
fn alert() {
    let count: usize = std::env::var("RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(300);
    let model = std::env::var("MODEL").is_ok_and(|it| !it.is_empty());
    println!("{count} red cases, {}", if model { "llama.cpp with the demo model" } else { "the scripted engine" });
    println!(
        "| box | broker's echo p50 ms | p99 | alert p50 ms | p99 | goal p99 | p50 ÷ echo |\n{}",
        "|---".repeat(7) + "|"
    );
    for (name, full, goal) in [("idle", false, 20), ("queue full, engine at work", true, 50)] {
        let clinic = if model {
            Clinic::real("[queue]\nper_minute_max = 60000")
        } else {
            let script = if full { "{ delay_ms_per_section = 2000 }" } else { "{}" };
            Clinic::scripted(script, "[queue]\nper_minute_max = 60000\n")
        };
        drop(clinic.ready());
        drop(clinic.wait_for_status(if model { "online" } else { "degraded" }));
        let echo = quantiles(echoes(&clinic, 10));
        let crowd: Vec<Tablet> = (0..12).map(|n| Tablet::new(&clinic, &format!("crowd-{n}"))).collect();
        let tablet = Tablet::new(&clinic, "measured");
        let mut took = Vec::with_capacity(count);
        for n in 0..count {
            if full && n % 20 == 0 {
                crowd.iter().for_each(|one| (0..8).for_each(|_| one.ask(&consult("咳嗽三天，没有发热"))));
                drop(crowd[0].next(Duration::from_secs(5)));
            }
            let mut request = case("pregnancy-headache.zh");
            request["case"]["history"] = json!(format!("第{n}次"));
            let began = Instant::now();
            tablet.ask(&request);
            tablet.wait(PATIENCE, |said| said["type"] == "alert" && said["id"] == request["id"]).expect("an alert");
            took.push(began.elapsed());
            if !full {
                let answer = tablet.wait(PATIENCE, |said| said["type"] == "answer" && said["id"] == request["id"]);
                confirm(&tablet, &answer.expect("an answer"));
            }
        }
        let (p50, p99) = quantiles(took);
        println!("| {name} | {:.2} | {:.2} | {p50:.2} | {p99:.2} | {goal} | {:.1} |", echo.0, echo.1, p50 / echo.0);
    }
}

/// A clinic on a disk that takes so much longer for each sync.
fn slow(slower: Duration) -> Result<Clinic, String> {
    let mut clinic = Clinic::scripted("{}", ROOM);
    let library = clinic.folder.path().join("slow.so");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(root().join("tests/crash/shim.c"));
    let built = cc.output().map_err(|fault| format!("cc does not start ({fault})"))?;
    if !built.status.success() {
        return Err(String::from_utf8_lossy(&built.stderr).into_owned());
    }
    clinic.kill_daemon();
    let log = File::options().append(true).open(clinic.log()).expect("the log file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_consultd"));
    command.env("LD_PRELOAD", library).env("SLOW_SYNC_US", slower.as_micros().to_string());
    command.args(["run", "--config"]).arg(&clinic.settings).stderr(log).stdin(Stdio::null());
    clinic.daemon = Some(Running::start(&mut command));
    Ok(clinic)
}

fn table(clinic: &Clinic, rounds: usize, slower: Duration) {
    let mut tablets = village(clinic);
    let heads = ["round", "sync p50 ms", "p99", "broker's echo p50 ms", "p99", "accepted p50 ms", "p99"];
    println!("| {} | cases a second | p50 ÷ sync | p50 ÷ echo |\n{}", heads.join(" | "), "|---".repeat(10) + "|");
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let mut sync = syncs(clinic.folder.path(), 200);
        let echo = quantiles(echoes(clinic, 50));
        let began = Instant::now();
        let accepted = days(&mut tablets, 100);
        let rate = accepted.len() as f64 / began.elapsed().as_secs_f64();
        sync.extend(syncs(clinic.folder.path(), 200));
        let sync = quantiles(sync.into_iter().map(|sync| sync + slower).collect());
        let accepted = quantiles(accepted);
        let ratio = accepted.0 / sync.0;
        println!(
            "| {round} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {rate:.0} | {ratio:.2} | {:.2} |",
            sync.0,
            sync.1,
            echo.0,
            echo.1,
            accepted.0,
            accepted.1,
            accepted.0 / echo.0
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!("accepted p50 ÷ one sync, the median of {rounds} rounds: {:.2} (goal: below 3)", ratios[rounds / 2]);
}
