//! What a tablet sends: `consult`, `cancel`, `resend`, `receipt`, `review`; and an admin: `admin`. Lengths first, then parse, then use.

use crate::{
    admin::{Admin, Command},
    bounded::Text,
    case::{self, Case},
    ids::{DEPARTMENT_AUTO, Department, Lang, RequestId, department_name_zh, departments_asked},
    limits::*,
    reply::ErrorCode,
    review::Review,
    strict::Strict,
    words::*,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// A request for a second opinion. Unknown fields are ignored here and kept in the stored bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Consult {
    pub v: V1,
    #[serde(rename = "type")]
    pub kind: ConsultType,
    pub id: RequestId,
    #[serde(default)]
    pub lang: Lang,
    /// A code of [`crate::ids::DEPARTMENTS`], or `auto`.
    #[schemars(description = "A known department's code, or `auto`.", extend("enum" = departments_asked()))]
    pub department: Department,
    #[serde(default)]
    pub priority: Priority,
    #[serde(default = "deadline_s_default")]
    #[schemars(range(min = DEADLINE_S_MIN, max = DEADLINE_S_MAX))]
    pub deadline_s: u32,
    #[serde(default, skip_serializing_if = "WithoutModel::is_rules")]
    pub without_model: WithoutModel,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<Sent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Text<APP_CHARS_MAX>>,
    /// An opaque reference of the clinic's own; never a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clinician: Option<Text<ID_BYTES_MAX>>,
    pub case: Box<Case>,
}

fn deadline_s_default() -> u32 {
    DEADLINE_S_DEFAULT
}

/// The tablet's own clocks at sending; for measuring, never for deciding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sent {
    pub wall: Text<40>,
    pub mono_ms: u64,
    pub boot: Text<ID_BYTES_MAX>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(transform = open_to_new_words)]
pub enum Priority {
    Urgent,
    #[default]
    #[serde(other)]
    Routine,
}

/// What is wanted where the model cannot take part: it is late, loading, dead, or has none for the department.
/// Red flags come in any case, as `alert`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(transform = open_to_new_words)]
pub enum WithoutModel {
    /// An error with the reason as its code: for systems that would take a rules-only answer for an opinion.
    Error,
    /// The rules' own answer, which says in `degraded` what it lacks.
    #[default]
    #[serde(other)]
    Rules,
}

impl WithoutModel {
    pub fn is_rules(&self) -> bool {
        *self == Self::Rules
    }
}

/// Ends a consultation that nobody waits for any more. Its end is an `error` with the code `cancelled`; where the answer
/// came first, that stands and is sent again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cancel {
    pub v: V1,
    #[serde(rename = "type")]
    pub kind: CancelType,
    pub id: RequestId,
}

/// Asks for the stored messages of an earlier `consult` again, byte for byte.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resend {
    pub v: V1,
    #[serde(rename = "type")]
    pub kind: ResendType,
    pub id: RequestId,
}

/// The tablet has stored the answer (or the final error); the box stops repeating it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    pub v: V1,
    #[serde(rename = "type")]
    pub kind: ReceiptType,
    pub id: RequestId,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    Consult(Consult),
    Cancel(Cancel),
    Resend(Resend),
}

/// Why a message was not taken, with what can be said of where and whose it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub code: ErrorCode,
    pub id: Option<RequestId>,
    /// JSON pointer of the offending field.
    pub pointer: Option<String>,
    /// What is wrong with the form of the message; never a piece of its content.
    pub detail: String,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, id: None, pointer: None, detail: detail.into() }
    }
    pub(crate) fn at(self, pointer: impl Into<String>) -> Self {
        Self { pointer: Some(pointer.into()), ..self }
    }
}

/// Reads a message from `consult/1/req/<tablet>`.
pub fn parse_request(bytes: &[u8]) -> Result<Request, Refusal> {
    let envelope = Envelope::open(bytes)?;
    match envelope.kind.as_str() {
        "consult" => {
            let id = envelope.id;
            let consult: Consult = envelope.read()?;
            check(&consult).map_err(|r| Refusal { id, ..r })?;
            Ok(Request::Consult(consult))
        }
        "cancel" => envelope.read().map(Request::Cancel),
        "resend" => envelope.read().map(Request::Resend),
        _ => Err(envelope.refuse_type("consult, cancel, resend")),
    }
}

/// Reads a message from `consult/1/receipt/<tablet>`.
pub fn parse_receipt(bytes: &[u8]) -> Result<Receipt, Refusal> {
    let envelope = Envelope::open(bytes)?;
    match envelope.kind.as_str() {
        "receipt" => envelope.read(),
        _ => Err(envelope.refuse_type("receipt")),
    }
}

/// Reads a message from `consult/1/review/<tablet>`.
pub fn parse_review(bytes: &[u8]) -> Result<Review, Refusal> {
    let envelope = Envelope::open(bytes)?;
    let id = envelope.id;
    let review: Review = match envelope.kind.as_str() {
        "review" => envelope.read()?,
        _ => return Err(envelope.refuse_type("review")),
    };
    match review.contradiction() {
        Some((pointer, detail)) => Err(Refusal { id, ..Refusal::new(ErrorCode::BadField, detail).at(pointer) }),
        None => Ok(review),
    }
}

