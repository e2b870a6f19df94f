//! Poisoned sets: one sample in order, spoilt in one way, is refused for that way and no other.

use super::*;
use serde_json::{Value, json};

fn sample(id: usize, complaint: &str) -> Value {
    json!({"id": format!("s{id}"), "department": "internal", "lang": "zh",
        "case": {"age": {"value": 47, "unit": "year"}, "sex": "male", "complaint": {"text": complaint}},
        "completion": {"causes": ["稳定型心绞痛：劳累诱发"], "exclusions": ["急性冠脉综合征：可加重；做心电图"],
            "checks": ["心电图：看ST-T"], "cautions": ["无"], "missing": ["疼痛放射到哪里：助判断"]},
        "review": {"by": "d1", "at": "2026", "verdict": "accepted"}, "source": "s", "license": "L", "deid": true})
}

fn metadata(more: &str) -> Metadata {
    crate::yaml::parse(&format!("name: t\nlicenses: [L]\n{more}")).expect("metadata")
}

fn set(lines: &[Value]) -> Dataset {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.jsonl");
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::io::Write::write_all(&mut std::fs::File::create(&path).expect("creates"), text.as_bytes()).expect("writes");
    Dataset::read(&[path]).expect("reads")
}

fn faults(checked: &Checked) -> Vec<(Option<usize>, Kind)> {
    checked.findings.iter().filter(|finding| finding.refuses).map(|finding| (finding.line, finding.kind)).collect()
}

/// Faults of a set whose second line is spoilt.
fn spoilt(spoil: impl FnOnce(&mut Value)) -> Vec<(Option<usize>, Kind)> {
    let mut second = sample(2, "咳嗽痰多还发烧，夜里重");
    spoil(&mut second);
    faults(&check(&set(&[sample(1, "干活时胸口发紧，歇会就好"), second]), None, &metadata("")))
}

#[test]
fn a_set_in_order_passes() {
    assert_eq!(spoilt(|_| ()), []);
}

#[test]
fn each_way_to_spoil_a_sample_is_refused_with_its_line_and_its_reason() {
    type Spoil = fn(&mut Value);
    let ways: [(Kind, Spoil); 24] = [
        (Kind::MissingDepartment, |it| drop(it.as_object_mut().expect("object").remove("department"))),
        (Kind::MissingDepartment, |it| it["department"] = json!("")),
        (Kind::Unreadable, |it| it["completion"] = json!("可能是肺炎")),
        (Kind::Unreadable, |it| it["case"]["complaint"]["text"] = json!("痛".repeat(2001))),
        (Kind::Unreadable, |it| it["rating"] = json!(5)),
        (Kind::Unreviewed, |it| it["review"]["by"] = json!(null)),
        (Kind::Unreviewed, |it| it["review"]["by"] = json!(" ")),
        (Kind::Unreviewed, |it| it["review"]["verdict"] = json!("unreviewed")),
        (Kind::NoExclusion, |it| it["completion"]["exclusions"] = json!(["无"])),
        (Kind::ExclusionRepeatsCause, |it| it["completion"]["exclusions"] = json!(["稳定型 心绞痛：又是它；转诊"])),
        (Kind::BrokenForm, |it| it["completion"]["causes"] = json!(["肺炎"])),
        (Kind::BrokenForm, |it| it["completion"]["checks"] = json!([])),
        (Kind::BrokenForm, |it| it["case"]["vitals"] = json!({"t_c": 378})),
        (Kind::ForbiddenLine, |it| it["completion"]["cautions"] = json!(["阿莫西林：每次0.5g，每日3次"])),
        (Kind::IdentifiesSomebody, |it| it["case"]["history"] = json!("身份证11010519491231002X")),
        (Kind::IdentifiesSomebody, |it| it["case"]["history"] = json!("电话13812345678")),
        (Kind::IdentifiesSomebody, |it| it["case"]["complaint"]["text"] = json!("患者张三，咳嗽痰多还发烧，夜里重")),
        (Kind::IdentifiesSomebody, |it| it["case"]["history"] = json!("2026年3月5日在县医院住院")),
        (Kind::IdentifiesSomebody, |it| it["case"]["history"] = json!("3月5日起病")),
        (Kind::IdentifiesSomebody, |it| it["case"]["history"] = json!("家住河南省栾川县庙子镇王庄村3组")),
        (Kind::IdentifiesSomebody, |it| it["completion"]["missing"] = json!(["联系电话13812345678：复诊"])),
        (Kind::NotDeidentified, |it| it["deid"] = json!(false)),
        (Kind::License, |it| it["license"] = json!("from the internet")),
        (Kind::IdTwice, |it| it["id"] = json!("s1")),
    ];
    for (kind, spoil) in ways {
        assert_eq!(spoilt(spoil), [(Some(2), kind)], "{kind:?}");
    }
}

