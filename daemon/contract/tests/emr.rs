//! What other systems get of an answer: valid by their published rules, complete, harmless, and always the same.
//!
//! ```text
//! golden/answer*.json ─┐            ┌─▶ fhir/r4.schema.json, and what no JSON Schema says
//!                      ├─ mapper ───┼─▶ emr/cds-hooks-2.0.schema.json
//! answers by dice ─────┘            └─▶ every text of the answer is found again, or stands on a list with a reason
//! ```

#[path = "emr/dice.rs"]
mod dice;
#[path = "emr/found.rs"]
mod found;

use contract::{
    answer::{AiLabel, Answer, Disclaimer},
    emr::{cds, fhir},
    ids::Lang,
};
use dice::Dice;
use found::strings;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, path::Path};

const SEEDS: u64 = 400;
/// Where each answer says the same as the next.
const FEW: usize = 40;

#[test]
fn what_is_on_disk_is_what_the_mapper_says() {
    let mut told = 0;
    for name in ["answer", "answer.rules-only", "answer.sealed"] {
        let answer = golden(name);
        for (to, mapped) in [("fhir", fhir::bundle(&answer)), ("cds", cds::cards(&answer))] {
            let stored = fs::read_to_string(here().join(format!("emr/{name}.{to}.json"))).expect("a file");
            assert!(stored == format!("{mapped:#}\n"), "{name}.{to}: run `cargo run -p contract --example schemas`");
            told += 1;
        }
    }
    assert_eq!(fs::read_dir(here().join("emr")).expect("a folder").count(), told, "a file that nobody looks at");
}

#[test]
fn every_bundle_is_taken_by_the_published_schema_of_fhir_r4() {
    let validator = validator("tests/fhir/r4.schema.json");
    for (name, answer) in answers() {
        let bundle = fhir::bundle(&answer);
        validator.validate(&bundle).unwrap_or_else(|fault| panic!("{name}: {fault} at {}", fault.instance_path()));
    }
}

#[test]
fn every_response_is_taken_by_the_schema_of_cds_hooks() {
    let validator = validator("tests/emr/cds-hooks-2.0.schema.json");
    for (name, answer) in answers() {
        let response = cds::cards(&answer);
        validator.validate(&response).unwrap_or_else(|fault| panic!("{name}: {fault} at {}", fault.instance_path()));
        for card in response["cards"].as_array().expect("cards") {
            let summary = card["summary"].as_str().expect("a summary");
            assert!(summary.encode_utf16().count() < 140, "{name}: {summary}");
            assert!(card.get("suggestions").is_none() && card.get("selectionBehavior").is_none(), "{name}");
        }
    }
}

/// Schemas that take everything would pass the tests above as well.
#[test]
fn the_schemas_refuse_what_is_wrong() {
    let fhir = validator("tests/fhir/r4.schema.json");
    let bundle = fhir::bundle(&golden("answer"));
    for (pointer, wrong) in [
        ("/type", json!("bag")),
        ("/timestamp", json!("yesterday")),
        ("/entry/0/resource/status", json!("done")),
        ("/entry/0/resource/subject", json!({"name": "somebody"})),
        ("/entry/1/resource/finding/0/surely", json!(true)),
        ("/entry/2/resource/severity", json!("urgent")),
        ("/entry/2/resource/code/text", json!("胸\u{3000}痛")),
        ("/entry/2/resource/resourceType", json!("MedicationRequest")),
        ("/entry/5/resource/priority", json!("now or never, perhaps ")),
    ] {
        assert!(!fhir.is_valid(&with(&bundle, pointer, wrong)), "{pointer}");
    }
    let cds = validator("tests/emr/cds-hooks-2.0.schema.json");
    let response = cds::cards(&golden("answer"));
    for (pointer, wrong) in [
        ("/cards/0/summary", json!("长".repeat(140))),
        ("/cards/0/detail", json!("")),
        ("/cards/0/indicator", json!("hard-stop")),
        ("/cards/0/source/label", Value::Null),
        ("/cards/0/suggestions", json!([{"label": "order it"}])),
        ("/cards/0/links", json!([])),
    ] {
        assert!(!cds.is_valid(&with(&response, pointer, wrong)), "{pointer}");
    }
}

