//! What the first tablets and boxes of version 1 read, as the project's first commit had it: the fields that were mandatory
//! then, and words as texts. **Frozen**: a change here would say that tablets in villages have been exchanged.

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(dead_code, reason = "a tablet shows them; here it is enough that they can be read")]
pub enum Said {
    Accepted {
        v: u8,
        id: String,
        queue: u32,
    },
    Alert {
        v: u8,
        id: String,
        triage: String,
        red_flags: Vec<RedFlag>,
    },
    Progress {
        v: u8,
        id: String,
        section: String,
        lines: Vec<String>,
    },
    Answer(Box<Answer>),
    Error {
        v: u8,
        id: Option<String>,
        code: String,
        status: u16,
        message: Bilingual,
        r#final: bool,
    },
    Status {
        v: u8,
        state: String,
        boot: String,
        connection: u32,
        departments: Vec<String>,
        reasons: Vec<String>,
    },
    /// What a later box says more.
    #[serde(other)]
    PassedOver,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "as above")]
pub struct Answer {
    v: u8,
    id: String,
    lang: String,
    department: String,
    pub triage: String,
    red_flags: Vec<RedFlag>,
    pub cannot_exclude: Vec<Exclusion>,
    possible_causes: Vec<Cause>,
    suggested_checks: Vec<Check>,
    medication_cautions: Vec<Caution>,
    missing_information: Vec<Question>,
    abstained: Option<Abstained>,
    uncertainty: Uncertainty,
    pub provenance: Provenance,
    disclaimer: Bilingual,
    ai_label: Bilingual,
    review: Review,
    patient_text: Option<String>,
}

macro_rules! read {
    ($($name:ident { $($field:ident: $of:ty,)* })*) => {$(
        #[derive(Deserialize)]
        #[allow(dead_code, reason = "as above")]
        pub struct $name { $(pub $field: $of,)* }
    )*};
}

read! {
    Bilingual { zh: String, en: String, }
    Disease { name: Bilingual, icd10: Option<String>, }
    RedFlag { rule: String, title: Bilingual, must_not_miss: Vec<Disease>, checks: Vec<Bilingual>, urgency: String,
        source: String, because: Vec<String>, }
    Exclusion { condition: String, because: String, urgency: String, origin: String, }
    Cause { name: String, band: String, because: String, }
    Check { what: String, why: String, origin: String, }
    Caution { drug: String, risk: String, origin: String, }
    Question { question: String, why: String, origin: String, }
    Abstained { reason: String, }
    Uncertainty { level: String, basis: String, mean_logprob: Option<f32>, }
    Provenance { daemon: String, rules: Rules, degraded: Vec<String>, lines_dropped: u32,
        timings: Timings, at_unix_s: u64, }
    Rules { version: String, sha256: String, review: String, }
    Timings { queued_ms: u64, total_ms: u64, tokens_read: u32, tokens_written: u32, }
    Review { state: String, }
    Consult { v: u8, id: String, department: String, case: Case, }
    Case { complaint: Option<Complaint>, }
    Complaint { text: String, }
}

/// What a tablet makes of a message on `res` or `box/status`. Messages of other types it passes over.
pub fn tablet_reads(text: &str) -> Result<Said, serde_json::Error> {
    // Documents without a type travel on no topic.
    let value: serde_json::Value = serde_json::from_str(text)?;
    if value.get("type").is_some() { serde_json::from_str(text) } else { Ok(Said::PassedOver) }
}

pub fn box_reads(text: &str) -> Result<Consult, serde_json::Error> {
    serde_json::from_str(text)
}
