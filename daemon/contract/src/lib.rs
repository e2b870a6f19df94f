//! The words that tablets and the box say to each other: requests, replies, topics and every bound.
//!
//! No I/O and no clock here. `schema/` beside this crate holds the JSON Schema of each message and `asyncapi.json` who
//! says it where, generated from these types; `golden/` holds one example of each, which must always parse.
//!
//! ```text
//! tablet ── consult | cancel | resend ─────▶ consult/1/req/<tablet>
//!        ◀─ accepted alert progress answer error reviewed ── consult/1/res/<tablet>
//!        ── receipt ───────────────────────▶ consult/1/receipt/<tablet>
//!        ── review ────────────────────────▶ consult/1/review/<tablet>
//! admin  ── admin ─────────────────────────▶ consult/1/admin/<admin>      report ──▶ consult/1/res/<admin>
//! box    ── status (retained, with a will) ▶ consult/1/box/status
//!        ── info (retained) ───────────────▶ consult/1/box/info
//!        ── load (retained) ───────────────▶ consult/1/box/load
//! ```
#![forbid(unsafe_code)]

pub mod admin;
pub mod answer;
pub mod asyncapi;
pub mod bounded;
pub mod case;
pub mod emr;
pub mod ids;
pub mod info;
pub mod limits;
pub mod load;
pub mod manifest;
pub mod mask;
pub mod reply;
pub mod request;
pub mod review;
pub mod sample;
pub mod schema;
pub mod signed;
pub mod status;
mod strict;
pub mod topic;
pub mod words;

/// Major version of the contract; it stands in every topic and in every message's `v`.
pub const VERSION: u8 = 1;
