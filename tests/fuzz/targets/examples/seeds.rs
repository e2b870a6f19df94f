//! Writes the first inputs of each target to a folder, from the golden files, the demo's cases, the rules' own examples
//! and small files made here: `cargo run -p fuzz-targets --example seeds -- tests/fuzz/corpus`.

use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};
use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    let out = std::env::args().nth(1).expect("a folder to write to");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let put = |target: &str, name: &str, bytes: &[u8]| put(&Path::new(&out).join(target), name, bytes);

    for (name, bytes) in
        files(&root.join("daemon/contract/golden"))?.into_iter().chain(files(&root.join("tests/cases"))?)
    {
        // Without the blanks of their printing: the same to a parser, and a third of the bytes.
        let message: Value = serde_json::from_slice(&bytes).expect("JSON");
        let bytes = message.to_string().into_bytes();
        let kind = message["type"].as_str().unwrap_or_default();
        match kind {
            "consult" | "cancel" | "resend" | "receipt" | "review" | "admin" => put("requests", &name, &bytes)?,
            _ => put("documents", &name, &bytes)?,
        }
        if matches!(kind, "answer" | "reviewed") {
            put("sealed", &name, &bytes)?;
        }
        if kind == "consult" {
            let case = &message["case"];
            let said = |field: &str| case.pointer(field).and_then(Value::as_str).unwrap_or_default().to_owned();
            put("text", &name, format!("{}\u{1e}{}", said("/complaint/text"), said("/history")).as_bytes())?;
            let fill = json!({"order": "fill", "job": message["id"], "department": "internal", "lang": "zh", "class": 2,
                "deadline_ms": 1000, "questions": [{"about": "department", "options": ["internal", "ent"]}], "case": case});
            put("frames", &name, &frame(&fill))?;
        }
    }
    put("requests", "masked", br#"{"v":1,"type":"consult","id":"6f1c7e52-8f3a-4d6e-9c60-0a4f5a1f0001","department":"auto","patient":{"name":"a b"},"case":{"complaint":{"text":"x"},"history":"tel 13812345678, 41032719900101123X","findings":[{"code":"13812345678","state":"present"}]}}"#)?;
    for (n, text) in TEXTS.iter().enumerate() {
        put("text", &format!("text-{n}"), text.as_bytes())?;
    }
    for (n, form) in FORMS.iter().enumerate() {
        put("answer", &format!("form-{n}"), form.replace('|', "\u{1e}").replace('_', "\u{1f}").as_bytes())?;
    }
    let reports = reports();
    put("frames", "reports", &reports.iter().flat_map(frame).collect::<Vec<u8>>())?;
    put("frames", "orders", &orders().iter().flat_map(frame).collect::<Vec<u8>>())?;
    put("settings", "example", &fs::read(root.join("daemon/consultd.example.toml"))?)?;
    put("settings", "least", LEAST.as_bytes())?;
    put("settings", "faulty", FAULTY.as_bytes())?;
    put("model_file", "model", &model("llama", [32, 2]))?;
    put("model_file", "model-wrapping", &model("llama", [1 << 33, 1 << 33]))?;
    put("model_file", "model-windowed", &model("gemma3", [32, 2]))?;
    put("model_file", "adapter", &adapter_head(&root)?)?;
    put("adapter", "qwen", &adapter(1, 0, &["q_proj", "down_proj"]))?;
    put("adapter", "llama", &adapter(0, 0x22, &["q_proj", "k_proj"]))?;
    put("adapter", "gemma", &adapter(3, 0, &["q_proj"]))?;
    put("adapter", "unpaired", &adapter_of(3, 0, &["q_proj"], 1))
}

