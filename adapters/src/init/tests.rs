//! Against headers with the true shapes of three models, in files that hold nothing behind them.

use super::*;
use crate::convert::{CONFIG, WEIGHTS, convert};
use std::{fs::File, io::Write};
use tempfile::TempDir;

const ALL: &str = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj";

/// A GGUF file of F16 tensors; its data is a hole in the file.
fn base(folder: &TempDir, architecture: &str, tensors: &[(String, Vec<u64>)]) -> PathBuf {
    let text = |words: &str| [&(words.len() as u64).to_le_bytes()[..], words.as_bytes()].concat();
    let mut head = b"GGUF\x03\0\0\0".to_vec();
    head.extend((tensors.len() as u64).to_le_bytes());
    head.extend(2u64.to_le_bytes());
    for (key, value) in [("general.architecture", architecture), ("general.name", "a base")] {
        head.extend(text(key));
        head.extend(8u32.to_le_bytes());
        head.extend(text(value));
    }
    let mut offset = 0u64;
    for (name, dimensions) in tensors {
        head.extend(text(name));
        head.extend((dimensions.len() as u32).to_le_bytes());
        head.extend(dimensions.iter().flat_map(|side| side.to_le_bytes()));
        head.extend(1u32.to_le_bytes());
        head.extend(offset.to_le_bytes());
        offset += (2 * dimensions.iter().product::<u64>()).next_multiple_of(32);
    }
    let path = folder.path().join("base.gguf");
    let mut file = File::create(&path).expect("the temporary folder takes files");
    file.write_all(&head).and_then(|()| file.set_len(head.len() as u64 + 32 + offset)).expect("so do its files");
    path
}

struct Sizes {
    layers: u32,
    hidden: u64,
    query: u64,
    key: u64,
    inner: u64,
}

const GEMMA_270M: Sizes = Sizes { layers: 18, hidden: 640, query: 1024, key: 256, inner: 2048 };
const LLAMA_1B: Sizes = Sizes { layers: 16, hidden: 2048, query: 2048, key: 512, inner: 8192 };
const QWEN3_600M: Sizes = Sizes { layers: 28, hidden: 1024, query: 2048, key: 1024, inner: 3072 };

impl Sizes {
    fn tensors(&self) -> Vec<(String, Vec<u64>)> {
        let Self { layers, hidden, query, key, inner } = *self;
        let mut tensors = vec![("token_embd.weight".to_owned(), vec![hidden, 1000])];
        for layer in 0..layers {
            let shapes = [
                ("attn_norm", vec![hidden]),
                ("attn_q", vec![hidden, query]),
                ("attn_k", vec![hidden, key]),
                ("attn_v", vec![hidden, key]),
                ("attn_output", vec![query, hidden]),
                ("ffn_gate", vec![hidden, inner]),
                ("ffn_up", vec![hidden, inner]),
                ("ffn_down", vec![inner, hidden]),
            ];
            tensors.extend(shapes.map(|(name, sides)| (format!("blk.{layer}.{name}.weight"), sides)));
        }
        tensors
    }
}

