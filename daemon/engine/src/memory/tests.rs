//! Models made by hand, and what llama.cpp took for such models.

use super::*;
use crate::gguf::tests::Made;

const MIB: f64 = 1048576.0;

/// A dense model's numbers.
#[derive(Clone, Copy)]
struct Dense {
    architecture: &'static str,
    layers: u64,
    width: u64,
    heads: [u64; 3], // of queries, of KV, and their length
    feed_forward: u64,
    vocabulary: u64,
    window: u32,
    tied: bool,
}

const GEMMA_270M: Dense = Dense {
    architecture: "gemma3",
    layers: 18,
    width: 640,
    heads: [4, 1, 256],
    feed_forward: 2048,
    vocabulary: 262_144,
    window: 512,
    tied: true,
};
const SMOL_135M: Dense = Dense {
    architecture: "llama",
    layers: 30,
    width: 576,
    heads: [9, 3, 64],
    feed_forward: 1536,
    vocabulary: 49_152,
    window: 0,
    tied: true,
};
const QWEN3_4B: Dense = Dense {
    architecture: "qwen3",
    layers: 36,
    width: 2560,
    heads: [32, 8, 128],
    feed_forward: 9728,
    vocabulary: 151_936,
    ..SMOL_135M
};
const QWEN3_8B: Dense = Dense { width: 4096, feed_forward: 12288, tied: false, ..QWEN3_4B };
const GEMMA_4B: Dense =
    Dense { layers: 34, width: 2560, heads: [8, 4, 256], feed_forward: 10240, window: 1024, ..GEMMA_270M };
const LLAMA_8B: Dense = Dense {
    layers: 32,
    width: 4096,
    heads: [32, 8, 128],
    feed_forward: 14336,
    vocabulary: 128_256,
    tied: false,
    ..SMOL_135M
};
/// Not a real one: where the feed-forward part is larger than the logits.
const NO_WORDS: Dense = Dense { layers: 8, feed_forward: 14336, vocabulary: 1000, ..QWEN3_8B };

impl Dense {
    fn made(self) -> Made {
        let [heads, kv_heads, length] = self.heads;
        let mut made = Made::default().words("general.architecture", self.architecture);
        for (key, number) in [
            ("block_count", self.layers),
            ("embedding_length", self.width),
            ("feed_forward_length", self.feed_forward),
            ("attention.head_count", heads),
            ("attention.head_count_kv", kv_heads),
            ("attention.key_length", length),
            ("attention.value_length", length),
            ("attention.sliding_window", self.window.into()),
        ] {
            made = made.number(&format!("{}.{key}", self.architecture), number as u32);
        }
        made = made.tensor("token_embd.weight", &[self.width, self.vocabulary], 8).tensor(
            "output_norm.weight",
            &[self.width],
            0,
        );
        if !self.tied {
            made = made.tensor("output.weight", &[self.width, self.vocabulary], 8);
        }
        for at in 0..self.layers {
            let matrices = [
                ("attn_q", self.width, heads * length),
                ("attn_k", self.width, kv_heads * length),
                ("attn_v", self.width, kv_heads * length),
                ("attn_output", heads * length, self.width),
                ("ffn_gate", self.width, self.feed_forward),
                ("ffn_up", self.width, self.feed_forward),
                ("ffn_down", self.feed_forward, self.width),
            ];
            for (name, columns, rows) in matrices {
                made = made.tensor(&format!("blk.{at}.{name}.weight"), &[columns, rows], 8);
            }
        }
        made
    }
    fn facts(self) -> Facts {
        Facts::of(&self.made().header()).expect("a model")
    }
}

/// Eight departments on the CPU.
fn shape(cells: u32) -> Shape {
    Shape { cells, jobs: 8, departments: 8, contexts_max: 8, residency: Residency::Contexts, gpu_layers: 0 }
}

