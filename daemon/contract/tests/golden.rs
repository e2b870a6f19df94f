//! The golden files and the schemas, held against the types.
//!
//! ```text
//! golden/<message>[.<variant>].json ──valid?──▶ schema/<message>.json ◀──same?── types
//!        └──────────────────────── parses, and comes back whole ───────────────────┘
//! ```
//! The AsyncAPI document, which refers to both, has its tests in `asyncapi.rs`; readers of other versions in `versions.rs`.

use contract::{
    case::{FindingState, PregnancyStatus, Sex},
    info::BoxInfo,
    limits::*,
    load::BoxLoad,
    manifest::AdapterManifest,
    reply::{ErrorReply, Reply},
    request::{Consult, Priority, Request, parse_admin, parse_receipt, parse_request, parse_review},
    status::BoxStatus,
};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    fs,
    path::Path,
};

/// Sent by a tablet of a later version 1: it has more than this box knows.
const NEWER: &str = "consult.newer";
/// Holds the mandatory fields only: reading it adds the defaults.
const LEAST: &str = "consult.least";
/// Sent by a box that knew finished sections only: reading it adds that they are.
const FINISHED: &str = "progress";

#[test]
fn every_message_has_a_schema_and_an_example() {
    let schemas: BTreeSet<_> = contract::schema::all().into_iter().map(|(name, _)| name.to_owned()).collect();
    let examples: BTreeSet<_> = folder("golden").keys().map(|name| message(name).to_owned()).collect();
    assert_eq!(schemas, examples);
}

#[test]
fn the_schemas_on_disk_are_those_of_the_types() {
    let generated: BTreeMap<_, _> =
        contract::schema::all().into_iter().map(|(name, schema)| (name.to_owned(), format!("{schema:#}\n"))).collect();
    assert!(folder("schema") == generated, "the types have changed: run `cargo run -p contract --example schemas`");
}

#[test]
fn every_schema_says_what_it_is() {
    for (name, schema) in contract::schema::all() {
        jsonschema::meta::validate(&schema).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert_eq!(schema["$id"], format!("urn:consultd:contract:1:{name}"));
        assert!(["$schema", "title", "description"].iter().all(|key| schema[key].is_string()), "{name}");
    }
}

#[test]
fn every_example_is_taken_by_its_schema_and_comes_back_whole() {
    for (name, example) in goldens() {
        accepted_by_schema(message(&name), &example).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let again = read(message(&name), &example).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let mut expected = example;
        if name == LEAST {
            expected["lang"] = json!("zh");
            expected["priority"] = json!("routine");
            expected["deadline_s"] = json!(DEADLINE_S_DEFAULT);
        }
        if name == FINISHED {
            expected["complete"] = json!(true);
        }
        if name != NEWER {
            assert_eq!(numbers_alike(&again), numbers_alike(&expected), "{name}");
        }
    }
}

#[test]
fn every_field_stands_in_some_example() {
    for (name, schema) in contract::schema::all() {
        let known: BTreeSet<String> = keys(&schema, &|path| path == Some("properties"));
        let shown: BTreeSet<String> = goldens()
            .into_iter()
            .filter(|(golden, _)| message(golden) == name && golden != NEWER)
            .flat_map(|(_, example)| keys(&example, &|_| true))
            .collect();
        // `weeks` is shown by the tablet that knows more: our other patients are not pregnant.
        let missing: Vec<_> = known.difference(&shown).filter(|field| *field != "weeks").collect();
        assert!(missing.is_empty(), "no example of {name} shows {missing:?}");
    }
}

