//! Whole imports: rows in, a file out, and what is told of each.

use super::*;
use clap::Parser;
use contract::{reply::Section, sample::SampleVerdict};
use serde_json::{Value, json};
use std::io::Write as _;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    import: Import,
}

struct Desk {
    folder: tempfile::TempDir,
}

const ALL: &[&str] =
    &["--department=internal", "--license=L", "--source=S", "--reviewer=d1", "--reviewed-at=2026-03", "--deid"];
const WHOLE: &str =
    "诊断：偏头痛：搏动性\n鉴别诊断：蛛网膜下腔出血：突发；做CT\n检查：血压：看高低\n用药：无\n还需询问：呕吐：看颅压";

impl Desk {
    fn with(rows: &[Value]) -> Self {
        let desk = Self { folder: tempfile::tempdir().expect("a folder") };
        desk.write("rows.jsonl", &rows.iter().map(|row| format!("{row}\n")).collect::<String>());
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::File::create(self.path(name)).and_then(|mut file| file.write_all(text.as_bytes())).expect("written");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("written")
    }

    fn import(&self, options: &[&str]) -> Import {
        let fixed = ["import".to_owned(), self.path("rows.jsonl").display().to_string()];
        let out = format!("--out={}", self.path("out.jsonl").display());
        let args = fixed.into_iter().chain([out]).chain(options.iter().map(|it| (*it).to_owned()));
        Cli::try_parse_from(args).unwrap_or_else(|e| panic!("{e}")).import
    }

    fn run(&self, options: &[&str]) -> Result<(Counts, String), String> {
        self.import(options).import(None, &mut io::sink())
    }

    /// At a terminal where somebody types `replies`; and what was shown.
    fn typed(&self, options: &[&str], replies: &str) -> (Result<(Counts, String), String>, String) {
        let mut shown = Vec::new();
        let mut input = replies.as_bytes();
        let mut terminal = Terminal { input: &mut input, output: &mut shown };
        let done = self.import(options).import(Some(&mut terminal), &mut io::sink());
        (done, String::from_utf8(shown).expect("text"))
    }

    fn samples(&self) -> Vec<Sample> {
        self.read("out.jsonl")
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }
}

fn row(n: usize, answer: &str) -> Value {
    json!({"prompt": format!("头痛{n}天"), "completion": answer})
}

#[test]
fn a_row_with_every_section_becomes_a_sample_that_check_takes() {
    let desk = Desk::with(&[row(3, WHOLE)]);
    let (counts, told) = desk.run(ALL).expect("imports");
    assert_eq!(counts, Counts { rows: 1, new: 1, ..Counts::default() }, "{told}");
    assert!(told.contains("zh 1, en 0"), "the language is told: {told}");
    let [sample] = &*desk.samples() else { panic!("one sample") };
    assert_eq!((&*sample.department, sample.lang, &*sample.case.complaint.text), ("internal", Lang::Zh, "头痛3天"));
    assert_eq!((&*sample.license, &*sample.source, sample.deid), ("L", "S", true));
    assert_eq!((sample.review.by.as_deref(), sample.review.at.as_deref()), (Some("d1"), Some("2026-03")));
    assert_eq!(sample.review.verdict, SampleVerdict::Accepted);
    assert_eq!(sample.completion.lines(Section::CannotExclude), ["蛛网膜下腔出血：突发；做CT"]);
    let set = crate::dataset::Dataset::read(&[desk.path("out.jsonl")]).expect("reads");
    let metadata = crate::yaml::parse("name: t\nlicenses: [L]").expect("metadata");
    assert!(!crate::check::check(&set, None, &metadata).refused());
}