/// What llama.cpp b11434 printed on x86-64: chunk, cells, sequences; KV, compute, output in MiB. Measured on the demo
/// model, on SmolLM2-135M, and on files of the other models' shapes filled with zeros.
#[test]
fn buffers_are_as_large_as_llama_cpp_made_them() {
    let table = [
        (GEMMA_270M, 128, 2048, 7, 36.0, 130.98, 7.0),
        (GEMMA_270M, 128, 16384, 7, 288.0, 137.94, 7.0),
        (GEMMA_270M, 128, 8192, 52, 144.0, 134.79, 52.0),
        (GEMMA_270M, 128, 8192, 100, 144.0, 136.70, 100.0),
        (GEMMA_270M, 64, 4096, 7, 72.0, 65.95, 7.0),
        (GEMMA_270M, 256, 2048, 200, 36.0, 264.03, 200.0),
        (GEMMA_270M, 512, 3000, 7, 54.0, 525.67, 7.0), // 3000 cells become 3072
        (SMOL_135M, 128, 2048, 7, 45.0, 26.27, 1.31),
        (SMOL_135M, 128, 8192, 7, 180.0, 27.54, 1.31),
        (QWEN3_4B, 128, 2048, 7, 288.0, 81.21, 4.06),
        (QWEN3_4B, 128, 8192, 7, 1152.0, 82.76, 4.06),
        (QWEN3_4B, 128, 4096, 100, 576.0, 86.77, 57.96),
        (QWEN3_8B, 128, 16384, 7, 2304.0, 90.74, 4.06),
        (GEMMA_4B, 128, 8192, 7, 1088.0, 139.91, 7.0),
        (LLAMA_8B, 128, 4096, 7, 512.0, 74.06, 3.42),
        (NO_WORDS, 128, 2048, 7, 64.0, 32.74, 0.03),
        (NO_WORDS, 128, 8192, 7, 256.0, 34.29, 0.03),
    ];
    for (model, chunk, cells, sequences, kv, compute, output) in table {
        let facts = model.facts();
        let context = Context { cells, chunk, outputs_max: chunk, sequences };
        let place = format!("{} × {}: {context:?}", model.layers, model.width);
        assert_eq!(need(&facts, &shape(cells), &[]).kv_per_context.total() as f64 / MIB, kv, "{place}");
        let share = context.compute(&facts, false).total() as f64 / MIB / compute;
        assert!((0.99..1.08).contains(&share), "{place}: computed {share} of what was made");
        assert!((context.output(&facts) as f64 / MIB - output).abs() < 0.01, "{place}");
    }
}

#[test]
fn a_small_gemma_by_hand() {
    let facts = GEMMA_270M.facts();
    // Q8_0: 34 bytes for 32 numbers.
    let embedding = 640 * 262_144 / 32 * 34;
    let layer = (640 * 1024 + 2 * 640 * 256 + 1024 * 640 + 3 * 640 * 2048) / 32 * 34;
    assert_eq!(facts.weights(), embedding + 640 * 4 + 18 * layer);
    assert_eq!(facts.layers[17], Layer { weights: layer, read: layer, kv_per_cell: 1024 });
    assert_eq!(facts.read_per_token(1000, 5), facts.weights() + 18 * 1024 * 1000 + 5);

    let on_cpu = need(&facts, &shape(2048), &[3, 4]);
    assert_eq!(on_cpu.model, Bytes { cpu: facts.weights(), gpu: 0 });
    assert_eq!(on_cpu.adapters.total(), 7);
    assert_eq!(on_cpu.total(3).total(), on_cpu.total(2).total() + on_cpu.per_context().total());
    // The embedding stays and is copied: it is the output layer too.
    let on_gpu = on_cpu.with(Shape { gpu_layers: 999, ..on_cpu.shape() });
    assert_eq!(on_gpu.model, Bytes { cpu: embedding, gpu: facts.weights() });
    assert_eq!(on_gpu.kv_per_context, Bytes { cpu: 0, gpu: 36 << 20 });
    // The output layer goes first, then the last layers.
    let three = on_cpu.with(Shape { gpu_layers: 3, ..on_cpu.shape() });
    assert_eq!(three.model.gpu, embedding + 640 * 4 + 2 * layer);
    assert_eq!(three.kv_per_context, Bytes { cpu: 32 << 20, gpu: 4 << 20 });
}

#[test]
fn more_of_anything_never_takes_less() {
    let facts = QWEN3_4B.facts();
    let least = shape(2048);
    let total = |shape: Shape| {
        let need = need(&facts, &shape, &[1 << 20]);
        need.total(shape.contexts()).total()
    };
    for larger in [
        Shape { cells: 4096, ..least },
        Shape { cells: 5000, ..least },
        Shape { jobs: 32, ..least },
        Shape { gpu_layers: 999, ..least },
        Shape { departments: 64, contexts_max: 9, ..least },
    ] {
        assert!(total(larger) > total(least), "{larger:?}");
    }
    assert!(total(Shape { residency: Residency::Epochs, ..least }) < total(least));
    assert!(total(Shape { contexts_max: 7, ..least }) < total(least));
}

#[test]
fn llama_cpp_is_never_asked_for_more_sequences_than_fit_a_step() {
    for residency in [Residency::Contexts, Residency::Epochs] {
        for (jobs, gpu_layers) in (0..=JOBS_MAX as u32 + 1).flat_map(|jobs| [(jobs, 0), (jobs, 999)]) {
            let Context { chunk, sequences, .. } = Shape { jobs, gpu_layers, residency, ..shape(8192) }.context();
            assert!(sequences <= chunk && sequences <= 256, "{jobs} jobs, {residency:?}");
        }
    }
}

#[test]
fn as_many_contexts_fit_as_the_budget_holds() {
    let need = need(&QWEN3_4B.facts(), &shape(4096), &[16 << 20; 8]);
    for contexts in 1..=8 {
        let budget = need.total(contexts).total();
        assert_eq!(need.contexts_that_fit(budget, 8).expect("fits"), contexts);
        assert_eq!(need.contexts_that_fit(budget, 2).expect("fits"), contexts.min(2));
        let fewer = need.contexts_that_fit(budget - 1, 8);
        assert_eq!(fewer.map_err(|short| short.missing()), if contexts > 1 { Ok(contexts - 1) } else { Err(1) });
    }
}

