//! A training's folder made by hand, with a base that has a header and no weights: packaging reads no more of it.

use super::*;
use crate::gate::Gate;
use adapterctl::gguf;
use contract::manifest::{Evaluation, MeasureName, Measured};
use serde_json::json;
use std::io::Write;

struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    /// Examined by nobody: the figures are given.
    fn new(measures: Vec<Measured>) -> Self {
        let scene = Self { folder: tempfile::tempdir().expect("a folder") };
        let run = scene.run();
        for folder in ["data", "peft"] {
            fs::create_dir_all(run.join(folder)).expect("creates");
        }
        let mut base = Vec::new();
        let entries = [
            ("general.architecture", gguf::Value::Text("gemma3")),
            ("tokenizer.ggml.model", gguf::Value::Text("llama")),
        ];
        gguf::write(&mut base, &entries, &[]).expect("writes");
        scene.put("base.gguf", &base);
        let settings = json!({"train_data_dir": "d", "metadata_path": "m", "base_model": run.join("base.gguf"), "output_dir": run,
            "task_type": "consult", "department": "internal", "license": "L", "base_license": "B",
            "dataset": "test", "review": "demonstration"});
        scene.put("settings.json", settings.to_string().as_bytes());
        scene.put("data/train.jsonl", format!("{}\n{}\n{}\n", sample("a"), sample("b"), sample("c")).as_bytes());
        scene.put("data/held-out.jsonl", format!("{}\n", sample("h")).as_bytes());
        scene.put("peft/trained_ids.json", br#"["a","b"]"#);
        scene.put(
            "peft/adapter_config.json",
            br#"{"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":["q_proj"]}"#,
        );
        scene.weights(1.0);
        convert(&run.join("peft"), &run.join("base.gguf"), &run.join(ADAPTER_FILE)).expect("converts");
        let passed = measures.iter().all(|measure| measure.met != Some(false));
        let gate = Gate {
            adapter_sha256: sha256(&run.join(ADAPTER_FILE)).expect("hashes"),
            base_sha256: sha256(&run.join("base.gguf")).expect("hashes"),
            form_sha256: "f".repeat(64),
            held_out_root: gate::root(&Run::part(&run, "held-out").expect("reads")),
            group: "internal".to_owned(),
            evaluation: Evaluation { passed, measures },
            golden: Vec::new(),
            examples: Vec::new(),
        };
        gate::keep(&gate, &run).expect("keeps");
        scene
    }

    fn run(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::File::create(self.run().join(name)).and_then(|mut file| file.write_all(bytes)).expect("writes");
    }

    fn weights(&self, value: f32) {
        let bytes: Vec<u8> = (0..6).flat_map(|_| value.to_le_bytes()).collect();
        let view = |shape: [usize; 2]| {
            safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.to_vec(), &bytes).expect("fits")
        };
        let name = |half| format!("base_model.model.model.layers.0.self_attn.q_proj.lora_{half}.weight");
        let tensors = [(name("A"), view([2, 3])), (name("B"), view([3, 2]))];
        self.put("peft/adapter_model.safetensors", &safetensors::serialize(tensors, None).expect("serialises"));
    }

    fn package(&self, approval: Option<(&str, &str)>) -> Result<AdapterManifest, String> {
        let approval = ApprovalArgs {
            approve: approval.map(|(by, _)| by.to_owned()),
            reason: approval.map(|(_, reason)| reason.to_owned()),
        };
        let out = self.run().join("package");
        package(&self.run(), &out, &approval)?;
        let text = fs::read_to_string(out.join("manifest.json")).map_err(|e| e.to_string())?;
        serde_json::from_str(&text).map_err(|e| e.to_string())
    }
}

fn sample(id: &str) -> String {
    json!({"id": id, "department": "internal", "lang": "zh", "prompt": format!("头痛{id}"),
        "completion": {"causes": ["a：b"], "exclusions": ["c：d；e"], "checks": ["无"], "cautions": ["无"], "missing": ["无"]},
        "review": {"by": null, "at": null, "verdict": "unreviewed"}, "source": "s", "license": "L", "deid": true})
    .to_string()
}

fn nll(of: &str, met: bool) -> Measured {
    Measured { measure: MeasureName::Nll, of: of.to_owned(), n: 9, base: Some(4.0), adapter: 3.0, met: Some(met) }
}

#[test]
fn a_passed_adapter_is_packaged_with_what_its_files_say() {
    let scene = Scene::new(vec![nll("internal", true)]);
    let manifest = scene.package(None).expect("packages");
    let made = manifest.made.as_ref().expect("made");
    assert_eq!(manifest.trained_on, BTreeMap::from([("internal".to_owned(), 2)]), "two of three were used");
    assert_eq!((manifest.rank, manifest.alpha, made.architecture.as_str()), (2, 4.0, "gemma3"));
    assert_eq!(manifest.review, ReviewState::NotPhysicianReviewed);
    assert_eq!(made.data_licenses, ["L"]);
    let package = scene.run().join("package");
    let card = fs::read_to_string(package.join("README.md")).expect("a card");
    assert!(card.contains("No physician") && card.contains("2 samples of test") && card.contains("passed"), "{card}");
    assert!(package.join("peft/adapter_model.safetensors").exists() && package.join("gate.html").exists());
    // Again over itself: replaced as a whole.
    scene.package(None).expect("packages again");
    assert!(!scene.run().join("package.old").exists() && !scene.run().join("package.part").exists());
}

#[test]
fn one_that_forgets_a_department_is_not_packaged_but_in_somebodys_name() {
    let scene = Scene::new(vec![nll("internal", true), nll("obstetrics", false)]);
    let said = scene.package(None).expect_err("not passed");
    assert!(said.contains("obstetrics") && said.contains("--approve"), "{said}");
    assert!(!scene.run().join("package").exists());
    assert!(scene.package(Some(("  ", "because"))).is_err(), "a name of blanks is none");
    let manifest = scene.package(Some(("Dr Li", "known, and harmless"))).expect("packages");
    let made = manifest.made.expect("made");
    assert!(!made.evaluation.passed);
    assert_eq!(made.approvals, [Approval { by: "Dr Li".into(), reason: "known, and harmless".into() }]);
    let card = fs::read_to_string(scene.run().join("package/README.md")).expect("a card");
    assert!(card.contains("Dr Li let it pass"), "{card}");
}

/// An examination is of one adapter, on one base, with one held-out set.
#[test]
fn an_examination_of_something_else_does_not_count() {
    type Spoil = fn(&Scene);
    let ways: [(&str, Spoil); 4] = [
        ("another adapter", |scene| scene.weights(2.0)),
        ("another base model", |scene| {
            let path = scene.run().join("base.gguf");
            fs::OpenOptions::new().append(true).open(path).and_then(|mut file| file.write_all(b"x")).expect("appends")
        }),
        ("another held-out set", |scene| {
            scene.put("data/held-out.jsonl", format!("{}\n", sample("easier")).as_bytes())
        }),
        ("no examination", |scene| fs::remove_file(scene.run().join("gate.json")).expect("was there")),
    ];
    for (told, spoil) in ways {
        let scene = Scene::new(vec![nll("internal", true)]);
        spoil(&scene);
        let said = scene.package(None).expect_err(told);
        assert!(said.contains(told), "{told}: {said}");
    }
}

#[test]
fn counts_that_the_data_does_not_bear_out_are_refused() {
    let scene = Scene::new(vec![nll("internal", true)]);
    for ids in [&br#"["a","nobody"]"#[..], b"[]", b"{"] {
        scene.put("peft/trained_ids.json", ids);
        assert!(scene.package(None).is_err());
    }
}
