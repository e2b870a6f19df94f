//! `consultd plan`: what a technician learns about a model's file before anything is loaded. With llama.cpp, whether
//! what we compute is what it takes.

mod common;

use std::{
    path::Path,
    process::{Command, Output},
};

fn plan(model: &Path, more: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consultd"));
    let Output { status, stdout, stderr } =
        command.args(["plan", "--model"]).arg(model).args(more).output().expect("runs");
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

#[test]
fn what_is_no_model_is_a_sentence_and_the_settings_number() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("model.gguf");
    assert!(plan(&file, &[]).1.contains("cannot be read"));
    // Two tensors, one entry, and then nothing.
    let cut = "GGUF\x03\0\0\0\x02\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0";
    let adapter = common::demo_adapter("internal").join("adapter.gguf");
    for (text, said) in [
        ("", "not a GGUF file"),
        ("<html>404</html>", "not a GGUF file"),
        (&cut[..20], "ends before its header begins"),
        (cut, "ends in the middle of its header: 0 of 1 entries described"),
    ] {
        common::write(&file, text);
        let (code, printed) = plan(&file, &[]);
        assert!(printed.contains(said), "{said} is not in {printed}");
        assert_eq!(code, Some(78));
    }
    let (code, printed) = plan(&adapter, &[]);
    assert_eq!((code, printed.contains("is an adapter, not a model")), (Some(78), true), "{printed}");
}

#[cfg(feature = "llama")] // only for the model, which the fast tests do without
mod with_the_model {
    use super::*;
    use common::*;
    use engine::{
        frame,
        gguf::Header,
        memory::{self, Context, Facts, Shape},
        protocol::*,
    };
    use std::{
        fs::{self, File},
        io::Read,
        process::Stdio,
    };

    #[test]
    fn the_demo_model_fits_where_it_should() {
        let (code, printed) = plan(&demo_model(), &[]);
        assert_eq!(code, Some(0), "{printed}");
        for machine in ["orin-32", "orin-64", "thor-128", "m4-16", "m4-24", "m4pro-48"] {
            assert!(printed.contains(&format!("{machine}: fits; all 8 contexts fit")), "{machine}: {printed}");
        }
        assert!(printed.contains("gemma3, 18 layers, 235.2 MiB of weights"), "{printed}");
        assert_eq!(plan(&demo_model(), &["--machine", "this", "--contexts", "1"]).0, Some(0));
    }

    #[test]
    fn what_it_advises_fits() {
        let short = ["--memory", "700M", "--context-tokens", "32768"];
        let (code, printed) = plan(&demo_model(), &short);
        assert_eq!(code, Some(78), "{printed}");
        let advice = printed.split_once("context_tokens = ").expect("advice").1;
        let advised = advice.split(|c: char| !c.is_ascii_digit()).next().expect("a number");
        let follow = |cells: &str| plan(&demo_model(), &["--memory", "700M", "--context-tokens", cells]);
        assert_eq!(follow(advised).0, Some(0), "{printed}");
        let larger = advised.parse::<u32>().expect("a number") + 256;
        assert_eq!(follow(&larger.to_string()).0, Some(78), "{printed}");
    }

    #[test]
    fn a_download_that_broke_off_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("cut.gguf");
        let whole = fs::metadata(demo_model()).expect("the demo model is there").len();
        for (len, said) in [(100_000, "ends in the middle of its header"), (whole - 4096, "truncated download?")] {
            let mut part = File::open(demo_model()).expect("opens").take(len);
            std::io::copy(&mut part, &mut File::create(&file).expect("a new file")).expect("copies");
            let (code, printed) = plan(&file, &[]);
            assert!(printed.contains(said), "{said} is not in {printed}");
            assert_eq!(code, Some(78));
        }
    }

    #[test]
    fn devices_lists_this_processor() {
        let output = Command::new(env!("CARGO_BIN_EXE_consultd")).arg("devices").output().expect("runs");
        assert!(String::from_utf8_lossy(&output.stdout).contains("CPU"));
    }

    fn order() -> LlamaOrder {
        LlamaOrder { context_tokens: 4096, contexts_max: 1, ..demo_order(&["internal"]) }
    }

    /// llama.cpp's log of the worker's start.
    fn log_of_a_start(order: LlamaOrder) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log");
        let mut worker = Running::start(
            Command::new(env!("CARGO_BIN_EXE_consultd"))
                .arg("worker")
                .env("CONSULTD_LLAMA_LOG", "1")
                .envs(engine::WORKER_ENVIRONMENT)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(File::create(&log).expect("a log file")),
        );
        frame::write(worker.0.stdin.as_mut().expect("a pipe"), &Order::Open(OpenOrder::Llama(order))).expect("writes");
        let report: Option<Report> = frame::read(worker.0.stdout.as_mut().expect("a pipe")).expect("reads");
        assert!(matches!(report, Some(Report::Ready(_))), "{report:?}");
        worker.kill();
        fs::read_to_string(&log).expect("a log")
    }

    /// The last number of the last context's lines that hold this, as "n_ctx = 4096" or "… size = 7.00 MiB".
    fn numbers(log: &str, words: &str) -> Vec<f64> {
        let last_context = log.rsplit_once("constructing llama_context").expect("a context was made").1;
        let lines = last_context.lines().filter(|line| line.contains(words));
        lines.filter_map(|line| line.split_once(" = ")?.1.split_whitespace().next()?.parse().ok()).collect()
    }

    #[test]
    fn what_we_compute_is_what_llama_cpp_takes() {
        let shape = Shape::of(&order(), false);
        let log = log_of_a_start(order());
        let said = |words: &str| *numbers(&log, words).first().unwrap_or_else(|| panic!("no {words} in {log}")) as u32;
        let made = Context {
            cells: said("n_ctx  "),
            chunk: said("n_ubatch  "),
            outputs_max: said("n_outputs_max  "),
            sequences: said("n_seq_max  "),
        };
        assert_eq!(shape.context(), made, "the plan is for the contexts that the worker makes");
        let facts = Facts::of(&Header::read(&demo_model()).expect("a header")).expect("a model");
        let need = memory::need(&facts, &shape, &[]);
        let mib = |bytes: memory::Bytes| bytes.total() as f64 / 1048576.0;
        let compute = numbers(&log, "compute buffer size").last().copied().expect("a compute buffer");
        for (what, computed, printed, tolerance) in [
            ("KV", mib(need.kv_per_context), numbers(&log, "KV buffer size").iter().sum(), 0.001),
            ("output", mib(need.output_per_context), numbers(&log, "output buffer size").iter().sum(), 0.001),
            ("compute", mib(need.compute_per_context), compute, 0.05),
        ] {
            println!("{what}: computed {computed:.2} MiB, llama.cpp took {printed:.2} MiB");
            assert!(
                (computed / printed - 1.0).abs() <= tolerance,
                "{what}: {computed} MiB, took {printed} MiB; {shape:?}"
            );
        }
    }
}
