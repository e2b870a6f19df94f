//! Tiny PEFT folders, converted and read back.

use super::*;
use engine::gguf::{Header, Value as Entry};
use serde_json::json;
use tempfile::TempDir;

const LAYER: &str = "base_model.model.model.layers";
const GEMMA: Architecture = Architecture::Gemma3;

/// A PEFT folder in memory: rank 2, input 3, two layers, `q_proj` and `down_proj`.
struct Peft {
    config: Value,
    tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
}

impl Peft {
    fn tiny() -> Self {
        let mut peft = Self { config: config(&["q_proj", "down_proj"]), tensors: BTreeMap::new() };
        for layer in [0, 1] {
            for module in ["self_attn.q_proj", "mlp.down_proj"] {
                peft.put(&format!("{LAYER}.{layer}.{module}.lora_A.weight"), [2, 3], 1.0 + layer as f32);
                peft.put(&format!("{LAYER}.{layer}.{module}.lora_B.weight"), [4, 2], -1.0);
            }
        }
        peft
    }

    /// Values first, first + 0.5, first + 1, …
    fn put(&mut self, name: &str, shape: [usize; 2], first: f32) {
        let values: Vec<f32> = (0..shape[0] * shape[1]).map(|i| first + i as f32 * 0.5).collect();
        self.put_f32(name, &shape, &values);
    }

    fn put_f32(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensors.insert(name.to_owned(), (Dtype::F32, shape.to_vec(), bytes));
    }

    fn save(&self) -> TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let views = self.tensors.iter().map(|(name, (dtype, shape, bytes))| {
            (name, TensorView::new(*dtype, shape.clone(), bytes).expect("bytes that fill the shape"))
        });
        let weights = safetensors::serialize(views, None).expect("a safetensors file");
        store(&folder.path().join(WEIGHTS), &weights);
        store(&folder.path().join(CONFIG), self.config.to_string().as_bytes());
        folder
    }

    fn convert(&self, architecture: Architecture, heads: Option<(u32, u32)>) -> Result<Gguf, ConvertError> {
        let folder = self.save();
        let out = folder.path().join("out.gguf");
        let converted = convert(folder.path(), architecture, heads, &out);
        assert!(!folder.path().join("out.gguf.part").exists());
        assert_eq!(out.exists(), converted.is_ok());
        converted.map(|converted| Gguf::read(&out, converted))
    }

    fn refusal(&self) -> String {
        let refused = self.convert(GEMMA, None).err().expect("a refusal");
        refused.to_string()
    }
}

/// What PEFT 0.21.2 writes, all fields.
fn config(targets: &[&str]) -> Value {
    json!({
        "task_type": "CAUSAL_LM", "peft_type": "LORA", "auto_mapping": null, "peft_version": "0.21.2",
        "base_model_name_or_path": "base", "revision": null, "inference_mode": true, "r": 2,
        "target_modules": targets, "exclude_modules": null, "lora_alpha": 16, "lora_dropout": 0.05,
        "fan_in_fan_out": false, "bias": "none", "use_rslora": false, "modules_to_save": null,
        "init_lora_weights": true, "layers_to_transform": null, "layers_pattern": null, "rank_pattern": {},
        "alpha_pattern": {}, "megatron_config": null, "megatron_core": "megatron.core",
        "trainable_token_indices": null, "loftq_config": {}, "eva_config": null, "corda_config": null,
        "lora_ga_config": null, "use_dora": false, "velora_config": null, "alora_invocation_tokens": null,
        "use_qalora": false, "qalora_group_size": 16, "monteclora_config": null, "layer_replication": null,
        "lora_bias": false, "target_parameters": null, "use_bdlora": null, "arrow_config": null,
        "kasa_config": null, "ensure_weight_tying": false,
    })
}

fn store(path: &Path, bytes: &[u8]) {
    File::create(path).and_then(|mut file| file.write_all(bytes)).expect("the temporary folder takes files");
}

/// A file read back without the writer's code.
struct Gguf {
    converted: Converted,
    bytes: Vec<u8>,
    entries: Vec<(String, Entry)>,
    tensors: Vec<(String, [u64; 2], Vec<f32>)>,
}