/// What a card number would be but for its check digit, and what else looks like something and is medicine.
#[test]
fn medicine_is_no_identifier() {
    for harmless in
        ["3天前起病，去年3月也有过", "化验单号不详，血压140/90", "2026年体检正常", "110105194912310021看不清"]
    {
        let found = spoilt(|it| it["case"]["history"] = json!(harmless));
        assert!(
            !found.contains(&(Some(2), Kind::IdentifiesSomebody)) || harmless.starts_with("1101"),
            "{harmless}: {found:?}"
        );
    }
}

#[test]
fn the_same_question_in_other_words_is_a_duplicate_or_a_leak() {
    let first = sample(1, "干活时胸口发紧像压了石头，歇会就好，最近两周来了三四回");
    let again = sample(2, "干活时胸口发紧像压了石头，歇会就好，最近两周来了三五回");
    let held = set(&[sample(9, "干活时胸口发紧像压了石头，歇会就好，最近两周来了好几回")]);
    let set = set(&[first, again]);
    assert_eq!(faults(&check(&set, None, &metadata(""))), [(Some(2), Kind::Duplicate)]);
    let leaks = faults(&check(&set, Some(&held), &metadata("")));
    assert_eq!(leaks, [(Some(1), Kind::Leak), (Some(2), Kind::Duplicate), (Some(2), Kind::Leak)]);
}

/// Forty questions that share no more than a few characters.
fn many(department: &str, n: usize) -> Vec<Value> {
    let word = |n: usize| char::from_u32(0x4e00 + (n * 7919 % 20000) as u32).expect("a character");
    (0..n)
        .map(|at| {
            let text: String = (0..12).map(|place| word(at * 31 + place * 1013 + department.len() * 101)).collect();
            let mut sample = sample(at, &text);
            sample["id"] = json!(format!("{department}-{at}"));
            sample["department"] = json!(department);
            sample
        })
        .collect()
}

#[test]
fn a_department_that_is_thin_or_off_its_plan_is_named() {
    let lines = [many("internal", 70), many("obstetrics", 28), many("pediatrics", 2)].concat();
    let plan = metadata("shares: {internal: 60, obstetrics: 30, pediatrics: 10}");
    let checked = check(&set(&lines), None, &plan);
    let all: Vec<(Kind, &str)> = checked
        .findings
        .iter()
        .filter(|it| it.refuses && it.kind != Kind::Duplicate)
        .map(|it| (it.kind, it.text.split(':').next().unwrap_or_default()))
        .collect();
    assert!(all.contains(&(Kind::ThinDepartment, "pediatrics")), "{all:?}");
    assert!(all.contains(&(Kind::Share, "internal")) && all.contains(&(Kind::Share, "pediatrics")), "{all:?}");
    assert!(!all.contains(&(Kind::Share, "obstetrics")), "28 of 30 is within two points: {all:?}");
    let unplanned = check(&set(&lines), None, &metadata("shares: {internal: 70, obstetrics: 30}"));
    assert!(unplanned.findings.iter().any(|it| it.kind == Kind::Share && it.text.starts_with("pediatrics: not")));
}

#[test]
fn a_danger_that_no_sample_shows_is_named_and_refuses_where_it_is_required() {
    let lines = many("obstetrics", 30);
    for (plan, refuses) in [("", false), ("topics_required: true", true)] {
        let checked = check(&set(&lines), None, &metadata(plan));
        let missing =
            checked.findings.iter().find(|it| it.kind == Kind::TopicMissing).expect("none shows pre-eclampsia");
        assert!(missing.text.contains("RF020") && missing.refuses == refuses, "{missing:?}");
    }
}

#[test]
fn the_demonstration_set_may_be_taught() {
    let data = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/demo/data"));
    let metadata = Metadata::read(&data.join("metadata.yaml")).expect("metadata");
    let checked = check(&Dataset::read(&[data]).expect("samples"), None, &metadata);
    assert_eq!(faults(&checked), [], "{}", checked.table(&metadata, true));
    for (department, of) in &checked.departments.0 {
        assert!(of.samples >= 90, "{department}");
    }
}

/// 24,000 lines of rubbish: nothing panics, and every line that is no sample is told of.
#[test]
fn no_line_panics_and_none_passes_unread() {
    let whole = sample(1, "干活时胸口发紧").to_string();
    let mut dice = crate::dice::dice(1);
    let mut lines = Vec::new();
    for _ in 0..24_000 {
        let mut bytes = whole.clone().into_bytes();
        for _ in 0..=dice(3) {
            let at = dice(bytes.len().max(1));
            match dice(3) {
                0 => bytes.truncate(at.max(1)),
                1 if at < bytes.len() => bytes[at] = dice(256) as u8,
                _ => drop(bytes.drain(..at.min(1))),
            }
        }
        lines.push(String::from_utf8_lossy(&bytes).replace(['\n', '\r'], " "));
    }
    lines.retain(|line| !line.trim().is_empty());
    let written = lines.len();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.jsonl");
    std::io::Write::write_all(&mut std::fs::File::create(&path).expect("creates"), lines.join("\n").as_bytes())
        .expect("writes");
    let set = Dataset::read(&[path]).expect("reads");
    assert_eq!(set.lines.len() + set.unread.len(), written);
    let checked = check(&set, None, &metadata(""));
    assert_eq!(checked.samples, written);
}
