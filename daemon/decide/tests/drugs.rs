//! Cases of the drug rules that were written apart from them and kept away while the rules were made. Prints what they find:
//! `cargo test -p decide --test drugs -- --nocapture`.

use contract::{case::Case, ids::Lang};
use decide::rules::RuleSet;
use serde_json::{Value, json};

const HELD_OUT: &str = include_str!("../../../adapters/rules/drugs-held-out.jsonl");

/// Below these something has broken. They are no aims.
const RECALL_MIN: f64 = 0.80;
const FALSE_MAX: f64 = 0.20;

#[test]
fn the_held_out_cases_are_found_and_few_others() {
    let (mut due, mut found, mut asked, mut safe, mut wrong, mut others) = (0, 0, 0, 0, 0, 0);
    for line in HELD_OUT.lines() {
        let row: Value = serde_json::from_str(line).expect("a row");
        let said = RuleSet::builtin().cautions(&case(&row), Lang::Zh, &[]);
        let of_rule = said.spoken.iter().filter(|one| one.caution.rule.as_deref() == row["rule"].as_str()).count();
        if row["fires"] == true {
            (due, found) = (due + 1, found + of_rule);
            asked += usize::from(of_rule == 0 && !said.ask.is_empty());
        } else {
            (safe, wrong) = (safe + 1, wrong + of_rule);
            others += usize::from(of_rule == 0 && !said.spoken.is_empty());
        }
    }
    println!(
        "drug cautions: {found} of {due} found, {asked} of the others asked about; {wrong} of {safe} wrong, {others} by another rule"
    );
    assert!(found as f64 >= RECALL_MIN * due as f64 && wrong as f64 <= FALSE_MAX * safe as f64);
}

fn case(row: &Value) -> Case {
    let mut case = json!({"complaint": {"text": row["text"]}, "plan": {"drugs": row["plan_drugs"]}});
    for key in ["age", "sex", "pregnancy", "lactating", "allergies", "conditions", "current_drugs"] {
        case[key] = row[key].clone();
    }
    serde_json::from_value(case).expect("a case")
}