#[test]
fn what_a_row_lacks_is_told_with_its_line_and_not_made_up() {
    let rows = [
        row(1, WHOLE),
        row(2, "诊断：偏头痛\n治疗：休息"),
        json!({"prompt": "x"}),
        row(4, "可能是感冒"),
        row(1, WHOLE),
    ];
    let desk = Desk::with(&rows);
    let (counts, told) = desk.run(ALL).expect("imports");
    let expected = Counts { rows: 5, new: 3, same_row: 1, left_out: 1, lack_something: 2, ..Counts::default() };
    assert_eq!(counts, expected, "{told}");
    for note in [
        "rows.jsonl:2: 1 lines under \"治疗\" not placed",
        "rows.jsonl:2: lacks exclusions, checks, cautions, missing\n",
        "rows.jsonl:3: left out: no `completion`",
        "rows.jsonl:4: 1 lines under \"no header\" not placed",
        "rows.jsonl:4: lacks causes, exclusions, checks, cautions, missing\n",
        "rows.jsonl:5: the same as line 1",
    ] {
        assert!(told.contains(note), "{note} in {told}");
    }
    assert_eq!(desk.samples()[1].completion.exclusions, Vec::<String>::new());
}

#[test]
fn without_a_terminal_every_missing_value_is_named_by_its_option_and_nothing_is_written() {
    let desk = Desk::with(&[row(1, WHOLE)]);
    let fault = desk.run(&[]).expect_err("nothing is known");
    for option in ["--department", "--license", "--source", "--reviewer", "--deid"] {
        assert!(fault.contains(option), "{option} in {fault}");
    }
    // Without the reviewer, clap itself says that --reviewed-at needs one.
    for missing in ALL.iter().filter(|option| **option != "--reviewer=d1") {
        let options: Vec<&str> = ALL.iter().copied().filter(|option| option != missing).collect();
        let option = missing.split('=').next().expect("a name");
        assert!(desk.run(&options).expect_err(option).contains(option));
    }
    assert!(desk.run(&[&["--ask"], ALL].concat()).expect_err("nobody to ask").contains("terminal"));
    assert!(!desk.path("out.jsonl").exists());
    assert!(desk.run(&[&ALL[..3], &["--reviewer=none", "--deid=no"]].concat()).is_ok());
    let sample = &desk.samples()[0];
    assert_eq!((sample.review.verdict, sample.deid), (SampleVerdict::Unreviewed, false));
}

#[test]
fn what_rows_say_themselves_is_not_asked_for() {
    let mut own = row(1, WHOLE);
    own.as_object_mut().expect("object").extend(
        json!({"department": "儿科", "lang": "zh", "license": "own", "source": "ward", "id": "病历7"})
            .as_object()
            .expect("object")
            .clone(),
    );
    let desk = Desk::with(&[own]);
    let (_, told) = desk.run(&ALL[3..]).expect("imports");
    assert!(told.contains("fields not taken") && told.contains("id (1 rows)"), "{told}");
    let sample = &desk.samples()[0];
    assert_eq!((&*sample.department, &*sample.license, &*sample.source), ("pediatrics", "own", "ward"));
    assert!(!desk.read("out.jsonl").contains("病历7"));
}

#[test]
fn at_a_terminal_each_value_is_asked_for_once_and_again_until_it_can_be_read() {
    let desk = Desk::with(&[row(1, WHOLE), row(2, WHOLE)]);
    let (done, shown) = desk.typed(&[], "cardiology\n内科\n\n\nL\nS\nd1\nyesterday\n2026\nmaybe\nyes\n");
    let (counts, _) = done.unwrap_or_else(|e| panic!("{e}: {shown}"));
    assert_eq!(counts.new, 2);
    for word in ["internal 内科", "no department", "zh 2, en 0", "no year"] {
        assert!(shown.contains(word), "{word} in {shown}");
    }
    assert_eq!(shown.matches("department (").count(), 2, "{shown}");
    assert!(desk.samples().iter().all(|it| &*it.department == "internal" && it.deid && it.license == "L"));
    let cut = Desk::with(&[row(1, WHOLE)]);
    assert!(cut.typed(&[], "internal\n").0.expect_err("cut").contains("nothing is written"));
    assert!(!cut.path("out.jsonl").exists());
}