#[test]
fn what_a_newer_tablet_adds_is_taken_and_its_new_words_read_as_unknown() {
    let example = &goldens()[NEWER];
    let Ok(Request::Consult(consult)) = parse_request(example.to_string().as_bytes()) else {
        panic!("a newer tablet is understood")
    };
    let case = &consult.case;
    assert_eq!((consult.priority, case.sex), (Priority::Routine, Sex::Unknown));
    assert_eq!(case.pregnancy.map(|p| (p.status, p.weeks)), Some((PregnancyStatus::Unknown, Some(6))));
    let states: Vec<_> = case.findings.iter().map(|finding| finding.state).collect();
    assert_eq!(states, [FindingState::Present, FindingState::Unknown]);

    // All that we do know is kept as it was sent, but for the four words above.
    let again = json(&consult).expect("serialises");
    let changed: Vec<_> = differing_leaves("", &numbers_alike(&again), &numbers_alike(example));
    assert_eq!(changed, ["/priority", "/case/pregnancy/status", "/case/findings/1/state"]);
    assert!(again["case"].get("sex").is_none(), "an unknown sex is an absent one");
    assert_eq!(again["case"]["labs"][0]["name"], "血红蛋白");
}

#[test]
fn a_field_more_is_taken_in_every_message() {
    for (name, mut example) in goldens().into_iter().filter(|(name, _)| message(name) != "adapter-manifest") {
        example["of_a_later_version"] = json!({"more": [1, 2]});
        accepted_by_schema(message(&name), &example).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        read(message(&name), &example).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    }
}

#[test]
fn the_example_of_an_error_is_what_the_box_says() {
    let mut example = goldens()["consult.zh"].clone();
    example["case"]["vitals"]["t_c"] = json!(385);
    let refusal = parse_request(example.to_string().as_bytes()).expect_err("no fever is that high");
    assert_eq!(json(&ErrorReply::from(refusal)).expect("serialises"), goldens()["error"]);
}