impl Gguf {
    fn read(path: &Path, converted: Converted) -> Self {
        let bytes = std::fs::read(path).expect("the converted file");
        let header = Header::read(path).expect("a whole GGUF file");
        let mut end = header.data_start;
        let mut tensors = Vec::new();
        for tensor in header.tensors {
            let ne: [u64; 2] = tensor.dimensions.try_into().expect("a matrix");
            assert_eq!(tensor.kind, 1, "F16");
            let at = header.data_start + tensor.offset;
            let data = &bytes[at as usize..][..tensor.bytes as usize];
            let values = data.chunks(2).map(|two| f16::from_le_bytes([two[0], two[1]]).to_f32()).collect();
            tensors.push((tensor.name, ne, values));
            end = (at + tensor.bytes).next_multiple_of(32);
        }
        assert_eq!(bytes.len() as u64, end, "the last tensor is padded, nothing follows");
        Self { converted, bytes, entries: header.entries, tensors }
    }

    fn tensor(&self, name: &str) -> (&[u64; 2], &[f32]) {
        let found = self.tensors.iter().find(|tensor| tensor.0 == name);
        found.map(|(_, ne, values)| (ne, &values[..])).unwrap_or_else(|| panic!("no {name}"))
    }

    fn names(&self) -> Vec<&str> {
        self.tensors.iter().map(|tensor| &tensor.0[..]).collect()
    }
}

#[test]
fn names_shapes_values_and_entries_arrive() {
    let gguf = Peft::tiny().convert(GEMMA, None).expect("a conversion");
    let text = |words: &str| Entry::Text(words.to_owned());
    let expected = [
        ("general.architecture", text("gemma3")),
        ("general.type", text("adapter")),
        ("adapter.type", text("lora")),
        ("adapter.lora.alpha", Entry::Float(16.0)),
    ];
    assert_eq!(gguf.entries, expected.map(|(key, value)| (key.to_owned(), value)));
    let names = [
        "blk.0.attn_q.weight.lora_a",
        "blk.0.attn_q.weight.lora_b",
        "blk.0.ffn_down.weight.lora_a",
        "blk.0.ffn_down.weight.lora_b",
        "blk.1.attn_q.weight.lora_a",
        "blk.1.attn_q.weight.lora_b",
        "blk.1.ffn_down.weight.lora_a",
        "blk.1.ffn_down.weight.lora_b",
    ];
    assert_eq!(gguf.names(), names);
    assert_eq!(gguf.tensor("blk.1.ffn_down.weight.lora_a"), (&[3, 2], &[2.0, 2.5, 3.0, 3.5, 4.0, 4.5][..]));
    let b = [-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5];
    assert_eq!(gguf.tensor("blk.0.attn_q.weight.lora_b"), (&[2, 4], &b[..]));
    let target_modules = vec!["down_proj".to_owned(), "q_proj".to_owned()];
    let converted = Converted { architecture: GEMMA, rank: 2, alpha: 16.0, target_modules, tensors: 8 };
    assert_eq!(gguf.converted, converted);
}

#[test]
fn every_module_has_its_name_and_layers_stand_in_the_order_of_their_numbers() {
    let modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
    let mut peft = Peft { config: config(&modules), tensors: BTreeMap::new() };
    for layer in [10, 2] {
        for (index, module) in modules.iter().enumerate() {
            let block = if index < 4 { "self_attn" } else { "mlp" };
            peft.put(&format!("{LAYER}.{layer}.{block}.{module}.lora_A.weight"), [2, 3], 0.0);
            peft.put(&format!("{LAYER}.{layer}.{block}.{module}.lora_B.weight"), [4, 2], 0.0);
        }
    }
    let gguf = peft.convert(Architecture::Qwen3, None).expect("a conversion");
    let words = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"];
    let mut expected = Vec::new();
    for layer in [2, 10] {
        for word in words {
            expected.extend(["a", "b"].map(|half| format!("blk.{layer}.{word}.weight.lora_{half}")));
        }
    }
    assert_eq!(gguf.names(), expected);
}

