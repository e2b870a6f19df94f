//! The box's data partition: a tmpfs of its own, small enough to be filled, in a mount namespace that ends with the
//! test. Where that may not be made, a plain folder, and then the disk is never full.
//!
//! ```text
//!   holder: unshare --mount sh -c 'mount -t tmpfs … state; read _'      ends when our end of its pipe does
//!   consultd: nsenter --target holder --mount consultd …                sees the tmpfs at its own path
//!   we: /proc/<holder>/root/<state>
//! ```

use crate::common::Running;
use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The reserve of 16 MiB, as much again (before which there is none), a write-ahead log, the database, and some.
const BYTES_MAX: u64 = 44 << 20;
const BALLAST: &str = "ballast";

pub struct Disk {
    holder: Option<(Running, String)>,
    /// As consultd names it.
    pub state: PathBuf,
    /// As we reach it.
    pub here: PathBuf,
}

impl Disk {
    /// `small` asks for the tmpfs; the error is the sentence why there is none.
    pub fn new(state: &Path, small: bool) -> Result<Self, String> {
        fs::create_dir_all(state).expect("a folder");
        if !small {
            return Ok(Self { holder: None, state: state.to_owned(), here: state.to_owned() });
        }
        let script = format!("mount -t tmpfs -o size={BYTES_MAX},mode=0700 crash \"$0\" && echo $$ && read _");
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script]).arg(state);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let child = command.spawn().map_err(|fault| format!("unshare does not start ({fault})"))?;
        let mut holder = Running(child);
        let mut pid = String::new();
        let said = holder.0.stdout.take().expect("it was asked for");
        let _ = BufReader::new(said).read_line(&mut pid);
        let pid = pid.trim().to_owned();
        if pid.is_empty() {
            return Err("no mount namespace with a tmpfs may be made here".to_owned());
        }
        let inside = state.strip_prefix("/").expect("an absolute path");
        let here = Path::new("/proc").join(&pid).join("root").join(inside);
        Ok(Self { holder: Some((holder, pid)), state: state.to_owned(), here })
    }

    /// A program that sees this disk.
    pub fn command(&self, program: &str) -> Command {
        match &self.holder {
            None => Command::new(program),
            Some((_, pid)) => {
                let mut command = Command::new("nsenter");
                command.args(["--target", pid, "--mount", program]);
                command
            }
        }
    }

    /// Not a byte is left for others. False where the disk has no end.
    pub fn fill(&self) -> bool {
        if self.holder.is_none() {
            return false;
        }
        let mut ballast = File::options().create(true).append(true).open(self.here.join(BALLAST)).expect("a file");
        for bytes in [1 << 20, 4096, 1] {
            let piece = vec![b'.'; bytes];
            while ballast.write(&piece).is_ok_and(|n| n > 0) {}
        }
        true
    }

    /// Says whether it was full.
    pub fn free(&self) -> bool {
        fs::remove_file(self.here.join(BALLAST)).is_ok()
    }

    /// A copy of what is on it.
    pub fn keep(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        for path in self.files()? {
            fs::copy(&path, folder.join(path.file_name().expect("a file has a name")))?;
        }
        Ok(())
    }

    /// What the daemon has written there.
    pub fn files(&self) -> io::Result<Vec<PathBuf>> {
        let paths: io::Result<Vec<PathBuf>> = fs::read_dir(&self.here)?.map(|entry| Ok(entry?.path())).collect();
        let mut files = paths?;
        files.retain(|path| path.is_file() && !path.ends_with(BALLAST));
        files.sort(); // for the dice's sake
        Ok(files)
    }
}