#[test]
fn following_any_advice_fits() {
    for model in [GEMMA_270M, QWEN3_4B, QWEN3_8B, LLAMA_8B] {
        let need = need(&model.facts(), &Shape { gpu_layers: 999, ..shape(8192) }, &[16 << 20; 8]);
        let whole = need.total(8).total();
        for (budget, wanted) in (1..40).flat_map(|part| [(whole / 40 * part, 1), (whole / 40 * part, 8)]) {
            if need.total(wanted).total() <= budget {
                continue;
            }
            let advice = need.advice(budget, wanted);
            assert!(!advice.is_empty());
            for change in advice {
                let shape = need.shape();
                let (changed, contexts) = match change {
                    Advice::ContextTokens(cells) => (need.with(Shape { cells, ..shape }), wanted),
                    Advice::ContextsMax(contexts) => (need.clone(), contexts),
                    Advice::Epochs => (need.with(Shape { residency: Residency::Epochs, ..shape }), 1),
                    Advice::NothingOnGpu => (need.with(Shape { gpu_layers: 0, ..shape }), wanted),
                    Advice::SmallerModel { weights_max } => {
                        let mut smaller = need.clone();
                        smaller.model = Bytes { cpu: weights_max, gpu: 0 };
                        (smaller, wanted)
                    }
                    Advice::MoreMemory => continue,
                };
                assert!(changed.shape().cells >= changed.shape().cells_min(), "{change}");
                assert!(changed.total(contexts).total() <= budget, "{change} in {}", Size(budget));
            }
        }
    }
}

#[test]
fn what_does_not_fit_says_how_much_is_missing_and_what_to_change() {
    let need = need(&QWEN3_4B.facts(), &shape(32_768), &[]);
    let short = need.contexts_that_fit(8 << 30, 8).expect_err("short");
    let said = short.to_string();
    for words in ["need 8.65 GiB", "8.00 GiB may be taken", "are missing", "context_tokens = ", "a model of at most"] {
        assert!(said.contains(words), "{words} is not in {said}");
    }
    let hopeless = need.contexts_that_fit(1 << 20, 8).expect_err("short").to_string();
    assert!(hopeless.ends_with("what would fit: more memory"), "{hopeless}");
    let few = or(&need.advice(16 << 30, 8));
    assert!(few.contains("contexts_max = ") && few.contains("residency = \"epochs\""), "{few}");
}

#[test]
fn the_table_has_a_column_for_the_gpu_where_something_is_on_it() {
    let need = need(&GEMMA_270M.facts(), &shape(2048), &[1 << 20]);
    let table = Table { need: &need, contexts: 2 }.to_string();
    assert!(table.contains("a context: KV, 2048 cells             36.0 MiB\n"), "{table}");
    assert!(!table.contains("GPU"));
    let need = need.with(Shape { gpu_layers: 999, ..need.shape() });
    assert!(
        Table { need: &need, contexts: 2 }
            .to_string()
            .starts_with("                                           CPU         GPU\n")
    );
}

#[test]
fn experts_count_in_full_and_are_read_in_part() {
    let layer = [640, 2048, 8];
    let made = Dense { layers: 1, ..GEMMA_270M }.made();
    let made = made.number("gemma3.expert_count", 8).number("gemma3.expert_used_count", 2);
    let facts = Facts::of(&made.tensor("blk.0.ffn_up_exps.weight", &layer, 8).header()).expect("a model");
    let experts = 640 * 2048 * 8 / 32 * 34;
    assert_eq!(facts.layers[0].weights - facts.layers[0].read, experts / 8 * 6);
}

#[test]
fn what_is_not_a_model_is_refused_by_name() {
    let words = |key, value| GEMMA_270M.made().words(key, value);
    let number = |key, value| GEMMA_270M.made().number(key, value);
    let refusal = |made: Made| Facts::of(&made.header()).expect_err("a refusal").to_string();
    assert_eq!(refusal(words("general.type", "adapter")), "is an adapter, not a model");
    assert!(refusal(number("split.count", 3)).starts_with("is one of 3 parts"));
    assert!(refusal(Made::default()).contains("general.architecture"));
    let more = GEMMA_270M.made().tensor("blk.18.attn_q.weight", &[32], 8);
    assert!(refusal(more).contains("blk.18.attn_q.weight, but only 18 layers"));
    let llama = Made::default().words("general.architecture", "llama");
    for (key, value) in [("block_count", u32::MAX), ("block_count", 0), ("other", 1)] {
        assert!(refusal(llama.clone().number(&format!("llama.{key}"), value)).contains("llama.block_count"));
    }
}
