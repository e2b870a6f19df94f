#!/usr/bin/env python3
"""Is `adapterctl convert` right? Its files against those of llama.cpp's own script, and the box's engine against PEFT.

    compare_converter.py --llama-cpp DIR --smollm2 FILE.gguf --adapterctl PROGRAM --consultd PROGRAM --out EMPTY_DIR

A development tool, run by hand (README.md, "Is the conversion right?"): nothing of the product needs it.
1. Random PEFT folders of small models, converted by both: compared tensor by tensor, bit by bit.
2. Real weights, a random adapter of q and k: how likely a text is under PEFT in F32, and in the engine.
Ends with 1 when 1 finds a difference, or when 2, on the F32 base, does not tell a right file from one with unmoved rows.
"""
import argparse
import hashlib
import json
import logging
import os
import runpy
import struct
import sys
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen, run
from unittest.mock import patch

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1", "OMP_WAIT_POLICY": "passive"}
p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for name in ("llama-cpp", "smollm2", "adapterctl", "consultd", "out"):
    p.add_argument(f"--{name}", type=Path, required=True)
ARGS = p.parse_args()
sys.path[1:1] = [str(ARGS.llama_cpp / "gguf-py"), str(ARGS.llama_cpp)]  # before transformers loads another gguf

import conversion
import gguf
import numpy as np
import torch
import transformers as hf
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file

logging.disable(logging.WARNING)  # of the scripts: a line for each tensor
torch.set_num_threads(1)
torch.manual_seed(7)
MODULES = {"q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output",
           "gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down"}
tokenizer = hf.AutoTokenizer.from_pretrained(ARGS.smollm2.parent, gguf_file=ARGS.smollm2.name)


def llama_cpp(script, *arguments):
    """In this process: to load PyTorch anew for each of 55 conversions would take most of the time."""
    sys.argv = [script, *map(str, arguments)]
    runpy.run_path(str(ARGS.llama_cpp / script), run_name="__main__")


def read(path):
    """Tensors: name → (ne, type, bits); bits, because -0.0 equals 0.0. Keys: name → (type, value)."""
    reader = gguf.GGUFReader(path)
    tensors = {t.name: (t.shape.tolist(), t.tensor_type.name, t.data.tobytes()) for t in reader.tensors}
    keys = {name: ([kind.name for kind in field.types], field.contents()) for name, field in reader.fields.items()}
    return tensors, {name: key for name, key in keys.items() if not name.startswith("GGUF.")}


def unmoved(peft):
    """GGUF's name → F16 values, each row where PEFT has it."""
    found = {}
    for name, tensor in load_file(peft / "adapter_model.safetensors").items():
        *_, layer, _, module, half, _ = name.split(".")  # … layers.0.self_attn.q_proj.lora_A.weight
        found[f"blk.{layer}.{MODULES[module]}.weight.{half.lower()}"] = tensor.float().numpy().astype(np.float16)
    return found


def sizes(hidden, inner, heads, kv_heads, layers=2, **more):
    return more | {"hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers,
                   "num_attention_heads": heads, "num_key_value_heads": kv_heads, "vocab_size": 64}


# ---- 1. The same files? -----------------------------------------------------------------------------------------------
# As SmolLM2-135M, Gemma 3 270M, Qwen2.5-0.5B and Qwen3-0.6B. Where head_dim is given it is not hidden / heads: who
# reckons with that quotient is found out.
GEMMA = hf.Gemma3TextConfig(**sizes(640, 2048, 4, 1, head_dim=256))
SHAPES = {
    "llama": hf.LlamaConfig(**sizes(576, 1536, 9, 3)),
    "llama, wide heads": hf.LlamaConfig(**sizes(576, 1536, 9, 3, head_dim=96)),
    "gemma3": GEMMA,
    "gemma3, with vision": hf.Gemma3Config(text_config=GEMMA, vision_config=sizes(64, 64, 2, 2, layers=1, image_size=56)),
    "qwen2": hf.Qwen2Config(**sizes(896, 4864, 14, 2)),
    "qwen3": hf.Qwen3Config(**sizes(1024, 3072, 16, 8, head_dim=128)),
}
CASES = [(rank, modules, dtype) for rank in (4, 8) for modules in (list(MODULES), ["q_proj", "v_proj"])
         for dtype in (torch.float32, torch.bfloat16)]