/// Reads a message from `consult/1/admin/<admin>`.
pub fn parse_admin(bytes: &[u8]) -> Result<Admin, Refusal> {
    let envelope = Envelope::open(bytes)?;
    match envelope.kind.as_str() {
        "admin" => {
            let id = envelope.id;
            let admin: Admin = envelope.read()?;
            match admin.command {
                Command::Hold { for_s } if !(1..=HOLD_S_MAX).contains(&for_s) => {
                    let detail = format!("for_s is 1 to {HOLD_S_MAX}");
                    Err(Refusal { id, ..Refusal::new(ErrorCode::BadField, detail).at("/for_s") })
                }
                _ => Ok(admin),
            }
        }
        _ => Err(envelope.refuse_type("admin")),
    }
}

/// What the type system cannot say about a consult.
fn check(consult: &Consult) -> Result<(), Refusal> {
    let department = &*consult.department;
    if department != DEPARTMENT_AUTO && department_name_zh(department).is_none() {
        return Err(
            Refusal::new(ErrorCode::UnknownDepartment, "department is not in the contract's list").at("/department")
        );
    }
    if !(DEADLINE_S_MIN..=DEADLINE_S_MAX).contains(&consult.deadline_s) {
        let detail = format!("deadline_s is {DEADLINE_S_MIN} to {DEADLINE_S_MAX}");
        return Err(Refusal::new(ErrorCode::BadField, detail).at("/deadline_s"));
    }
    if consult.case.complaint.text.trim().is_empty() && consult.case.findings.is_empty() {
        return Err(
            Refusal::new(ErrorCode::BadField, "a case needs a complaint or a finding").at("/case/complaint/text")
        );
    }
    match case::implausible(&consult.case) {
        Some((pointer, detail)) => Err(Refusal::new(ErrorCode::BadField, detail).at(pointer)),
        None => Ok(()),
    }
}

/// A message of the right length, in JSON, of our version: everything but its own fields is checked.
pub(crate) struct Envelope {
    pub(crate) kind: String,
    id: Option<RequestId>,
    value: Value,
}

impl Envelope {
    pub(crate) fn open(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            let detail = format!("message is {} bytes; at most {MESSAGE_BYTES_MAX}", bytes.len());
            return Err(Refusal::new(ErrorCode::TooLarge, detail));
        }
        let bad_json = |detail: &str| Refusal::new(ErrorCode::BadJson, detail);
        let text = std::str::from_utf8(bytes).map_err(|_| bad_json("message is not UTF-8"))?;
        if depth(text) > JSON_DEPTH_MAX {
            return Err(bad_json(&format!("message nests deeper than {JSON_DEPTH_MAX}")));
        }
        // serde_json's own message may quote the input, so only the place is passed on.
        let Strict(value) = serde_json::from_str(text).map_err(|e| {
            bad_json(&format!("not JSON, or a name stands twice, at line {} column {}", e.line(), e.column()))
        })?;
        let object = value.as_object().ok_or_else(|| bad_json("message is not a JSON object"))?;

        let id = object.get("id").and_then(|id| RequestId::deserialize(id).ok());
        let refuse = |code, pointer: &str, detail: &str| Err(Refusal { id, ..Refusal::new(code, detail).at(pointer) });
        match object.get("v").map(Value::as_u64) {
            Some(Some(1)) => {}
            Some(Some(_)) => return refuse(ErrorCode::UnsupportedVersion, "/v", "supported versions: 1"),
            _ => return refuse(ErrorCode::BadField, "/v", "v is missing or not a number"),
        }
        let Some(kind) = object.get("type").and_then(Value::as_str).map(str::to_owned) else {
            return refuse(ErrorCode::BadField, "/type", "type is missing or not a string");
        };
        Ok(Self { kind, id, value })
    }

    pub(crate) fn read<T: DeserializeOwned>(self) -> Result<T, Refusal> {
        let id = self.id;
        serde_path_to_error::deserialize(self.value).map_err(|fault| {
            let pointer = pointer(fault.path());
            Refusal { id, ..Refusal::new(ErrorCode::BadField, expectation(fault.inner())).at(pointer) }
        })
    }

    fn refuse_type(&self, known: &str) -> Refusal {
        Refusal {
            id: self.id,
            ..Refusal::new(ErrorCode::BadField, format!("type on this topic is one of: {known}")).at("/type")
        }
    }
}

/// Deepest nesting of brackets outside strings. Read before parsing, so that no parser recurses on the hostile.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => format!("/{variant}"),
            Segment::Unknown => "/?".into(),
        })
        .collect()
}