#[test]
fn what_no_schema_says_of_a_bundle_holds() {
    for (name, answer) in answers() {
        let bundle = fhir::bundle(&answer);
        let entries = bundle["entry"].as_array().expect("entries");
        let urls: BTreeSet<&str> = entries.iter().map(|entry| entry["fullUrl"].as_str().expect("a URL")).collect();
        assert_eq!(urls.len(), entries.len(), "{name}: two parts of one name");
        let references = found::under(&bundle, "reference");
        assert!(references.iter().all(|it| *it == "#messages" || urls.contains(it)), "{name}: {references:?}");

        let (provenance, others) = entries.split_last().expect("entries");
        let targets: BTreeSet<&str> =
            found::under(&provenance["resource"]["target"], "reference").into_iter().collect();
        assert_eq!(targets, others.iter().map(|entry| entry["fullUrl"].as_str().expect("a URL")).collect(), "{name}");

        let disclaimer = said(answer.lang, Disclaimer::ZH, Disclaimer::EN);
        let label = said(answer.lang, AiLabel::ZH, AiLabel::EN);
        for resource in entries.iter().map(|entry| &entry["resource"]) {
            let told = resource["text"]["div"].as_str().expect("a narrative");
            assert!(told.contains(disclaimer) && told.contains(label), "{name}: {told}");
            assert_eq!(resource["meta"]["security"][0]["code"], "AIAST", "{name}");
            let kind = resource["resourceType"].as_str().expect("a type");
            let (status, intent) = (&resource["status"], &resource["intent"]);
            match kind {
                "ServiceRequest" => assert!(status == "draft" && intent == "proposal", "{name}"),
                "DetectedIssue" => assert_eq!(status, "preliminary", "{name}"),
                "ClinicalImpression" => assert_eq!(status, "in-progress", "{name}"),
                _ => {}
            }
            for field in ["dosageInstruction", "mitigation", "signature", "onBehalfOf"] {
                assert!(resource.get(field).is_none(), "{name}: {kind}.{field}");
            }
        }
    }
}

#[test]
fn how_far_an_answer_goes_is_said_in_fhirs_words() {
    let status = |change: &dyn Fn(&mut Value)| {
        let mut answer = serde_json::to_value(golden("answer")).expect("JSON");
        change(&mut answer);
        let answer: Answer = serde_json::from_str(&answer.to_string()).expect("an answer");
        fhir::bundle(&answer)["entry"][0]["resource"]["status"].clone()
    };
    assert_eq!(status(&|_| {}), "data-requested", "the model would like to know more");
    assert_eq!(status(&|answer| answer["missing_information"][1]["origin"] = json!("rule")), "data-required");
    assert_eq!(status(&|answer| answer["missing_information"] = json!([])), "success");
    assert_eq!(status(&|answer| answer["abstained"] = json!({"reason": "no_model_opinion"})), "failure");
}

#[test]
fn a_check_is_as_urgent_as_the_red_flag_that_asks_for_it() {
    let priorities = |name: &str| found::under(&fhir::bundle(&golden(name)), "priority").join(" ");
    assert_eq!(priorities("answer"), "urgent urgent urgent routine routine");
    assert_eq!(priorities("answer.rules-only"), "stat stat stat");
}

#[test]
fn every_text_of_an_answer_is_in_the_bundle() {
    for (name, answer) in answers() {
        let missing = found::missing(&answer, &fhir::bundle(&answer), found::NOT_IN_FHIR);
        assert!(missing.is_empty(), "{name}: {missing:?}");
    }
}

#[test]
fn every_text_of_an_answer_is_in_some_card() {
    for (name, answer) in answers() {
        let other = if answer.lang == Lang::Zh { "*/en" } else { "*/zh" };
        let left_out: Vec<_> = found::NOT_IN_CARDS.iter().copied().chain([(other, "one language")]).collect();
        let missing = found::missing(&answer, &found::unescaped(&cds::cards(&answer)), &left_out);
        assert!(missing.is_empty(), "{name}: {missing:?}");
    }
}

