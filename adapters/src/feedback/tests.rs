//! From encrypted exports to the files of the region, and what must not get through on the way.

use super::*;
use age::{
    secrecy::ExposeSecret,
    x25519::{Identity, Recipient},
};
use clap::Parser;
use contract::{
    request::{Request, parse_request, parse_review},
    sample::{Completion, SampleVerdict},
};
use decisions::{AND, text_seen};
use exports::{Age, Exported};
use serde_json::json;
use std::{collections::BTreeMap, fs::File, io::Write as _};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    feedback: ImportFeedback,
}

/// A region's desk: its key, the boxes' files, and a folder to write to.
struct Desk {
    folder: tempfile::TempDir,
    key: Recipient,
}

fn desk() -> Desk {
    let (folder, identity) = (tempfile::tempdir().expect("a folder"), Identity::generate());
    let desk = Desk { folder, key: identity.to_public() };
    desk.write("key.txt", format!("# created: today\n{}\n", identity.to_string().expose_secret()).as_bytes());
    desk
}

impl Desk {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        File::create(self.path(name)).and_then(|mut file| file.write_all(bytes)).expect("written");
    }

    fn export(&self, name: &str, samples: &[Value]) {
        let text: String = samples.iter().map(|sample| format!("{sample}\n")).collect();
        self.write(name, &age::encrypt(&self.key, text.as_bytes()).expect("encrypts"));
    }

    fn run(&self, exports: &[&str], more: &[&str]) -> Result<(), String> {
        let fixed = ["import-feedback".to_owned(), "--identity".to_owned()];
        let paths = [&["key.txt"], exports].concat().into_iter().map(|name| self.path(name).display().to_string());
        let out = ["--out".to_owned(), self.path("out").display().to_string()];
        let more = more.iter().map(|word| match self.path(word) {
            path if path.is_file() => path.display().to_string(),
            _ => (*word).to_owned(),
        });
        Cli::try_parse_from(fixed.into_iter().chain(paths).chain(out).chain(more))
            .unwrap_or_else(|e| panic!("{e}"))
            .feedback
            .run()
    }

    fn out(&self, name: &str) -> Vec<Sample> {
        let text = fs::read_to_string(self.path("out").join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }

    fn decided(&self, decisions: &[Value]) {
        let text: String = decisions.iter().map(|decision| format!("{decision}\n")).collect();
        self.write("reviewed.jsonl", text.as_bytes());
    }
}

const FIRST: &str = "samples-0123456789abcdef-1-20.jsonl.age";
const SECOND: &str = "samples-0123456789abcdef-21-40.jsonl.age";

fn lines(cause: &str) -> Value {
    json!({"causes": [cause], "exclusions": ["急性冠脉综合征：可加重；做心电图"], "checks": ["心电图：看ST-T"], "cautions": ["无"],
        "missing": ["疼痛放射到哪里：助判断"]})
}

fn line(id: &str, verdict: &str, before: Option<&str>) -> Value {
    let mut line = json!({"id": id, "department": "internal", "lang": "zh", "case": {"complaint": {"text": "胸口发紧"}},
        "completion": lines("心绞痛：劳累诱发"), "review": {"by": "d1", "at": "2025", "verdict": verdict},
        "source": "consultd box 01", "license": "clinic data", "deid": true});
    if let Some(before) = before {
        line["rejected"] = lines(before);
    }
    line
}

fn said(by: &str, id: &str, verdict: &str) -> Value {
    json!({"id": id, "by": by, "verdict": verdict})
}