const TEXTS: [&str; 6] = [
    "家住王庄村，患者李，tel 1",
    "患者张三，男，45岁，家住河南省栾川县庙子镇王庄村3组，电话13812345678，头痛3天，去过牧区。",
    "姓名：买买提·艾力，身份证41032719900101123X，微信号：doctor_wang1，住院号：20231105，1990年3月5日出生",
    "无胸痛、胸闷，头晕；否认发热\u{1e}既往没有高血压 不发烧 喘",
    "chest pain (-), no fever but headache. Mr. Smith, tel 138-1234-5678, a.b@example.com",
    "孕30周，头痛，眼花，血压160/100",
];

const FORMS: [&str; 4] = [
    "\0心绞痛：劳累诱发\n胃炎：反酸\n\n|主动脉夹层：撕裂样痛；查双臂血压\n\n|心电图：看ST段\n\n|硝酸酯：血压低时慎用；先测\n\n|疼多久了：判断\n\n",
    "\u{1}_心_绞痛_：胸闷\n_好的好的好的好的好的|布洛芬：每日三次\n|阿莫西林：0.5g\n|无\n|",
    "\u{2}Angina: exertion\nGastritis: heartburn|PE: dyspnoea; D-dimer\n|ECG: ST|NSAID: ulcer; avoid|Since when: course",
    "\0：\n\u{1b}[31mx：y\n|【可能原因】\n|，\n||",
];

const LEAST: &str = "[engine]\nmodel = \"/m.gguf\"\nmodel_sha256 = \"a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818\"\n";
const FAULTY: &str = "colour = 1\n[box]\nname = \"\"\nadmins = [\"a b\"]\n[engine]\nkind = \"scripted\"\nscript = { lines = [\"x\"] }\n[queue]\nqueue_max = 0\n";

fn orders() -> Vec<Value> {
    vec![
        json!({"order": "open", "engine": "llama", "model": "/m", "model_sha256": "00", "prompt_format": "gemma",
            "adapters": [{"department": "internal", "path": "/a", "sha256": "00"}], "context_tokens": 8192, "contexts_max": 2,
            "jobs_max": 2, "branches": "causes_first", "residency": "epochs", "memory_mb_max": null, "threads": 2, "nice": 10,
            "gpu_layers": 0, "devices": ["CPU"]}),
        json!({"order": "open", "engine": "scripted", "crash_on": "x", "lines": ["y"]}),
        json!({"order": "cancel", "job": "6f1c7e52-8f3a-4d6e-9c60-0a4f5a1f0001"}),
    ]
}

fn reports() -> Vec<Value> {
    let job = "6f1c7e52-8f3a-4d6e-9c60-0a4f5a1f0001";
    vec![
        json!({"report": "ready", "devices": [{"name": "CPU", "description": "x", "memory_bytes": 1}], "model_params": 1,
            "model_bytes": 1, "layers": 2, "layers_offloaded": 0, "contexts": 1, "memory_bytes": 9,
            "refused": [{"department": "ent", "reason": "y"}]}),
        json!({"report": "unfit", "reason": "z", "short_of_memory": true}),
        json!({"report": "beat"}),
        json!({"report": "section", "job": job, "section": "possible_causes", "complete": true,
            "lines": [{"text": "心绞痛：胸闷", "logprob": -0.25}]}),
        json!({"report": "filled", "job": job, "stats": {"tokens_read": 1, "tokens_written": 2, "read_ms": 3, "write_ms": 4,
            "headers_ms": 0, "case_cut": false}, "scores": [{"question": {"about": "urgency"}, "options": [["a", 0.5]]}]}),
        json!({"report": "failed", "job": job, "fault": "not_finite"}),
    ]
}

fn frame(words: &Value) -> Vec<u8> {
    engine::frame::encode(words).expect("a small frame")
}

