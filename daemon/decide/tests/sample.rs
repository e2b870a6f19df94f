//! Training candidates from the contract's own examples.

use contract::{
    answer::{Answer, Origin},
    case::{Age, AgeUnit},
    reply::Section,
    request::{Consult, Request, parse_request, parse_review},
    sample::{Sample, SampleVerdict},
};
use decide::sample::{Pseudonyms, sample};

fn golden(name: &str) -> Vec<u8> {
    let path = format!("{}/../contract/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|fault| panic!("{path}: {fault}"))
}

fn consult(name: &str) -> Consult {
    let Ok(Request::Consult(consult)) = parse_request(&golden(name)) else { panic!("{name} is a request") };
    consult
}

fn answer(name: &str) -> Answer {
    serde_json::from_slice(&golden(name)).expect("an answer")
}

fn sampled(consult: &Consult, answer: &Answer, review: &str) -> Option<Sample> {
    let review = parse_review(&golden(review)).expect("a review");
    let who = Pseudonyms { case: "c".into(), clinician: "d".into(), source: "s".into() };
    sample(consult, answer, &review, who, "2026".into())
}

#[test]
fn an_accepted_answer_gives_the_models_lines_and_reads_as_it_did() {
    let answer = answer("answer");
    let sample = sampled(&consult("consult.zh"), &answer, "review.accepted").expect("a candidate");
    assert_eq!(sample.review.verdict, SampleVerdict::Accepted);
    let lines = |section| sample.completion.lines(section).to_vec();
    let causes: Vec<String> =
        answer.possible_causes.iter().map(|it| format!("{}：{}", &*it.name, &*it.because)).collect();
    assert_eq!(lines(Section::PossibleCauses), causes);
    let mut of_rules = answer.cannot_exclude.iter().filter(|it| it.origin != Origin::Model).peekable();
    assert!(of_rules.peek().is_some(), "the golden answer has exclusions of rules");
    let exclusions = lines(Section::CannotExclude);
    assert!(!exclusions.is_empty());
    assert!(of_rules.all(|it| !exclusions.iter().any(|line| line.starts_with(&*it.condition))));
    let reread: Sample = serde_json::from_str(&serde_json::to_string(&sample).expect("JSON")).expect("a sample");
    assert_eq!(reread, sample);
}

#[test]
fn an_edited_answer_gives_the_doctors_lines_whoever_wrote_the_draft() {
    let review = parse_review(&golden("review")).expect("a review");
    let text = review.final_text.expect("edited");
    for draft in ["answer", "answer.rules-only"] {
        let sample = sampled(&consult("consult.zh"), &answer(draft), "review").expect("a candidate");
        for section in Section::ALL {
            let doctors: Vec<&str> = text.lines(section).iter().map(|line| &**line).collect();
            assert_eq!(sample.completion.lines(section), doctors, "{draft}");
        }
        let before = sample.rejected.map(|lines| lines.causes);
        assert_eq!(
            before.is_some(),
            draft == "answer",
            "what the doctor changed stands beside it, if a model wrote it"
        );
        assert!(before.is_none_or(|causes| !causes.is_empty()));
    }
}

#[test]
fn what_no_model_wrote_teaches_nothing_unless_the_doctor_did() {
    for review in ["review.accepted", "review.rejected"] {
        assert!(sampled(&consult("consult.zh"), &answer("answer.rules-only"), review).is_none());
    }
    let rejected = sampled(&consult("consult.zh"), &answer("answer"), "review.rejected").expect("a candidate");
    assert_eq!(rejected.review.verdict, SampleVerdict::Rejected);
}

#[test]
fn nobody_is_told() {
    let mut consult = consult("consult.zh");
    consult.case.age = Some(Age { value: 97.0, unit: AgeUnit::Year });
    // As a box before the masks kept it.
    consult.case.history = serde_json::from_value("患者张三，电话13812345678，住庙子镇王庄村3组".into()).ok();
    let sample = sampled(&consult, &answer("answer"), "review").expect("a candidate");
    assert_eq!(sample.case.age.map(|age| age.years()), Some(90.0));
    let told = serde_json::to_string(&sample).expect("JSON");
    for secret in ["张三", "13812345678", "王庄村", "c-0417", &consult.id.to_string()] {
        assert!(!told.contains(secret), "{secret} is told: {told}");
    }
}