#[test]
fn llama_alone_reorders_query_and_key_rows_each_by_its_own_number_of_heads() {
    let mut peft = Peft { config: config(&["q_proj", "k_proj", "v_proj"]), tensors: BTreeMap::new() };
    for (module, rows) in [("q_proj", 16), ("k_proj", 8), ("v_proj", 8)] {
        peft.put(&format!("{LAYER}.0.self_attn.{module}.lora_A.weight"), [2, 3], 0.0);
        peft.put(&format!("{LAYER}.0.self_attn.{module}.lora_B.weight"), [rows, 2], 0.0);
    }
    let llama = peft.convert(Architecture::Llama, Some((4, 2))).expect("a conversion");
    let qwen = peft.convert(Architecture::Qwen2, None).expect("a conversion");
    for (name, rows) in [("attn_q", 16), ("attn_k", 8)] {
        // Four rows a head, written out: 0 2 1 3 | 4 6 5 7 | …
        let order = (0..rows / 4).flat_map(|head| [0, 2, 1, 3].map(|row| head * 4 + row));
        let expected: Vec<f32> = order.flat_map(|row| [row as f32, row as f32 + 0.5]).collect();
        assert_eq!(llama.tensor(&format!("blk.0.{name}.weight.lora_b")).1, expected);
    }
    let same = |name: &str| assert_eq!(llama.tensor(name), qwen.tensor(name), "{name}");
    same("blk.0.attn_v.weight.lora_b");
    for module in ["q", "k", "v"] {
        same(&format!("blk.0.attn_{module}.weight.lora_a"));
    }
    assert_eq!(qwen.tensor("blk.0.attn_q.weight.lora_b").1[..6], [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]);
}

#[test]
fn a_head_of_six_rows_shows_that_the_reordering_is_not_its_own_inverse() {
    let rows: Vec<f32> = (0..12).map(|row| row as f32).collect();
    assert_eq!(reordered(&rows, 6, 1), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0, 6.0, 9.0, 7.0, 10.0, 8.0, 11.0]);
}

#[test]
fn heads_are_needed_for_llama_and_refused_elsewhere() {
    let refusal = |architecture, heads| Peft::tiny().convert(architecture, heads).err();
    assert!(matches!(refusal(Architecture::Llama, None), Some(ConvertError::HeadsMissing)));
    for architecture in [Architecture::Qwen2, Architecture::Qwen3, GEMMA] {
        assert!(matches!(refusal(architecture, Some((2, 2))), Some(ConvertError::HeadsUnused(_))));
    }
    for heads in [(0, 1), (1, 0), (2, 4), (3, 2)] {
        assert!(matches!(refusal(Architecture::Llama, Some(heads)), Some(ConvertError::Heads { .. })));
    }
    for heads in [(3, 3), (4, 4)] {
        assert!(matches!(refusal(Architecture::Llama, Some(heads)), Some(ConvertError::HeadRows { .. })));
    }
}

#[test]
fn heads_of_two_sizes_betray_wrong_numbers_of_heads() {
    let mut peft = Peft { config: config(&["q_proj", "k_proj"]), tensors: BTreeMap::new() };
    for (module, rows) in [("q_proj", 16), ("k_proj", 8)] {
        peft.put(&format!("{LAYER}.0.self_attn.{module}.lora_A.weight"), [2, 3], 0.0);
        peft.put(&format!("{LAYER}.0.self_attn.{module}.lora_B.weight"), [rows, 2], 0.0);
    }
    let refused = peft.convert(Architecture::Llama, Some((4, 4))).err();
    assert!(matches!(refused, Some(ConvertError::HeadSize { size: 2, other: 4, .. })));
}