#[test]
fn a_case_goes_from_the_box_past_two_physicians_into_the_training_set() {
    let desk = desk();
    desk.export(
        FIRST,
        &[
            line("a", "accepted", None),
            line("b", "edited", Some("肌肉痛：按压痛")),
            line("c", "rejected", None),
            line("d", "edited", None),
        ],
    );
    desk.run(&[FIRST], &[]).expect("imports");
    let waiting = desk.out(FOR_REVIEW);
    assert_eq!(
        waiting.iter().map(|it| &*it.id).collect::<Vec<_>>(),
        ["a", "b", "d"],
        "what was rejected has no second"
    );
    assert!(fs::read_to_string(desk.path("out").join(FOR_REVIEW_PAGE)).expect("the page").contains("胸口发紧"));
    assert!(!desk.path("out").join(FEEDBACK).exists(), "nothing is decided yet");

    let mut edit = said("d2", "d", "edited");
    edit["completion"] = lines("稳定型心绞痛：劳累");
    edit["at"] = json!("2026-03");
    edit["of"] = json!(text_seen(&waiting[2]));
    desk.decided(&[said("d2", "b", "accepted"), edit]);
    desk.run(&[FIRST], &["--reviewed", "reviewed.jsonl"]).expect("imports");
    let feedback = desk.out(FEEDBACK);
    let [b, d] = &*feedback else { panic!("two are taught: {feedback:?}") };
    assert_eq!((b.review.by.as_deref(), b.review.at.as_deref()), (Some("d1 + d2"), Some("2025")));
    assert_eq!(
        (b.review.verdict, b.rejected.as_ref().map(|it| &*it.causes[0])),
        (SampleVerdict::Edited, Some("肌肉痛：按压痛"))
    );
    assert_eq!((d.review.at.as_deref(), &*d.completion.causes[0]), (Some("2026-03"), "稳定型心绞痛：劳累"));
    assert_eq!(d.rejected, None, "the rules had written it alone: there is no before");
    assert_eq!(desk.out(PAIRS), std::slice::from_ref(b));
    assert_eq!(desk.out(FOR_REVIEW).len(), 1, "only `a` still waits");
    let set = crate::dataset::Dataset::read(&[desk.path("out").join(FEEDBACK)]).expect("reads");
    assert!(set.whole().expect("all samples").lines.iter().all(|line| line.lesson.is_reviewed()));
}

/// Two exports that a box wrote: a running `consultd` with the scripted engine, a tablet that asked and reviewed, and
/// `consultd export`, before and after one case was reviewed again.
#[test]
fn the_exports_of_a_real_box_are_read() {
    let fixture = |name: &str| Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/feedback/fixture")).join(name);
    let [older, newer] = ["1-7", "1-8"].map(|links| fixture(&format!("samples-345f050cb2772c48-{links}.jsonl.age")));
    let exported = exports::read(&[newer, older], &fixture("region.key")).expect("reads");
    let sorted = Sorted::of(exported, &Decisions::default(), 20).expect("sorts");
    assert_eq!(sorted.fates, BTreeMap::from([(Fate::Superseded, 2), (Fate::AwaitsSecond, 2)]));
    let told = super::lines(&sorted.for_review);
    assert!(told.contains("胃食管反流：患者某某") && !told.contains("心绞痛"), "the newest counts: {told}");
    assert!(
        !told.contains("3月5日") && sorted.scrubbed.dates == 3,
        "the box masks no dates, and the region does: {told}"
    );
    assert!(!page::page(&sorted.for_review).into_string().contains("<script>alert"));
}

/// What the box's own code makes of the contract's examples, as `consultd export` writes it.
#[test]
fn what_a_box_writes_is_read() {
    let golden = |name: &str| {
        fs::read(format!("{}/../daemon/contract/golden/{name}.json", env!("CARGO_MANIFEST_DIR"))).expect("golden")
    };
    let Ok(Request::Consult(consult)) = parse_request(&golden("consult.zh")) else { panic!("a request") };
    let mut of_the_box = Vec::new();
    for (id, answer, review) in [
        ("1a", "answer", "review"),
        ("2b", "answer", "review.accepted"),
        ("3c", "answer", "review.rejected"),
        ("4d", "answer.rules-only", "review"),
    ] {
        let answer = serde_json::from_slice(&golden(answer)).expect("an answer");
        let review = parse_review(&golden(review)).expect("a review");
        let who =
            decide::sample::Pseudonyms { case: id.into(), clinician: "d1".into(), source: "consultd box 01".into() };
        let sample = decide::sample::sample(&consult, &answer, &review, who, "2026".into()).expect("a candidate");
        of_the_box.push(serde_json::to_value(sample).expect("JSON"));
    }
    let desk = desk();
    desk.export(FIRST, &of_the_box);
    desk.run(&[FIRST], &[]).expect("imports");
    let waiting = desk.out(FOR_REVIEW);
    assert_eq!(
        waiting.iter().map(|it| (&*it.id, it.rejected.is_some())).collect::<Vec<_>>(),
        [("1a", true), ("2b", false), ("4d", false)]
    );
    for sample in waiting {
        let written = of_the_box.iter().find(|it| it["id"] == json!(sample.id)).expect("there");
        assert_eq!(serde_json::to_value(&sample).expect("JSON"), *written, "nothing that was clean is changed");
    }
}

