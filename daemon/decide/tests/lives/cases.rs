//! What tablets send and what models write: tables to pick from.

use contract::{
    answer::{AdapterRef, ReviewState},
    case::Case,
    ids::{Department, RequestId, TabletName},
    request::Consult,
    words::Triage,
};
use decide::{
    Config,
    rules::{Fired, RuleSet},
    seal::Seal,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::LazyLock};

pub const TABLETS: [&str; 3] = ["clinic-1", "clinic-2", "clinic-3"];
/// Served by [`config`]; the box has no adapter for others.
pub const SERVED: [&str; 3] = ["internal", "obstetrics", "pediatrics"];

/// Red, yellow and green in both languages; some ask for what is unknown.
static CASES: LazyLock<[Value; 10]> = LazyLock::new(|| {
    [
        json!({"age": {"value": 52, "unit": "year"}, "sex": "male", "complaint": {"text": "4小时前突发胸背部撕裂样疼痛"}}),
        json!({"complaint": {"text": "怀孕30周，头痛两天"}}),
        json!({"age": {"value": 32, "unit": "year"}, "complaint": {"text": "hives and trouble breathing after an injection"}}),
        json!({"age": {"value": 20, "unit": "year"}, "sex": "male", "complaint": {"text": "转移性右下腹痛8小时"}}),
        json!({"age": {"value": 3, "unit": "year"}, "complaint": {"text": "发烧两天，喊耳朵疼"}}),
        json!({"age": {"value": 30, "unit": "year"}, "sex": "male", "complaint": {"text": "脚气痒一周"}}),
        json!({"age": {"value": 32, "unit": "year"}, "complaint": {"text": "mild itch after eating prawns"}}),
        json!({"complaint": {"text": "打针后轻微皮肤痒"}}),
        json!({"complaint": {"text": "发热1天"}}),
        // No red flag, and a drug of the plan that must not be given.
        json!({"age": {"value": 28, "unit": "year"}, "sex": "female", "pregnancy": {"status": "pregnant", "weeks": 28},
               "complaint": {"text": "复诊拿药"}, "plan": {"drugs": ["卡托普利"]}}),
    ]
});
pub const CASES_COUNT: usize = 10;

/// Messages that are refused, each for its own reason.
pub const RUBBISH: [&str; 6] = [
    "{",
    r#"{"v":2,"type":"consult"}"#,
    r#"{"v":1,"type":"prescribe","id":"00000000-0000-0000-0000-000000000001"}"#,
    r#"{"v":1,"type":"consult","id":"00000000-0000-0000-0000-000000000001","department":"astrology","case":{"complaint":{"text":"头痛"}}}"#,
    r#"{"v":1,"type":"consult","id":"00000000-0000-0000-0000-000000000001","department":"internal","deadline_s":1,"case":{"complaint":{"text":"头痛"}}}"#,
    r#"{"v":1,"type":"consult","id":"00000000-0000-0000-0000-000000000001","department":"internal","case":{"complaint":{"text":""}}}"#,
];

/// A dose that no message may ever hold, whatever stands between its letters.
pub const DOSE: &str = "987mg";
/// Good lines, lines without a name, doses plain and in disguise, and what is too long.
pub const MODEL_LINES: [&str; 10] = [
    "足癣：趾间瘙痒；查趾间",
    "Aortic dissection: sudden tearing pain",
    "心电图：看有无ST-T改变",
    "：没有名字",
    "",
    "阿莫西林：987mg口服",
    "阿莫西林：987 \u{7}mg",
    "阿莫西林：987\u{1}m\u{2}g",
    "确诊为脚气",
    "长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长：长",
];

pub fn tablet(name: &str) -> TabletName {
    TabletName::new(name).expect("a name")
}

pub fn department(code: &str) -> Department {
    Department::new(code).expect("a code")
}

pub fn id(n: usize) -> RequestId {
    serde_json::from_value(json!(format!("00000000-0000-0000-0000-{n:012}"))).expect("a UUID")
}

pub fn config(queue_max: usize) -> Config {
    let adapter = |code: &str| AdapterRef {
        id: format!("demo-{code}"),
        version: "1".into(),
        sha256: "00".repeat(32),
        trained_on: BTreeMap::new(),
        covers: None,
        urgency_clear_at: None,
        calibration: None,
        review: ReviewState::NotPhysicianReviewed,
    };
    Config {
        box_name: "box".into(),
        daemon: "test".into(),
        base_sha256: Some("11".repeat(32)),
        departments: SERVED.iter().map(|code| (department(code), adapter(code))).collect(),
        scripted: false,
        queue_max,
        jobs_max: 1,
        deaths_max: 2,
        attempts_max: 4,
        tablet_max: queue_max,
        per_minute_max: 60,
        admins: [tablet("admin")].into(),
        seal: Seal::new(&[7; 32]),
    }
}

/// A request as a tablet writes it. Case `n` of the table.
pub fn request(id: RequestId, n: usize, lang: &str, department: &str, priority: &str, deadline_s: u32) -> Vec<u8> {
    // No two of them are the same to the engine: what kills it under one id would be kept from it under the other.
    let mut case = CASES[n].clone();
    case["history"] = json!(id);
    json!({"v": 1, "type": "consult", "id": id, "lang": lang, "department": department, "priority": priority,
           "deadline_s": deadline_s, "case": case})
    .to_string()
    .into_bytes()
}

/// What the rules say of a case, with no daemon near. Kept, because asking them is most of a life's time.
pub fn rules_alone(consult: &Consult) -> &'static Fired {
    static SAID: LazyLock<BTreeMap<(String, String), Fired>> = LazyLock::new(|| {
        let read = |lang: &str, n: usize| {
            let case: Case = serde_json::from_value(CASES[n].clone()).expect("a case");
            let spoken = serde_json::from_value(json!(lang)).expect("a language");
            let mut said = RuleSet::builtin().check(&case, spoken);
            if case.plan.is_some() {
                said.triage = Triage::Yellow; // for its drug
            }
            ((lang.to_owned(), case.complaint.text.to_string()), said)
        };
        (0..CASES_COUNT).flat_map(|n| ["zh", "en"].map(|lang| read(lang, n))).collect()
    });
    let lang = format!("{:?}", consult.lang).to_lowercase();
    &SAID[&(lang, consult.case.complaint.text.to_string())]
}
