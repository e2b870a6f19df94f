//! The shim of `shim.c`: built once per run, told what to do by a small file that it maps.
//!
//! ```text
//! control block, 64-bit numbers:  0 clock_step_s │ 1 fail_syncs │ 2 fail_writes │ 3 sync_ms
//!                                 4 syncs │ 5 failed_syncs │ 6 failed_writes │ 7 full
//! ```

use crate::common::root;
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
}

/// What the shim counts.
#[derive(Clone, Copy)]
pub enum Count {
    Syncs = 4,
    FailedSyncs = 5,
    FailedWrites = 6,
    NoRoom = 7,
}

const NUMBERS: u64 = 8;

/// The library; or the sentence why there is none.
pub fn build(folder: &Path) -> Result<PathBuf, String> {
    let library = folder.join("shim.so");
    let source = root().join("tests/crash/shim.c");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source);
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
        fs::create_dir_all(&platter).expect("a folder");
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

    pub fn count(&self, count: Count) -> u64 {
        let mut number = [0; 8];
        self.block.read_exact_at(&mut number, count as u64 * 8).expect("the control block is read");
        u64::from_ne_bytes(number)
    }
}