#[test]
fn a_wrong_key_a_cut_and_any_flipped_bit_are_refused_and_nothing_is_written() {
    let desk = desk();
    desk.export(FIRST, &[line("a", "accepted", None), line("b", "accepted", None)]);
    let other = Identity::generate();
    desk.write("other.txt", format!("{}\n", other.to_string().expose_secret()).as_bytes());
    let wrong = exports::read(&[desk.path(FIRST)], &desk.path("other.txt")).map(|_| ()).expect_err("another key");
    assert!(wrong.contains("another") && wrong.contains(FIRST), "{wrong}");
    desk.write("none.txt", b"# no key\n");
    assert!(
        exports::read(&[desk.path(FIRST)], &desk.path("none.txt")).map(|_| ()).expect_err("none").contains("no key")
    );
    desk.write("odd.txt", b"secret words\n");
    let odd = exports::read(&[desk.path(FIRST)], &desk.path("odd.txt")).map(|_| ()).expect_err("odd");
    assert!(odd.contains("age-keygen") && !odd.contains("secret words"), "{odd}");

    let whole = fs::read(desk.path(FIRST)).expect("the file");
    for cut in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
        desk.write(SECOND, &whole[..cut]);
        let fault = desk.run(&[SECOND], &[]).expect_err("cut off");
        assert!(fault.contains("damaged") || fault.contains("newer age"), "{cut}: {fault}");
    }
    for at in (0..whole.len()).step_by(5) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        desk.write(SECOND, &flipped);
        assert!(desk.run(&[FIRST, SECOND], &[]).is_err(), "byte {at} is flipped, and it is read");
    }
    assert!(!desk.path("out").exists(), "one bad file, and nothing is written");
    desk.write("samples.age", &whole);
    assert!(desk.run(&["samples.age"], &[]).expect_err("no name").contains("newer"));
}

#[test]
fn of_a_case_that_comes_again_the_newest_counts_in_whatever_order() {
    let mut newer = line("a", "edited", Some("肌肉痛：按压痛"));
    newer["completion"] = lines("主动脉夹层：撕裂样");
    for order in [[FIRST, SECOND], [SECOND, FIRST]] {
        let desk = desk();
        desk.export(FIRST, &[line("a", "accepted", None), line("b", "accepted", None)]);
        desk.export(SECOND, &[newer.clone()]);
        desk.run(&order, &[]).expect("imports");
        let waiting = desk.out(FOR_REVIEW);
        assert_eq!((waiting.len(), &*waiting[0].completion.causes[0]), (2, "主动脉夹层：撕裂样"), "{order:?}");
    }
}

#[test]
fn a_decision_on_an_older_text_does_not_count() {
    let desk = desk();
    desk.export(FIRST, &[line("a", "edited", Some("肌肉痛：按压痛"))]);
    desk.run(&[FIRST], &[]).expect("imports");
    let mut accepted = said("d2", "a", "accepted");
    accepted["of"] = json!(text_seen(&desk.out(FOR_REVIEW)[0]));
    desk.decided(&[accepted]);
    desk.run(&[FIRST], &["--reviewed", "reviewed.jsonl"]).expect("imports");
    assert_eq!((desk.out(FEEDBACK).len(), desk.out(FOR_REVIEW).len()), (1, 0));

    let mut newer = line("a", "edited", Some("肌肉痛：按压痛"));
    newer["completion"] = lines("主动脉夹层：撕裂样");
    desk.export(SECOND, &[newer]);
    desk.run(&[FIRST, SECOND], &["--reviewed", "reviewed.jsonl"]).expect("imports");
    assert_eq!(
        (desk.out(FEEDBACK).len(), desk.out(FOR_REVIEW).len()),
        (0, 1),
        "nobody has seen this text but the first"
    );
}

