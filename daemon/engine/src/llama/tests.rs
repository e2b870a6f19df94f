//! With the real demo model and its adapters, inside one process: what pipes would hide. Logits are compared bit for
//! bit, which holds on a CPU.

#[path = "../../../../tests/common/demo.rs"]
mod demo;

use super::{seat::SEEN, *};
use crate::{
    file_sha256,
    prompt::{Segment, TaughtSegment},
};
use contract::{
    case::Case,
    ids::{Department, Lang},
    reply::Section,
};
use std::collections::BTreeMap;

type Lines = BTreeMap<Section, Vec<WrittenLine>>;

fn order(departments: &[&str]) -> LlamaOrder {
    LlamaOrder { context_tokens: 8192, contexts_max: 3, ..demo::demo_order(departments) }
}

/// llama.cpp's backend is one for the process.
static BACKEND: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn with<R>(order: &LlamaOrder, test: impl FnOnce(&mut Bench) -> R) -> R {
    unprepared(order, |bench| {
        while bench.engine.prepare() {}
        test(bench)
    })
}

fn unprepared<R>(order: &LlamaOrder, test: impl FnOnce(&mut Bench) -> R) -> R {
    let _alone = BACKEND.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let ran = with_engine(order, |engine, _| test(&mut Bench { engine }));
    ran.expect("the demo model fits")
}

struct Bench<'a> {
    engine: &'a mut dyn Engine,
}

impl Bench<'_> {
    fn begin(&mut self, department: &str, class: u8, text: &str) -> RequestId {
        let job = RequestId(uuid(department, text));
        let department = Department::new(department).expect("a code");
        self.engine.begin(FillOrder {
            job,
            department,
            lang: Lang::Zh,
            class,
            deadline_ms: 600_000,
            questions: Vec::new(),
            case: case(text),
        });
        job
    }

    /// Runs until nothing is open. Every form's last lines, and how it ended.
    fn run(&mut self) -> BTreeMap<RequestId, (Lines, Result<FillStats, FillFault>)> {
        let (mut open, mut ended) = (BTreeMap::<RequestId, Lines>::new(), BTreeMap::new());
        while !self.engine.idle() {
            self.engine.step(&mut |report| match report {
                Report::Section { job, section, lines, .. } => {
                    drop(open.entry(job).or_default().insert(section, lines))
                }
                Report::Filled { job, stats, .. } => {
                    drop(ended.insert(job, (open.remove(&job).unwrap_or_default(), Ok(stats))));
                }
                Report::Failed { job, fault } => {
                    drop(ended.insert(job, (open.remove(&job).unwrap_or_default(), Err(fault))));
                }
                other => panic!("{other:?}"),
            });
        }
        ended
    }

    /// One form alone: its lines and the hashes of all logits that it read.
    fn alone(&mut self, department: &str, text: &str) -> (Lines, Vec<(Section, u64)>) {
        SEEN.take();
        let job = self.begin(department, 2, text);
        let (lines, end) = self.run().remove(&job).expect("it ended");
        assert!(end.is_ok(), "{end:?}");
        (lines, SEEN.take().into_iter().map(|(_, section, hash)| (section, hash)).collect())
    }
}

/// The same for the same words, so that a form can be found again.
fn uuid(department: &str, text: &str) -> uuid::Uuid {
    let hash = crate::hex(&<sha2::Sha256 as sha2::Digest>::digest(format!("{department}{text}")));
    uuid::Uuid::parse_str(&hash[..32]).expect("32 hexadecimal digits")
}