/// serde names what it found ("invalid type: string \"头痛\", expected f32"), and what it found may be clinical:
/// keep what was expected only. The last "expected" is serde's own; earlier ones may stand in what it found.
fn expectation(fault: &serde_json::Error) -> String {
    let text = fault.to_string();
    let own = ["missing field", "text is longer", "text holds", "not a code", "not a UUID", "more than"];
    if own.iter().any(|known| text.starts_with(known)) {
        return text;
    }
    match text.rfind("expected ") {
        Some(at) => text[at..].to_owned(),
        None => "not a value of this field".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn consult() -> Value {
        json!({"v":1,"type":"consult","id":"6f1c7e52-8f3a-4d6e-9c60-0a4f5a1f0001","department":"internal",
               "case":{"complaint":{"text":"饭后胸闷"}}})
    }

    fn refusal(message: &Value) -> Refusal {
        parse_request(message.to_string().as_bytes()).expect_err("must be refused")
    }

    #[test]
    fn the_least_request_is_enough() {
        let Request::Consult(c) = parse_request(consult().to_string().as_bytes()).expect("parses") else {
            panic!("not a consult")
        };
        assert_eq!((c.lang, c.deadline_s, c.priority), (Lang::Zh, DEADLINE_S_DEFAULT, Priority::Routine));
    }

    #[test]
    fn each_fault_has_its_code_and_place() {
        let with = |pointer: &str, value: Value| {
            let mut message = consult();
            let (parent, key) = pointer.rsplit_once('/').expect("a pointer has a slash");
            message.pointer_mut(parent).expect("parent is there")[key] = value;
            message
        };
        use ErrorCode::*;
        let table = [
            (with("/v", json!(2)), UnsupportedVersion, "/v"),
            (with("/v", json!("1")), BadField, "/v"),
            (with("/type", json!("prescribe")), BadField, "/type"),
            (with("/department", json!("astrology")), UnknownDepartment, "/department"),
            (with("/department", json!("内科")), BadField, "/department"),
            (with("/deadline_s", json!(0)), BadField, "/deadline_s"),
            (with("/case/age", json!({"value": 999, "unit": "year"})), BadField, "/case/age/value"),
            (with("/case/age", json!({"value": "六十", "unit": "year"})), BadField, "/case/age/value"),
            (with("/case/complaint/text", json!("")), BadField, "/case/complaint/text"),
            (
                with("/case/complaint/text", json!("长".repeat(COMPLAINT_CHARS_MAX + 1))),
                BadField,
                "/case/complaint/text",
            ),
            (with("/case/vitals", json!({"t_c": 385})), BadField, "/case/vitals/t_c"),
        ];
        for (message, code, pointer) in table {
            let refusal = refusal(&message);
            assert_eq!((refusal.code, refusal.pointer.as_deref()), (code, Some(pointer)), "{message}");
            assert!(refusal.id.is_some(), "the refusal must name the request");
        }
    }

    #[test]
    fn a_refusal_never_repeats_what_the_patient_said() {
        let mut message = consult();
        for said in ["张三的秘密", "expected 秘密", "missing field 秘密", "text is longer 秘密", "not a code 秘密"]
        {
            message["case"]["age"] = json!({"value": said, "unit": "year"});
            assert!(!format!("{:?}", refusal(&message)).contains("秘密"), "{said}");
            message["case"]["age"] = json!({"value": 30, "unit": said});
            assert!(!format!("{:?}", refusal(&message)).contains("秘密"), "{said}");
        }
    }

    #[test]
    fn rubbish_is_bad_json() {
        let nested = "[".repeat(100_000);
        for bytes in [&b"\xff\xfe"[..], b"", b"[]", b"{", b"null", nested.as_bytes()] {
            assert_eq!(parse_request(bytes).expect_err("rubbish").code, ErrorCode::BadJson);
        }
        let large = vec![b' '; MESSAGE_BYTES_MAX + 1];
        assert_eq!(parse_request(&large).expect_err("too large").code, ErrorCode::TooLarge);
    }

    #[test]
    fn a_name_that_stands_twice_is_bad_json() {
        let twice = consult().to_string().replace(r#""case":{"#, r#""case":{"complaint":{"text":"胸痛"},"#);
        assert_eq!(parse_request(twice.as_bytes()).expect_err("twice").code, ErrorCode::BadJson);
        let inner = consult().to_string().replace(r#""v":1"#, r#""v":1,"x":[{"a":1,"a":2}]"#);
        assert_eq!(parse_request(inner.as_bytes()).expect_err("twice").code, ErrorCode::BadJson);
    }

    #[test]
    fn lists_and_ids_name_their_bounds() {
        let mut message = consult();
        message["case"]["allergies"] = json!(vec!["x"; crate::limits::ITEMS_MAX + 1]);
        assert!(refusal(&message).detail.contains("more than 32 entries"));
        let mut message = consult();
        message["id"] = json!("6f1c7e528f3a4d6e9c600a4f5a1f0001");
        let refused = parse_request(message.to_string().as_bytes()).expect_err("without hyphens");
        assert!(refused.detail.contains("UUID with hyphens"), "{}", refused.detail);
    }

    #[test]
    fn brackets_inside_strings_are_not_nesting() {
        assert_eq!(depth(r#"{"a":"[[[[\"[["}"#), 1);
    }
}