# Halfway between two of F16's numbers, below its smallest, a negative zero, the largest that BF16 and F16 share.
EDGES = torch.tensor([2**-24, 2**-25, 3 * 2**-25, 1 + 2**-11, 1 + 3 * 2**-11, -0.0, 65280.0])
MATTER = {"general.architecture", "general.type", "adapter.type", "adapter.lora.alpha"}  # what llama.cpp reads
DIFFER = ["other name", "other shape", "other type", "other bits", "other key"]
failed, only_theirs = False, set()
print(f"| shapes | files | tensors | {' | '.join(DIFFER)} | rows moved in |\n|---|---|---|---|---|---|---|---|---|")
for shape, config in SHAPES.items():
    folder = ARGS.out / shape.replace(", ", "-").replace(" ", "-")
    vision = isinstance(config, hf.Gemma3Config)
    model = (hf.AutoModelForImageTextToText if vision else hf.AutoModelForCausalLM).from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)  # the script counts its tokens; they have no part in a LoRA, and are not written
    with patch.object(conversion.get_model_class(model.config.architectures[0]), "set_vocab", lambda self: None):
        llama_cpp("convert_hf_to_gguf.py", folder, "--outtype", "bf16", "--outfile", folder / "base.gguf")
    count = dict.fromkeys(["files", "tensors", *DIFFER, "rows moved in"], 0)
    for number, (rank, modules, dtype) in enumerate(CASES):
        peft = folder / f"peft-{number}"
        # The vision tower has modules of the same names, which neither converter takes.
        targets = rf".*language_model.*\.({'|'.join(modules)})" if vision else modules
        tuned = get_peft_model(model, LoraConfig(r=rank, lora_alpha=12.5 if rank == 8 else 8, target_modules=targets))
        for name, weight in (pair for pair in tuned.named_parameters() if ".lora_" in pair[0]):
            magnitudes = torch.exp2(torch.empty(weight.shape).uniform_(-27, 4))  # F16's, and some below
            weight.data = (torch.randn(weight.shape) * magnitudes).to(dtype)
            if ".lora_A" in name:
                weight.data[0, : len(EDGES)] = EDGES
        tuned.save_pretrained(peft)
        model = tuned.unload()
        llama_cpp("convert_lora_to_gguf.py", peft, "--base", folder, "--outtype", "f16", "--outfile", peft / "theirs.gguf")
        run([ARGS.adapterctl, "convert", peft, peft / "ours.gguf", "--base", folder / "base.gguf"], check=True, stdout=DEVNULL)
        (a, a_keys), (b, b_keys), plain = read(peft / "theirs.gguf"), read(peft / "ours.gguf"), unmoved(peft)
        found = {what: {name for name in a.keys() & b.keys() if a[name][at] != b[name][at]}
                 for at, what in enumerate(["other shape", "other type", "other bits"])}
        found["other name"] = a.keys() ^ b.keys()
        found["other key"] = {key for key in b_keys.keys() | MATTER if a_keys.get(key) != b_keys.get(key)}
        found["rows moved in"] = {name for name in b.keys() & plain.keys() if b[name][2] != plain[name].tobytes()}
        for what, names in (found | {"files": [peft], "tensors": a}).items():
            count[what] += len(names)
            if names and what in DIFFER:
                print(f"{peft}: {what}: {', '.join(sorted(names))}", file=sys.stderr)
        only_theirs |= a_keys.keys() - b_keys.keys()
    failed |= any(count[what] for what in DIFFER)
    print(f"| {shape} | {' | '.join(map(str, count.values()))} |", flush=True)
print(f"\nOnly llama.cpp's script writes: {', '.join(sorted(only_theirs))}.\n")

# ---- 2. The same answers? ---------------------------------------------------------------------------------------------
SHARED = "A note for the night nurse of a small hospital.\n"
TEXT = ("The boy in bed four is five years old and has had a fever since Monday. He drinks well and has no rash. His mother "
        "stays with him tonight. Please measure his temperature at midnight and again at six. Call the doctor if he becomes "
        "hard to wake, if his neck is stiff, or if he vomits more than twice. The woman in bed seven had an operation on "
        "her knee this morning. She may have water, and pain relief every six hours.")
shared, text = (tokenizer(words, add_special_tokens=False).input_ids for words in (SHARED, TEXT))