fn case(text: &str) -> Case {
    serde_json::from_str(&format!(r#"{{"complaint":{{"text":"{text}"}}}}"#)).expect("a case")
}

const CHEST: &str = "干活时胸口闷，歇一会儿就好";
const OTHERS: [&str; 7] = [
    "咳嗽三天，痰黄，发热",
    "头晕，翻身时天旋地转",
    "肚子疼，拉稀五次",
    "腰疼半个月，弯腰加重",
    "口干，多尿，体重下降",
    "心慌，手抖，怕热",
    "小便疼，次数多",
];

/// No KV crosses adapters: B after A reads the very logits that B alone reads. In contexts of their own, and where
/// all adapters share one and take turns.
#[test]
fn what_came_before_under_another_adapter_changes_no_bit() {
    for residency in [Residency::Contexts, Residency::Epochs] {
        let order = LlamaOrder { residency, ..order(&["internal", "obstetrics"]) };
        let alone = with(&order, |bench| bench.alone("internal", CHEST));
        assert!(!alone.0[&Section::PossibleCauses].is_empty());
        with(&order, |bench| {
            // The same words too: where a cache is looked up by tokens, this finds the other adapter's.
            bench.alone("obstetrics", CHEST);
            bench.alone("obstetrics", "怀孕八个月，腿肿");
            assert_eq!(bench.alone("internal", CHEST), alone, "{residency:?}");
            let other = bench.alone("obstetrics", CHEST);
            assert_ne!(other.1, alone.1, "another adapter, other logits");
            assert_eq!(bench.alone("internal", CHEST), alone, "and back again");
        });
    }
}

/// The first case after the start, which finds nothing prepared, gets the answer that every later one gets.
#[test]
fn the_first_case_of_a_worker_is_answered_like_any_other() {
    let order = order(&["internal"]);
    let first = unprepared(&order, |bench| bench.alone("internal", CHEST));
    with(&order, |bench| {
        for _ in 0..2 {
            assert_eq!(bench.alone("internal", CHEST), first);
        }
    });
}

/// A form that is given up leaves nothing behind, wherever it was.
#[test]
fn a_form_cancelled_in_any_phase_leaves_no_trace() {
    with(&order(&["internal"]), |bench| {
        let clean = bench.alone("internal", CHEST);
        let mut steps = 0;
        loop {
            let job = bench.begin("internal", 2, OTHERS[0]);
            for _ in 0..steps {
                bench.engine.step(&mut |_| {});
            }
            let over = bench.engine.idle();
            let mut ends = Vec::new();
            bench.engine.cancel(job, &mut |report| ends.push(report));
            assert!(bench.engine.idle());
            if over {
                assert!(ends.is_empty(), "it had ended already");
                break;
            }
            assert!(matches!(ends[..], [Report::Failed { fault: FillFault::Cancelled, .. }]), "{ends:?}");
            // Every step while reading and at the borders of sections; a sample of those in between.
            steps += if steps < 4 { 1 } else { 7 };
        }
        assert!(steps > 20, "the form had phases: {steps}");
        assert_eq!(bench.alone("internal", CHEST), clean);
    });
}

/// The same words come out alone and in a full batch. Bit-equality of logits cannot hold there: the kernels add in
/// another order for other batch shapes. What is asked for is the answer; `levers` measures how far it holds.
#[test]
fn a_full_batch_gives_every_form_an_end_and_cancelling_one_disturbs_no_other() {
    with(&order(&["internal", "obstetrics"]), |bench| {
        let mut jobs: Vec<RequestId> = OTHERS.iter().map(|text| bench.begin("internal", 2, text)).collect();
        jobs.extend(OTHERS.iter().take(4).map(|text| bench.begin("obstetrics", 2, text)));
        for _ in 0..12 {
            bench.engine.step(&mut |_| {});
        }
        bench.engine.cancel(jobs[2], &mut |_| {});
        bench.engine.cancel(jobs[10], &mut |_| {});
        let ended = bench.run();
        assert_eq!(ended.len(), jobs.len() - 2);
        for (lines, end) in ended.values() {
            assert!(end.is_ok());
            assert_eq!(lines.len(), 5, "all sections");
        }
    });
}

/// Nothing of another form is read: beside others of the same lengths and other contents, a form reads the very logits.
/// (Beside others of other lengths it does not: the kernels then add in another order. `levers` says how often that
/// changes a line.)
#[test]
fn what_others_in_the_batch_say_changes_no_bit() {
    with(&order(&["internal"]), |bench| {
        let mut first_rows = |digit: char| {
            SEEN.take();
            let own = bench.begin("internal", 2, CHEST);
            let others = ["咳嗽#天，有痰", "头晕#天，怕光", "腹泻#次，口干", "发热#天，咽痛"];
            let others = others.map(|text| bench.begin("internal", 2, &text.replace('#', &digit.to_string())));
            // As long as nobody has ended a section, all batches have the same shape.
            for _ in 0..6 {
                bench.engine.step(&mut |_| {});
            }
            let seen = SEEN.take();
            others.iter().chain([&own]).for_each(|job| bench.engine.cancel(*job, &mut |_| {}));
            let rows = |wanted: &[RequestId]| -> Vec<u64> {
                seen.iter().filter(|(job, ..)| wanted.contains(job)).map(|(.., hash)| *hash).collect()
            };
            (rows(&[own]), rows(&others))
        };
        let ((own, others), (own_again, others_again)) = (first_rows('3'), first_rows('7'));
        assert_eq!(own, own_again);
        assert!(own.len() >= 4, "{}", own.len());
        assert_ne!(others, others_again, "they were other cases");
    });
}

#[test]
fn an_urgent_form_is_served_alone_and_the_others_go_on_after_it() {
    with(&order(&["internal", "obstetrics"]), |bench| {
        let _routine: Vec<RequestId> = OTHERS.iter().map(|text| bench.begin("internal", 2, text)).collect();
        for _ in 0..10 {
            bench.engine.step(&mut |_| {});
        }
        let urgent = bench.begin("obstetrics", 0, "怀孕七个月，头疼眼花");
        let mut served = Vec::new();
        while !served.contains(&(urgent, true)) {
            bench.engine.step(&mut |report| match report {
                Report::Section { job, .. } => served.push((job, false)),
                Report::Filled { job, .. } => served.push((job, true)),
                other => panic!("{other:?}"),
            });
        }
        let before: Vec<_> = served.iter().filter(|(job, _)| *job != urgent).collect();
        // Unless it took longer than anybody may be passed over, which a busy machine can bring about.
        assert!(before.len() <= 2, "{before:?}");
        assert_eq!(bench.run().len(), OTHERS.len());
    });
}

/// A context too small for all of them: the rest waits, an urgent one takes a place, nobody is lost.
#[test]
fn a_full_context_makes_routine_forms_wait_and_urgent_ones_not() {
    let order = LlamaOrder { context_tokens: 3072, contexts_max: 1, ..order(&["internal", "obstetrics"]) };
    with(&order, |bench| {
        let mut jobs: Vec<RequestId> = OTHERS.iter().map(|text| bench.begin("internal", 2, text)).collect();
        bench.engine.step(&mut |_| {});
        let urgent = bench.begin("obstetrics", 0, CHEST);
        jobs.push(urgent);
        let mut order_of_ends = Vec::new();
        while !bench.engine.idle() {
            bench.engine.step(&mut |report| match report {
                Report::Filled { job, .. } => order_of_ends.push(job),
                Report::Failed { fault, .. } => panic!("{fault}"),
                _ => {}
            });
        }
        assert_eq!(order_of_ends[0], urgent);
        order_of_ends.sort();
        jobs.sort();
        assert_eq!(order_of_ends, jobs);
    });
}

#[test]
fn damaged_weights_fail_their_own_form_and_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut order = order(&["internal", "obstetrics"]);
    let mut bytes = std::fs::read(&order.adapters[1].path).expect("reads");
    let end = bytes.len();
    bytes[end - 4096..].chunks_exact_mut(2).for_each(|half| half.copy_from_slice(&0x7e00_u16.to_le_bytes())); // NaN
    order.adapters[1].path = folder.path().join("adapter.gguf");
    std::io::Write::write_all(&mut std::fs::File::create(&order.adapters[1].path).expect("creates"), &bytes)
        .expect("writes");
    order.adapters[1].sha256 = file_sha256(&order.adapters[1].path).expect("hashes");
    with(&order, |bench| {
        let good = bench.begin("internal", 2, CHEST);
        let bad = bench.begin("obstetrics", 2, CHEST);
        let ended = bench.run();
        assert!(ended[&good].1.is_ok());
        assert_eq!(ended[&bad].1, Err(FillFault::NotFinite));
    });
}

#[test]
fn choices_are_scored_and_leave_the_answer_as_it_was() {
    with(&order(&["internal"]), |bench| {
        let (lines, hashes) = bench.alone("internal", CHEST);
        SEEN.take();
        let departments = ["internal", "obstetrics", "pediatrics"].map(|d| Department::new(d).expect("a code"));
        let questions = vec![Question::Department { options: departments.to_vec() }, Question::Urgency, Question::Band];
        let job = RequestId(uuid("internal", "scored"));
        let department = Department::new("internal").expect("a code");
        let (lang, class, deadline_ms) = (Lang::Zh, 2, 600_000);
        let asked = questions.clone();
        bench.engine.begin(FillOrder { job, department, lang, class, deadline_ms, questions, case: case(CHEST) });
        let (mut again, mut scored) = (Lines::new(), Vec::new());
        while !bench.engine.idle() {
            bench.engine.step(&mut |report| match report {
                Report::Section { section, lines, .. } => drop(again.insert(section, lines)),
                Report::Filled { scores, .. } => scored = scores,
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(scored.iter().map(|score| score.question.clone()).collect::<Vec<_>>(), asked);
        for Score { options, .. } in &scored {
            let sum: f32 = options.iter().map(|(_, probability)| probability).sum();
            assert!((sum - 1.0).abs() < 1e-4, "{options:?}");
        }
        assert_eq!(again, lines, "the same answer");
        let with_questions: Vec<_> = SEEN.take().into_iter().map(|(_, section, hash)| (section, hash)).collect();
        assert_eq!(with_questions, hashes, "bit for bit");
    });
}

/// Memory stays flat over thousands of forms, with adapters alternating and some forms given up. `make soak`; SOAK_JOBS
/// chooses how many. The first tenth is the allocator's: its arenas and llama.cpp's graphs grow to their largest shape.
#[test]
#[ignore = "takes half an hour: make soak"]
#[cfg(target_os = "linux")]
fn soak() {
    let resident_mb = || {
        let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux tells");
        statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("a number") * 4 / 1024
    };
    let jobs: usize = std::env::var("SOAK_JOBS").ok().and_then(|n| n.parse().ok()).unwrap_or(2000);
    let departments = ["internal", "obstetrics", "pediatrics"];
    // One context less than departments: adapters' contexts are unmade and made again all the time.
    with(&LlamaOrder { contexts_max: 2, ..order(&departments) }, |bench| {
        let (mut ended, mut after_warm_up, mut last, mut alternations) = (0, None, "", 0);
        while ended < jobs {
            // Batches of eight of one department, and one by one with a change each time, in turns.
            let together = (ended / 8) % 2 == 0;
            for nth in 0..8 {
                let department = departments[if together { ended / 8 } else { nth } % departments.len()];
                alternations += usize::from(department != last);
                last = department;
                let job = bench.begin(department, 2, &format!("{}，第{}天", OTHERS[nth % OTHERS.len()], ended + nth));
                if nth == 5 {
                    (0..3).for_each(|_| bench.engine.step(&mut |_| {}));
                    bench.engine.cancel(job, &mut |_| {});
                }
                if !together {
                    bench.run();
                }
            }
            bench.run();
            SEEN.take();
            ended += 8;
            if ended >= jobs / 10 {
                let first = *after_warm_up.get_or_insert_with(resident_mb);
                let now = resident_mb();
                if (ended / 8) % 10 == 0 {
                    eprintln!(
                        "{ended} of {jobs} forms, {alternations} changes of adapter, {now} MB (at a tenth: {first})"
                    );
                }
                assert!(now <= first + first / 20 + 8, "{first} MB at a tenth, {now} MB after {ended} forms");
            }
        }
    });
}

/// Where a text is cut between what is shared and what is weighed changes nothing but the count; options do not see each
/// other; and an adapter finds its own training text likelier than its base does.
#[test]
fn a_text_weighs_the_same_wherever_it_is_cut_and_less_surprising_under_its_adapter() {
    let line = |text: &str, train| TaughtSegment { segment: Segment { text: text.to_owned(), special: false }, train };
    let base = Department::new("base").expect("a code");
    let internal = Department::new("internal").expect("a code");
    let order = LlamaOrder { bare: vec![base.clone()], ..order(&["internal"]) };
    let given = crate::prompt::prefix(order.prompt_format, "internal", Lang::Zh)
        .into_iter()
        .chain(crate::prompt::case(order.prompt_format, &case(CHEST), Lang::Zh))
        .collect::<Vec<_>>();
    let answer = "稳定型心绞痛：劳累诱发，休息缓解\n";
    with(&order, |bench| {
        let mut weigh = |department: &Department, shared: &[Segment], options: Vec<Vec<TaughtSegment>>| {
            let mut weights = None;
            let (job, shared) = (RequestId(uuid("weigh", "x")), shared.to_vec());
            let order = WeighOrder { job, department: department.clone(), shared, options, only_count: false };
            bench.engine.weigh(order, &mut |report| match report {
                Report::Weighed { options, .. } => weights = Some(options),
                other => panic!("{other:?}"),
            });
            weights.expect("weighed")
        };
        let whole = weigh(&internal, &given, vec![vec![line(answer, true)]])[0];
        let (first, rest) = given.split_at(1);
        let mut later: Vec<TaughtSegment> =
            rest.iter().map(|segment| TaughtSegment { segment: segment.clone(), train: false }).collect();
        later.push(line(answer, true));
        let cut = weigh(&internal, first, vec![vec![line("胃炎\n", true)], later]);
        assert_eq!((cut[1].tokens, cut[1].tokens_read), (whole.tokens, whole.tokens_read));
        assert!((cut[1].logprob - whole.logprob).abs() < 0.05, "{cut:?} {whole:?}");
        let bare = weigh(&base, &given, vec![vec![line(answer, true)]])[0];
        assert!(bare.logprob < whole.logprob - 1.0, "{bare:?} {whole:?}");
        let again = weigh(&internal, &given, vec![vec![line("胃炎\n", true)], vec![line(answer, true)]]);
        assert_eq!(again[1], whole, "another option before it");
        let mut failed = None;
        let other = Department::new("surgery").expect("a code");
        let order = WeighOrder {
            job: RequestId(uuid("weigh", "y")),
            department: other,
            shared: given.clone(),
            options: vec![],
            only_count: false,
        };
        bench.engine.weigh(order, &mut |report| failed = Some(report));
        assert!(matches!(failed, Some(Report::Failed { fault: FillFault::NoAdapter, .. })));
        // And beside it forms are filled as ever.
        assert!(bench.alone("base", CHEST).0.contains_key(&Section::PossibleCauses));
    });
}
