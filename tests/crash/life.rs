//! One life of a box: the world, the tablets that talk to it, the book of what was said, and time that passes turn by
//! turn. What happens in it is told elsewhere: `round.rs`, and `tests/lost_writes.rs`.

use crate::{
    book::Book,
    dice::Dice,
    promises::Control,
    rest,
    tablet::{NAMES, Tablet},
    wire::{Heard, Wire},
    world::{Means, Pace, World},
};
use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

/// From the first kind moment to the last answer: shorter than the 30 s after which the box repeats by itself, because
/// all that is owed must come with the connection. A worker that was stopped costs five of them.
pub const KIND_MS_MAX: u64 = 25_000;
/// The mark of whoever listens to all topics.
const WATCHER: usize = usize::MAX;

pub struct Life {
    pub seed: u64,
    pub dice: Dice,
    pub book: Book,
    pub tablets: Vec<Tablet>,
    pub world: World,
    pub means: Means,
    /// How it is lived again.
    again: &'static str,
    _watcher: Wire,
    heard: Receiver<(usize, Heard)>,
}

impl Life {
    pub fn begin(
        seed: u64,
        again: &'static str,
        means: &Means,
        pace: Pace,
        mut dice: Dice,
        control: Option<Control>,
    ) -> Self {
        let world = World::new(means, pace);
        let (tell, heard) = channel();
        let runtime = world.runtime.handle();
        let tablets = (0..NAMES.len()).map(|n| {
            let seed = dice.below(usize::MAX) as u64;
            Tablet::new(n, runtime, world.socket(), tell.clone(), seed)
        });
        let tablets = tablets.collect();
        let watcher = Wire::join(runtime, &world.socket(), "#", WATCHER, tell);
        Self {
            seed,
            dice,
            book: Book::new(control),
            tablets,
            world,
            means: means.clone(),
            again,
            _watcher: watcher,
            heard,
        }
    }

    /// Says whether it has come true.
    pub fn turn_until(&mut self, come: impl Fn(&Book) -> bool, ms_max: u64) -> bool {
        let began_ms = self.book.now_ms();
        while !come(&self.book) {
            if self.book.now_ms() - began_ms > ms_max {
                return false;
            }
            self.turn();
        }
        true
    }

    pub fn turn(&mut self) {
        let mut next = self.heard.recv_timeout(Duration::from_millis(4));
        loop {
            match next {
                Ok((WATCHER, Heard::Message { topic, bytes })) => rest::of_a_topic(topic, &bytes, &mut self.book),
                Ok((WATCHER, _)) => {}
                Ok((tablet, heard)) => self.tablets[tablet].hears(heard, &mut self.book),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => panic!("the tablets' clients are gone"),
            }
            next = self.heard.try_recv().map_err(|_| RecvTimeoutError::Timeout);
        }
        self.tablets.iter().for_each(|tablet| tablet.looks_at_the_clock(&mut self.book));
        self.world.look_after(&mut self.book);
    }
}

/// Of a life that ends by a panic (with `KEEP=1` of each): its seed, its last hours, and where its folder is kept.
impl Drop for Life {
    fn drop(&mut self) {
        if !thread::panicking() && std::env::var_os("KEEP").is_none() {
            return;
        }
        let lines = self.book.lines();
        eprintln!("\nthe last of {} lines of seed {}:", lines.len(), self.seed);
        lines.iter().skip(lines.len().saturating_sub(120)).for_each(|line| eprintln!("{line}"));
        self.world.folder.disable_cleanup(true);
        let folder = self.world.folder.path();
        let record: String = lines.iter().map(|line| format!("{line}\n")).collect();
        crate::common::write(&folder.join("record"), &record);
        let _ = self.world.disk.keep(&folder.join("state-kept"));
        eprintln!("logs, record and state are kept in {}", folder.display());
        eprintln!(
            "again with: {} SEED={}   (the same schedule; the machine's own jitter differs)",
            self.again, self.seed
        );
    }
}