/// A model of one layer, its data left out: `engine/src/gguf.rs` has the picture. The output's size is chosen: a product
/// beyond 64 bits must not read as a small one.
fn model(architecture: &str, output: [u64; 2]) -> Vec<u8> {
    let text = |words: &str| [&(words.len() as u64).to_le_bytes(), words.as_bytes()].concat();
    let number = |key: &str, value: u32| [&text(key)[..], &4u32.to_le_bytes(), &value.to_le_bytes()].concat();
    let words = |key: &str, value: &str| [&text(key)[..], &8u32.to_le_bytes(), &text(value)].concat();
    let list = [
        &text("tokenizer.ggml.tokens")[..],
        &9u32.to_le_bytes(),
        &8u32.to_le_bytes(),
        &2u64.to_le_bytes(),
        &text("a"),
        &text("b"),
    ];
    let entries = [
        words("general.architecture", architecture),
        number(&format!("{architecture}.block_count"), 1),
        number(&format!("{architecture}.embedding_length"), 32),
        number(&format!("{architecture}.feed_forward_length"), 64),
        number(&format!("{architecture}.attention.head_count"), 4),
        number(&format!("{architecture}.attention.head_count_kv"), 2),
        number(&format!("{architecture}.attention.sliding_window"), 512),
        list.concat(),
    ];
    let mut offset = 0u64;
    let mut tensor = |name: &str, dimensions: [u64; 2]| {
        let at = offset;
        offset += dimensions[0].wrapping_mul(dimensions[1] * 4).next_multiple_of(32);
        let numbers: Vec<u8> = dimensions.iter().flat_map(|n| n.to_le_bytes()).collect();
        [&text(name)[..], &2u32.to_le_bytes(), &numbers, &0u32.to_le_bytes(), &at.to_le_bytes()].concat()
    };
    let tensors = [
        tensor("token_embd.weight", [32, 2]),
        tensor("blk.0.attn_q.weight", [32, 32]),
        tensor("output.weight", output),
    ];
    let counts = [(tensors.len() as u64).to_le_bytes(), (entries.len() as u64).to_le_bytes()].concat();
    [&b"GGUF\x03\0\0\0"[..], &counts, &entries.concat(), &tensors.concat()].concat()
}

/// The header of a demo adapter, without its 40 layers of tensors: what PEFT and our converter wrote.
fn adapter_head(root: &Path) -> io::Result<Vec<u8>> {
    let file = fs::read(root.join("adapters/demo/internal/adapter.gguf"))?;
    Ok(file[..file.len().min(600)].to_vec())
}

/// Rank 2, input 3, as in the converter's own tests.
fn adapter(architecture: u8, heads: u8, modules: &[&str]) -> Vec<u8> {
    adapter_of(architecture, heads, modules, usize::MAX)
}

/// Only the first tensors of it.
fn adapter_of(architecture: u8, heads: u8, modules: &[&str], tensors_max: usize) -> Vec<u8> {
    let config = json!({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": modules, "bias": "none",
        "lora_dropout": 0.1, "use_rslora": false, "init_lora_weights": true});
    let name =
        |module: &str| if module == "down_proj" { format!("mlp.{module}") } else { format!("self_attn.{module}") };
    let data: Vec<u8> = (0..8u16).flat_map(|n| (0x3c00 + n).to_le_bytes()).collect();
    let tensors = modules.iter().flat_map(|module| {
        let place = format!("base_model.model.model.layers.0.{}", name(module));
        [
            (format!("{place}.lora_A.weight"), vec![2, 3], &data[..12]),
            (format!("{place}.lora_B.weight"), vec![4, 2], &data[..]),
        ]
    });
    let views = tensors
        .take(tensors_max)
        .map(|(name, shape, data)| (name, TensorView::new(Dtype::F16, shape, data).expect("it fills the shape")));
    let weights = safetensors::serialize(views, None).expect("a safetensors file");
    [&[architecture, heads], config.to_string().as_bytes(), &[0x1e], &weights].concat()
}

fn files(folder: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let read = |path: io::Result<std::path::PathBuf>| {
        let path = path?;
        Ok((path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), fs::read(&path)?))
    };
    entries.map(read).collect()
}

#[expect(clippy::disallowed_methods, reason = "files under version control: half a file shows in the diff")]
fn put(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join(name), bytes)
}
