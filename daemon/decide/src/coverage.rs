//! In what a case lies outside of what its adapter was trained on. An answer to such a case says so, and is uncertain.

use contract::{
    answer::{AdapterRef, Outside, OutsideWhat},
    case::PregnancyStatus,
    request::Consult,
};

/// With fewer samples of a kind, the model has seen examples and no rule. A guess, kept low: the demonstration adapters
/// have 81 samples each, and a bound that every one of their answers fell below would say nothing.
const FEW: u32 = 10;

pub(crate) fn outside(consult: &Consult, department: &str, adapter: &AdapterRef) -> Vec<Outside> {
    let case = &consult.case;
    let samples = adapter.trained_on.get(department).copied().unwrap_or(0);
    let mut counts = vec![(OutsideWhat::Department, Some(samples))];
    let covers = adapter.covers;
    counts.push((OutsideWhat::Language, covers.map(|covers| covers.lang.of(consult.lang))));
    if let Some(age) = case.age {
        counts.push((OutsideWhat::AgeGroup, covers.map(|covers| covers.age.of(age))));
    }
    if case.pregnancy.is_some_and(|p| p.status == PregnancyStatus::Pregnant) {
        counts.push((OutsideWhat::Pregnancy, covers.map(|covers| covers.pregnant)));
    }
    let few = |(what, samples): (_, Option<u32>)| match samples {
        Some(samples) if samples >= FEW => None,
        samples => Some(Outside { what, samples }),
    };
    counts.into_iter().filter_map(few).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{
        answer::ReviewState,
        manifest::{ByAge, ByLang, Covers},
    };
    use serde_json::json;

    fn consult(lang: &str, case: serde_json::Value) -> Consult {
        let id = "00000000-0000-0000-0000-000000000001";
        let request =
            json!({"v": 1, "type": "consult", "id": id, "lang": lang, "department": "internal", "case": case});
        serde_json::from_value(request).expect("a request")
    }

    #[test]
    fn each_thing_that_training_had_too_little_of_is_said() {
        let covers = Covers {
            lang: ByLang { zh: 64, en: 9 },
            age: ByAge { infants: 0, children: 3, adults: 70, elderly: 10 },
            pregnant: 1,
        };
        let adapter = |covers| AdapterRef {
            id: "a".into(),
            version: "1".into(),
            sha256: "00".repeat(32),
            trained_on: [("internal".to_owned(), 83)].into(),
            covers,
            urgency_clear_at: None,
            calibration: None,
            review: ReviewState::NotPhysicianReviewed,
        };
        let aged = |years: u32| json!({"age": {"value": years, "unit": "year"}, "complaint": {"text": "咳嗽"}});
        let pregnant = json!({"pregnancy": {"status": "pregnant"}, "complaint": {"text": "咳嗽"}});
        use OutsideWhat::{AgeGroup, Department, Language, Pregnancy};
        let table = [
            ("zh", aged(30), "internal", Some(covers), vec![]),
            ("zh", aged(70), "internal", Some(covers), vec![]),
            ("zh", json!({"complaint": {"text": "咳嗽"}}), "internal", Some(covers), vec![]),
            ("en", aged(30), "internal", Some(covers), vec![(Language, Some(9))]),
            ("zh", aged(13), "internal", Some(covers), vec![(AgeGroup, Some(3))]),
            ("zh", pregnant, "internal", Some(covers), vec![(Pregnancy, Some(1))]),
            ("zh", aged(30), "surgery", Some(covers), vec![(Department, Some(0))]),
            ("zh", aged(30), "internal", None, vec![(Language, None), (AgeGroup, None)]),
        ];
        for (lang, case, department, covers, expected) in table {
            let found = outside(&consult(lang, case.clone()), department, &adapter(covers));
            let expected: Vec<_> = expected.into_iter().map(|(what, samples)| Outside { what, samples }).collect();
            assert_eq!(found, expected, "{lang} {department} {case}");
        }
    }
}
