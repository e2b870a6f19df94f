//! How far it is, on stderr: a line now and then, which a log can hold too.

use std::time::{Duration, Instant};

pub struct Progress {
    began: Instant,
    told: Instant,
    ended: usize,
    of: usize,
}

const EVERY: Duration = Duration::from_secs(5);

impl Progress {
    /// `what`: of what there are so many.
    pub fn begin(what: &str, of: usize) -> Self {
        eprintln!("adapterctl: {of} {what}");
        let began = Instant::now();
        Self { began, told: began, ended: 0, of }
    }

    pub fn saw(&mut self, end: bool) {
        self.ended += usize::from(end);
        let due = self.told.elapsed() >= EVERY || self.ended == self.of;
        if end && due {
            self.told = Instant::now();
            eprintln!("adapterctl: {} of {}, {}", self.ended, self.of, self.eta());
        }
    }

    /// As if the rest took as long each as what is done.
    fn eta(&self) -> String {
        let rest = self.of.saturating_sub(self.ended) as u32;
        let left = self.began.elapsed() / self.ended.max(1) as u32 * rest;
        match left.as_secs() {
            0 if rest == 0 => format!("done in {} s", self.began.elapsed().as_secs()),
            s if s < 120 => format!("about {s} s left"),
            s => format!("about {} min left", s / 60),
        }
    }
}