/// What becomes of an example before it must be refused.
enum Harm {
    Remove(&'static str),
    /// Puts the value there; the field may be new, the object around it may not.
    Put(&'static str, Value),
}
use Harm::{Put, Remove};

#[test]
fn a_damaged_message_is_refused_by_the_type_and_by_the_schema() {
    let goldens = goldens();
    let many = |count: usize, one: &Value| json!(vec![one; count]);
    let long = |chars: usize| json!("长".repeat(chars));
    let cause = &goldens["answer"]["possible_causes"][0];
    let finding = &goldens["consult.zh"]["case"]["findings"][0];
    let table = [
        ("answer", Remove("/disclaimer")),
        ("answer", Put("/disclaimer/zh", json!("放心用药"))),
        ("answer", Put("/disclaimer/en", json!(""))),
        ("answer", Remove("/ai_label")),
        ("answer", Remove("/cannot_exclude")),
        ("answer", Put("/cannot_exclude", json!([]))),
        ("answer", Put("/cannot_exclude/0/because", long(LINE_CHARS_MAX + 1))),
        ("answer", Put("/possible_causes", many(CAUSES_MAX + 1, cause))),
        ("answer", Remove("/provenance")),
        ("answer", Remove("/id")),
        ("answer", Put("/v", json!(2))),
        ("answer", Put("/triage", json!("orange"))),
        ("answer", Put("/review/state", json!("accepted"))),
        ("answer.rules-only", Put("/provenance/degraded", json!(["tired"]))),
        ("consult.zh", Put("/v", json!(2))),
        ("consult.zh", Put("/v", json!("1"))),
        ("consult.zh", Remove("/v")),
        ("consult.zh", Put("/type", json!("prescribe"))),
        ("consult.zh", Remove("/id")),
        ("consult.zh", Put("/id", json!("the-first-of-today"))),
        ("consult.zh", Put("/lang", json!("fr"))),
        ("consult.zh", Remove("/department")),
        ("consult.zh", Put("/department", json!("astrology"))),
        ("consult.zh", Put("/deadline_s", json!(DEADLINE_S_MIN - 1))),
        ("consult.zh", Put("/deadline_s", json!(DEADLINE_S_MAX + 1))),
        ("consult.zh", Put("/clinician", long(ID_BYTES_MAX + 1))),
        ("consult.zh", Put("/case", Value::Null)),
        ("consult.zh", Put("/case/age/value", json!(151))),
        ("consult.zh", Put("/case/age/value", json!(-1))),
        ("consult.zh", Put("/case/age", json!({"value": 1801, "unit": "month"}))),
        ("consult.zh", Put("/case/age/unit", json!("week"))),
        ("consult.zh", Put("/case/sex", json!(1))),
        ("consult.zh", Put("/case/weight_kg", json!(0.1))),
        ("consult.newer", Put("/case/pregnancy/weeks", json!(46))),
        ("consult.zh", Put("/case/exposures/0", json!("绵羊"))),
        ("consult.zh", Put("/case/complaint/text", long(COMPLAINT_CHARS_MAX + 1))),
        ("consult.zh", Put("/case/complaint/text", json!("胸闷\u{0}"))),
        ("consult.zh", Put("/case/history", json!("\u{1b}[2J"))),
        ("consult.zh", Put("/case/findings", many(FINDINGS_MAX + 1, finding))),
        ("consult.zh", Put("/case/findings/0/code", json!("Fever!"))),
        ("consult.zh", Put("/case/vitals/t_c", json!(385))),
        ("consult.least", Put("/case/complaint/text", json!(" \n"))),
        ("consult.least", Remove("/case/complaint")),
        ("resend", Remove("/id")),
        ("receipt", Put("/type", json!("resend"))),
        ("accepted", Put("/queue", json!(-1))),
        ("alert", Remove("/red_flags")),
        ("progress", Put("/section", json!("diagnosis"))),
        ("error", Put("/code", json!("teapot"))),
        ("error", Remove("/final")),
        ("status", Put("/state", json!("sleeping"))),
        ("cancel", Remove("/id")),
        ("review", Remove("/clinician")),
        ("review", Put("/clinician", json!(""))),
        ("review", Remove("/final")),
        ("review", Put("/final/cannot_exclude", json!([]))),
        ("review", Put("/verdict", json!("perhaps"))),
        ("review", Put("/patient_text", long(PATIENT_TEXT_CHARS_MAX + 1))),
        ("review.accepted", Put("/final", goldens["review"]["final"].clone())),
        ("review.rejected", Put("/patient_text", json!("多喝水"))),
        ("reviewed", Remove("/disclaimer")),
        ("reviewed", Put("/sig", json!("ef"))),
        ("answer.sealed", Put("/audit/hash", json!("AB".repeat(32)))),
        ("admin.hold", Put("/for_s", json!(HOLD_S_MAX + 1))),
        ("admin.hold", Put("/for_s", json!(0))),
        ("admin.list", Put("/do", json!("reboot"))),
        ("admin.release", Remove("/case")),
        ("load", Put("/queue", json!(-1))),
        ("report", Remove("/open")),
        ("info", Remove("/limits")),
        ("info", Put("/type", json!("status"))),
        ("info", Put("/engine/kind", json!("oracle"))),
        ("info", Put("/machine/temperature_c", json!("hot"))),
        ("info", Put("/machine/model", long(NAME_CHARS_MAX + 1))),
        ("info", Put("/engine/devices", many(DEVICES_MAX + 1, &goldens["info"]["engine"]["devices"][0]))),
        ("info", Put("/departments", many(DEPARTMENTS_MAX + 1, &goldens["info"]["departments"][0]))),
        ("adapter-manifest", Put("/format", json!("consultd-adapter/2"))),
        ("adapter-manifest", Put("/path", json!("../x.gguf"))),
    ];
    for (name, harm) in table {
        let (what, damaged) = harm.done_to(&goldens[name]);
        assert!(read(message(name), &damaged).is_err(), "{name}: the type takes {what}");
        assert!(accepted_by_schema(message(name), &damaged).is_err(), "{name}: the schema takes {what}");
    }
}

/// The other half: a bound is where it is said to be, and not before.
#[test]
fn a_message_at_its_bounds_is_taken_by_the_type_and_by_the_schema() {
    let goldens = goldens();
    let long = |chars: usize| json!("长".repeat(chars));
    let finding = &goldens["consult.zh"]["case"]["findings"][0];
    let table = [
        ("consult.zh", Put("/deadline_s", json!(DEADLINE_S_MAX))),
        ("consult.zh", Put("/case/age", json!({"value": 0, "unit": "day"}))),
        ("consult.zh", Put("/case/age", json!({"value": 400, "unit": "day"}))),
        ("consult.zh", Put("/case/age", json!({"value": 160, "unit": "month"}))),
        ("consult.zh", Put("/case/age", json!({"value": 150, "unit": "year"}))),
        ("consult.zh", Put("/case/age", Value::Null)),
        ("consult.zh", Put("/case/weight_kg", json!(0.2))),
        ("consult.zh", Put("/case/complaint/text", long(COMPLAINT_CHARS_MAX))),
        ("consult.zh", Put("/case/complaint/text", json!("一\r\n\t二"))),
        ("consult.zh", Put("/case/findings", json!(vec![finding; FINDINGS_MAX]))),
        ("consult.zh", Remove("/case/complaint")), // it has findings
        ("consult.zh", Remove("/case/findings")),  // it has a complaint
        ("answer", Remove("/patient_text")),
        ("review", Put("/patient_text", long(PATIENT_TEXT_CHARS_MAX))),
        ("review.rejected", Put("/patient_text", Value::Null)),
        ("admin.hold", Remove("/for_s")),
        ("load", Remove("/eta_s")),
        ("info", Remove("/engine")),
        ("info", Put("/machine", json!({}))),
        ("info", Put("/machine/power_mode", long(NAME_CHARS_MAX))),
    ];
    for (name, harm) in table {
        let (what, at_bound) = harm.done_to(&goldens[name]);
        read(message(name), &at_bound).unwrap_or_else(|fault| panic!("{name}: the type refuses {what}: {fault}"));
        accepted_by_schema(message(name), &at_bound)
            .unwrap_or_else(|fault| panic!("{name}: the schema refuses {what}: {fault}"));
    }
}

impl Harm {
    fn done_to(self, example: &Value) -> (String, Value) {
        let mut damaged = example.clone();
        let &(Remove(pointer) | Put(pointer, _)) = &self;
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer has a slash");
        let parent = damaged.pointer_mut(parent).unwrap_or_else(|| panic!("no {pointer} in the example"));
        let what = match self {
            Remove(_) => {
                parent.as_object_mut().and_then(|object| object.remove(key)).expect("what is removed was there");
                format!("a missing {pointer}")
            }
            Put(_, value) => {
                match parent {
                    Value::Array(entries) => entries[key.parse::<usize>().expect("an index")] = value,
                    object => object[key] = value,
                }
                format!("another {pointer}")
            }
        };
        assert_ne!(damaged, *example, "{what} changes nothing");
        (what, damaged)
    }
}

/// The message that a golden file is an example of: `answer` of `answer.rules-only`.
fn message(golden: &str) -> &str {
    golden.split('.').next().expect("split yields at least one piece")
}

fn goldens() -> BTreeMap<String, Value> {
    let parse = |name: &str, text: &str| serde_json::from_str(text).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    folder("golden").into_iter().map(|(name, text)| (name.clone(), parse(&name, &text))).collect()
}

/// (file name without `.json`, text) of all files of a folder of this crate.
fn folder(name: &str) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|fault| panic!("{}: {fault}", folder.display()));
    entries
        .map(|entry| {
            let path = entry.expect("a readable entry").path();
            let name = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".json"));
            let name = name.unwrap_or_else(|| panic!("{} is no .json file", path.display()));
            (name.to_owned(), fs::read_to_string(&path).expect("text"))
        })
        .collect()
}

