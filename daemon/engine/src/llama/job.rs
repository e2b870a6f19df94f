//! One form being filled: which sections are open, in which sequences, and what comes after them.
//!
//! ```text
//! causes first   own: ▒▒▒parked▒▒▒ case ─ causes ─┬─ cannot exclude     four branches share the case's
//!                                                 ├─ checks             and the causes' cells and are
//!                                                 ├─ cautions           evaluated together
//!                                                 └─ still to ask
//! all at once    own: ▒▒▒parked▒▒▒ case ─┬─ causes, and the other four beside it
//! sequential     own: ▒▒▒parked▒▒▒ case ─ causes ─ cannot exclude ─ … ─ still to ask
//! ```

use super::branch::Branch;
use crate::{
    form::{BRANCHES, FIRST},
    memory::CELLS_QUESTION,
    prompt,
    protocol::*,
};
use contract::reply::Section;
use llama_cpp_2::token::LlamaToken;
use std::time::{Duration, Instant};

pub(super) struct Job {
    pub(super) order: FillOrder,
    /// Which adapter.
    pub(super) group: usize,
    pub(super) sequences: Vec<i32>,
    pub(super) arrived: Instant,
    /// Tokens that all open branches share and that are not evaluated yet: the case, later the end of a section.
    pub(super) shared: Vec<LlamaToken>,
    pub(super) shared_at: i32,
    /// Sections that are being written.
    pub(super) branches: Vec<Branch>,
    /// Sections that come after those, together or, in sequence, one by one.
    pub(super) to_come: Vec<Section>,
    /// Where the body of the section in the own sequence begins.
    pub(super) body_at: i32,
    /// Cells of sections that are written and stay for those behind them.
    pub(super) closed: u32,
    /// A line has been shown.
    pub(super) heard: bool,
    pub(super) stats: FillStats,
    pub(super) scores: Vec<Score>,
}

impl Job {
    /// Cells that it takes or may still come to take: nothing is begun that could run out of them.
    pub(super) fn cells(&self) -> u32 {
        let open = self.branches.iter().map(|branch| branch.section).chain(self.to_come.iter().copied());
        let asked = if self.order.questions.is_empty() { 0 } else { CELLS_QUESTION };
        self.stats.tokens_read + self.closed + open.map(full).sum::<usize>() as u32 + asked
    }

    pub(super) fn flow(&self) -> crate::schedule::Flow {
        crate::schedule::Flow { class: self.order.class, group: self.group }
    }

    /// The report on a section whose lines have changed.
    pub(super) fn section(&mut self, branch: usize) -> Report {
        let branch = &self.branches[branch];
        let lines: Vec<WrittenLine> =
            branch.lines().into_iter().filter(|line| !crate::form::is_nothing(&line.text)).collect();
        self.heard |= !lines.is_empty();
        Report::Section { job: self.order.job, section: branch.section, lines, complete: branch.ended() }
    }

    /// Whether it still has given tokens to read.
    pub(super) fn reads(&self) -> bool {
        !self.shared.is_empty() || self.branches.iter().any(|branch| !branch.given.is_empty())
    }

    pub(super) fn ended(&self) -> bool {
        self.branches.is_empty() && self.to_come.is_empty()
    }

    /// When its answer is due: the daemon's deadline.
    pub(super) fn due(&self) -> Instant {
        due(&self.order, self.arrived)
    }

    /// Milliseconds since the order came.
    pub(super) fn age_ms(&self) -> u64 {
        self.arrived.elapsed().as_millis() as u64
    }
}

pub(super) fn due(order: &FillOrder, arrived: Instant) -> Instant {
    // A deadline in a hundred years is none.
    arrived + Duration::from_millis(order.deadline_ms.min(1 << 40))
}

/// A section's bounds, its header and the empty line behind it.
fn full(section: Section) -> usize {
    let bounds = crate::form::bounds(section);
    bounds.lines_max * bounds.tokens_per_line_max + HEADER
}

/// A header and the end of the section before it take fewer tokens in all tokenisers that we know; an adapter's
/// own would have to be three times as wordy to come near.
const HEADER: usize = 24;

/// Sections to begin with, and those that follow.
pub(super) fn beginning(branching: Branching) -> (Vec<Section>, Vec<Section>) {
    match branching {
        Branching::CausesFirst | Branching::Sequential => (vec![FIRST], BRANCHES.to_vec()),
        Branching::AllAtOnce => (std::iter::once(FIRST).chain(BRANCHES).collect(), Vec::new()),
    }
}

/// The end of a section as training showed it: exactly its lines and an empty one, whatever tokens the model used
/// or broke off at. Returns how many of the written tokens stay, and what must follow them.
pub(super) fn canonical<T: PartialEq + Copy>(written: &[T], body: &[T]) -> (usize, Vec<T>) {
    let same = body.iter().zip(written).take_while(|(a, b)| a == b).count();
    (same, body[same..].to_vec())
}

pub(super) fn body_text(branch: &Branch) -> prompt::Segment {
    let texts: Vec<String> = branch.lines().into_iter().map(|line| line.text).collect();
    prompt::section_body(&texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::CELLS_FORM;

    #[test]
    fn a_full_form_fits_the_cells_kept_for_it() {
        let full = Section::ALL.into_iter().map(full).sum::<usize>();
        assert!(full <= CELLS_FORM as usize, "{full}");
    }

    #[test]
    fn a_section_is_put_back_as_its_lines_read() {
        assert_eq!(canonical(&[1, 2, 3], &[1, 2, 3, 9]), (3, vec![9]), "what is right stays");
        assert_eq!(canonical(&[1, 2, 7, 8], &[1, 2, 3, 9]), (2, vec![3, 9]), "what broke off goes");
        assert_eq!(canonical(&[], &[9]), (0, vec![9]));
    }
}