def under_peft(model):
    with torch.no_grad():
        told = model(torch.tensor([shared + text])).logits[0, len(shared) - 1 : -1].double().log_softmax(-1)
    return told[range(len(text)), text].mean().item()


def in_engine(base, adapters):
    """Without an adapter, then with each; `consultd worker` speaks as daemon/engine/src/protocol.rs says."""
    sha256 = lambda path: hashlib.sha256(path.read_bytes()).hexdigest()
    files = [{"department": path.stem, "path": str(path), "sha256": sha256(path)} for path in adapters]
    orders = [dict(order="open", engine="llama", model=str(base), model_sha256=sha256(base), prompt_format="plain",
                   adapters=files, bare=["none"], context_tokens=4096, contexts_max=1, jobs_max=1, threads=1, nice=0,
                   branches="causes_first", residency="contexts", memory_mb_max=None, gpu_layers=0, devices=[])]
    orders += [dict(order="weigh", job="00000000-0000-4000-8000-000000000000", department=department,
                    shared=[{"text": SHARED, "special": False}], options=[[{"text": TEXT, "special": False, "train": True}]])
               for department in ["none", *(path.stem for path in adapters)]]
    child = Popen([ARGS.consultd, "worker"], stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
    child.stdin.write(b"".join(struct.pack("<I", len(body)) + body for body in (json.dumps(o).encode() for o in orders)))
    child.stdin.flush()
    weights = []
    while len(weights) < 1 + len(adapters):
        said = json.loads(child.stdout.read(*struct.unpack("<I", child.stdout.read(4))))
        assert said["report"] in ("ready", "beat", "weighed") and not said.get("refused"), said
        weights += said.get("options", [])
    child.kill()
    assert {weight["tokens"] for weight in weights} == {len(text)}, "engine and transformers tokenise differently"
    return [weight["logprob"] / len(text) for weight in weights]


folder = ARGS.out / "smollm2"
model = hf.AutoModelForCausalLM.from_pretrained(ARGS.smollm2.parent, gguf_file=ARGS.smollm2.name, dtype=torch.float32)
model.hf_quantizer, model.is_quantized = None, False  # it is F32 now, but transformers refuses to save what was quantised
del model.config.quantization_config
model.save_pretrained(folder)
tokenizer.save_pretrained(folder)
llama_cpp("convert_hf_to_gguf.py", folder, "--outtype", "f32", "--outfile", folder / "f32.gguf")
bare = under_peft(model)
print("| change of q and k | under PEFT | engine's base | no adapter | right | rows not moved |\n|---|---|---|---|---|---|")
for size in (0.3, 0.011):
    peft = folder / f"peft-{size}"
    tuned = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "k_proj"]))
    for name, weight in (pair for pair in tuned.named_parameters() if ".lora_" in pair[0]):
        weight.data = torch.randn(weight.shape) * (size if ".lora_B" in name else weight.shape[1] ** -0.5)
    layers = [layer for layer in tuned.modules() if hasattr(layer, "lora_A")]
    change = np.mean([(layer.get_delta_weight("default").norm() / layer.weight.norm()).item() for layer in layers])
    tuned.save_pretrained(peft)
    theirs, model = under_peft(tuned), tuned.unload()
    run([ARGS.adapterctl, "convert", peft, peft / "right.gguf", "--base", folder / "f32.gguf"], check=True, stdout=DEVNULL)
    plain = unmoved(peft)
    (peft / "unmoved.gguf").write_bytes((peft / "right.gguf").read_bytes())
    for tensor in gguf.GGUFReader(peft / "unmoved.gguf", "r+").tensors:
        tensor.data[:] = plain[tensor.name]
    for word, base in [("F32", folder / "f32.gguf"), ("quantised", ARGS.smollm2)]:
        told = in_engine(base, [peft / "right.gguf", peft / "unmoved.gguf"])
        none, right, wrong = np.subtract(told, [bare, theirs, theirs])
        print(f"| {change:.1%} | {theirs:.4f} | {word} | {none:+.4f} | {right:+.4f} | {wrong:+.4f} |", flush=True)
        failed |= word == "F32" and not (abs(right) < 0.001 and abs(wrong) > 0.003)
print(f"\nMean log-probability of {len(text)} tokens, without an adapter {bare:.4f}. Last three columns: engine less PEFT.")
sys.exit(failed)
