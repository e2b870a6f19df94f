//! What the box sends to one tablet: `accepted`, `alert`, `progress`, `answer`, `error`.

use crate::{
    admin::Report,
    answer::{Answer, Caution, Line, RedFlag},
    ids::RequestId,
    review::Reviewed,
    words::*,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The request is on the box's disk and survives any crash from here on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    pub v: V1,
    #[serde(rename = "type")]
    pub kind: AcceptedType,
    pub id: RequestId,
    /// How many cases are before this one.
    pub queue: u32,
    /// Estimate of the seconds until the answer; absent until the box has answered once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<u32>,
}

/// A red flag fired, or a drug of the plan must not be given before a physician has confirmed it. Sent at once, before
/// the model has said anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Alert {
    pub v: V1,
    #[serde(rename = "type")]
    pub kind: AlertType,
    pub id: RequestId,
    pub triage: Triage,
    /// Empty where a planned drug alone is the reason.
    pub red_flags: Vec<RedFlag>,
    /// Of planned drugs, by rule; those that do not suffice for an alert come with the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub medication_cautions: Vec<Caution>,
}

/// A section of the form as far as it is written, already filtered as in the answer. It comes with each line, and each
/// time with all of them: it replaces what came before of its section. Not stored, and not repeated by `resend`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    pub v: V1,
    #[serde(rename = "type")]
    pub kind: ProgressType,
    pub id: RequestId,
    pub section: Section,
    pub lines: Vec<Line>,
    /// No more lines will come, unless the engine has to begin again. The box always says it; absent (in messages of
    /// the first boxes) it is true.
    #[serde(default = "finished")]
    pub complete: bool,
}

fn finished() -> bool {
    true
}

/// The sections of the form, in the order of the answer's fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    PossibleCauses,
    CannotExclude,
    SuggestedChecks,
    MedicationCautions,
    MissingInformation,
}

impl Section {
    pub const ALL: [Self; 5] = [
        Self::PossibleCauses,
        Self::CannotExclude,
        Self::SuggestedChecks,
        Self::MedicationCautions,
        Self::MissingInformation,
    ];
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorReply {
    pub v: V1,
    #[serde(rename = "type")]
    pub kind: ErrorType,
    /// Absent when the message was so broken that its id could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<RequestId>,
    pub code: ErrorCode,
    pub status: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u32>,
    pub message: Bilingual,
    /// JSON pointer (RFC 6901) of the field at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// `false`: send the same id again later. `true`: stop.
    #[serde(rename = "final")]
    pub is_final: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    BadJson,
    NotAllowed,
    UnknownDepartment,
    UnknownId,
    /// Asked for with `without_model: error`, as the last four of the ends below.
    Deadline,
    IdConflict,
    TooLarge,
    UnsupportedVersion,
    BadField,
    Busy,
    Cancelled,
    Internal,
    ModelLoading,
    Updating,
    StorageFull,
    Quarantined,
}

impl ErrorCode {
    pub const ALL: [Self; 16] = [
        Self::BadJson,
        Self::NotAllowed,
        Self::UnknownDepartment,
        Self::UnknownId,
        Self::Deadline,
        Self::IdConflict,
        Self::TooLarge,
        Self::UnsupportedVersion,
        Self::BadField,
        Self::Busy,
        Self::Cancelled,
        Self::Internal,
        Self::ModelLoading,
        Self::Updating,
        Self::StorageFull,
        Self::Quarantined,
    ];

    /// The HTTP status nearest in meaning, for developers who know those by heart.
    pub fn status(self) -> u16 {
        match self {
            Self::BadJson => 400,
            Self::NotAllowed => 403,
            Self::UnknownDepartment | Self::UnknownId => 404,
            Self::Deadline => 408,
            Self::IdConflict => 409,
            Self::TooLarge => 413,
            Self::UnsupportedVersion => 415,
            Self::BadField => 422,
            Self::Busy => 429,
            Self::Cancelled => 499,
            Self::Internal => 500,
            Self::ModelLoading | Self::Updating => 503,
            Self::StorageFull => 507,
            Self::Quarantined => 521,
        }
    }