#[test]
fn row_by_row_replies_are_kept_and_a_later_run_goes_on() {
    let half = "诊断：偏头痛：搏动性\n检查：血压：看高低\n还需询问：呕吐：看颅压\n用药：无";
    let desk = Desk::with(&[row(1, half), row(2, half), row(3, half), row(4, WHOLE)]);
    let options = [&["--ask"][..], &ALL[1..]].concat(); // the department is not the same for all
    // The first row is answered, the second skipped behind its department, at the third somebody stops.
    let (done, shown) = desk.typed(&options, "\n\ninternal\n- 脑出血：突发；做CT\n无\n\nent\ns\nq\n");
    let (counts, told) = done.unwrap_or_else(|e| panic!("{e}: {shown}"));
    assert_eq!((counts.new, counts.lack_something), (4, 3), "{told}");
    assert!(shown.contains("line 1, 1 of 4: lacks department, exclusions") && shown.contains("头痛1天"), "{shown}");
    let lines: Vec<Value> =
        desk.read("out.jsonl").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines[0]["completion"]["exclusions"], json!(["脑出血：突发；做CT"]));
    assert_eq!((&lines[1]["department"], &lines[2].get("department")), (&json!("ent"), &None));

    let (done, shown) = desk.typed(&options, "眼出血：突发；查眼底\n\n儿科\n脑膜炎：颈硬；转诊\n\npediatrics\n");
    let (counts, told) = done.unwrap_or_else(|e| panic!("{e}: {shown}"));
    assert_eq!((counts.new, counts.there_already, counts.lack_something), (0, 4, 0), "{told}");
    assert!(shown.contains("line 2, 1 of 3: lacks exclusions"), "what was answered is not asked again: {shown}");
    let samples = desk.samples();
    assert_eq!(
        samples.iter().map(|it| &*it.department).collect::<Vec<_>>(),
        ["internal", "ent", "pediatrics", "pediatrics"]
    );
    assert_eq!(samples[1].completion.exclusions, ["眼出血：突发；查眼底"]);
}

/// Wherever the replies are cut off, the file is whole, and the rest of the replies finishes it.
#[test]
fn a_cut_between_any_two_replies_loses_none() {
    let half = "诊断：偏头痛：搏动性";
    let replies = "脑出血：突发；做CT\n\n\n\n\n";
    let options = [&["--ask", "--lang=zh"][..], ALL].concat();
    let whole = replies.repeat(3);
    let expected = {
        let desk = Desk::with(&[row(1, half), row(2, half), row(3, half)]);
        desk.typed(&options, &whole).0.expect("imports");
        desk.samples()
    };
    assert!(expected.iter().all(|it| it.completion.exclusions.len() == 1 && it.completion.cautions == ["无"]));
    for cut in 0..=15 {
        let desk = Desk::with(&[row(1, half), row(2, half), row(3, half)]);
        let first: String = whole.split_inclusive('\n').take(cut).collect();
        desk.typed(&options, &first).0.expect("a cut stops, and keeps");
        assert_eq!(desk.read("out.jsonl").lines().count(), 3);
        // A section is finished by its empty line, and is not asked for again.
        let left: usize = desk
            .read("out.jsonl")
            .lines()
            .map(|line| serde_json::from_str::<Draft>(line).expect("a draft").lacks().len())
            .sum();
        let finished: usize = (0..3).map(|row| cut.saturating_sub(5 * row).min(5).saturating_sub(1)).sum();
        assert_eq!(left, 12 - finished, "cut {cut}");
        let (again, shown) = desk.typed(&options, &"脑出血：突发；做CT\n\n".repeat(left));
        assert_eq!(again.unwrap_or_else(|e| panic!("{e}: {shown}")).0.lack_something, 0, "cut {cut}: {shown}");
    }
}