#[test]
fn gemma_with_its_vision_part_has_the_same_tensors() {
    let plain = Peft::tiny().convert(GEMMA, None).expect("a conversion");
    for prefix in ["base_model.model.model.language_model.layers", "base_model.model.language_model.model.layers"] {
        let mut nested = Peft::tiny();
        nested.tensors = nested.tensors.into_iter().map(|(name, t)| (name.replace(LAYER, prefix), t)).collect();
        let gguf = nested.convert(GEMMA, None).expect("a conversion");
        assert!(gguf.bytes == plain.bytes);
        let refused = nested.convert(Architecture::Qwen3, None).err();
        assert!(matches!(refused, Some(ConvertError::UnknownTensor { .. })));
    }
}

#[test]
fn all_three_float_types_give_the_same_file() {
    type ToBytes = fn(f32) -> [u8; 2];
    let wide = Peft::tiny().convert(GEMMA, None).expect("a conversion");
    let narrow: [(Dtype, ToBytes); 2] = [
        (Dtype::F16, |value| f16::from_f32(value).to_le_bytes()),
        (Dtype::BF16, |value| bf16::from_f32(value).to_le_bytes()),
    ];
    for (dtype, bytes_of) in narrow {
        let mut peft = Peft::tiny();
        for tensor in peft.tensors.values_mut() {
            let values = tensor.2.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four));
            *tensor = (dtype, tensor.1.clone(), values.flat_map(bytes_of).collect());
        }
        assert!(peft.convert(GEMMA, None).expect("a conversion").bytes == wide.bytes, "{dtype}");
    }
}

#[test]
fn a_second_conversion_replaces_the_file_with_the_same_bytes() {
    let folder = Peft::tiny().save();
    let out = folder.path().join("out.gguf");
    store(&out, b"old");
    store(&folder.path().join("out.gguf.part"), &[7; 10_000]); // left by a power cut
    let first = convert(folder.path(), GEMMA, None, &out).map(|c| Gguf::read(&out, c)).expect("a conversion");
    let second = convert(folder.path(), GEMMA, None, &out).map(|c| Gguf::read(&out, c)).expect("a conversion");
    assert!(first.bytes == second.bytes);
}

#[test]
fn a_refusal_leaves_the_old_file() {
    let folder = Peft { config: json!({}), ..Peft::tiny() }.save();
    let out = folder.path().join("out.gguf");
    store(&out, b"old");
    convert(folder.path(), GEMMA, None, &out).expect_err("a refusal");
    assert_eq!(std::fs::read(&out).expect("the old file"), b"old");
}

#[test]
fn settings_that_change_the_meaning_are_refused_by_name() {
    let table = [
        ("use_dora", json!(true)),
        ("use_rslora", json!(true)),
        ("bias", json!("all")),
        ("bias", json!("lora_only")),
        ("lora_bias", json!(true)),
        ("modules_to_save", json!(["embed_tokens"])),
        ("rank_pattern", json!({"q_proj": 4})),
        ("alpha_pattern", json!({"q_proj": 4})),
        ("fan_in_fan_out", json!(true)),
        ("layer_replication", json!([[0, 4]])),
        ("trainable_token_indices", json!([1])),
        ("alora_invocation_tokens", json!([1])),
        ("target_parameters", json!(["experts"])),
        ("init_lora_weights", json!("pissa")),
        ("init_lora_weights", json!("pissa_niter_16")),
        ("init_lora_weights", json!("loftq")),
        ("peft_type", json!("LOHA")),
        ("r", json!(0)),
        ("r", json!(2.5)),
        ("r", json!(1_u64 << 32)),
        ("lora_alpha", json!(0)),
        ("lora_alpha", json!(-1)),
        ("lora_alpha", json!(1e39)),
        ("lora_alpha", json!("16")),
        ("target_modules", json!([1])),
        ("a_setting_of_tomorrow", json!(1)),
    ];
    for (setting, value) in table {
        let mut peft = Peft::tiny();
        peft.config[setting] = value.clone();
        assert_eq!(peft.refusal(), format!("adapter_config.json: {setting} = {value} is not supported"));
    }
}

