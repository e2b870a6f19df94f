//! PEFT folders in, a PEFT folder out.

use super::*;
use crate::{
    convert::{Architecture, CONFIG, WEIGHTS, convert},
    init::Draws,
};
use safetensors::{Dtype, tensor::TensorView};
use stack::Wide;
use std::{fs::File, io::Write};
use tempfile::TempDir;

const LAYER: &str = "base_model.model.model.layers";

/// Adapters of one small base: two layers, `q_proj` 24 → 32 and `down_proj` 40 → 24.
#[derive(Clone)]
struct Adapter {
    settings: Value,
    tensors: BTreeMap<String, ([usize; 2], Vec<f32>)>,
    samples: Option<u32>,
}

impl Adapter {
    fn trained(seed: u64, rank: usize, alpha: u32) -> Self {
        let settings = json!({
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "base", "r": rank,
            "lora_alpha": alpha, "target_modules": ["down_proj", "q_proj"], "bias": "none", "use_dora": false,
        });
        let mut adapter = Self { settings, tensors: BTreeMap::new(), samples: Some(10) };
        for layer in [0, 1] {
            for (module, input, output) in [("self_attn.q_proj", 24, 32), ("mlp.down_proj", 40, 24)] {
                adapter.draw(seed, format!("{LAYER}.{layer}.{module}.lora_A.weight"), [rank, input]);
                adapter.draw(seed, format!("{LAYER}.{layer}.{module}.lora_B.weight"), [output, rank]);
            }
        }
        adapter
    }

    fn draw(&mut self, seed: u64, name: String, shape: [usize; 2]) {
        let values = Draws::new(seed, &name).take(shape[0] * shape[1]).map(|value| value as f32).collect();
        self.tensors.insert(name, (shape, values));
    }

    fn set(mut self, setting: &str, value: Value) -> Self {
        self.settings[setting] = value;
        self
    }

    fn save(&self, folder: &Path) {
        let bytes: Vec<_> = self.tensors.values().map(|(_, values)| bytes(values)).collect();
        let views = self.tensors.iter().zip(&bytes).map(|((name, (shape, _)), bytes)| {
            (name, TensorView::new(Dtype::F32, shape.to_vec(), bytes).expect("bytes that fill the shape"))
        });
        store(&folder.join(WEIGHTS), &safetensors::serialize(views, None).expect("a safetensors file"));
        store(&folder.join(CONFIG), self.settings.to_string().as_bytes());
        if let Some(samples) = self.samples {
            let ids: Vec<String> = (0..samples).map(|id| format!("internal-{id}")).collect();
            store(&folder.join(IDS), json!(ids).to_string().as_bytes());
        }
    }

    fn layer_0(&self, module: &str, half: char) -> Wide {
        let (shape, values) = &self.tensors[&format!("{LAYER}.0.{module}.lora_{half}.weight")];
        Wide::from_row_iterator(shape[0], shape[1], values.iter().map(|value| f64::from(*value)))
    }

    fn delta(&self, module: &str) -> Wide {
        let scale =
            self.settings["lora_alpha"].as_f64().expect("a number") / self.settings["r"].as_f64().expect("a number");
        self.layer_0(module, 'B') * self.layer_0(module, 'A') * scale
    }
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn store(path: &Path, bytes: &[u8]) {
    let folder = path.parent().expect("a folder");
    std::fs::create_dir_all(folder).expect("room");
    File::create(path).and_then(|mut file| file.write_all(bytes)).expect("the temporary folder takes files");
}

/// The folders of some adapters, and one for what comes of them.
struct Bench {
    root: TempDir,
    adapters: Vec<PathBuf>,
}

impl Bench {
    fn of(adapters: &[Adapter]) -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        let folder = |(at, adapter): (usize, &Adapter)| {
            let folder = root.path().join(format!("region-{at}"));
            adapter.save(&folder);
            folder
        };
        let adapters = adapters.iter().enumerate().map(folder).collect();
        Self { root, adapters }
    }