#[test]
fn the_second_physician_is_another_one_and_decides_on_what_is_there() {
    let desk = desk();
    desk.export(FIRST, &[line("a", "edited", None), line("b", "accepted", None)]);
    let mut same = said("d2", "b", "edited");
    same["completion"] = lines("心绞痛：劳累诱发");
    desk.decided(&[said(" D1", "a", "accepted"), said("d2", "nobody", "accepted"), same]);
    let fault = desk.run(&[FIRST], &["--reviewed", "reviewed.jsonl"]).expect_err("three faults");
    for why in
        ["line 1: D1 is who reviewed it first", "line 2: no such id", "line 3: a `completion` that changes nothing"]
    {
        assert!(fault.contains(why), "{why} in {fault}");
    }
    assert!(!desk.path("out").exists());
}

#[test]
fn what_a_box_left_in_is_masked_and_dates_are_years() {
    let desk = desk();
    let mut told = line("a", "edited", Some("心绞痛：患者张三2026年3月5日来过"));
    told["case"]["history"] = json!("身份证11010519491231002X，电话13812345678");
    told["completion"]["causes"] = json!(["心绞痛：3月5日起病"]);
    desk.export(FIRST, &[told]);
    desk.run(&[FIRST], &[]).expect("imports");
    let mut edit = said("d2", "a", "edited");
    edit["completion"] = lines("心绞痛：患者李四说活动后胸闷，5月6日加重");
    desk.decided(&[edit]);
    desk.run(&[FIRST], &["--reviewed", "reviewed.jsonl"]).expect("imports");
    for name in [FEEDBACK, PAIRS] {
        let told = fs::read_to_string(desk.path("out").join(name)).expect("written");
        for secret in ["11010519491231002X", "13812345678", "张三", "李四", "3月5日", "5月6日"] {
            assert!(!told.contains(secret), "{secret} in {name}: {told}");
        }
        assert!(told.contains("5月加重") && told.contains("2026年来过"), "{told}");
    }
}

#[test]
fn what_was_decided_or_exported_before_is_not_forgotten_without_a_word() {
    let desk = desk();
    desk.export(FIRST, &[line("a", "edited", None)]);
    desk.export(SECOND, &[line("b", "edited", None)]);
    desk.decided(&[said("d2", "a", "accepted")]);
    desk.run(&[FIRST, SECOND], &["--reviewed", "reviewed.jsonl"]).expect("imports");
    let before = fs::read_to_string(desk.path("out").join(FEEDBACK)).expect("written");
    for (exports, more) in [(&[FIRST][..], &["--reviewed", "reviewed.jsonl"][..]), (&[FIRST, SECOND], &[])] {
        assert!(desk.run(exports, more).expect_err("less than before").contains("give all of them"), "{exports:?}");
        assert_eq!(fs::read_to_string(desk.path("out").join(FEEDBACK)).expect("there"), before);
    }
    desk.run(&[SECOND, FIRST], &["--reviewed", "reviewed.jsonl"]).expect("all of them, in whatever order");
}