fn accepted_by_schema(message: &str, value: &Value) -> Result<(), String> {
    let schemas: BTreeMap<_, _> = contract::schema::all().into_iter().collect();
    let validator = jsonschema::validator_for(&schemas[message]).expect("a valid schema");
    validator.validate(value).map_err(|fault| fault.to_string())
}

/// Reads a message as its receiver does, and writes it again.
fn read(message: &str, value: &Value) -> Result<Value, String> {
    let text = value.to_string();
    match message {
        "consult" => match parse_request(text.as_bytes()).map_err(debug)? {
            Request::Consult(consult) => json::<Consult>(&consult),
            other => Err(format!("{other:?}")),
        },
        "resend" => match parse_request(text.as_bytes()).map_err(debug)? {
            Request::Resend(resend) => json(&resend),
            other => Err(format!("{other:?}")),
        },
        "cancel" => match parse_request(text.as_bytes()).map_err(debug)? {
            Request::Cancel(cancel) => json(&cancel),
            other => Err(format!("{other:?}")),
        },
        "review" => json(&parse_review(text.as_bytes()).map_err(debug)?),
        "admin" => json(&parse_admin(text.as_bytes()).map_err(debug)?),
        "load" => json(&serde_json::from_str::<BoxLoad>(&text).map_err(debug)?),
        "receipt" => json(&parse_receipt(text.as_bytes()).map_err(debug)?),
        "info" => json(&serde_json::from_str::<BoxInfo>(&text).map_err(debug)?),
        "status" => json(&serde_json::from_str::<BoxStatus>(&text).map_err(debug)?),
        "adapter-manifest" => json(&serde_json::from_str::<AdapterManifest>(&text).map_err(debug)?),
        reply => match (reply, Reply::parse(text.as_bytes()).map_err(debug)?) {
            ("accepted", Reply::Accepted(it)) => json(&it),
            ("alert", Reply::Alert(it)) => json(&it),
            ("progress", Reply::Progress(it)) => json(&it),
            ("answer", Reply::Answer(it)) => json(&it),
            ("error", Reply::Error(it)) => json(&it),
            ("reviewed", Reply::Reviewed(it)) => json(&it),
            ("report", Reply::Report(it)) => json(&it),
            (expected, other) => Err(format!("{expected} reads as {other:?}")),
        },
    }
}