fn init(out: PathBuf, base: &Path, rank: u32, targets: &str, seed: u64) -> Init {
    let target_modules = targets.split(',').map(str::to_owned).collect();
    Init { out, like: None, base: Some(base.to_owned()), rank: Some(rank), alpha: None, target_modules, seed }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn refusal(init: &Init) -> String {
    let refused = engine::chain(&init.run().expect_err("a refusal"));
    assert!(!init.out.exists());
    refused
}

#[test]
fn convert_takes_the_start_of_all_modules_of_gemma_llama_and_qwen() {
    let models = [
        ("gemma3", GEMMA_270M, None),
        ("llama", LLAMA_1B, Some((32, 8))),
        ("qwen3", QWEN3_600M, None),
        ("qwen2", QWEN3_600M, None),
    ];
    for (word, sizes, heads) in models {
        let folder = folder();
        let base = base(&folder, word, &sizes.tensors());
        let out = folder.path().join("start");
        init(out.clone(), &base, 4, ALL, 7).run().expect("a start");
        let architecture = word.parse().expect("known");
        let converted = convert(&out, architecture, heads, &folder.path().join("start.gguf")).expect("a conversion");
        assert_eq!(converted.tensors, 14 * sizes.layers as usize, "{word}");
        assert_eq!((converted.rank, converted.alpha), (4, 8.0));
        assert_eq!(Peft::read(&out).expect("a PEFT folder").settings["base_model_name_or_path"], "a base");

        let read = engine::gguf::Header::read(&folder.path().join("start.gguf")).expect("a GGUF file");
        let shape = |name: &str| &read.tensors.iter().find(|t| t.name == name).expect(name).dimensions;
        assert_eq!(shape("blk.0.ffn_down.weight.lora_a"), &[sizes.inner, 4]);
        assert_eq!(shape("blk.0.attn_k.weight.lora_b"), &[4, sizes.key]);
    }
}

#[test]
fn a_lies_evenly_within_kaimings_bound_and_b_is_zero() {
    let folder = folder();
    let out = folder.path().join("start");
    init(out.clone(), &base(&folder, "gemma3", &GEMMA_270M.tensors()), 8, ALL, 7).run().expect("a start");
    for (place, matrix) in Peft::read(&out).expect("a PEFT folder").matrices {
        let values = matrix.values.iter().map(|value| f64::from(*value));
        if place.half == Half::B {
            assert!(values.into_iter().all(|value| value == 0.0));
            continue;
        }
        // Kaiming: √(6 / ((1 + a²) · in)) for a = √5.
        let bound = (6.0 / (6.0 * matrix.columns as f64)).sqrt();
        let count = matrix.values.len() as f64;
        let largest = values.clone().map(f64::abs).fold(0.0, f64::max);
        assert!(largest <= bound * (1.0 + 1e-7) && largest > 0.99 * bound, "{}", matrix.tensor);
        let (mean, square) =
            (values.clone().sum::<f64>() / count, values.map(|value| value * value).sum::<f64>() / count);
        assert!(mean.abs() < 0.03 * bound, "{}", matrix.tensor);
        assert!((square.sqrt() / bound - 1.0 / 3f64.sqrt()).abs() < 0.02, "{}", matrix.tensor);
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_gives_others() {
    let folder = folder();
    let base = base(&folder, "gemma3", &GEMMA_270M.tensors());
    let weights = |name: &str, targets: &str, seed| {
        let out = folder.path().join(name);
        init(out.clone(), &base, 4, targets, seed).run().expect("a start");
        std::fs::read(out.join(WEIGHTS)).expect("its weights")
    };
    let first = weights("first", "q_proj,v_proj", 7);
    assert!(first == weights("second", "v_proj,q_proj", 7));
    assert!(first != weights("third", "q_proj,v_proj", 8));

    weights("alone", "v_proj", 7);
    let query = |name: &str| Peft::read(&folder.path().join(name)).expect("a PEFT folder").matrices;
    let (both, alone) = (query("first"), query("alone"));
    assert!(alone.iter().all(|(place, matrix)| matrix.values == both[place].values), "whichever others are trained");
    let starts: Vec<_> = both.iter().filter(|(place, _)| place.half == Half::A).map(|(_, m)| &m.values[..9]).collect();
    assert!((1..starts.len()).all(|at| !starts[..at].contains(&starts[at])), "no two modules have one A");
}

/// From Python's hashlib: another machine, compiler or version of this program must give these.
#[test]
fn the_draws_are_what_they_always_were() {
    let draws: Vec<f64> = Draws::new(7, "blk.0.attn_q.weight.lora_a").take(9).collect();
    let known = [
        0.8986592623405159,
        0.6924619795754552,
        0.3552966769784689,
        -0.9349293662235141,
        -0.32324397610500455,
        -0.59473912185058,
        0.8206843445077538,
        0.20939109148457646,
        -0.07011862378567457, // of the second block
    ];
    assert_eq!(draws, known);
}

#[test]
fn like_takes_settings_and_shapes_but_not_the_weights() {
    let folder = folder();
    let [start, trained, again] = ["start", "trained", "again"].map(|name| folder.path().join(name));
    let mut first = init(start.clone(), &base(&folder, "gemma3", &GEMMA_270M.tensors()), 4, "q_proj,v_proj", 7);
    first.alpha = Some(6);
    first.run().expect("a start");
    let Peft { settings, mut matrices, .. } = Peft::read(&start).expect("a PEFT folder");
    matrices.values_mut().flat_map(|matrix| &mut matrix.values).for_each(|value| *value += 1.0);
    peft::write(&trained, &settings, &matrices, &[]).expect("room");

    let (base, rank, alpha, target_modules) = (None, None, None, vec![]);
    let like = Init { out: again.clone(), like: Some(trained), base, rank, alpha, target_modules, seed: 7 };
    like.run().expect("another start");
    let bytes = |folder: &Path, name| std::fs::read(folder.join(name)).expect("a file of a PEFT folder");
    for name in [WEIGHTS, CONFIG] {
        assert!(bytes(&start, name) == bytes(&again, name), "{name}: as if it had never been trained");
    }
}

#[test]
fn what_is_no_base_or_does_not_fit_it_is_refused_by_name() {
    let folder = folder();
    let out = || folder.path().join("start");
    let good = GEMMA_270M.tensors();
    let with = |architecture: &str, tensors: &[(String, Vec<u64>)], rank, targets: &str| {
        refusal(&init(out(), &base(&folder, architecture, tensors), rank, targets, 7))
    };
    let lacks = |wanted: &str| good.iter().filter(|(name, _)| name != wanted).cloned().collect::<Vec<_>>();
    assert!(with("mamba", &good, 4, "q_proj").contains("\"mamba\" is not one of llama, qwen2, qwen3, gemma3"));
    assert!(with("gemma3", &good, 4, "q_proj,qkv_proj").contains("target module \"qkv_proj\" is not one of"));
    assert_eq!(
        with("gemma3", &lacks("blk.3.attn_v.weight"), 4, "v_proj"),
        "the base has no tensor blk.3.attn_v.weight"
    );
    assert_eq!(with("gemma3", &good[..1], 4, "v_proj"), "the base has no layers");
    assert_eq!(with("gemma3", &good, 0, "v_proj"), "rank and alpha must be above 0");
    let wide = "the base's blk.0.attn_v.weight has the shape [640, 256], which is not a matrix of at least rank ";
    assert_eq!(with("gemma3", &good, 257, "v_proj"), format!("{wide}257"));
    assert_eq!(with("gemma3", &good, u32::MAX, "v_proj"), format!("{wide}{}", u32::MAX));

    // 2^18 × 2^18 values are a hole of 128 GiB: whoever has room for the file has none for such an adapter.
    let vast = [("blk.0.attn_v.weight".to_owned(), vec![1 << 18, 1 << 18])];
    assert!(with("gemma3", &vast, 1 << 12, "v_proj").contains("more than 2147483648"));
    let endless =
        [("blk.0.attn_v.weight".to_owned(), vec![1 << 18, 8]), ("blk.4294967295.attn_v.weight".to_owned(), vec![1])];
    assert_eq!(with("gemma3", &endless, 4, "v_proj"), "the base has no tensor blk.1.attn_v.weight");

    let path = base(&folder, "gemma3", &good);
    File::options().write(true).open(&path).and_then(|file| file.set_len(1 << 20)).expect("cut");
    assert!(refusal(&init(out(), &path, 4, "v_proj", 7)).contains("its data ends"));
}

#[test]
fn a_folder_that_is_there_is_not_replaced() {
    let folder = folder();
    let out = folder.path().join("start");
    let init = init(out.clone(), &base(&folder, "gemma3", &GEMMA_270M.tensors()), 4, "v_proj", 7);
    std::fs::create_dir_all(folder.path().join("start.part/left")).expect("what a power cut leaves");
    std::fs::create_dir(&out).expect("an empty folder");
    init.run().expect("an empty folder has room");
    assert!(!folder.path().join("start.part").exists());
    assert!(init.run().expect_err("a refusal").to_string().ends_with("is already there"));
}
