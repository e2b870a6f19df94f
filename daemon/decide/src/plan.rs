//! What we owe: records first, then effects. A plan that nobody carries out is a lost patient.

use crate::{
    event::{Digest, Question, Written},
    rules::RuleSet,
    seal::{Chain, Link},
    state::EngineState,
};
use contract::{
    case::Case,
    ids::{Department, Lang, RequestId, TabletName},
    reply::Section,
    request::Consult,
};
use std::sync::Arc;

#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Plan {
    pub records: Vec<Record>,
    pub effects: Vec<Effect>,
}

impl Plan {
    pub(crate) fn record(mut self, record: Record) -> Self {
        self.records.push(record);
        self
    }
    pub(crate) fn effect(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }
    pub(crate) fn join(&mut self, other: Plan) {
        self.records.extend(other.records);
        self.effects.extend(other.effects);
    }
}

/// A fact that changes the state. The durable ones, applied again after a restart, give the same state.
#[derive(Debug, Clone)]
pub enum Record {
    Accepted {
        id: RequestId,
        tablet: TabletName,
        consult: Box<Consult>,
        digest: Digest,
        bytes: Vec<u8>,
        at_unix_s: u64,
        /// `accepted`, and `alert` where a rule fired, as they were sent.
        messages: Vec<Vec<u8>>,
    },
    /// The engine is about to see this case.
    Attempt {
        id: RequestId,
    },
    /// The worker died on this case.
    Death {
        id: RequestId,
    },
    /// Answered. The message is the final word under this id, for ever.
    Ended {
        id: RequestId,
        tablet: TabletName,
        message: Vec<u8>,
        /// Its place in the box's chain, when it is an answer.
        link: Option<Link>,
    },
    /// A doctor's word on an answer, as it came, and what was said to it.
    Reviewed {
        id: RequestId,
        number: u32,
        at_unix_s: u64,
        bytes: Vec<u8>,
        reply: Vec<u8>,
        link: Link,
    },
    /// No case of this content gets to the engine any more. The id is that under which it killed the engine.
    Quarantined {
        case: Digest,
        id: RequestId,
    },
    QuarantineEnded {
        case: Digest,
    },
    /// The tablet has stored the answer.
    Received {
        id: RequestId,
    },

    // Of this moment only: gone with a restart, and rightly so.
    Engine(EngineState),
    /// The end of the chain, as the store has it.
    ChainEnd(Chain),
    /// New cases are refused until then.
    Held {
        until_ms: Option<u64>,
    },
    /// These rules judge from now on. A restart reads its own.
    Rules(Arc<RuleSet>),
    Storage {
        full: bool,
    },
    Section {
        id: RequestId,
        section: Section,
        written: Written,
    },
    /// The running job is waiting again.
    Interrupted {
        id: RequestId,
    },
    /// Answered while it ran: its form may still be open in the worker.
    Cancelled {
        id: RequestId,
    },
    /// The worker has let go of a cancelled one.
    Released {
        id: RequestId,
    },
    /// The answer was sent (again), and will be until its receipt comes.
    Sent {
        id: RequestId,
    },
    /// All that is owed is due now.
    AllDue,
}

impl Record {
    /// Whether it is about this consultation.
    pub fn concerns(&self, wanted: RequestId) -> bool {
        match self {
            Self::Accepted { id, .. }
            | Self::Attempt { id }
            | Self::Death { id }
            | Self::Ended { id, .. }
            | Self::Reviewed { id, .. }
            | Self::Quarantined { id, .. }
            | Self::Received { id }
            | Self::Section { id, .. }
            | Self::Interrupted { id }
            | Self::Cancelled { id }
            | Self::Released { id }
            | Self::Sent { id } => *id == wanted,
            Self::Engine(_)
            | Self::ChainEnd(_)
            | Self::Held { .. }
            | Self::Rules(_)
            | Self::Storage { .. }
            | Self::QuarantineEnded { .. }
            | Self::AllDue => false,
        }
    }

    pub fn is_durable(&self) -> bool {
        match self {
            Self::Accepted { .. }
            | Self::Attempt { .. }
            | Self::Death { .. }
            | Self::Ended { .. }
            | Self::Reviewed { .. }
            | Self::Quarantined { .. }
            | Self::QuarantineEnded { .. }
            | Self::Received { .. } => true,
            Self::Engine(_)
            | Self::ChainEnd(_)
            | Self::Held { .. }
            | Self::Rules(_)
            | Self::Storage { .. }
            | Self::Section { .. }
            | Self::Interrupted { .. }
            | Self::Cancelled { .. }
            | Self::Released { .. }
            | Self::Sent { .. }
            | Self::AllDue => false,
        }
    }
}

/// What is done to the world, in this order, once the plan's records are on the disk.
#[derive(Debug, Clone)]
pub enum Effect {
    Publish {
        tablet: TabletName,
        message: Vec<u8>,
    },
    /// All stored messages of this id again, byte for byte.
    PublishStored {
        tablet: TabletName,
        id: RequestId,
    },
    /// The stored answer of this id again.
    PublishAnswer {
        tablet: TabletName,
        id: RequestId,
    },
    Fill {
        id: RequestId,
        department: Department,
        lang: Lang,
        /// Smaller goes first: 0 danger, 1 urgent or grown old, 2 routine.
        class: u8,
        /// Time left.
        deadline_ms: u64,
        questions: Vec<Question>,
        case: Box<Case>,
    },
    Cancel {
        id: RequestId,
    },
    /// The box's own state has changed: tell everybody.
    Status,
}