fn debug(fault: impl Debug) -> String {
    format!("{fault:?}")
}

/// By way of text, as on the wire: an `f32` of 37.9 made a `Value` directly would be 37.900001….
fn json<T: Serialize>(message: &T) -> Result<Value, String> {
    serde_json::to_string(message).and_then(|text| serde_json::from_str(&text)).map_err(debug)
}

/// 88 and 88.0 are the same number in JSON, and two different ones in a `Value`.
fn numbers_alike(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(entries) => entries.iter().map(numbers_alike).collect(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), numbers_alike(value))).collect(),
        other => other.clone(),
    }
}

/// Pointers of the leaves of `kept` that `sent` does not hold just so.
fn differing_leaves(at: &str, kept: &Value, sent: &Value) -> Vec<String> {
    match (kept, sent) {
        (Value::Object(kept), Value::Object(sent)) => {
            let differing = |(key, value)| differing_leaves(&format!("{at}/{key}"), value, &sent[key]);
            kept.iter().flat_map(differing).collect()
        }
        (Value::Array(kept), Value::Array(sent)) if kept.len() == sent.len() => {
            let pairs = kept.iter().zip(sent).enumerate();
            pairs.flat_map(|(i, (kept, sent))| differing_leaves(&format!("{at}/{i}"), kept, sent)).collect()
        }
        _ if kept == sent => vec![],
        _ => vec![at.to_owned()],
    }
}

/// The keys of all objects, at any depth, whose own key is `wanted`.
fn keys(value: &Value, wanted: &dyn Fn(Option<&str>) -> bool) -> BTreeSet<String> {
    fn walk(value: &Value, own: Option<&str>, wanted: &dyn Fn(Option<&str>) -> bool, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                if wanted(own) {
                    found.extend(fields.keys().cloned());
                }
                fields.iter().for_each(|(key, value)| walk(value, Some(key), wanted, found));
            }
            Value::Array(entries) => entries.iter().for_each(|entry| walk(entry, own, wanted, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    walk(value, None, wanted, &mut found);
    found
}