#[test]
fn a_file_that_is_there_is_gone_on_with_and_its_lines_stay_as_they_are() {
    let desk = Desk::with(&[row(1, WHOLE)]);
    desk.run(ALL).expect("imports");
    let corrected = desk.read("out.jsonl").replace("偏头痛", "紧张性头痛").replace("{\"id\"", "{ \"id\"");
    desk.write("out.jsonl", &corrected);
    desk.write("rows.jsonl", &format!("{}\n{}\n", row(1, WHOLE), row(2, WHOLE)));
    let (counts, _) = desk.run(ALL).expect("goes on");
    assert_eq!((counts.new, counts.there_already), (1, 1));
    assert!(desk.read("out.jsonl").starts_with(&corrected));
    assert_eq!(desk.run(&[]).expect("nothing is new, so nothing is missing").0.there_already, 2);

    desk.write("out.jsonl", &corrected.repeat(2));
    assert!(desk.run(ALL).expect_err("twice").contains("for the second time"));
    for other in ["notes of mine\n", "{\"prompt\":\"a\",\"completion\":\"b\"}\n", "{\"id\":\"a\"}\n"] {
        desk.write("out.jsonl", other);
        assert!(desk.run(ALL).expect_err("not ours").contains("line 1 is no sample"));
        assert_eq!(desk.read("out.jsonl"), other);
    }
}

#[test]
fn samples_pass_through_as_they_are() {
    let sample = json!({"id": "s1", "department": "internal", "lang": "zh", "case": {"complaint": {"text": "电话13812345678，2026年3月5日起头痛"}},
        "completion": {"causes": ["a：b"], "exclusions": ["c：d；e"], "checks": ["无"], "cautions": ["无"], "missing": ["无"]},
        "review": {"by": null, "at": null, "verdict": "unreviewed"}, "source": "s", "license": "l", "deid": true});
    let mut other = sample.clone();
    other["license"] = json!("other");
    let desk = Desk::with(&[sample.clone(), sample.clone(), other]);
    let (counts, told) = desk.run(&[]).expect("no values are needed");
    assert_eq!((counts.new, counts.same_row, counts.left_out), (1, 1, 1), "{told}");
    assert_eq!(desk.read("out.jsonl"), format!("{sample}\n"));

    let masked = Desk::with(&[sample]);
    let (_, told) = masked.run(&["--mask"]).expect("imports");
    assert!(told.contains("rows.jsonl:1: 1 places masked, 1 dates"), "{told}");
    assert_eq!(&*masked.samples()[0].case.complaint.text, "电话〔电话〕，2026年起头痛");
}

#[test]
fn nothing_is_masked_but_on_demand_and_the_id_stays() {
    let rows = [json!({"prompt": "患者张三，电话13812345678，头痛", "completion": WHOLE})];
    let desk = Desk::with(&rows);
    desk.run(ALL).expect("imports");
    assert!(desk.read("out.jsonl").contains("13812345678"));
    let id = desk.samples()[0].id.clone();
    let masked = Desk::with(&rows);
    let (_, told) = masked.run(&[ALL, &["--mask"]].concat()).expect("imports");
    assert!(told.contains("rows.jsonl:1: 2 places masked"), "{told}");
    assert!(!masked.read("out.jsonl").contains("13812345678") && !masked.read("out.jsonl").contains("张三"));
    assert_eq!(masked.samples()[0].id, id);
}

/// Rows of all kinds, good and bad: each is in the file, or named.
#[test]
fn every_row_is_accounted_for() {
    let mut dice = crate::dice::dice(3);
    for round in 0..200 {
        let mut text = String::new();
        for _ in 0..dice(30) {
            let row = match dice(6) {
                0 => row(dice(9), WHOLE).to_string(),
                1 => row(dice(9), "诊断：偏头痛").to_string(),
                2 => row(dice(9), WHOLE).to_string().replace("prompt", "instruction"),
                3 => json!({"messages": [{"role": "user", "content": "a"}]}).to_string(),
                4 => row(dice(9), WHOLE).to_string().chars().take(dice(40)).collect(),
                _ => String::new(),
            };
            text.push_str(&row);
            text.push('\n');
        }
        let desk = Desk::with(&[]);
        desk.write("rows.jsonl", &text);
        let (counts, told) = desk.run(ALL).unwrap_or_else(|e| panic!("round {round}: {e}"));
        let rows = text.lines().filter(|line| !line.trim().is_empty()).count();
        assert_eq!(counts.rows, rows, "round {round}");
        assert_eq!(counts.new + counts.same_row + counts.left_out, rows, "round {round}: {told}");
        assert_eq!(desk.samples().len(), counts.new, "round {round}");
        assert_eq!(told.matches(": left out: ").count(), counts.left_out, "round {round}: {told}");
    }
}
