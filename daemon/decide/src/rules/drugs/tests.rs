use super::*;
use crate::rules::{RuleSet, data::Unreviewed};
use std::sync::{Arc, LazyLock};

fn case(json: serde_json::Value) -> Case {
    serde_json::from_value(json).expect("a case")
}

fn check(case: &Case) -> Cautioned {
    RuleSet::builtin().cautions(case, Lang::Zh, &[])
}

fn speaks(case: &Case, rule: &str) -> bool {
    check(case).spoken.iter().any(|one| one.caution.rule.as_deref() == Some(rule))
}

fn set() -> &'static RuleSet {
    static SET: LazyLock<Arc<RuleSet>> = LazyLock::new(RuleSet::builtin);
    &SET
}

fn rules() -> &'static [RuleText] {
    &set().drugs.rules
}

#[test]
fn every_rule_keeps_its_own_examples() {
    let mut wrong = vec![];
    for rule in rules() {
        let RuleText { examples: DrugExamples { positive, negative, asks }, id, .. } = rule;
        let each = [(positive, true), (negative, false), (asks, false)];
        for (example, expected) in each.into_iter().flat_map(|(list, expected)| list.iter().map(move |e| (e, expected)))
        {
            if speaks(&case(example.clone()), id) != expected {
                wrong.push(format!("{id} should {}speak: {example}", if expected { "" } else { "not " }));
            }
        }
        for example in asks.iter().filter(|example| check(&case((*example).clone())).ask.is_empty()) {
            wrong.push(format!("{id} should ask: {example}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_is_complete_unreviewed_and_says_no_dose() {
    for rule in rules() {
        let RuleText { id, title, risk, action, source, .. } = rule;
        assert!(rule.version >= 1 && !title.zh.is_empty() && !title.en.is_empty() && !source.is_empty(), "{id}");
        assert_eq!(rule.review, data::Review::Unreviewed(Unreviewed::NotPhysicianReviewed), "{id}");
        assert!(risk.icd10.is_some() && action.zh.contains("医师") && action.en.contains("physician"), "{id}");
        for said in [&risk.name.zh, &risk.name.en, &action.zh, &action.en] {
            assert_eq!(crate::forbidden::kind(said), None, "{id}: {said}");
        }
    }
    assert_eq!(rules().len(), 18);
}

fn planned(drug: &str, more: serde_json::Value) -> Case {
    let mut json = serde_json::json!({"complaint": {"text": "复诊"}, "plan": {"drugs": [drug]}});
    for (key, value) in more.as_object().expect("an object") {
        json[key] = value.clone();
    }
    case(json)
}

fn one(case: &Case, rule: &str) -> Spoken {
    let said = check(case).spoken.into_iter().find(|one| one.caution.rule.as_deref() == Some(rule));
    said.unwrap_or_else(|| panic!("{rule} is silent"))
}

fn pregnant(weeks: Option<u8>) -> serde_json::Value {
    serde_json::json!({"pregnancy": {"status": "pregnant", "weeks": weeks}})
}

#[test]
fn a_caution_says_what_why_and_who_decides() {
    let said = one(&planned("卡托普利片", pregnant(Some(28))), "DR01");
    assert_eq!((&*said.caution.drug, said.named_in, said.blocks()), ("卡托普利", NamedIn::Plan, true));
    assert_eq!(said.caution.because.as_deref(), Some("拟用、妊娠28周"));
    assert_eq!((said.caution.origin, said.caution.icd10.as_deref()), (Origin::Rule, Some("O35.5")));
    let compound = one(&planned("感冒通片", pregnant(Some(28))), "DR02");
    assert_eq!(&*compound.caution.drug, "感冒通（含双氯芬酸）");
    let english = RuleSet::builtin().cautions(&planned("感冒通片", pregnant(Some(28))), Lang::En, &[]);
    assert_eq!(&*english.spoken[0].caution.drug, "感冒通 (has diclofenac)");
    assert_eq!(english.spoken[0].caution.because.as_deref(), Some("planned, 28 weeks pregnant"));
}

#[test]
fn a_pregnancy_of_unknown_weeks_is_cautioned_less_and_asked() {
    let said = check(&planned("布洛芬", pregnant(None)));
    assert_eq!((said.spoken.len(), said.spoken[0].caution.urgency), (1, Some(CautionUrgency::Weigh)));
    assert!(!said.spoken[0].blocks() && said.ask.iter().any(|q| q.question.contains("孕几周")));
    let by_text = |text: &str| planned("布洛芬", serde_json::json!({"sex": "female", "complaint": {"text": text}}));
    for (text, expected) in [
        ("孕30周，牙疼", true),
        ("孕30+2周，牙疼", true),
        ("怀孕七个月了", true),
        ("怀孕二十二周", true),
        ("孕晚期，牙疼", true),
        ("24 weeks pregnant, toothache", true),
        ("孕12周，牙疼", false),
        ("怀孕三个月", false),
        ("早孕，牙疼", false),
        ("没怀孕，牙疼", false),
        ("产后牙疼", false),
    ] {
        let blocks = check(&by_text(text)).spoken.iter().any(Spoken::blocks);
        assert_eq!(blocks, expected, "{text}");
    }
}

#[test]
fn a_drug_in_free_text_counts_where_the_patient_takes_it_or_is_about_to() {
    #[rustfmt::skip]
    let table = [
        (true,  "吃了布洛芬"), (true, "自己买了芬必得吃"), (true, "布洛芬吃了两天"), (true, "想开点布洛芬"), (true, "能不能吃布洛芬"),
        (true,  "妈妈给吃了布洛芬"), (true, "took ibuprofen last night"), (true, "布洛芬无效"), (true, "未规律服用布洛芬"),
        (true,  "發燒，吃了佈洛芬、扶他林"), (true, "on diclofenac"),
        (false, "没吃布洛芬"), (false, "没有服用过布洛芬"), (false, "不能吃布洛芬"), (false, "布洛芬已停"), (false, "停用布洛芬"),
        (false, "布洛芬过敏"), (false, "去年吃过布洛芬"), (false, "丈夫在吃布洛芬"), (false, "her husband takes ibuprofen"),
        (false, "did not take ibuprofen"), (false, "stopped taking ibuprofen"), (false, "没吃药"), (false, "布洛芬是什么"),
    ];
    for (expected, text) in table {
        let told =
            case(serde_json::json!({"pregnancy": {"status": "pregnant", "weeks": 30}, "complaint": {"text": text}}));
        assert_eq!(speaks(&told, "DR02"), expected, "{text}");
    }
}

#[test]
fn a_drug_that_the_model_names_brings_the_rule_and_blocks_nothing() {
    let case = planned("对乙酰氨基酚", pregnant(Some(30)));
    assert!(check(&case).spoken.is_empty());
    let said = RuleSet::builtin().cautions(&case, Lang::Zh, &["布洛芬：退热", "牙髓炎：牙疼"]);
    assert_eq!((said.spoken.len(), said.spoken[0].named_in, said.spoken[0].blocks()), (1, NamedIn::Model, false));
    assert!(said.spoken[0].caution.because.as_deref().is_some_and(|because| because.contains("模型提到")));
    // What is planned is said as planned, whatever the model writes of the same class.
    let said = RuleSet::builtin().cautions(&planned("扶他林片", pregnant(Some(30))), Lang::Zh, &["布洛芬：退热"]);
    assert_eq!((said.spoken[0].named_in, &*said.spoken[0].caution.drug), (NamedIn::Plan, "扶他林（含双氯芬酸）"));
}

#[test]
fn what_is_unknown_and_would_decide_is_asked_and_never_silent() {
    let asks = |case: &Case, word: &str| check(case).ask.iter().any(|q| q.question.contains(word));
    let woman = serde_json::json!({"sex": "female", "age": {"value": 28, "unit": "year"}});
    let man = serde_json::json!({"sex": "male", "age": {"value": 28, "unit": "year"}});
    let old = serde_json::json!({"sex": "female", "age": {"value": 60, "unit": "year"}});
    assert!(asks(&planned("布洛芬", woman.clone()), "怀孕"));
    assert!(!asks(&planned("布洛芬", man.clone()), "怀孕") && !asks(&planned("布洛芬", old), "怀孕"));
    assert!(asks(&planned("诺氟沙星", serde_json::json!({})), "年龄"));
    assert!(asks(&planned("阿莫西林", man.clone()), "过敏"));
    assert!(asks(&planned("头孢克肟", man.clone()), "酒"));
    assert!(asks(&planned("多西环素", woman), "哺乳"));
    let known = serde_json::json!({"sex": "male", "age": {"value": 28, "unit": "year"}, "allergies": [], "conditions": [], "current_drugs": []});
    assert_eq!(check(&planned("阿莫西林", known.clone())).ask, []);
    assert_eq!(check(&planned("布洛芬", known)).ask, []);
    let allergic = serde_json::json!({"allergies": ["青霉素"]});
    assert!(asks(&planned("消炎药", allergic), "“消炎药”具体"));
}

#[test]
fn forms_that_hardly_reach_the_blood_are_let_pass() {
    let child = || serde_json::json!({"age": {"value": 5, "unit": "year"}});
    for (drug, rule, expected) in [
        ("氧氟沙星滴耳液", "DR04", false),
        ("左氧氟沙星片", "DR04", true),
        ("金霉素眼膏", "DR05", false),
        ("庆大霉素口服", "DR10", false),
        ("庆大霉素", "DR10", true),
    ] {
        assert_eq!(speaks(&planned(drug, child()), rule), expected, "{drug}");
    }
}

#[test]
fn the_longest_name_counts_and_what_is_said_twice_is_one_drug() {
    let names = &set().drugs.names;
    let found =
        |text: &str| -> Vec<String> { names.find(text, &normal(text)).into_iter().map(|named| named.said).collect() };
    assert_eq!(found("泰诺林和泰诺"), ["泰诺林", "泰诺"]);
    assert_eq!(found("单硝酸异山梨酯、VC银翘片"), ["单硝酸异山梨酯", "VC银翘片"]);
    assert_eq!(found("Cefixime or IBUPROFENS, not april"), ["Cefixime", "IBUPROFENS"]);
    assert_eq!(found("頭孢克肟"), ["頭孢克肟"]);
    assert_eq!(found("布洛芬缓释胶囊0.3g"), ["布洛芬"]);
    assert!(found("泼尼松、环孢素、氨溴索、蒙脱石散、奥美拉唑、不良反应停药").is_empty());
}

#[test]
fn the_dangers_come_first_and_all_eighteen_fit() {
    let everything: Vec<&str> = rules().iter().flat_map(|rule| rule.drug.iter().map(String::as_str)).collect();
    assert!(everything.len() >= 18 && rules().len() <= contract::limits::ANSWER_LINES_MAX);
    let case = planned(
        "美林",
        serde_json::json!({
            "pregnancy": {"status": "pregnant"}, "conditions": ["哮喘"], "current_drugs": ["倍他乐克", "缬沙坦"],
        }),
    );
    let order: Vec<_> =
        check(&case).spoken.iter().map(|one| (one.caution.rule.clone().unwrap_or_default(), one.named_in)).collect();
    let expected = [("DR01", NamedIn::CurrentDrugs), ("DR02", NamedIn::Plan), ("DR13", NamedIn::CurrentDrugs)];
    assert_eq!(order, expected.map(|(rule, named_in)| (rule.to_owned(), named_in)));
}

#[test]
fn a_faulty_file_is_refused() {
    let load = |names: String, rules: String| DrugRules::load(("n", names.leak()), ("r", rules.leak())).err();
    let file = |name: &str| crate::rules::data::BUILTIN.iter().find(|(file, _)| *file == name).expect("a file").1;
    let (names, rules) = (file(crate::rules::data::DRUG_NAMES), file(crate::rules::data::DRUGS));
    let with = |names: &str, rules: &str| load(names.to_owned(), rules.to_owned());
    assert!(with(names, rules).is_none());
    let twice = names.replacen("\"芬必得\"", "\"扶他林\"", 1);
    assert!(matches!(with(&twice, rules), Some(Fault::DrugTwice { .. })));
    assert!(matches!(
        with(&names.replacen("\"holds\": [\"paracetamol\"", "\"holds\": [\"nobody\"", 1), rules),
        Some(Fault::UnknownDrug { .. })
    ));
    assert!(matches!(with(names, &rules.replacen("acei_arb", "acei", 1)), Some(Fault::UnknownDrug { .. })));
    assert!(matches!(with(names, &rules.replacen("is:asthma", "is:astma", 1)), Some(Fault::UnknownFinding { .. })));
    assert!(matches!(with(names, &rules.replacen("age<18", "age<x", 1)), Some(Fault::Json { .. })));
    assert!(matches!(with(names, &rules.replacen("DR02", "DR01", 1)), Some(Fault::RuleTwice { .. })));
}

/// A long complaint full of names: the bound is that of the rules, a millisecond on a release build.
#[test]
fn the_longest_case_is_judged_quickly() {
    let text = "孕30周，吃了布洛芬，没吃阿莫西林，丈夫喝酒，".repeat(100);
    let text: String = text.chars().take(contract::limits::COMPLAINT_CHARS_MAX).collect();
    let case = case(serde_json::json!({"complaint": {"text": text}, "history": text}));
    assert!(speaks(&case, "DR02"));
}
