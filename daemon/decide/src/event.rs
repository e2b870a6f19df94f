//! What can come in.

use crate::{rules::RuleSet, state::EngineState};
use contract::{
    admin::Admin,
    ids::{Department, RequestId, TabletName},
    reply::Section,
    request::{Consult, Refusal},
    review::Review,
};
use std::sync::Arc;

/// SHA-256 of a request's bytes as they came: the same id with other bytes is another case.
pub type Digest = [u8; 32];

#[derive(Debug, Clone)]
pub enum Event {
    Consult {
        tablet: TabletName,
        consult: Box<Consult>,
        bytes: Vec<u8>,
        digest: Digest,
        /// What the store holds under this id, looked up before deciding.
        known: Option<Known>,
    },
    Resend {
        tablet: TabletName,
        id: RequestId,
        known: Option<Known>,
    },
    Cancel {
        tablet: TabletName,
        id: RequestId,
        known: Option<Known>,
    },
    Receipt {
        tablet: TabletName,
        id: RequestId,
        known: Option<Known>,
    },
    Review {
        tablet: TabletName,
        review: Box<Review>,
        bytes: Vec<u8>,
        known: Option<Known>,
        /// What was said to the very same bytes.
        said: Option<Vec<u8>>,
    },
    Admin {
        name: TabletName,
        admin: Admin,
    },
    Refused {
        tablet: TabletName,
        refusal: Refusal,
    },
    Engine(EngineState),
    /// The worker ended, whatever it was doing.
    WorkerDied,
    /// A section as far as it is written.
    Section {
        job: RequestId,
        section: Section,
        written: Written,
    },
    Filled {
        job: RequestId,
        facts: FillFacts,
    },
    /// The worker lives but could not fill this form.
    FillFailed {
        job: RequestId,
    },
    /// Other rules, proven by their own examples.
    Rules(Arc<RuleSet>),
    /// The disk has no room for new cases, or has it again.
    Storage {
        full: bool,
    },
    /// The broker is there (again): what is owed may be sent at once.
    Connected,
    Tick,
}

/// A consultation that the store knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub tablet: TabletName,
    pub digest: Digest,
    /// Ended by an answer, and not by an error.
    pub answered: bool,
    /// Ended, receipt outstanding.
    pub owed: bool,
    pub reviews: u32,
    /// Its text was deleted when its time was over; what is left is that there was one.
    pub gone: bool,
}

/// A line of the form as the model wrote it: unchecked.
#[derive(Debug, Clone, PartialEq)]
pub struct FormLine {
    pub text: String,
    pub logprob: f32,
}

/// All lines of a section so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Written {
    pub lines: Vec<FormLine>,
    /// No more will come.
    pub complete: bool,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct FillFacts {
    pub tokens_read: u32,
    pub tokens_written: u32,
    pub case_cut: bool,
    pub scores: Vec<Score>,
}

/// What the engine is asked beside the form, answered by probability and not by writing. It could say how likely its first
/// cause is, too. It is not asked: what a small model thinks of that is no evidence, and a doctor would take it for some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Which of these the case belongs to.
    Department { options: Vec<Department> },
    /// How soon the case must be seen; what becomes of it stands in `urgency.rs`.
    Urgency,
}

/// A question's options by name, with probabilities that sum to one.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    pub question: Question,
    pub options: Vec<(String, f32)>,
}
