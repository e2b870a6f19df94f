//! The shim of `shim.c`: built once per run, told what to do by a small file that it maps.
//!
//! ```text
//! control block, 64-bit numbers:  0 clock_step_s │ 1 fail_syncs │ 2 fail_writes │ 3 sync_ms
//!                                 4 cut_in │ 5 cut_place │ 6 cut_moment │ 7 cut_pages
//!                                 8 syncs │ 9 failed_syncs │ 10 failed_writes │ 11 full │ 12 cuts │ 13 cut_at
//! ```

use crate::{common::root, platter};
use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
};

/// What the test sets.
#[derive(Clone, Copy)]
pub enum Order {
    ClockStepS = 0,
    FailSyncs = 1,
    FailWrites = 2,
    SyncMs = 3,
    CutIn = 4,
    CutPlace = 5,
    CutMoment = 6,
    CutPages = 7,
}

/// What the shim counts.
#[derive(Clone, Copy)]
pub enum Count {
    Syncs = 8,
    FailedSyncs = 9,
    FailedWrites = 10,
    NoRoom = 11,
    Cuts = 12,
    CutAt = 13,
}

const NUMBERS: u64 = 14;

/// What is being synced when the power goes, in the order of `places` in `shim.c`.
pub const PLACES: [&str; 8] = [
    "at the folder",
    "at the database",
    "at the log",
    "at the rollback journal",
    "at the key",
    "at the reserve",
    "at the copy",
    "at another file",
];

/// The power goes at a sync.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// 1 is the next.
    pub countdown: u32,
    /// An index of `PLACES`: syncs elsewhere do not count.
    pub place: Option<usize>,
    pub moment: Moment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing of this sync is on the disk.
    Before,
    /// Page n is, where bit n % 64 is set.
    Amid { pages: u64 },
    /// All of it, but nobody has heard so.
    Behind,
}

/// The library; or the sentence why there is none.
pub fn build(folder: &Path) -> Result<PathBuf, String> {
    let library = folder.join("shim.so");
    let source = root().join("tests/crash/shim.c");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-pthread", "-o"]).arg(&library).arg(source);
    let built = cc.output().map_err(|fault| format!("cc does not start ({fault})"))?;
    if !built.status.success() {
        return Err(format!("cc: {}", String::from_utf8_lossy(&built.stderr).lines().next().unwrap_or_default()));
    }
    // Whether the loader takes it is seen by whether it does anything: a clock that says 1970.
    let control = Shim::new(&library, folder);
    control.set(Order::ClockStepS, -1_000_000_000);
    let said = control.command(Command::new("date"), folder).arg("+%Y").output();
    let year = said.map(|said| String::from_utf8_lossy(&said.stdout).trim().parse::<u32>().unwrap_or(9999));
    match year {
        Ok(year) if year < 2010 => Ok(library),
        _ => Err("the loader does not take LD_PRELOAD".to_owned()),
    }
}

pub struct Shim {
    library: PathBuf,
    control: PathBuf,
    pub platter: PathBuf,
    block: File,
}

impl Shim {
    pub fn new(library: &Path, folder: &Path) -> Self {
        let (control, platter) = (folder.join("control"), folder.join("platter"));
        platter::PARTS.into_iter().for_each(|part| fs::create_dir_all(platter.join(part)).expect("a folder"));
        let block = File::options().create(true).truncate(true).read(true).write(true).open(&control).expect("a file");
        block.set_len(NUMBERS * 8).expect("room for the control block");
        Self { library: library.to_owned(), control, platter, block }
    }

    pub fn command(&self, mut command: Command, state: &Path) -> Command {
        command.env("LD_PRELOAD", &self.library).env("CRASH_STATE", state);
        command.env("CRASH_CONTROL", &self.control).env("CRASH_PLATTER", &self.platter);
        command
    }

    pub fn set(&self, order: Order, number: i64) {
        self.block.write_all_at(&number.to_ne_bytes(), order as u64 * 8).expect("the control block is written");
    }

    pub fn arm(&self, cut: Cut) {
        let (moment, pages) = match cut.moment {
            Moment::Before => (0, 0),
            Moment::Amid { pages } => (1, pages as i64),
            Moment::Behind => (2, 0),
        };
        self.set(Order::CutPlace, cut.place.map_or(-1, |place| place as i64));
        self.set(Order::CutMoment, moment);
        self.set(Order::CutPages, pages);
        self.set(Order::CutIn, cut.countdown.into()); // last: from here on it counts
    }

    pub fn disarm(&self) {
        self.set(Order::CutIn, 0);
    }

    pub fn count(&self, count: Count) -> u64 {
        let mut number = [0; 8];
        self.block.read_exact_at(&mut number, count as u64 * 8).expect("the control block is read");
        u64::from_ne_bytes(number)
    }
}
