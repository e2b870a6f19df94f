//! The decisions: what came in is an [`Event`], what we owe is a [`Plan`].
//!
//! ```text
//!            decide(&State, Event, Now)            apply(&Record)
//!   Event ───────────────────────────▶ Plan ──┬──▶ State
//!                                             ├──▶ disk   (records that are durable, one sync)
//!                                             └──▶ world  (effects, only after the sync)
//! ```
//! Pure: no clock, no file, no waiting. The hands (`consultd`) carry plans out and report back as events.
#![forbid(unsafe_code)]

mod admin;
pub mod ambition;
pub mod answer;
mod coverage;
mod decide;
mod department;
mod event;
pub mod forbidden;
pub mod info;
mod message;
mod opinion;
mod place;
mod plan;
mod queue;
mod refuse;
pub mod rules;
pub mod sample;
pub mod seal;
mod state;
mod urgency;

pub use decide::{next, step};
pub use event::{Digest, Event, FillFacts, FormLine, Known, Question, Score, Written};
pub use plan::{Effect, Plan, Record};
pub use queue::{OLD_AFTER_MS, RESERVE, SHARE, load};
pub use state::{Config, EngineState, Job, Now, OWED_OF_TABLET_MAX, Phase, Quarantine, State};