#[test]
fn settings_that_change_nothing_are_accepted() {
    let table = [
        ("lora_dropout", json!(0.1)),
        ("inference_mode", json!(false)),
        ("init_lora_weights", json!("gaussian")),
        ("lora_alpha", json!(12.5)),
        ("target_modules", json!("all-linear")),
        ("target_modules", json!(["model.layers.0.self_attn.q_proj", "down_proj"])),
        ("a_setting_of_tomorrow", json!(false)),
    ];
    for (setting, value) in table {
        let mut peft = Peft::tiny();
        peft.config[setting] = value.clone();
        assert!(peft.convert(GEMMA, None).is_ok(), "{setting} = {value}");
    }
}

#[test]
fn needed_settings_cannot_be_missing() {
    for setting in ["peft_type", "r", "lora_alpha"] {
        let mut peft = Peft::tiny();
        peft.config.as_object_mut().expect("an object").remove(setting);
        assert_eq!(peft.refusal(), format!("adapter_config.json: {setting} is missing"));
    }
}

#[test]
fn listed_targets_and_tensors_must_be_the_same() {
    let refusal = |targets: &[&str]| Peft { config: config(targets), ..Peft::tiny() }.refusal();
    assert!(refusal(&["q_proj", "down_proj", "up_proj"]).contains("target module up_proj has no tensors"));
    assert!(refusal(&["q_proj"]).contains("does not name down_proj"));
    for name in ["lm_head", "model.embed_tokens"] {
        assert!(refusal(&["q_proj", "down_proj", name]).starts_with(&format!("{name}: adapters of the embedding")));
    }
}

#[test]
fn unknown_tensors_are_refused_by_name() {
    let table = [
        "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector",
        "base_model.model.model.layers.0.self_attn.q_proj.lora_B.bias",
        "base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight",
        "base_model.model.model.layers.0.self_attn.q_proj.weight",
        "base_model.model.model.layers.0.self_attn.qkv_proj.lora_A.weight",
        "base_model.model.model.layers.0.mlp.q_proj.lora_A.weight",
        "base_model.model.model.layers.00.self_attn.q_proj.lora_A.weight",
        "base_model.model.model.layers.-1.self_attn.q_proj.lora_A.weight",
        "base_model.model.model.layers.0.mlp.experts.0.up_proj.lora_A.weight",
        "base_model.model.model.vision_tower.encoder.layers.0.self_attn.q_proj.lora_A.weight",
        "model.layers.0.self_attn.q_proj.lora_A.weight",
    ];
    for name in table {
        let mut peft = Peft::tiny();
        peft.put(name, [2, 3], 0.0);
        assert_eq!(peft.refusal(), format!("{name} is not a LoRA tensor of gemma3"));
    }
    let embeddings = [
        "base_model.model.lm_head.lora_A.weight",
        "base_model.model.lm_head.weight",
        "base_model.model.model.embed_tokens.lora_embedding_A",
    ];
    for name in embeddings {
        let mut peft = Peft::tiny();
        peft.put(name, [2, 3], 0.0);
        assert!(peft.refusal().starts_with(&format!("{name}: adapters of the embedding or the output head")));
    }
}

#[test]
fn one_half_without_the_other_is_refused() {
    for (gone, stays, absent) in [("B", "A", "lora_B"), ("A", "B", "lora_A")] {
        let mut peft = Peft::tiny();
        peft.tensors.remove(&format!("{LAYER}.1.mlp.down_proj.lora_{gone}.weight"));
        let left = format!("{LAYER}.1.mlp.down_proj.lora_{stays}.weight");
        assert_eq!(peft.refusal(), format!("{left} is there without its {absent}"));
    }
    assert!(Peft { tensors: BTreeMap::new(), ..Peft::tiny() }.refusal().ends_with("has no tensors"));
}

#[test]
fn a_place_given_under_two_names_is_refused() {
    let mut peft = Peft::tiny();
    peft.put("base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight", [2, 3], 0.0);
    assert!(peft.refusal().contains("a second time"));
}