#[test]
fn no_text_of_an_answer_is_markup_in_a_card() {
    for (name, answer) in answers() {
        let disclaimer = said(answer.lang, Disclaimer::ZH, Disclaimer::EN);
        let label = said(answer.lang, AiLabel::ZH, AiLabel::EN);
        for card in cds::cards(&answer)["cards"].as_array().expect("cards") {
            let detail = card["detail"].as_str().expect("a detail");
            assert!(detail.ends_with(&format!("---\n\n**{label}** {disclaimer}\n")), "{name}: {detail}");
            for line in detail.lines() {
                let inside = line.strip_prefix("- ").unwrap_or("");
                assert!(found::unmarked(inside), "{name}: {line}");
            }
        }
    }
}

#[test]
fn the_same_answer_gives_the_same_bytes_and_another_id_other_names() {
    for (name, answer) in answers().take(FEW) {
        let again: Answer = serde_json::from_str(&serde_json::to_string(&answer).expect("JSON")).expect("an answer");
        assert_eq!(fhir::bundle(&answer).to_string(), fhir::bundle(&again).to_string(), "{name}");
        assert_eq!(cds::cards(&answer).to_string(), cds::cards(&again).to_string(), "{name}");
    }
    let (one, other) = (golden("answer"), golden("answer.rules-only"));
    let names = |answer: &Answer| {
        let (bundle, cards) = (fhir::bundle(answer), cds::cards(answer));
        let names = found::under(&bundle, "fullUrl").into_iter().chain(found::under(&cards, "uuid"));
        names.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    assert!(names(&one).is_disjoint(&names(&other)));
}

#[test]
fn the_readme_names_everything_that_is_ours() {
    let readme = fs::read_to_string(here().join("README.md")).expect("a README");
    for (name, answer) in answers().take(FEW) {
        for mapped in [fhir::bundle(&answer), cds::cards(&answer)] {
            for ours in strings(&mapped).iter().filter_map(|it| it.strip_prefix("urn:consultd:emr:1:")) {
                let ours = ours.split(':').next().expect("a piece");
                assert!(readme.contains(&format!("`{ours}`")), "{name}: the README does not name {ours}");
            }
        }
    }
}

#[test]
fn what_is_no_answer_is_refused_without_being_quoted() {
    let mut answer: Value = serde_json::from_str(&text("answer")).expect("JSON");
    assert!(contract::emr::read(answer.to_string().as_bytes()).is_ok());
    answer["triage"] = json!("头痛三天");
    let refusal = contract::emr::read(answer.to_string().as_bytes()).expect_err("no triage");
    assert!(refusal.pointer.as_deref() == Some("/triage") && !refusal.detail.contains("头痛"), "{refusal:?}");
    let refusal = contract::emr::read(text("alert").as_bytes()).expect_err("an alert");
    assert!(refusal.detail.contains("no answer"), "{refusal:?}");
    for other in ["", "[]", "头痛", "{\"v\":1}"] {
        assert!(contract::emr::read(other.as_bytes()).is_err(), "{other}");
    }
}

/// Every golden answer, and those that the dice throw.
fn answers() -> impl Iterator<Item = (String, Answer)> {
    let goldens = [
        "answer",
        "answer.cautions",
        "answer.hinted",
        "answer.notifiable",
        "answer.raised",
        "answer.rules-only",
        "answer.sealed",
    ];
    let goldens = goldens.into_iter().map(|name| (name.to_owned(), golden(name)));
    goldens.chain((0..SEEDS).map(|seed| (format!("seed {seed}"), Dice::new(seed).answer())))
}

fn golden(name: &str) -> Answer {
    serde_json::from_str(&text(name)).expect("an answer")
}

fn text(name: &str) -> String {
    fs::read_to_string(here().join(format!("golden/{name}.json"))).expect("a golden file")
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn validator(path: &str) -> jsonschema::Validator {
    let schema = fs::read_to_string(here().join(path)).expect("a schema");
    jsonschema::validator_for(&serde_json::from_str(&schema).expect("JSON")).expect("a valid schema")
}

fn with(value: &Value, pointer: &str, wrong: Value) -> Value {
    let mut value = value.clone();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer has a slash");
    value.pointer_mut(parent).unwrap_or_else(|| panic!("no {pointer}"))[key] = wrong;
    value
}

fn said<'a>(lang: Lang, zh: &'a str, en: &'a str) -> &'a str {
    if lang == Lang::Zh { zh } else { en }
}