    /// Whether the tablet should stop sending this id.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Busy | Self::ModelLoading | Self::Updating | Self::StorageFull)
    }

    pub fn message(self) -> Bilingual {
        let (zh, en) = match self {
            Self::BadJson => ("消息不是有效的JSON", "the message is not valid JSON"),
            Self::NotAllowed => ("无权进行此操作", "this name may not do that"),
            Self::UnknownDepartment => ("不认识的科室", "unknown department"),
            Self::UnknownId => ("本机没有这个编号的会诊", "this box knows no consultation with this id"),
            Self::Deadline => ("模型未能在时限内给出意见", "the model had no opinion in time"),
            Self::IdConflict => {
                ("同一编号已有内容不同的会诊，保留先到的", "this id was used for another case; the first is kept")
            }
            Self::TooLarge => ("消息过大", "the message is too large"),
            Self::UnsupportedVersion => ("不支持的协议版本，支持：1", "unsupported contract version; supported: 1"),
            Self::BadField => ("字段有误", "a field is wrong"),
            Self::Busy => ("排队已满，请稍后用同一编号重发", "the queue is full; send the same id again later"),
            Self::Cancelled => ("会诊已取消", "the consultation was cancelled"),
            Self::Internal => ("本机的模型没有正常工作", "the engine of this box does not work"),
            Self::ModelLoading => ("模型正在加载，请稍后重发", "the model is loading; send the same id again later"),
            Self::Updating => ("本机正在维护，请稍后重发", "the box is being serviced; send the same id again later"),
            Self::StorageFull => {
                ("本机存储已满，暂不能接收新的会诊", "the box's disk is full; it takes no new consultation for now")
            }
            Self::Quarantined => {
                ("此病例曾使模型中断，已被隔离", "this case ended the engine before; it is kept away from it")
            }
        };
        Bilingual::new(zh, en)
    }
}

impl ErrorReply {
    pub fn new(code: ErrorCode, id: Option<RequestId>) -> Self {
        Self {
            v: V1,
            kind: ErrorType::Word,
            id,
            code,
            status: code.status(),
            retry_after_s: None,
            message: code.message(),
            pointer: None,
            is_final: code.is_final(),
        }
    }
}

impl From<crate::request::Refusal> for ErrorReply {
    fn from(refusal: crate::request::Refusal) -> Self {
        let mut reply = Self::new(refusal.code, refusal.id);
        reply.message.en = format!("{}: {}", reply.message.en, refusal.detail);
        reply.message.zh = format!("{}：{}", reply.message.zh, refusal.detail);
        Self { pointer: refusal.pointer, ..reply }
    }
}

/// Any message on `consult/1/res/<tablet>`, for those who read them.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Accepted(Accepted),
    Alert(Alert),
    Progress(Progress),
    Answer(Box<Answer>),
    Error(ErrorReply),
    Reviewed(Box<Reviewed>),
    Report(Box<Report>),
}

impl Reply {
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Head {
            #[serde(rename = "type")]
            kind: String,
        }
        let head: Head = serde_json::from_slice(bytes)?;
        Ok(match head.kind.as_str() {
            "accepted" => Self::Accepted(serde_json::from_slice(bytes)?),
            "alert" => Self::Alert(serde_json::from_slice(bytes)?),
            "progress" => Self::Progress(serde_json::from_slice(bytes)?),
            "answer" => Self::Answer(serde_json::from_slice(bytes)?),
            "error" => Self::Error(serde_json::from_slice(bytes)?),
            "reviewed" => Self::Reviewed(serde_json::from_slice(bytes)?),
            "report" => Self::Report(serde_json::from_slice(bytes)?),
            other => return Err(serde::de::Error::custom(format!("unknown message type {other:?}"))),
        })
    }

    pub fn id(&self) -> Option<RequestId> {
        match self {
            Self::Accepted(m) => Some(m.id),
            Self::Alert(m) => Some(m.id),
            Self::Progress(m) => Some(m.id),
            Self::Answer(m) => Some(m.id),
            Self::Error(m) => m.id,
            Self::Reviewed(m) => Some(m.id),
            Self::Report(m) => Some(m.id),
        }
    }
}
