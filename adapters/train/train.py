#!/usr/bin/env python3
"""LoRA training with PEFT: rendered text in, safetensors out. Everything else is Rust (`adapterctl train` calls this).

DIR/train.jsonl, DIR/validation.jsonl     {"id": "internal-001.0", "segments": [{"text", "special", "train"}, …]},
                                          for preferences also "rejected": [segments, …]
OUT/adapter_config.json                   PEFT folder: the weights with the lowest validation loss
OUT/adapter_model.safetensors
OUT/trained_ids.json, training.json       which samples were learned; how it went
OUT/runs/                                 for TensorBoard
OUT/checkpoint/state.pt                   for --resume: a run that was cut ends with the weights of one that was not

Ends with 0 when done; 65: settings, rows or checkpoint do not fit; 69: a package or the device is missing;
70: training failed (memory, a loss that is no number); 130: stopped, and --resume goes on.
"""
import argparse
import functools
import hashlib
import importlib.metadata
import itertools
import json
import math
import os
import random
import resource
import signal
import sys
import time
import warnings
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--settings", required=True, type=Path, metavar="run.json", help="as adapterctl has checked them")
    p.add_argument("--rows", required=True, type=Path, metavar="DIR", help="folder of train.jsonl and validation.jsonl")
    action = p.add_mutually_exclusive_group(required=True)
    action.add_argument("--out", type=Path, metavar="OUT", help="train, and write the adapter into this folder")
    action.add_argument("--count", action="store_true", help="do not train; print {\"id\", \"tokens\"} of each row")
    p.add_argument("--resume", action="store_true", help="go on from the checkpoint in OUT, if there is one")
    return p.parse_args()