/// Every pair of words, as the table in `fate.rs` has them.
#[test]
fn what_two_physicians_say_decides_where_a_sample_goes() {
    use Fate::*;
    let (model, other) = (Some("肌肉痛：按压痛"), Some("肋软骨炎：压痛"));
    /// First verdict, what it changed, second verdict, its own text; fate, and the before of the pair.
    type Row<'a> = (&'a str, Option<&'a str>, &'a str, Option<&'a str>, Fate, Option<&'a str>);
    let table: [Row; 16] = [
        ("accepted", None, "accepted", None, TaughtUnchanged, None),
        ("accepted", None, "edited", other, TaughtEdited, Some("心绞痛：劳累诱发")),
        ("accepted", None, "rejected", None, RejectedBySecond, None),
        ("accepted", None, "rejected", other, PairAlone, Some("心绞痛：劳累诱发")),
        ("edited", model, "accepted", None, TaughtEdited, model),
        ("edited", model, "edited", other, TaughtEdited, model),
        ("edited", model, "edited", model, TaughtUnchanged, None),
        ("edited", model, "rejected", None, RejectedBySecond, None),
        ("edited", model, "rejected", other, PairAlone, model),
        ("edited", model, "rejected", model, NothingToCompare, None),
        ("edited", None, "accepted", None, TaughtEdited, None),
        ("edited", None, "edited", other, TaughtEdited, None),
        ("edited", None, "rejected", other, NothingToCompare, None),
        ("rejected", None, "accepted", None, RejectedByFirst, None),
        ("rejected", model, "accepted", None, PairAlone, model),
        ("rejected", model, "edited", other, PairAlone, model),
    ];
    for (first, before, second, own, fate, pair) in table {
        let mut decision = said("d2", "a", second);
        if let Some(own) = own {
            decision["completion"] = lines(own);
        }
        let row = format!("{first} {before:?}, {second} {own:?}");
        let sorted = sort(&[(1, line("a", first, before))], &[decision], 100).unwrap_or_else(|e| panic!("{row}: {e}"));
        assert_eq!(sorted.fates, BTreeMap::from([(fate, 1)]), "{row}");
        let taught = matches!(fate, TaughtEdited | TaughtUnchanged);
        assert_eq!(sorted.feedback.len(), usize::from(taught), "{row}");
        let befores: Vec<&str> =
            sorted.pairs.iter().filter_map(|it| it.rejected.as_ref()).map(|it| &*it.causes[0]).collect();
        assert_eq!(befores, pair.into_iter().collect::<Vec<_>>(), "{row}");
        for sample in sorted.feedback.iter().chain(&sorted.pairs) {
            assert_eq!(sample.completion.causes[0], own.unwrap_or("心绞痛：劳累诱发"), "{row}");
            assert!(sample.review.verdict != SampleVerdict::Rejected || !taught, "{row}");
        }
    }
}

#[test]
fn unchanged_answers_are_few_of_each_department_and_the_same_in_any_order() {
    let mut exported = Vec::new();
    let mut decisions = Vec::new();
    for (department, unchanged) in [("internal", 90), ("obstetrics", 10), ("pediatrics", 1)] {
        for n in 0..unchanged + 8 {
            let (verdict, before) =
                if n < unchanged { ("accepted", None) } else { ("edited", Some("肌肉痛：按压痛")) };
            let mut line = line(&format!("{department}{n}"), verdict, before);
            line["department"] = json!(department);
            decisions.push(said("d2", line["id"].as_str().expect("an id"), "accepted"));
            exported.push((1, line));
        }
    }
    let taught = |sorted: &Sorted| -> BTreeMap<String, usize> {
        let mut n = BTreeMap::new();
        let unchanged = sorted.feedback.iter().filter(|it| it.review.verdict == SampleVerdict::Accepted);
        unchanged.for_each(|it| *n.entry(it.department.to_string()).or_default() += 1);
        n
    };
    let of = |list: &[(&str, usize)]| list.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect::<BTreeMap<_, _>>();
    let sorted = sort(&exported, &decisions, 20).expect("sorts");
    // 24 edited ones leave room for six.
    assert_eq!(taught(&sorted), of(&[("internal", 3), ("obstetrics", 2), ("pediatrics", 1)]));
    assert_eq!((sorted.fates[&Fate::AcceptedBeyondMax], sorted.feedback.len()), (95, 30));
    exported.reverse();
    decisions.reverse();
    assert_eq!(sort(&exported, &decisions, 20).expect("sorts").feedback, sorted.feedback);
    assert_eq!(taught(&sort(&exported, &decisions, 0).expect("sorts")), of(&[]));
    assert_eq!(sort(&exported, &decisions, 100).expect("sorts").feedback.len(), 125);
}

fn sort(exported: &[(u64, Value)], decisions: &[Value], accepted_max: u8) -> Result<Sorted, String> {
    let exported = exported.iter().enumerate().map(|(at, (last, line))| Exported {
        place: format!("line {at}"),
        age: Age { last: *last, first: 1, line: at },
        sample: serde_json::from_value(line.clone()).map_err(|e| e.to_string()),
    });
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("reviewed.jsonl");
    let text: String = decisions.iter().map(|decision| format!("{decision}\n")).collect();
    File::create(&path).and_then(|mut file| file.write_all(text.as_bytes())).expect("written");
    Sorted::of(exported.collect(), &Decisions::read(&[path])?, accepted_max)
}

