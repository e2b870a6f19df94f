//! The box and all that it stands on: daemon, worker, broker, the line between them, disk and clock. Each can be made to
//! fail; what ends is started again, as systemd would.
//!
//! ```text
//!   tablets ──▶ mqtt.sock ── Mosquitto                      folder/  log  broker.log  mosquitto.db  consultd.toml
//!                  ▲                                                 state/ (the daemon's disk)   platter/   tmp/
//!               proxy.rs ◀── daemon.sock ── consultd ── worker
//!                                              └── shim.c ── disk.rs
//! ```

use crate::{
    book::Book,
    common::{DEMO_MODEL_SHA256, Running, broker, demo_adapters, demo_model, worker_of, write},
    dice::Dice,
    disk::Disk,
    platter::{self, Loss, Unsynced},
    proxy::Proxy,
    shim::{Count, Order, Shim},
    sorts::{POISON, SILENCE},
    tablet::ADMIN,
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// What this machine can do to a box.
#[derive(Debug, Clone)]
pub struct Means {
    pub shim: Option<PathBuf>,
    pub small_disk: bool,
    /// llama.cpp and the demo model in place of the scripted engine.
    pub model: bool,
}

impl Means {
    /// A model's tokens take their time, and everything with them.
    pub fn ms(&self, scripted: u64, with_model: u64) -> u64 {
        if self.model { with_model } else { scripted }
    }
    /// What an answer says of itself when nothing was amiss.
    pub fn whole(&self, degraded: &[&str]) -> bool {
        if self.model { degraded.is_empty() } else { degraded == ["scripted_engine"] }
    }
}

/// How fast the engine is, and how much it is given.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub delay_ms: u64,
    pub jobs_max: usize,
    pub queue_max: usize,
}

impl Pace {
    pub fn of(dice: &mut Dice) -> Self {
        Self {
            delay_ms: dice.pick(&[0, 5, 25]),
            jobs_max: dice.pick(&[1, 2, 4]),
            queue_max: dice.pick(&[6, 32, 32, 200]),
        }
    }
}

/// The daemon's patience with a worker, as short as the settings allow.
pub const SILENCE_S_MAX: u64 = 5;
/// As systemd: not at once, or a full disk makes a busy loop.
const RESTART: Duration = Duration::from_millis(200);
/// `Exit::Store` of daemon/src/main.rs.
const STORE_FAILED: i32 = 74;

struct Daemon {
    running: Running,
    told_to_stop: bool,
    /// The disk was bad at some moment of its life, and it may end for that.
    met_a_bad_disk: bool,
}

pub struct World {
    pub folder: TempDir,
    pub runtime: Runtime,
    pub disk: Disk,
    pub shim: Option<Shim>,
    pub proxy: Proxy,
    broker: Option<Running>,
    broker_back_at: Instant,
    daemon: Option<Daemon>,
    pub daemon_back_at: Instant,
    stopped_worker: Option<u32>,
    bad_disk: bool,
    /// Of the power at a sync, that we know of.
    cuts: u64,
}

