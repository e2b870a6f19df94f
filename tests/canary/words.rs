//! What is planted, and where a request has room for it.

use crate::common::case;
use serde_json::{Value, json};

/// Of whoever the case is about, all invented: to be found nowhere, for they are masked before anything is stored.
pub const SECRETS: [&str; 5] = ["11010519491231002X", "13800138000", "王翠花", "张家湾", "Zebulon"];
/// Of no meaning and found in no rule: to be found in the store and with their tablet.
pub const WORDS: [&str; 2] = ["金丝雀", "zyzzyva"];
/// The same as a number.
pub const TELEPHONE: u64 = 13_800_138_000;

/// The first that is found, which is safe to print.
pub fn planted(bytes: &[u8]) -> Option<&'static str> {
    secret(bytes).or_else(|| first_of(&WORDS, bytes))
}

pub fn secret(bytes: &[u8]) -> Option<&'static str> {
    first_of(&SECRETS, bytes)
}

fn first_of(words: &[&'static str], bytes: &[u8]) -> Option<&'static str> {
    words.iter().copied().find(|word| holds(bytes, word))
}

pub fn holds(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|piece| piece == word.as_bytes())
}

/// What marks this field in the store.
pub fn mark(lang: &str, field: &str) -> String {
    if lang == "zh" { format!("金丝雀{field}") } else { format!("zyzzyva-{field}") }
}

/// Free text for one field: its mark, a name, a telephone and an identity number.
pub fn text(lang: &str, field: &str) -> String {
    let mark = mark(lang, field);
    match lang {
        "zh" => format!("{mark}，患者王翠花，电话13800138000，身份证11010519491231002X"),
        _ => format!("{mark}, Mr. Zebulon, tel 13800138000, ID 11010519491231002X"),
    }
}

/// A case with a red flag, every field of it full; with the marks that the store must have.
pub fn full_case(lang: &str) -> (Value, Vec<String>) {
    let mut message = case(&format!("angina.{lang}"));
    let complaint = message["case"]["complaint"]["text"].as_str().expect("a complaint").to_owned();
    let mut marks = Vec::new();
    let mut plant = |field: &str| {
        marks.push(mark(lang, field));
        text(lang, field)
    };
    message["app"] = json!(plant("app"));
    message["clinician"] = json!(plant("dr"));
    // Words that a newer tablet may know, and fields.
    message["priority"] = json!(plant("priority"));
    message["without_model"] = json!(plant("without"));
    message["sent"] = json!({"wall": "2026-11-25, 13800138000", "mono_ms": 86_400_000, "boot": "13800138000",
                             "note": plant("sent")});
    message["note"] = json!({"deep": [plant("unknown"), {"phone": "13800138000", "tel": TELEPHONE}]});
    message["number"] = json!(TELEPHONE);
    message[format!("电话13800138000，{}", plant("key"))] = json!(1);
    let case = &mut message["case"];
    case["complaint"] = json!({"text": format!("{complaint}；{}", plant("complaint")), "duration": plant("duration")});
    case["history"] = json!(format!("{}，家住河北省某县张家湾村3组8号", plant("history")));
    case["sex"] = json!(plant("sex"));
    case["pregnancy"] = json!({"status": plant("pregnancy"), "note": plant("inner")});
    for list in ["allergies", "conditions", "current_drugs"] {
        case[list] = json!([plant(list)]);
    }
    case["plan"] =
        json!({"working_diagnosis": plant("diagnosis"), "checks": [plant("checks")], "drugs": [plant("drugs")]});
    case["labs"] = json!([{"name": plant("lab"), "value": plant("value"), "unit": plant("unit")}]);
    // Codes hold small letters only, and a telephone among them would be a word of somebody's own.
    case["findings"] = json!([{"code": "zyzzyva", "state": plant("state")}]);
    case["exposures"] = json!(["zyzzyva-exposed"]);
    case["resources"] = json!(["zyzzyva-at-hand"]);
    case["note"] = json!(plant("case"));
    (message, marks)
}

pub fn full_review(lang: &str, id: &Value) -> (Value, Vec<String>) {
    let fields = ["by", "causes", "exclude", "check", "caution", "ask", "patient", "reason", "more"];
    let [by, causes, exclude, check, caution, ask, patient, reason, more] = fields.map(|field| text(lang, field));
    let review = json!({"v": 1, "type": "review", "id": id, "clinician": by, "verdict": "edited",
        "final": {"possible_causes": [causes], "cannot_exclude": [exclude], "suggested_checks": [check],
                  "medication_cautions": [caution], "missing_information": [ask]},
        "patient_text": patient, "reason": reason, "note": more, "deadline_s": "13800138000",
        "sent": {"mono_ms": "13800138000"}});
    (review, fields.map(|field| mark(lang, field)).into())
}

/// To the branch `req` unless it says another: each is refused, and none may be quoted.
pub fn refused() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let (zh, en) = (text("zh", "field"), text("en", "field"));
    let with = |pointer: &str, value: Value| {
        let mut message = case("angina.zh");
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer has a slash");
        message.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}"))[key] = value;
        message.to_string().into_bytes()
    };
    let id = uuid::Uuid::new_v4();
    let review = |more: Value| {
        let mut review = json!({"v": 1, "type": "review", "id": id, "clinician": "c-7", "verdict": "accepted"});
        review.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        review.to_string().into_bytes()
    };
    let order = |more: Value| {
        let mut order = json!({"v": 1, "type": "admin", "id": id, "note": zh, "do": "list"});
        order.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        order.to_string().into_bytes()
    };
    let disguised = ["expected ", "missing field ", "text is longer ", "not a code "].map(|head| format!("{head}{zh}"));
    let mut rows = vec![
        ("not JSON", "req", zh.clone().into_bytes()),
        ("cut off", "req", format!("{{\"v\":1,\"type\":\"consult\",\"{zh}\":\"{en}\",").into_bytes()),
        ("a name twice", "req", format!("{{\"v\":1,\"{zh}\":1,\"{zh}\":2}}").into_bytes()),
        ("no UTF-8", "req", [zh.as_bytes(), b"\xff"].concat()),
        ("no object", "req", json!([zh, en]).to_string().into_bytes()),
        ("too deep", "req", format!("{}\"{zh}\"{}", "[".repeat(100), "]".repeat(100)).into_bytes()),
        ("too large", "req", with("/note", json!(zh.repeat(5000)))),
        ("a later version", "req", with("/v", json!(9))),
        ("no version", "req", with("/v", json!(zh))),
        ("no type of ours", "req", with("/type", json!(zh))),
        ("no id", "req", with("/id", json!(zh))),
        ("an id of digits", "req", with("/id", json!("11010519491231002X"))),
        ("no code", "req", with("/department", json!(zh))),
        ("no department", "req", with("/department", json!("zyzzyva"))),
        ("a telephone for a department", "req", with("/department", json!("13800138000"))),
        ("no language", "req", with("/lang", json!(zh))),
        ("no deadline", "req", with("/deadline_s", json!(en))),
        ("a telephone for a deadline", "req", with("/deadline_s", json!(TELEPHONE))),
        ("no case", "req", with("/case", json!(zh))),
        ("no age", "req", with("/case/age", json!({"value": zh, "unit": "year"}))),
        ("no unit", "req", with("/case/age", json!({"value": 60, "unit": en}))),
        ("a telephone for an age", "req", with("/case/age", json!({"value": TELEPHONE, "unit": "year"}))),
        ("no temperature", "req", with("/case/vitals", json!({"t_c": zh}))),
        ("a complaint that is too long", "req", with("/case/complaint/text", json!(zh.repeat(200)))),
        ("a control character", "req", with("/case/complaint/text", json!(format!("{zh}\u{0}")))),
        ("no finding's code", "req", with("/case/findings", json!([{"code": zh, "state": "present"}]))),
        ("no findings", "req", with("/case/findings", json!({zh.as_str(): en}))),
        ("an item that is too long", "req", with("/case/allergies", json!([zh.repeat(5)]))),
        ("nothing to cancel", "req", json!({"v":1,"type":"cancel","id":id,"note":zh}).to_string().into_bytes()),
        ("nothing to send again", "req", json!({"v":1,"type":"resend","id":id,"note":en}).to_string().into_bytes()),
        ("a receipt without an id", "receipt", json!({"v":1,"type":"receipt","id":zh}).to_string().into_bytes()),
        ("nothing to review", "review", review(json!({"reason": zh}))),
        ("no verdict", "review", review(json!({"verdict": zh}))),
        ("a clinician that is too long", "review", review(json!({"clinician": zh.repeat(3)}))),
        (
            "a final text that does not belong",
            "review",
            review(json!({"final": {"possible_causes": [zh],
            "cannot_exclude": [en]}})),
        ),
        ("no final text", "review", review(json!({"final": zh}))),
        ("a patient's text in a list", "review", review(json!({"patient_text": [zh]}))),
        ("no order", "admin", order(json!({"do": zh}))),
        ("an order that says a telephone", "admin", order(json!({"do": "hold", "for_s": TELEPHONE}))),
        ("an order about nobody", "admin", order(json!({"do": "release", "case": zh}))),
        ("an order in another's place", "req", order(json!({}))),
    ];
    rows.extend(disguised.into_iter().flat_map(|said| {
        [
            ("a disguise", "req", with("/case/age", json!({"value": said, "unit": "year"}))),
            ("a disguise for a unit", "req", with("/case/age", json!({"value": 60, "unit": said}))),
            ("a disguised order", "admin", order(json!({"do": said}))),
            ("a disguised verdict", "review", review(json!({"verdict": said}))),
        ]
    }));
    rows
}