/// A thousand random histories: each line has one fate, each file holds what its fates say, and no sample is taught that
/// two physicians have not let stand.
#[test]
fn every_line_has_one_fate_and_is_where_that_says() {
    for seed in 0..1000u64 {
        let mut dice = crate::dice::dice(seed);
        let verdicts = ["accepted", "edited", "rejected", "unreviewed"];
        let causes = ["肌肉痛：按压痛", "肋软骨炎：压痛", "心绞痛：劳累诱发", "心绞痛：患者张三3月5日来过"];
        let mut exported = Vec::new();
        for _ in 0..dice(40) {
            let before = [None, Some(causes[dice(4)])][dice(2)];
            let mut line = line(&format!("{}", dice(20)), verdicts[dice(4).min(dice(4))], before);
            line["completion"] = lines(causes[1 + dice(3)]);
            match dice(12) {
                0 => line["deid"] = json!(false),
                1 => line["review"]["by"] = json!(null),
                2 => line["rating"] = json!(5),
                3 => line["department"] = json!("pediatrics"),
                4 => line["case"]["findings"] = json!([{"code": "tel-13812345678", "state": "present"}]),
                _ => {}
            }
            exported.push((dice(5) as u64, line));
        }
        let known: BTreeSet<&str> = exported
            .iter()
            .filter(|(_, it)| it.get("rating").is_none())
            .filter_map(|(_, it)| it["id"].as_str())
            .collect();
        let mut decisions = Vec::new();
        for id in known {
            let mut decision = said("d2", id, verdicts[dice(3)]);
            if decision["verdict"] != "accepted" {
                decision["completion"] = lines(["胸膜炎：呼吸痛", "肌肉痛：按压痛"][dice(2)]);
            }
            match dice(4) {
                0 => continue,
                1 => decision["of"] = json!("0000000000000000"),
                _ => {}
            }
            decisions.push(decision);
        }
        let percent = dice(101) as u8;
        let sorted = sort(&exported, &decisions, percent).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        let n = |fate: Fate| sorted.fates.get(&fate).copied().unwrap_or_default();
        assert_eq!(sorted.fates.values().sum::<usize>(), exported.len(), "seed {seed}: {:?}", sorted.fates);
        assert_eq!(sorted.unread.len(), n(Fate::Unread), "seed {seed}");
        assert_eq!(sorted.for_review.len(), n(Fate::AwaitsSecond) + n(Fate::DecidedOnOlderText), "seed {seed}");
        assert_eq!(sorted.feedback.len(), n(Fate::TaughtUnchanged) + n(Fate::TaughtEdited), "seed {seed}");
        let pairs_taught = sorted.feedback.iter().filter(|it| it.rejected.is_some()).count();
        assert_eq!(sorted.pairs.len(), pairs_taught + n(Fate::PairAlone), "seed {seed}");
        assert!(n(Fate::TaughtUnchanged) * 100 <= usize::from(percent) * sorted.feedback.len(), "seed {seed}");
        let distinct: BTreeSet<&str> = sorted.for_review.iter().chain(&sorted.feedback).map(|it| &*it.id).collect();
        assert_eq!(distinct.len(), sorted.for_review.len() + sorted.feedback.len(), "seed {seed}");
        for sample in sorted.feedback.iter().chain(&sorted.pairs) {
            assert_eq!(sample.review.by, Some(format!("d1{AND}d2")), "seed {seed}");
            let before: Option<&Completion> = sample.rejected.as_ref();
            assert!(before != Some(&sample.completion), "seed {seed}: a pair of the same");
        }
        assert!(sorted.feedback.iter().all(|it| it.review.verdict != SampleVerdict::Rejected), "seed {seed}");
        let told = [&sorted.for_review, &sorted.feedback, &sorted.pairs].map(|file| super::lines(file)).concat();
        assert!(!told.contains("张三") && !told.contains("13812345678") && !told.contains("3月5日"), "seed {seed}");
    }
}