impl World {
    /// The daemon starts with the first look after it.
    pub fn new(means: &Means, pace: Pace) -> Self {
        let folder = tempfile::Builder::new().prefix("consultd-crash-").tempdir().expect("a temporary folder");
        let path = folder.path();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let proxy = Proxy::open(runtime.handle(), &path.join("daemon.sock"), path.join("mqtt.sock"));
        let disk = Disk::new(&path.join("state"), means.small_disk).expect("it was tried before");
        let shim = means.shim.as_ref().map(|library| Shim::new(library, path));
        fs::create_dir(path.join("tmp")).expect("a folder");
        write(&path.join("consultd.toml"), &settings(path, means, pace));
        let now = Instant::now();
        let mut world = Self {
            runtime,
            disk,
            shim,
            proxy,
            broker: None,
            broker_back_at: now,
            daemon: None,
            daemon_back_at: now,
            stopped_worker: None,
            bad_disk: false,
            cuts: 0,
            folder,
        };
        world.start_broker();
        world
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("mqtt.sock")
    }

    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn start_daemon(&mut self) {
        let path = self.folder.path();
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log()).expect("a log file");
        let mut command = self.disk.command(env!("CARGO_BIN_EXE_consultd"));
        command.args(["run", "--config"]).arg(path.join("consultd.toml"));
        command.env("TMPDIR", path.join("tmp")).stdin(Stdio::null()).stderr(log);
        if let Some(shim) = &self.shim {
            command = shim.command(command, &self.disk.state);
        }
        let running = Running::start(&mut command);
        self.daemon = Some(Daemon { running, told_to_stop: false, met_a_bad_disk: self.bad_disk });
    }

    fn start_broker(&mut self) {
        let _ = fs::remove_file(self.socket());
        self.broker = Some(broker(self.folder.path()));
    }

    /// Looks who has ended and who is to come back.
    pub fn look_after(&mut self, book: &mut Book) {
        let (now, cuts) = (Instant::now(), self.times_cut());
        if self.broker.is_none() && self.broker_back_at <= now {
            book.note("the broker starts");
            self.start_broker();
        }
        match &mut self.daemon {
            None if self.daemon_back_at <= now => {
                book.note("the daemon starts");
                self.start_daemon();
            }
            None => {}
            Some(daemon) => {
                let Some(status) = daemon.running.0.try_wait().expect("it is our child") else { return };
                book.note(format!("the daemon has ended: {status}"));
                book.count(daemon.may_end(status, cuts > self.cuts));
                self.cuts = cuts;
                self.daemon = None;
                self.daemon_back_at = now + RESTART;
            }
        }
    }

    pub fn daemon_pid(&self) -> Option<u32> {
        self.daemon.as_ref().map(|daemon| daemon.running.0.id())
    }

    /// The power at a sync.
    fn times_cut(&self) -> u64 {
        self.shim.as_ref().map_or(0, |shim| shim.count(Count::Cuts))
    }

    fn worker_pid(&self) -> Option<u32> {
        self.daemon_pid().and_then(worker_of)
    }

    /// False where there is none.
    pub fn kill_daemon(&mut self, back_in_ms: u64) -> bool {
        let Some(mut daemon) = self.daemon.take() else { return false };
        daemon.running.kill();
        self.cuts = self.times_cut();
        self.continue_worker(); // a stopped one would never learn that its daemon is gone
        self.daemon_back_at = Instant::now() + Duration::from_millis(back_in_ms);
        true
    }

    pub fn signal_daemon(&mut self, signal: Signal) -> bool {
        if let Some(daemon) = &mut self.daemon {
            daemon.told_to_stop |= signal == Signal::TERM;
        }
        self.daemon_pid().is_some_and(|pid| send(pid, signal))
    }

    pub fn signal_worker(&mut self, signal: Signal) -> bool {
        let Some(pid) = self.worker_pid() else { return false };
        self.stopped_worker = (signal == Signal::STOP).then_some(pid).or(self.stopped_worker);
        send(pid, signal)
    }

    pub fn continue_worker(&mut self) {
        if let Some(pid) = self.stopped_worker.take().filter(|pid| is_stopped(*pid)) {
            send(pid, Signal::CONT);
        }
    }

    pub fn kill_broker(&mut self, forget: bool, back_in_ms: u64) -> bool {
        let Some(mut broker) = self.broker.take() else { return false };
        broker.kill();
        let _ = fs::remove_file(self.socket());
        if forget {
            let _ = fs::remove_file(self.folder.path().join("mosquitto.db"));
        }
        self.broker_back_at = Instant::now() + Duration::from_millis(back_in_ms);
        true
    }

    /// Both at once; and of the disk what was synced.
    pub fn cut_power(&mut self, unsynced: Unsynced, back_in_ms: u64, dice: &mut Dice) -> Loss {
        self.kill_daemon(back_in_ms);
        self.kill_broker(false, back_in_ms);
        self.daemon_back_at = Instant::now() + Duration::from_millis(back_in_ms);
        self.disk_forgets(unsynced, dice)
    }

    /// Nobody is writing.
    pub fn disk_forgets(&mut self, unsynced: Unsynced, dice: &mut Dice) -> Loss {
        let Some(shim) = &self.shim else { return Loss::default() };
        let was_full = self.disk.free(); // a name that comes back may want the room that it once had
        let files = self.disk.files().expect("the state folder can be listed");
        let loss = platter::power_cut(&self.disk.here, &files, &shim.platter, unsynced, dice);
        let loss = loss.expect("the state folder can be written");
        if was_full {
            self.disk.fill();
        }
        loss
    }

    /// Until `heal_disk` the daemon may end for it.
    pub fn disk_is_bad(&mut self) {
        self.bad_disk = true;
        if let Some(daemon) = &mut self.daemon {
            daemon.met_a_bad_disk = true;
        }
    }

    pub fn heal_disk(&mut self) {
        self.disk.free();
        if let Some(shim) = &self.shim {
            [Order::FailSyncs, Order::FailWrites].into_iter().for_each(|order| shim.set(order, 0));
        }
        self.bad_disk = false;
    }

    /// Told to stop, it says goodbye and ends with 0.
    pub fn stop_daemon(&mut self) {
        let mut daemon = self.daemon.take().expect("a running daemon");
        assert!(send(daemon.running.0.id(), Signal::TERM));
        let status = daemon.running.0.wait().expect("it ends");
        assert_eq!(status.code(), Some(0), "the daemon was told to stop");
    }
}