    fn out(&self) -> PathBuf {
        self.root.path().join("out")
    }

    fn aggregate(&self, weights: Option<&[f64]>, rank: Option<u32>) -> Result<Peft, CombineError> {
        let weights = weights.map(<[f64]>::to_vec);
        let aggregate = Aggregate { out: self.out(), adapters: self.adapters.clone(), weights, rank, plain_sum: false };
        self.done(aggregate.run())
    }

    fn merge(&self, weights: &[f64], rank: Option<u32>) -> Result<Peft, CombineError> {
        let merge = Merge { out: self.out(), adapters: self.adapters.clone(), weights: weights.to_vec(), rank };
        self.done(merge.run())
    }

    fn done(&self, done: Result<(), CombineError>) -> Result<Peft, CombineError> {
        assert_eq!(self.out().exists(), done.is_ok(), "as a whole or not at all");
        assert!(!self.root.path().join("out.part").exists());
        let read = done.map(|()| Peft::read(&self.out()).expect("what was written is a PEFT folder"));
        let _ = std::fs::remove_dir_all(self.root.path().join("last"));
        if read.is_ok() {
            move_away(&self.out(), &self.root.path().join("last"));
        }
        read
    }

    fn record(&self, name: &str) -> Value {
        let text = std::fs::read(self.root.path().join("last").join(name)).expect("a record");
        serde_json::from_slice(&text).expect("JSON")
    }
}

#[allow(clippy::disallowed_methods, reason = "a test that has no power cut to fear")]
fn move_away(from: &Path, to: &Path) {
    std::fs::rename(from, to).expect("both are in the temporary folder");
}

fn delta(peft: &Peft, module: Module) -> Wide {
    let of = |half| {
        let Matrix { rows, columns, values, .. } = &peft.matrices[&Place { layer: 0, module, half }];
        Wide::from_row_iterator(*rows, *columns, values.iter().map(|value| f64::from(*value)))
    };
    of(Half::B) * of(Half::A) * scale(peft)
}

fn near(found: &Wide, wanted: &Wide) -> bool {
    (found - wanted).norm() < 1e-6 * wanted.norm()
}

fn two() -> [Adapter; 2] {
    [Adapter::trained(1, 4, 8), Adapter::trained(2, 4, 8)]
}

fn refusal(adapters: &[Adapter]) -> String {
    let bench = Bench::of(adapters);
    let refused = bench.aggregate(None, None).err().expect("a refusal");
    engine::chain(&refused).replace(&format!("{}/", bench.root.path().display()), "")
}

#[test]
fn the_exact_sum_is_that_of_the_changes_weighted_by_samples() {
    let [mut one, mut two] = [Adapter::trained(1, 4, 8), Adapter::trained(2, 6, 3)];
    (one.samples, two.samples) = (Some(30), Some(10));
    let bench = Bench::of(&[one.clone(), two.clone()]);
    let joined = bench.aggregate(None, Some(10)).expect("an aggregate");
    for (module, name) in [(Module::Query, "self_attn.q_proj"), (Module::Down, "mlp.down_proj")] {
        assert!(near(&delta(&joined, module), &(one.delta(name) * 0.75 + two.delta(name) * 0.25)));
    }
    let plain =
        Aggregate { out: bench.out(), adapters: bench.adapters.clone(), weights: None, rank: None, plain_sum: true };
    let plain = bench.done(plain.run()).expect("a plain sum");
    assert_eq!(plain.rank, 10);
    assert!(near(&delta(&plain, Module::Query), &delta(&joined, Module::Query)));
}