def end(code, message):
    print(f"train.py: {message}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    ARGS = arguments()  # before the slow imports: --help and a wrong flag are answered at once

os.environ["HF_HUB_OFFLINE"] = "1"  # the base is a file: nothing is to be asked of the network
os.environ["TQDM_DISABLE"] = "1"
# Threads that wait must not spin: beside another program on the same two cores that made a step 45 s instead of 8.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
warnings.filterwarnings("ignore", category=FutureWarning)  # of the libraries, to one another
try:
    import gguf
    import torch
    import transformers
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors.torch import load_file, save_file
    from torch.utils.tensorboard import SummaryWriter
except ImportError as e:
    end(69, f"{e}. `adapterctl train` makes the environment; by hand: pip install -r adapters/train/requirements.txt")
# It reads a vocabulary of 262,144 in 7 s; transformers makes one for tokenizer, configuration and weights each.
gguf.GGUFReader = functools.cache(gguf.GGUFReader)

Text = namedtuple("Text", "ids trained")  # tokens, and whether the model learns to write them
Row = namedtuple("Row", "id sample texts")  # one text; in preferences two, the chosen and the rejected


def read_rows(base, files):
    """The rows of each file, and the token to pad with."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(base.parent, gguf_file=base.name)
    fields = gguf.GGUFReader(base).fields
    # llama.cpp puts a BOS token in front as the file says, or as is usual for its kind of vocabulary.
    says = fields.get("tokenizer.ggml.add_bos_token")
    begins = bool(says.contents()) if says else fields["tokenizer.ggml.model"].contents() == "llama"

    def text(segments):
        """Segment by segment, as the engine does."""
        pieces = [([tokenizer.bos_token_id], False)] if begins else []
        for s in segments:
            piece = tokenizer(s["text"], add_special_tokens=False, split_special_tokens=not s["special"])
            pieces.append((piece["input_ids"], s["train"]))
        return Text([i for ids, _ in pieces for i in ids], [train for ids, train in pieces for _ in ids])

    def row(line):
        row = json.loads(line)
        return Row(row["id"], row["id"].rsplit(".", 1)[0],
                   [text(row[key]) for key in ("segments", "rejected") if row.get(key)])

    # Not splitlines(): JSON may hold a bare U+2028, which that takes for the end of a line.
    return [[row(line) for line in file.open(encoding="utf-8")] for file in files], tokenizer.pad_token_id or 0


def tokens_of(row):
    return max(len(text.ids) for text in row.texts)


def refuse_long(rows, longest):
    """Cut short, a row would teach the model to stop in the middle."""
    long = [f"{row.id} ({tokens_of(row)})" for row in rows if tokens_of(row) > longest]
    if long:
        end(65, f"{len(long)} rows have more than max_seq_length = {longest} tokens: {', '.join(long)}")


def updates_of(rows, settings):
    """Which rows each update learns. Samples are shuffled, and not their rows: those begin alike, and side by side
    their beginning is computed once. The last pass may be a part of one, and the last update smaller."""
    shuffle, order = random.Random(settings["seed"]), []
    samples = [list(group) for _, group in itertools.groupby(range(len(rows)), lambda i: rows[i].sample)]
    wanted = max(1, round(settings["epochs"] * len(rows)))
    while len(order) < wanted:
        order += itertools.chain(*shuffle.sample(samples, len(samples)))
    return batches(order[:wanted], settings["batch_size"] * settings["gradient_accumulation_steps"])


def batches(rows, size):
    return [rows[i:i + size] for i in range(0, len(rows), size)]


class LogProbability(torch.autograd.Function):
    """Log-probability of each target after its hidden state. The gradient is made along with it, 64 tokens at a time:
    logits (1 MB a token, of such a vocabulary) never exist for a whole batch, and only for trained tokens."""

    @staticmethod
    def forward(ctx, hidden, head, targets):
        found, gradients = [], []
        for h, target in zip(hidden.split(64), targets.split(64)):
            log_p = (h @ head.T).float().log_softmax(-1)
            found.append(log_p.gather(-1, target[:, None])[:, 0])
            if ctx.needs_input_grad[0]:
                gradients.append(head[target] - log_p.exp_().to(head.dtype) @ head)
        ctx.save_for_backward(*gradients)
        return torch.cat(found)

    @staticmethod
    def backward(ctx, grad):
        gradients = torch.cat(ctx.saved_tensors)
        return grad[:, None].to(gradients.dtype) * gradients, None, None


def hidden_of(inner, parts, pad, past=None, past_mask=None):
    """Runs tokens begin..stop of each (text, begin, stop). Returns the hidden states after which a trained token comes,
    those tokens, how many each part has, the cache and its mask. What comes first is padded on the left and what
    follows it on the right, so that no text has a hole in the middle."""
    longest = max(stop - begin for _, begin, stop in parts)
    ids = torch.full((len(parts), longest), pad)
    mask, position = torch.zeros_like(ids), torch.zeros_like(ids)
    where, targets, counts = [], [], []
    for i, (text, begin, stop) in enumerate(parts):
        first = longest - (stop - begin) if past is None else 0
        here = slice(first, first + stop - begin)
        ids[i, here], mask[i, here] = torch.tensor(text.ids[begin:stop]), 1
        position[i, here] = torch.arange(begin, stop)
        trained = [j for j in range(begin, min(stop, len(text.ids) - 1)) if text.trained[j + 1]]
        where += [i * longest + first + j - begin for j in trained]
        targets += [text.ids[j + 1] for j in trained]
        counts.append(len(trained))
    mask = mask.to(inner.device) if past is None else torch.cat([past_mask, mask.to(inner.device)], 1)
    out = inner.model(input_ids=ids.to(inner.device), attention_mask=mask, position_ids=position.to(inner.device),
                      past_key_values=past, use_cache=True)
    where, targets = (torch.tensor(x, dtype=torch.long, device=inner.device) for x in (where, targets))
    return out.last_hidden_state.flatten(0, 1)[where], targets, counts, out.past_key_values, mask


def log_probabilities(inner, samples, pad):
    """Sum of the log-probabilities of each text's trained tokens. `samples` are lists of texts that begin alike, and
    that beginning is computed once for all of them: of the four rows of a sample, three fifths of their tokens."""
    def common(texts):  # less one token: from the last common one on they differ in what comes next
        return len(os.path.commonprefix([text.ids for text in texts])) - 1

    samples = list(itertools.chain(*([s] if common(s) > 0 else [[text] for text in s] for s in samples)))
    owner = [i for i, texts in enumerate(samples) for _ in texts]
    index = torch.tensor(owner, device=inner.device)
    head, targets, counts, past, mask = hidden_of(inner, [(s[0], 0, common(s)) for s in samples], pad)
    past.batch_select_indices(index)
    tail, own_targets, own_counts, *_ = hidden_of(
        inner, [(text, common(s), len(text.ids)) for s in samples for text in s], pad, past, mask[index])
    found = LogProbability.apply(torch.cat([head, tail]), inner.lm_head.weight, torch.cat([targets, own_targets]))
    sums = [part.sum() for part in found.split(counts + own_counts)]
    return [sums[i] + own for i, own in zip(owner, sums[len(samples):])]


def loss_of(inner, rows, pad, tokens, pairs, beta):
    """These rows' part of a loss over so many trained tokens and pairs: the mean cross entropy of (chosen) tokens, and
    for pairs besides ORPO (Hong et al. 2024, arXiv 2403.07691): beta · -log σ(log odds(chosen) - log odds(rejected)),
    p being the geometric mean over the trained tokens. DPO would need a second, frozen model beside this one."""
    groups = itertools.groupby(rows, lambda row: row.sample)
    sums = iter(log_probabilities(inner, [[text for row in group for text in row.texts] for _, group in groups], pad))
    loss = 0.0
    for row in rows:
        found = [next(sums) for _ in row.texts]
        loss = loss - found[0] / tokens
        if len(row.texts) == 2:
            means = [(log_p / sum(text.trained[1:])).clamp(max=-1e-6) for log_p, text in zip(found, row.texts)]
            chosen, rejected = (mean - torch.log(-torch.expm1(mean)) for mean in means)  # p = 1 has no odds: the clamp
            loss = loss - beta * torch.nn.functional.logsigmoid(chosen - rejected) / pairs
    return loss


def device_and_dtype(wanted):
    """bf16 takes half of memory and time where the processor multiplies it. Processors that do not emulate it: AVX-512
    without its BF16 part takes 2.3 times as long as in float32, AVX2 4.3 times."""
    there = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available, "cpu": lambda: True}
    bf16 = {"cuda": lambda: torch.cuda.is_bf16_supported(including_emulation=False),  # from Ampere (2020) on
            "mps": lambda: torch.backends.mps.is_macos_or_newer(14, 0),  # Metal has no bfloat before macOS 14
            "cpu": torch.cpu._is_avx512_bf16_supported}
    device = next(name for name in there if there[name]()) if wanted == "auto" else wanted
    if not there[device]():
        end(69, f"device {device} is not there (auto takes what is)")
    return device, torch.bfloat16 if bf16[device]() else torch.float32


def load_model(settings, base, device, dtype):
    """The base from the very GGUF that the box runs, unpacked, with new LoRA weights or those of `init`."""
    model = transformers.AutoModelForCausalLM.from_pretrained(
        base.parent, gguf_file=base.name, dtype=dtype, quantization_config=transformers.GgufConfig(dequantize=True))
    unknown = set(settings["target_modules"]) - {name.rsplit(".", 1)[-1] for name, _ in model.named_modules()}
    if unknown:
        end(65, f"target_modules: {base.name} has no {', '.join(sorted(unknown))}")
    model = get_peft_model(model.to(device), LoraConfig(
        r=settings["lora_rank"], lora_alpha=settings["lora_alpha"], lora_dropout=settings["dropout"], bias="none",
        task_type="CAUSAL_LM", target_modules=settings["target_modules"]))
    name = gguf.GGUFReader(base).fields.get("general.name")  # a folder of this machine would say nothing to others
    model.peft_config["default"].base_model_name_or_path = name.contents() if name else base.name
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()  # steps of 1e-4 are lost in the 8 bits of bf16
            parameter.requires_grad = not (settings.get("freeze_a") and "lora_A" in name)
    if settings["init"]:
        start, new = load_file(Path(settings["init"]) / "adapter_model.safetensors"), adapter_of(model)
        if {name: w.shape for name, w in start.items()} != {name: w.shape for name, w in new.items()}:
            end(65, f"init: {settings['init']} has other modules or another rank than these settings")
        set_peft_model_state_dict(model, start)
    gguf.GGUFReader.cache_clear()  # 1.4 GB
    return model


def adapter_of(model):
    weights = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {name: w.detach().to("cpu", copy=True).contiguous() for name, w in weights.items()}


def load_checkpoint(file, made_from):
    state = torch.load(file, map_location="cpu", weights_only=True)
    names = made_from["settings"].keys() | state["settings"].keys()
    differ = [n for n in sorted(names) if made_from["settings"].get(n) != state["settings"].get(n)]
    if made_from["rows"] != state["rows"]:
        differ.append("the rows or their tokens")
    if differ:
        end(65, f"{file} was made with other {', '.join(differ)}: train with those, or take it away to begin anew")
    return state


class Stopped(Exception):
    pass


def train(args, settings, base, rows, validation, pad):
    """Seeds fix the order of the rows, the first weights and dropout. On a CPU the same number of threads gives the
    same bytes. Other processors, threads or versions add in another order, and some kernels of CUDA and MPS change
    theirs from run to run."""
    file = args.out / "checkpoint" / "state.pt"
    if file.exists() and not args.resume:
        end(65, f"{file} is there: --resume goes on with it; to begin anew take it away")
    made_from = {"settings": settings, "rows": hashlib.sha256(repr((rows, validation)).encode()).hexdigest()}
    saved = load_checkpoint(file, made_from) if file.exists() else None
    file.parent.mkdir(parents=True, exist_ok=True)
    device, dtype = device_and_dtype(settings["device"])
    torch.manual_seed(settings["seed"])
    model = load_model(settings, base, device, dtype)
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=0.0, weight_decay=settings["weight_decay"])
    dropout = torch if device == "cpu" else getattr(torch, device)  # where its random numbers come from
    now = SimpleNamespace(
        step=0, tokens=0, seconds=0.0, curve=[], before=None, best={"loss": math.inf, "step": 0, "weights": None},
        misses=0, random=dropout.get_rng_state(), updates=updates_of(rows, settings))
    if saved:
        now = SimpleNamespace(**saved["now"])
        set_peft_model_state_dict(model, saved["weights"])
        optimizer.load_state_dict(saved["optimizer"])
        dropout.set_rng_state(now.random)
    steps, resumed, stopping = len(now.updates), SimpleNamespace(**vars(now)), []
    print(f"{len(rows)} rows to learn, {len(validation)} to validate, longest {max(map(tokens_of, rows + validation))} "
          f"tokens; from step {now.step} of {steps}, on {device} in {str(dtype)[6:]}", file=sys.stderr, flush=True)

    def stop(number, _):
        stopping.append(number)
        signal.signal(number, signal.SIG_DFL)  # who asks twice does not want to wait
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)

    def loss_over(rows, learn):
        tokens, pairs = sum(sum(row.texts[0].trained[1:]) for row in rows), sum(len(row.texts) == 2 for row in rows)
        total = 0.0
        model.train(learn)
        for batch in batches(rows, settings["batch_size"]):
            if stopping:
                raise Stopped
            with torch.set_grad_enabled(learn):
                loss = loss_of(model.get_base_model(), batch, pad, tokens, pairs, settings.get("beta"))
            if learn:
                loss.backward()
            total += loss.item()
        return total

    def save():
        """Written beside and renamed, so that a power cut leaves the old one or the new one."""
        with file.with_suffix(".new").open("wb") as f:
            torch.save(made_from | {"now": vars(now), "weights": adapter_of(model),
                                    "optimizer": optimizer.state_dict()}, f)
            f.flush()
            os.fsync(f.fileno())
        os.replace(f.name, file)

    began = time.time() - now.seconds
    board = SummaryWriter(str(args.out / "runs"), purge_step=now.step + 1)
    try:
        if validation and now.before is None:
            now.before = loss_over(validation, learn=False)
        while True:
            last = now.step == steps
            if validation and now.step and (last or now.step % settings["eval_steps"] == 0) \
                    and "validation_loss" not in now.curve[-1]:  # else it was cut just after this evaluation
                loss = now.curve[-1]["validation_loss"] = loss_over(validation, learn=False)
                board.add_scalar("loss/validation", loss, now.step)
                now.misses += 1
                if loss < now.best["loss"]:
                    now.misses, now.best = 0, {"loss": loss, "step": now.step, "weights": adapter_of(model)}
            now.seconds = time.time() - began
            early = 0 < settings["early_stopping_patience"] <= now.misses
            if last or early or (now.step and now.step % settings["save_steps"] == 0):
                save()
            if last or early:
                break
            # Rises over the first warmup_ratio of the steps, then falls as a cosine to nothing.
            rise = min(1.0, (now.step + 1) / max(1, round(settings["warmup_ratio"] * steps)))
            rate = settings["learning_rate"] * rise * 0.5 * (1 + math.cos(math.pi * now.step / steps))
            learned = [rows[i] for i in now.updates[now.step]]
            loss = loss_over(learned, learn=True)
            if not math.isfinite(loss):
                end(70, f"the loss of step {now.step + 1} is no number; a lower learning_rate may help")
            torch.nn.utils.clip_grad_norm_(trainable, 1.0)
            optimizer.param_groups[0]["lr"] = rate
            optimizer.step()
            optimizer.zero_grad()
            now.step, now.random, now.seconds = now.step + 1, dropout.get_rng_state(), time.time() - began
            now.tokens += sum(len(text.ids) for row in learned for text in row.texts)
            now.curve.append({"step": now.step, "train_loss": loss, "seconds": round(now.seconds, 1)})
            board.add_scalar("loss/train", loss, now.step)
            board.add_scalar("learning_rate", rate, now.step)
            show(now, resumed, steps, settings["eval_steps"] // 10)
    except Stopped:
        save()
        end(130, f"stopped after step {now.step} of {steps}; --resume goes on there")
    finally:
        board.close()
        print(file=sys.stderr, end="\n" if sys.stderr.isatty() else "")  # behind the line that is written over

    save_file(now.best["weights"] or adapter_of(model), args.out / "adapter_model.safetensors", {"format": "pt"})
    model.peft_config["default"].inference_mode = True
    model.peft_config["default"].save_pretrained(args.out)
    best_step = now.best["step"] or now.step  # nothing to validate: the last
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    peak = (torch.cuda.max_memory_allocated() if device == "cuda" else used) >> 20
    (args.out / "trained_ids.json").write_text(json.dumps(sorted({row.sample for row in rows}), indent=0))
    (args.out / "training.json").write_text(json.dumps(indent=1, obj={
        "curve": now.curve, "validation_loss_before": now.before, "best_step": best_step, "stopped_early": not last,
        "steps": now.step, "seconds": round(now.seconds, 1), "tokens": now.tokens, "peak_memory_mb": peak,
        "device": device, "dtype": str(dtype)[6:], "trainable_parameters": sum(p.numel() for p in trainable),
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft")}}))
    print(f"written {args.out}, the weights of step {best_step}", file=sys.stderr)


def show(now, since, steps, every):
    """A line that is written over on a terminal; else one every so many steps."""
    terminal = sys.stderr.isatty()
    if not terminal and now.step % max(1, every) and now.step < steps:
        return
    took = max(1e-3, now.seconds - since.seconds)
    left = took / (now.step - since.step) * (steps - now.step)
    clocks = [f"{int(s) // 3600}:{int(s) // 60 % 60:02}:{int(s) % 60:02}" for s in (now.seconds, left)]
    print(f"step {now.step}/{steps}  loss {now.curve[-1]['train_loss']:.3f}  {(now.tokens - since.tokens) / took:.0f} "
          f"tokens/s  {clocks[0]}, {clocks[1]} to go", file=sys.stderr, flush=True,
          end="\x1b[K\r" if terminal else "\n")


def main(args):
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end(130, "stopped before the first step"))
    transformers.utils.logging.set_verbosity_error()
    settings = json.loads(args.settings.read_text(encoding="utf-8"))
    base = Path(settings["base_model"])
    (rows, validation), pad = read_rows(base, [args.rows / "train.jsonl", args.rows / "validation.jsonl"])
    if args.count:
        for row in rows + validation:
            print(json.dumps({"id": row.id, "tokens": tokens_of(row)}, ensure_ascii=False))
        return
    refuse_long(rows + validation, settings["max_seq_length"])
    try:
        train(args, settings, base, rows, validation, pad)
    except RuntimeError as e:  # CUDA has an exception of its own for it, MPS and the CPU have not
        if "out of memory" not in str(e) and "can't allocate memory" not in str(e):
            raise
        end(70, "too little memory: a smaller batch_size helps (the result is the same with more "
                f"gradient_accumulation_steps), or a smaller max_seq_length. ({str(e).splitlines()[0]})")


if __name__ == "__main__":
    main(ARGS)