#[test]
fn wrong_shapes_and_ranks_are_refused_by_name() {
    let table: [(&str, &[usize], &str); 8] = [
        ("A", &[6], "shape [6] is not a matrix"),
        ("A", &[2, 3, 1], "shape [2, 3, 1] is not a matrix"),
        ("A", &[2, 0], "shape [2, 0] is not a matrix"),
        ("A", &[3, 2], "the rank is 3, but adapter_config.json says r = 2"),
        ("B", &[2, 4], "the rank is 4, but adapter_config.json says r = 2"),
        ("B", &[4, 1], "the rank is 1, but adapter_config.json says r = 2"),
        ("A", &[2, 4], "shape [2, 4] differs from the same module in another layer, [2, 3]"),
        ("B", &[6, 2], "shape [6, 2] differs from the same module in another layer, [4, 2]"),
    ];
    for (half, shape, fault) in table {
        let mut peft = Peft::tiny();
        let name = format!("{LAYER}.1.self_attn.q_proj.lora_{half}.weight");
        peft.put_f32(&name, shape, &vec![0.0; shape.iter().product()]);
        assert_eq!(peft.refusal(), format!("{name}: {fault}"));
    }
}

#[test]
fn values_that_f16_cannot_hold_are_refused_by_name() {
    let table = [
        (f32::NAN, "value 5 is not a finite number"),
        (f32::INFINITY, "value 5 is not a finite number"),
        (f32::NEG_INFINITY, "value 5 is not a finite number"),
        (65520.0, "value 5, 65520, is too large for F16"),
        (-1e6, "value 5, -1000000, is too large for F16"),
    ];
    let name = format!("{LAYER}.1.self_attn.q_proj.lora_A.weight");
    for (value, fault) in table {
        let mut peft = Peft::tiny();
        peft.put_f32(&name, &[2, 3], &[0.0, 0.0, 0.0, 0.0, 0.0, value]);
        assert_eq!(peft.refusal(), format!("{name}: {fault}"));
    }
    let mut peft = Peft::tiny();
    peft.put_f32(&name, &[2, 3], &[65504.0, -65504.0, 65519.0, 1e-9, 0.0, 0.0]);
    let gguf = peft.convert(GEMMA, None).expect("the largest values fit");
    assert_eq!(gguf.tensor("blk.1.attn_q.weight.lora_a").1, [65504.0, -65504.0, 65504.0, 0.0, 0.0, 0.0]);
}

#[test]
fn other_number_types_are_refused_by_name() {
    let mut peft = Peft::tiny();
    let name = format!("{LAYER}.1.self_attn.q_proj.lora_A.weight");
    peft.tensors.insert(name.clone(), (Dtype::F64, vec![2, 3], vec![0; 48]));
    assert_eq!(peft.refusal(), format!("{name}: values of type F64 are not supported, only F32, F16 and BF16"));
}

#[test]
fn broken_files_are_errors() {
    let folder = Peft::tiny().save();
    let out = folder.path().join("out.gguf");
    let refusal = || convert(folder.path(), GEMMA, None, &out).expect_err("a refusal");
    let weights = std::fs::read(folder.path().join(WEIGHTS)).expect("the weights");
    for len in [0, 7, 100, weights.len() - 1] {
        store(&folder.path().join(WEIGHTS), &weights[..len]);
        assert!(matches!(refusal(), ConvertError::Weights(_)), "cut to {len} bytes");
    }
    store(&folder.path().join(CONFIG), b"[]");
    assert!(matches!(refusal(), ConvertError::Config(_)));
    store(&folder.path().join(CONFIG), &vec![b' '; CONFIG_BYTES_MAX as usize + 1]);
    assert!(matches!(refusal(), ConvertError::TooLarge { .. }));
    std::fs::remove_file(folder.path().join(CONFIG)).expect("the settings were there");
    assert!(matches!(refusal(), ConvertError::Read { .. }));
}

#[test]
fn an_architecture_is_known_by_ggufs_word_alone() {
    for architecture in Architecture::ALL {
        assert_eq!(architecture.as_str().parse::<Architecture>().expect("its own word"), architecture);
    }
    for word in ["Llama", "gemma2", ""] {
        assert!(matches!(word.parse::<Architecture>(), Err(ConvertError::Architecture(_))));
    }
}