#[test]
fn the_result_is_an_adapter_for_the_box_and_for_the_next_round() {
    let bench = Bench::of(&two());
    let joined = bench.aggregate(None, None).expect("an aggregate");
    assert_eq!((joined.rank, joined.alpha), (4, 8.0), "the scale that both had");
    let mut settings = joined.settings.clone();
    assert_eq!(settings.insert("r".into(), json!(4)), Some(json!(4)));
    assert_eq!(Value::Object(settings), two()[0].settings, "nothing else changed");
    let gguf = bench.root.path().join("out.gguf");
    let converted = convert(&bench.root.path().join("last"), Architecture::Gemma3, None, &gguf).expect("a conversion");
    assert_eq!((converted.rank, converted.alpha, converted.tensors), (4, 8.0, 8));

    let mixed = Bench::of(&[Adapter::trained(1, 4, 8), Adapter::trained(2, 6, 3)]);
    let joined = mixed.aggregate(None, None).expect("an aggregate");
    assert_eq!((joined.rank, joined.alpha), (6, 6.0), "no scale in common: it is one");
}

#[test]
fn the_record_names_inputs_weights_and_errors_but_no_ids() {
    let [mut one, two] = two();
    one.samples = Some(30);
    let bench = Bench::of(&[one, two]);
    bench.aggregate(None, None).expect("an aggregate");
    let record = bench.record("aggregate.json");
    let weights: Vec<_> = (0..2).map(|at| record["inputs"][at]["weight"].as_f64().expect("a weight")).collect();
    assert_eq!(weights, [0.75, 0.25]);
    let sha256 = engine::file_sha256(&bench.adapters[1].join(WEIGHTS)).expect("there");
    assert_eq!(record["inputs"][1]["weights_sha256"], sha256);
    assert_eq!(record["shared_a"], false);
    for module in ["q_proj", "down_proj"] {
        let error = |kind: &str| record["relative_errors"][module][kind].as_f64().expect("a number");
        assert!(error("truncation") > 0.1 && error("naive_average") > error("truncation"), "{record}");
    }
    assert_eq!(bench.record(COUNTS), json!({ "samples": 40 }));
    assert!(!bench.root.path().join("last").join(IDS).exists());
}

