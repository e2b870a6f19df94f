#!/usr/bin/env python3
"""LoRA training with PEFT: rendered text in, safetensors out. Everything else is Rust (adapterctl).

    adapterctl render adapters/demo/data/internal.jsonl > rows.jsonl
    python train.py --base gemma.gguf --rows rows.jsonl --out peft/internal

The base is loaded from the very GGUF that the box runs. Needs the packages of requirements.txt; runs on a CPU.
"""
import argparse
import json
import math
import os
import random
import time

import torch
import torch.nn.functional as F
from gguf import GGUFReader
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--base", required=True, help="base model, a GGUF file")
    p.add_argument("--rows", required=True, help="JSONL written by `adapterctl render`")
    p.add_argument("--out", required=True, help="folder for the PEFT adapter")
    p.add_argument("--rank", type=int, default=8)
    p.add_argument("--alpha", type=int, default=16)
    p.add_argument("--dropout", type=float, default=0.05)
    p.add_argument("--epochs", type=float, default=1.0, help="passes over the rows (four rows a sample)")
    p.add_argument("--batch", type=int, default=4)
    p.add_argument("--learning-rate", type=float, default=5e-4)
    p.add_argument("--holdout", type=float, default=0.1, help="share of samples kept out for the loss")
    p.add_argument("--seed", type=int, default=7)
    p.add_argument("--targets", default="q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj")
    return p.parse_args()


def begins_with_bos(path):
    """Whether llama.cpp puts a BOS token in front: as the file says, or as is usual for its kind of vocabulary."""
    fields = GGUFReader(path).fields
    if "tokenizer.ggml.add_bos_token" in fields:
        return bool(fields["tokenizer.ggml.add_bos_token"].contents())
    return fields["tokenizer.ggml.model"].contents() == "llama"


def tokenise(tokenizer, bos, rows):
    """Segment by segment, as the engine does. Returns [(sample id, token ids, trained?)]."""
    texts = []
    for row in rows:
        ids = [tokenizer.bos_token_id] if bos else []
        trained = [False] * len(ids)
        for segment in row["segments"]:
            piece = tokenizer(segment["text"], add_special_tokens=False,
                              split_special_tokens=not segment["special"])["input_ids"]
            ids += piece
            trained += [segment["train"]] * len(piece)
        texts.append((row["id"].rsplit(".", 1)[0], ids, trained))
    return texts


def loss_of(model, batch, pad):
    """Mean cross entropy over the trained tokens. Logits are made for those only: with a vocabulary of 262,144
    the output matrix is most of the work."""
    longest = max(len(ids) for _, ids, _ in batch)
    ids = torch.tensor([ids + [pad] * (longest - len(ids)) for _, ids, _ in batch])
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for _, ids, _ in batch])
    wanted = torch.tensor([t[1:] + [False] * (longest - len(t)) for _, _, t in batch])
    inner = model.get_base_model()
    hidden = inner.model(input_ids=ids, attention_mask=mask).last_hidden_state[:, :-1][wanted]
    return F.cross_entropy(inner.lm_head(hidden).float(), ids[:, 1:][wanted])


def main():
    args = arguments()
    torch.manual_seed(args.seed)
    shuffle = random.Random(args.seed)
    folder, file = os.path.split(os.path.abspath(args.base))
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.bfloat16)
    # Loaded from a quantised file, transformers takes the weights for quantised; they are plain bf16 now.
    model.hf_quantizer, model.is_quantized = None, False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model = get_peft_model(model, LoraConfig(
        r=args.rank, lora_alpha=args.alpha, lora_dropout=args.dropout, bias="none", task_type="CAUSAL_LM",
        target_modules=args.targets.split(",")))
    for p in model.parameters():
        if p.requires_grad:
            p.data = p.data.float()

    with open(args.rows, encoding="utf-8") as f:
        texts = tokenise(tokenizer, begins_with_bos(args.base), [json.loads(line) for line in f])
    samples = sorted({t[0] for t in texts})
    shuffle.shuffle(samples)
    held = set(samples[: int(len(samples) * args.holdout)])
    train = [t for t in texts if t[0] not in held]
    test = [t for t in texts if t[0] in held]
    steps = math.ceil(len(train) * args.epochs / args.batch)
    print(f"{len(train)} rows to learn, {len(test)} held out, longest {max(len(t[1]) for t in texts)} tokens, {steps} steps",
          flush=True)

    def held_out():
        model.eval()
        with torch.no_grad():
            losses = [loss_of(model, test[i:i + args.batch], tokenizer.pad_token_id or 0)
                      for i in range(0, len(test), args.batch)]
        model.train()
        return sum(x.item() for x in losses) / max(1, len(losses))

    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=args.learning_rate, weight_decay=0.0)
    warmup = max(1, steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min(1.0, (s + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * s / steps)))
    if test:
        print(f"held-out loss before: {held_out():.3f}", flush=True)
    model.train()
    began, order = time.time(), []
    for step in range(steps):
        if len(order) < args.batch:
            order = shuffle.sample(train, len(train))
        batch, order = order[:args.batch], order[args.batch:]
        loss = loss_of(model, batch, tokenizer.pad_token_id or 0)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 10 == 9 or step == steps - 1:
            print(f"step {step + 1}/{steps} loss {loss.item():.3f} {time.time() - began:.0f} s", flush=True)
        if test and (step + 1) % max(1, steps // 4) == 0:
            print(f"held-out loss after {step + 1} steps: {held_out():.3f}", flush=True)
    model.save_pretrained(args.out)
    with open(os.path.join(args.out, "trained_ids.json"), "w", encoding="utf-8") as f:
        json.dump(sorted({t[0] for t in train}), f, indent=0)
    print(f"written {args.out}", flush=True)


if __name__ == "__main__":
    main()