impl Daemon {
    /// What its end is to be counted as; an end without a reason is a fault.
    fn may_end(&self, status: ExitStatus, was_cut: bool) -> &'static str {
        match status.code() {
            None if was_cut && status.signal() == Some(Signal::KILL.as_raw()) => "killed at a sync",
            Some(0) if self.told_to_stop => "stopped",
            // Told before it could listen.
            None if self.told_to_stop && status.signal() == Some(Signal::TERM.as_raw()) => "stopped",
            Some(STORE_FAILED) if self.met_a_bad_disk => "exit 74",
            _ => panic!("the daemon ended by itself: {status}"),
        }
    }
}

fn settings(folder: &Path, means: &Means, Pace { delay_ms, jobs_max, queue_max }: Pace) -> String {
    let engine = match means.model {
        true => format!("model = {:?}\nmodel_sha256 = \"{DEMO_MODEL_SHA256}\"\ncontext_tokens = 2048", demo_model()),
        false => format!(
            "kind = \"scripted\"\n\
             script = {{ delay_ms_per_section = {delay_ms}, crash_on = \"{POISON}\", hang_on = \"{SILENCE}\" }}"
        ),
    };
    format!(
        "[box]\nname = \"crash-box\"\nadmins = [\"{ADMIN}\"]\nstate_dir = {:?}\n[broker]\nsocket = {:?}\n\
         [engine]\n{engine}\nsilence_s_max = {SILENCE_S_MAX}\njobs_max = {jobs_max}\n{}[queue]\nqueue_max = {queue_max}\nper_minute_max = 60000\n",
        folder.join("state"),
        folder.join("daemon.sock"),
        demo_adapters()
    )
}

fn send(pid: u32, signal: Signal) -> bool {
    Pid::from_raw(pid as i32).is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// Not by its name: a child that was stopped between fork and exec still has that of the thread which waits for it.
fn is_stopped(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
}

/// What can be tried here; says in a sentence what cannot.
pub fn means(folder: &Path, model: bool) -> Means {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: the daemon's open files: only root may count them");
    }
    let shim = crate::shim::build(folder)
        .map_err(|why| println!("skipped: failing syncs and writes, power cuts of the disk, a stepping clock: {why}"))
        .ok();
    let small_disk = Disk::new(&folder.join("small"), true)
        .map_err(|why| println!("skipped: a full disk: {why}"))
        .is_ok_and(|disk| disk.command("true").status().is_ok_and(|status| status.success()));
    Means { shim, small_disk, model }
}