#[test]
fn a_count_from_another_region_does_for_its_ids() {
    let [mut one, mut two] = two();
    (one.samples, two.samples) = (Some(30), None);
    let bench = Bench::of(&[one, two]);
    assert!(matches!(bench.aggregate(None, None), Err(CombineError::SamplesUnknown(_))));
    bench.aggregate(Some(&[1.0, 1.0]), None).expect("weights were given");
    assert!(!bench.root.path().join("last").join(COUNTS).exists(), "a total that nobody knows");

    store(&bench.adapters[1].join(COUNTS), br#"{"samples": 90}"#);
    bench.aggregate(None, None).expect("counts are known");
    assert_eq!(bench.record("aggregate.json")["inputs"][1]["weight"], 0.75);
    store(&bench.adapters[1].join(COUNTS), br#"{"samples": -1}"#);
    assert!(matches!(bench.aggregate(None, None), Err(CombineError::Samples(..))));
}

#[test]
fn merging_takes_the_weights_as_they_are() {
    let [one, two] = two();
    let bench = Bench::of(&[one.clone(), two.clone()]);
    let wanted = one.delta("mlp.down_proj") * 1.5 - two.delta("mlp.down_proj") * 0.5;
    let joined = bench.merge(&[1.5, -0.5], None).expect("a merge");
    assert_eq!((joined.rank, joined.alpha), (8, 16.0));
    assert!(near(&delta(&joined, Module::Down), &wanted));
    let cut = bench.merge(&[1.5, -0.5], Some(7)).expect("a merge");
    assert_eq!(cut.rank, 7);
    assert!(!near(&delta(&cut, Module::Down), &wanted));
}

#[test]
fn the_order_of_the_folders_does_not_matter() {
    let adapters = [Adapter::trained(1, 4, 8), Adapter::trained(2, 6, 3), Adapter::trained(3, 2, 2)];
    let mut bench = Bench::of(&adapters);
    let first = bench.aggregate(Some(&[1.0, 2.0, 3.0]), None).expect("an aggregate");
    bench.adapters.rotate_left(1);
    let second = bench.aggregate(Some(&[2.0, 3.0, 1.0]), None).expect("an aggregate");
    assert!(near(&delta(&second, Module::Query), &delta(&first, Module::Query)));
}

#[test]
fn regions_that_kept_the_a_they_were_sent_lose_nothing() {
    let [one, mut two] = two();
    for (name, tensor) in &mut two.tensors {
        if name.contains("lora_A") {
            *tensor = one.tensors[name].clone();
        }
    }
    let bench = Bench::of(&[one.clone(), two.clone()]);
    let joined = bench.aggregate(Some(&[1.0, 3.0]), None).expect("an aggregate");
    assert_eq!(bench.record("aggregate.json")["shared_a"], true);
    let name = "self_attn.q_proj";
    assert!(near(&delta(&joined, Module::Query), &(one.delta(name) * 0.25 + two.delta(name) * 0.75)));
    let place = Place { layer: 1, module: Module::Query, half: Half::A };
    assert_eq!(joined.matrices[&place].values, one.tensors[&joined.matrices[&place].tensor].1, "to the bit");
}

#[test]
fn adapters_that_do_not_fit_each_other_are_refused_by_name() {
    let [one, two] = two();
    let with = |other: Adapter| refusal(&[one.clone(), other]);
    let only = |module: &str| {
        let mut adapter = two.clone().set("target_modules", json!([module]));
        adapter.tensors.retain(|name, _| name.contains(module));
        adapter
    };
    assert_eq!(
        with(two.clone().set("base_model_name_or_path", json!("another"))),
        r#"region-0 and region-1 differ in base_model_name_or_path: "base" and "another""#
    );
    assert_eq!(with(only("q_proj")), "region-0 and region-1 differ in target modules: down_proj,q_proj and q_proj");
    let mut shallow = two.clone();
    shallow.tensors.retain(|name, _| name.contains("layers.0."));
    assert_eq!(with(shallow), "region-0 and region-1 differ in the number of layers: 2 and 1");
    let mut moved = two.clone();
    moved.tensors = moved.tensors.into_iter().map(|(name, t)| (name.replace("layers.1.", "layers.2."), t)).collect();
    assert!(with(moved).contains("which only one of them has"));
    let mut fewer = two.clone();
    fewer.tensors.retain(|name, _| !name.contains("layers.1.mlp"));
    for pair in [[one.clone(), fewer.clone()], [fewer, one.clone()]] {
        assert!(refusal(&pair).ends_with("layers.1.mlp.down_proj.lora_A.weight, which only one of them has"));
    }
    let mut narrow = two.clone();
    for layer in [0, 1] {
        narrow.draw(2, format!("{LAYER}.{layer}.mlp.down_proj.lora_A.weight"), [4, 41]);
    }
    assert_eq!(
        with(narrow),
        format!(
            "region-0 and region-1 differ in the shape of {LAYER}.0.mlp.down_proj.lora_A.weight: [4, 40] and [4, 41]"
        )
    );
}

#[test]
fn what_convert_would_not_take_is_not_combined_either() {
    let [one, two] = two();
    for (setting, value) in [
        ("use_dora", json!(true)),
        ("use_rslora", json!(true)),
        ("bias", json!("all")),
        ("modules_to_save", json!(["lm_head"])),
        ("rank_pattern", json!({"q_proj": 2})),
        ("peft_type", json!("LOHA")),
        ("lora_alpha", json!(0)),
    ] {
        let refused = refusal(&[one.clone(), two.clone().set(setting, value)]);
        assert!(refused.starts_with("region-1: ") && refused.contains(setting), "{refused}");
    }
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut strange = two.clone();
        let name = format!("{LAYER}.1.mlp.down_proj.lora_B.weight");
        strange.tensors.get_mut(&name).expect("there").1[5] = value;
        assert_eq!(refusal(&[one.clone(), strange]), format!("region-1: {name}: value 5 is not a finite number"));
    }
    let mut rank = two.clone();
    rank.settings["r"] = json!(4_000_000_000u32);
    assert!(refusal(&[one.clone(), rank]).contains("says r = 4000000000"));
}

#[test]
fn a_header_that_promises_what_is_not_there_is_refused() {
    let name = format!("{LAYER}.0.mlp.down_proj.lora_A.weight");
    let tensor =
        |shape: &str, end: u64| format!(r#"{{"{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{end}]}}}}"#);
    let file =
        |len: u64, head: &str, data: usize| [&len.to_le_bytes()[..], head.as_bytes(), &vec![0; data][..]].concat();
    let honest = |head: &str, data| file(head.len() as u64, head, data);
    for weights in [
        vec![],
        file(u64::MAX, "{}", 0),
        file(1 << 60, "{}", 0),
        honest(&tensor("[4,18446744073709551615]", 16), 16),
        honest(&tensor("[4294967296,4294967296]", 0), 0),
        honest(&tensor("[4,40]", 1 << 50), 640),
        honest(&tensor("[4,40]", 640), 639),
        honest("[]", 0),
    ] {
        let bench = Bench::of(&two());
        store(&bench.adapters[1].join(WEIGHTS), &weights);
        let refused = bench.aggregate(None, None).err().expect("a refusal");
        assert!(engine::chain(&refused).contains("adapter_model.safetensors is not a safetensors file"), "{refused:?}");
    }
}

#[test]
fn weights_and_ranks_that_mean_nothing_are_refused() {
    let bench = Bench::of(&two());
    let aggregate = |weights: &[f64]| bench.aggregate(Some(weights), None).err().expect("a refusal").to_string();
    assert_eq!(aggregate(&[1.0]), "1 weights for 2 adapters");
    assert_eq!(aggregate(&[1.0, f64::NAN]), "the weight NaN is not a finite number");
    assert_eq!(aggregate(&[1.0, f64::INFINITY]), "the weight inf is not a finite number");
    assert_eq!(aggregate(&[1.0, -0.5]), "the weight -0.5 is negative; `merge` takes such");
    assert_eq!(aggregate(&[0.0, 0.0]), "all weights are zero");
    let merge = |weights: &[f64]| bench.merge(weights, None).err().expect("a refusal").to_string();
    assert_eq!(merge(&[0.0, -0.0]), "all weights are zero");
    assert_eq!(merge(&[1.0, 1.0, 1.0]), "3 weights for 2 adapters");
    assert!(merge(&[1e300, 1.0]).ends_with("is not a finite number"), "in F32");
    let rank = |rank| bench.aggregate(None, Some(rank)).err().expect("a refusal").to_string();
    assert_eq!(rank(0), "rank 0 holds nothing");
    assert_eq!(rank(9), "rank 9 is more than the 8 that the exact sum has");
    bench.aggregate(Some(&[f64::MAX, f64::MAX]), None).expect("the largest numbers are still equal shares");

    assert_eq!(refusal(&two()[..1]), "there is one adapter only, and nothing to combine it with");
    let mut untrained = two();
    untrained.iter_mut().for_each(|adapter| adapter.samples = Some(0));
    assert_eq!(refusal(&untrained), "all weights are zero");
    assert_eq!(
        refusal(&[Adapter::trained(1, 500, 8), Adapter::trained(2, 13, 8)]),
        "the ranks sum to 513, more than 512: combine fewer at a time"
    );
}

#[test]
fn an_older_and_a_newer_transformers_name_the_same_place_differently() {
    let [one, mut two] = two();
    let inner = "base_model.model.model.language_model.layers";
    two.tensors = two.tensors.into_iter().map(|(name, t)| (name.replace(LAYER, inner), t)).collect();
    let joined = Bench::of(&[one, two]).aggregate(None, None).expect("an aggregate");
    assert!(joined.matrices.values().all(|matrix| matrix.tensor.starts_with(LAYER)), "the first one's names");
}
