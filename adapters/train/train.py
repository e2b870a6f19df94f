#!/usr/bin/env python3
"""LoRA training with PEFT: rendered text in, safetensors out. Everything else is Rust (`adapterctl train` calls this).

    train.py --settings run.json --rows DIR --out DIR [--resume]
    train.py --settings run.json --rows DIR --count          one line a row: {"id": …, "tokens": …}

DIR/train.jsonl, DIR/validation.jsonl     a row: {"id": "internal-001.0", "segments": [{"text", "special", "train"}, …]},
                                          for preferences also "rejected": [segments]; the rows of one sample differ
                                          in what follows the last dot
out/adapter_config.json                   the PEFT folder: the weights with the lowest validation loss
out/adapter_model.safetensors
out/trained_ids.json, training.json       which samples were learned; how it went
out/runs/                                 TensorBoard
out/checkpoint/state.pt                   for --resume: a run that was cut ends with the weights of one that was not

Ends with 0 when done, 65 when settings, rows or checkpoint do not fit, 69 when packages or the device are missing,
70 when training failed (memory, a loss that is no number), 130 when stopped (a checkpoint was written).
"""
import argparse
import copy
import functools
import hashlib
import importlib.metadata
import itertools
import json
import math
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--settings", required=True, type=Path, metavar="run.json", help="as adapterctl has checked them")
    p.add_argument("--rows", required=True, type=Path, metavar="DIR", help="folder of train.jsonl and validation.jsonl")
    p.add_argument("--out", type=Path, metavar="DIR", help="folder for the adapter")
    p.add_argument("--resume", action="store_true", help="go on from out/checkpoint")
    p.add_argument("--count", action="store_true", help="print the tokens of each row and end; needs no --out")
    args = p.parse_args()
    if not args.count and args.out is None:
        p.error("--out is needed")
    return args


def end(code, message):
    print(f"train.py: {message}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    ARGS = arguments()  # before the slow imports, so that --help and a wrong flag are answered at once

os.environ["HF_HUB_OFFLINE"] = "1"  # the base is a file: nothing is to be asked of the network
try:
    import gguf
    import torch
    import transformers
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors.torch import load_file, save_file
    from torch.utils.tensorboard import SummaryWriter
except ImportError as e:
    end(69, f"{e}. `adapterctl train` makes the environment; by hand: pip install -r adapters/train/requirements.txt")

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
# Reading a vocabulary of 262,144 takes this reader 7 s, and transformers makes one for the tokenizer, the
# configuration and the weights each: one for all.
gguf.GGUFReader = functools.cache(gguf.GGUFReader)


# ---------------------------------------------------------------------------------------------------------- rows

class Text(NamedTuple):
    ids: list  # token ids
    trained: list  # whether the model learns to write the token


class Row(NamedTuple):
    id: str
    sample: str
    chosen: Text
    rejected: Text | None


def text_of(tokenizer, bos, segments):
    """Segment by segment, as the engine does."""
    ids, trained = list(bos), [False] * len(bos)
    for segment in segments:
        piece = tokenizer(segment["text"], add_special_tokens=False,
                          split_special_tokens=not segment["special"])["input_ids"]
        ids += piece
        trained += [segment["train"]] * len(piece)
    return Text(ids, trained)


def bos_of(base, tokenizer):
    """The BOS token where llama.cpp puts one in front: as the file says, or as is usual for its kind of vocabulary."""
    fields = gguf.GGUFReader(base).fields
    if "tokenizer.ggml.add_bos_token" in fields:
        begins = fields["tokenizer.ggml.add_bos_token"].contents()
    else:
        begins = fields["tokenizer.ggml.model"].contents() == "llama"
    return [tokenizer.bos_token_id] if begins else []


def read_rows(file, tokenizer, bos):
    rows = []
    for line in file.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        rejected = text_of(tokenizer, bos, row["rejected"]) if row.get("rejected") else None
        rows.append(Row(row["id"], row["id"].rsplit(".", 1)[0], text_of(tokenizer, bos, row["segments"]), rejected))
    return rows


def texts_of(row):
    return [row.chosen] if row.rejected is None else [row.chosen, row.rejected]


def tokens_of(row):
    return max(len(text.ids) for text in texts_of(row))


def refuse_unfit(rows, longest):
    """A row cut short would teach the model to stop in the middle; one without trained tokens has no loss."""
    long = [f"{r.id} ({tokens_of(r)})" for r in rows if tokens_of(r) > longest]
    if long:
        end(65, f"{len(long)} rows have more than max_seq_length = {longest} tokens: {', '.join(long)}")
    empty = [r.id for r in rows if not all(any(t.trained[1:]) for t in texts_of(r))]
    if empty:
        end(65, f"{len(empty)} rows have nothing to learn: {', '.join(empty)}")


def updates_of(rows, settings):
    """Which rows each update learns. Samples are shuffled and not their rows: rows of one sample begin alike, and
    side by side their beginning is computed once. The last pass may be a part, the last update smaller."""
    shuffle, order = random.Random(settings["seed"]), []
    samples = [list(group) for _, group in itertools.groupby(range(len(rows)), key=lambda i: rows[i].sample)]
    wanted = max(1, round(settings["epochs"] * len(rows)))
    while len(order) < wanted:
        order += itertools.chain(*shuffle.sample(samples, len(samples)))
    return batches(order[:wanted], settings["batch_size"] * settings["gradient_accumulation_steps"])


def batches(rows, size):
    return [rows[i:i + size] for i in range(0, len(rows), size)]


# ---------------------------------------------------------------------------------------------------------- loss

class LogProbability(torch.autograd.Function):
    """Log-probability of each target token, given the last hidden states. The gradient is made at once, piece by
    piece, so that logits (1 MB a token with a vocabulary of 262,144) never exist for a whole batch."""

    @staticmethod
    def forward(ctx, hidden, weight, targets):
        pieces, gradients = [], []
        for h, t in zip(hidden.split(PIECE), targets.split(PIECE)):
            logits = (h @ weight.T).float()
            log_p = logits.log_softmax(-1)
            pieces.append(log_p.gather(-1, t[:, None])[:, 0])
            if ctx.needs_input_grad[0]:
                gradients.append(weight[t] - log_p.exp_().to(weight.dtype) @ weight)
        if gradients:
            ctx.save_for_backward(torch.cat(gradients))
        return torch.cat(pieces)

    @staticmethod
    def backward(ctx, grad):
        return grad[:, None].to(ctx.saved_tensors[0].dtype) * ctx.saved_tensors[0], None, None


PIECE = 64


def hidden_of(inner, parts, pad, past=None, past_mask=None):
    """Runs the tokens begin..end of each (text, begin, end). Returns the hidden states from which a trained token is
    foretold, these tokens, how many there are of each part, the cache and the mask of what is no padding.
    What comes first is padded on the left and what follows on the right, so that a text has no hole in the middle."""
    longest = max(stop - begin for _, begin, stop in parts)
    ids = torch.full((len(parts), longest), pad)
    mask = torch.zeros_like(ids)
    position = torch.zeros_like(ids)
    where, targets, counts = [], [], []
    for i, (text, begin, stop) in enumerate(parts):
        first = longest - (stop - begin) if past is None else 0
        here = slice(first, first + stop - begin)
        ids[i, here] = torch.tensor(text.ids[begin:stop])
        mask[i, here] = 1
        position[i, here] = torch.arange(begin, stop)
        trained = [j for j in range(begin, min(stop, len(text.ids) - 1)) if text.trained[j + 1]]
        where += [i * longest + first + j - begin for j in trained]
        targets += [text.ids[j + 1] for j in trained]
        counts.append(len(trained))
    ids, mask, position = (x.to(inner.device) for x in (ids, mask, position))
    if past is not None:
        mask = torch.cat([past_mask, mask], 1)
    out = inner.model(input_ids=ids, attention_mask=mask, position_ids=position, past_key_values=past, use_cache=True)
    hidden = out.last_hidden_state.flatten(0, 1)[torch.tensor(where, dtype=torch.long, device=inner.device)]
    return hidden, torch.tensor(targets, dtype=torch.long, device=inner.device), counts, out.past_key_values, mask


def common(texts):
    """How many tokens the texts begin with in common, less one."""
    return len(os.path.commonprefix([text.ids for text in texts])) - 1


def log_probabilities(model, samples, pad):
    """Sum of the log-probabilities of the trained tokens of each text; `samples` are lists of texts that begin alike.
    That beginning is computed once for all of them (of four rendered rows, three fifths of all tokens)."""
    inner = model.get_base_model()
    # The last common token goes to each text itself: from there on they differ in what comes next.
    samples = list(itertools.chain(*(([x] if common(x) > 0 else [[text] for text in x]) for x in samples)))
    heads = [(texts[0], 0, common(texts)) for texts in samples]
    tails = [(text, common(texts), len(text.ids)) for texts in samples for text in texts]
    owner = [i for i, texts in enumerate(samples) for _ in texts]
    hidden, targets, counts, past, mask = hidden_of(inner, heads, pad)
    index = torch.tensor(owner, device=inner.device)
    past.batch_select_indices(index)
    hidden2, targets2, counts2, _, _ = hidden_of(inner, tails, pad, past, mask[index])
    log_p = LogProbability.apply(torch.cat([hidden, hidden2]), inner.lm_head.weight, torch.cat([targets, targets2]))
    sums = [x.sum() for x in log_p.split(counts + counts2)]
    return [sums[i] + own for i, own in zip(owner, sums[len(samples):])]


def loss_of(model, rows, pad, tokens, pairs, beta):
    """These rows' part of the loss of an update (or of all validation) that has so many trained tokens and pairs.

    Plain rows: mean cross entropy of the trained tokens. Pairs besides: ORPO (Hong et al. 2024, arXiv 2403.07691),
    beta · -log σ(log odds(chosen) - log odds(rejected)), with p the geometric mean over the trained tokens. It needs no
    second, frozen model as DPO does, so a pair costs two texts and no more."""
    samples = [[t for row in group for t in texts_of(row)] for _, group in itertools.groupby(rows, lambda r: r.sample)]
    sums = iter(log_probabilities(model, samples, pad))
    loss = 0.0
    for row in rows:
        found = [(next(sums), sum(text.trained[1:])) for text in texts_of(row)]
        loss = loss - found[0][0] / tokens
        if row.rejected is not None:
            means = [(log_p / n).clamp(max=-1e-6) for log_p, n in found]  # at p = 1 the odds have no end
            chosen, rejected = [mean - torch.log(-torch.expm1(mean)) for mean in means]
            loss = loss - beta * torch.nn.functional.logsigmoid(chosen - rejected) / pairs
    return loss


def weights_in_loss(rows):
    return max(1, sum(sum(r.chosen.trained[1:]) for r in rows)), max(1, sum(r.rejected is not None for r in rows))


# --------------------------------------------------------------------------------------------------------- model

def device_of(wanted):
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(name for name, is_there in there.items() if is_there)
    if not there[wanted]:
        end(69, f"device {wanted} is not there; auto takes what is")
    return wanted


def dtype_of(device):
    """bf16 halves memory and, where the processor multiplies it, time. Elsewhere it would be emulated, or refused."""
    has_it = {
        "cuda": lambda: torch.cuda.is_bf16_supported(including_emulation=False),  # from Ampere (2020) on
        "mps": lambda: torch.backends.mps.is_macos_or_newer(14, 0),  # Metal has no bfloat before macOS 14
        "cpu": torch.ops.mkldnn._is_mkldnn_bf16_supported,
    }
    return torch.bfloat16 if has_it[device]() else torch.float32


def load_model(settings, device, dtype):
    """The base from the very GGUF that the box runs, unpacked, with new LoRA weights or those of `init`."""
    base = Path(settings["base_model"])
    model = transformers.AutoModelForCausalLM.from_pretrained(
        base.parent, gguf_file=base.name, dtype=dtype, quantization_config=transformers.GgufConfig(dequantize=True))
    modules = {name.rsplit(".", 1)[-1] for name, _ in model.named_modules()}
    unknown = [target for target in settings["target_modules"] if target not in modules]
    if unknown:
        end(65, f"target_modules: {base.name} has no {', '.join(unknown)}")
    model = get_peft_model(model, LoraConfig(
        r=settings["lora_rank"], lora_alpha=settings["lora_alpha"], lora_dropout=settings["dropout"], bias="none",
        task_type="CAUSAL_LM", target_modules=settings["target_modules"]))
    # A folder of this machine would say nothing to others.
    name = gguf.GGUFReader(base).fields.get("general.name")
    model.peft_config["default"].base_model_name_or_path = name.contents() if name else base.name
    model.to(device)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()  # steps of 1e-4 are lost in bf16's 8 bits
    if settings["init"]:
        start, own = load_file(Path(settings["init"]) / "adapter_model.safetensors"), adapter_of(model)
        if {k: v.shape for k, v in start.items()} != {k: v.shape for k, v in own.items()}:
            end(65, f"init: {settings['init']} has other modules or another rank than these settings")
        set_peft_model_state_dict(model, start)
    if settings.get("freeze_a"):
        for name, parameter in model.named_parameters():
            if "lora_A" in name:
                parameter.requires_grad = False
    return model


def adapter_of(model):
    weights = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {name: w.detach().to("cpu", copy=True).contiguous() for name, w in weights.items()}


# ------------------------------------------------------------------------------------------------------ training

class Stopped(Exception):
    pass


class Run:
    """One training: `go` is the loop, `state` what a checkpoint holds. Where it is stopped it is between two updates,
    or within one that is then done again.

    Seeds fix the order of rows, the first weights and dropout. On a CPU, with the same number of threads, the same
    bytes come out; other processors, numbers of threads or versions of torch add in another order, and on CUDA and
    MPS some kernels add in an order that changes from run to run."""

    def __init__(self, settings, train, validation, pad, out, fingerprint):
        self.settings, self.train, self.validation, self.pad, self.out = settings, train, validation, pad, out
        self.fingerprint = fingerprint
        self.device = device_of(settings["device"])
        self.dtype = dtype_of(self.device)
        torch.manual_seed(settings["seed"])
        self.model = load_model(settings, self.device, self.dtype)
        self.trainable = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trainable, lr=0.0, weight_decay=settings["weight_decay"])
        self.updates = updates_of(train, settings)
        self.step, self.tokens, self.seconds, self.curve = 0, 0, 0.0, []
        self.best = {"loss": math.inf, "step": 0, "weights": None, "misses": 0}
        self.before, self.rng, self.stopping = None, self.random_state(), False

    def learning_rate(self):
        """Rises over the first warmup_ratio of the updates, then falls as a cosine to nothing."""
        steps, warmup = len(self.updates), round(self.settings["warmup_ratio"] * len(self.updates))
        rise = min(1.0, (self.step + 1) / max(1, warmup))
        return self.settings["learning_rate"] * rise * 0.5 * (1 + math.cos(math.pi * self.step / steps))

    def go(self, board, say):
        began = time.time() - self.seconds
        while True:
            if self.validation and self.before is None:
                self.before = self.evaluate()
            if self.is_due("eval_steps") and self.validation and "validation_loss" not in self.curve[-1]:
                self.judge(self.evaluate())
                board.add_scalar("loss/validation", self.curve[-1]["validation_loss"], self.step)
            self.seconds = time.time() - began
            if self.is_due("save_steps"):
                self.save()
            if self.step == len(self.updates) or self.stopped_early():
                return
            rate, loss = self.learning_rate(), self.update()
            self.seconds = time.time() - began
            self.curve.append({"step": self.step, "train_loss": loss, "seconds": round(self.seconds, 1)})
            board.add_scalar("loss/train", loss, self.step)
            board.add_scalar("learning_rate", rate, self.step)
            say(self)

    def is_due(self, every):
        return self.step > 0 and (self.step % self.settings[every] == 0 or self.step == len(self.updates))

    def stopped_early(self):
        return 0 < self.settings["early_stopping_patience"] <= self.best["misses"]

    def update(self):
        rows = [self.train[i] for i in self.updates[self.step]]
        shares, beta, total = weights_in_loss(rows), self.settings.get("beta", 0.0), 0.0
        self.model.train()
        for part in batches(rows, self.settings["batch_size"]):
            self.stop_if_asked()
            loss = loss_of(self.model, part, self.pad, *shares, beta)
            loss.backward()
            total += loss.item()
        if not math.isfinite(total):
            end(70, f"the loss of step {self.step + 1} is no number: a lower learning_rate may help")
        torch.nn.utils.clip_grad_norm_(self.trainable, 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        self.tokens += sum(len(text.ids) for row in rows for text in texts_of(row))
        self.rng = self.random_state()
        return total

    @torch.no_grad()
    def evaluate(self):
        shares, beta, total = weights_in_loss(self.validation), self.settings.get("beta", 0.0), 0.0
        self.model.eval()
        for part in batches(self.validation, self.settings["batch_size"]):
            self.stop_if_asked()
            total += loss_of(self.model, part, self.pad, *shares, beta).item()
        return total

    def judge(self, loss):
        self.curve[-1]["validation_loss"] = loss
        if loss < self.best["loss"]:
            self.best = {"loss": loss, "step": self.step, "weights": adapter_of(self.model), "misses": 0}
        else:
            self.best["misses"] += 1

    def stop_if_asked(self):
        if self.stopping:
            raise Stopped

    def random_state(self):
        """Of dropout; the order of rows is in the state as a whole."""
        state = {"cpu": torch.get_rng_state()}
        if self.device != "cpu":
            state[self.device] = getattr(torch, self.device).get_rng_state()
        return state

    KEPT = ("updates", "step", "tokens", "seconds", "curve", "best", "before", "rng")

    def save(self):
        state = {name: getattr(self, name) for name in self.KEPT}
        state |= self.fingerprint | {"weights": adapter_of(self.model), "optimizer": self.optimizer.state_dict()}
        folder = self.out / "checkpoint"
        folder.mkdir(exist_ok=True)
        with open(folder / "state.pt.new", "wb") as f:
            torch.save(state, f)
            f.flush()
            os.fsync(f.fileno())
        os.replace(folder / "state.pt.new", folder / "state.pt")

    def load(self):
        file = self.out / "checkpoint" / "state.pt"
        state = torch.load(file, map_location="cpu", weights_only=True)
        differ = [k for k, v in self.fingerprint["settings"].items() if state["settings"].get(k, "—") != v]
        if differ:
            end(65, f"{file} was made with other settings ({', '.join(differ)}): take those, or begin in another folder")
        if state["rows"] != self.fingerprint["rows"]:
            end(65, f"{file} was made with other rows: take those, or begin in another folder")
        for name in self.KEPT:
            setattr(self, name, state[name])
        set_peft_model_state_dict(self.model, state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(self.rng["cpu"])
        if self.device != "cpu":
            getattr(torch, self.device).set_rng_state(self.rng[self.device])

    def peak_memory_mb(self):
        if self.device == "cuda":
            return torch.cuda.max_memory_allocated() >> 20
        import resource  # not on Windows
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> (20 if sys.platform == "darwin" else 10)

    def write(self):
        """The PEFT folder: the best weights; without validation the last ones."""
        weights = self.best["weights"] or adapter_of(self.model)
        save_file(weights, self.out / "adapter_model.safetensors", metadata={"format": "pt"})
        config = copy.copy(self.model.peft_config["default"])
        config.inference_mode = True
        config.save_pretrained(self.out)
        learned = sorted({self.train[i].sample for update in self.updates[:self.step] for i in update})
        write_json(self.out / "trained_ids.json", learned)
        write_json(self.out / "training.json", {
            "curve": self.curve, "validation_loss_before": self.before,
            "best_step": self.best["step"] if self.best["weights"] else self.step,
            "stopped_early": self.stopped_early(), "steps": self.step, "seconds": round(self.seconds, 1),
            "tokens": self.tokens, "peak_memory_mb": self.peak_memory_mb(), "device": self.device,
            "dtype": str(self.dtype).removeprefix("torch."),
            "trainable_parameters": sum(p.numel() for p in self.trainable),
            "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft")}})


def write_json(file, value):
    file.write_text(json.dumps(value, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


class Progress:
    """One line that is written over and over on a terminal; else a line ten times between two evaluations."""

    def __init__(self, run):
        self.first, self.tokens, self.seconds = run.step, run.tokens, run.seconds
        self.every = 1 if sys.stderr.isatty() else max(1, run.settings["eval_steps"] // 10)

    def __call__(self, run):
        if run.step % self.every and run.step != len(run.updates):
            return
        took = max(1e-3, run.seconds - self.seconds)
        left = took / (run.step - self.first) * (len(run.updates) - run.step)
        judged = [point["validation_loss"] for point in run.curve if "validation_loss" in point]
        line = (f"step {run.step}/{len(run.updates)}  loss {run.curve[-1]['train_loss']:.3f}  "
                + (f"validation {judged[-1]:.3f}  " if judged else "")
                + f"{(run.tokens - self.tokens) / took:.0f} tokens/s  {clock(run.seconds)}, {clock(left)} to go")
        print(f"\r{line}\x1b[K" if sys.stderr.isatty() else line, end="" if sys.stderr.isatty() else "\n",
              file=sys.stderr, flush=True)


def clock(seconds):
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"


def train(args, settings, train_rows, validation_rows, pad, fingerprint):
    file = args.out / "checkpoint" / "state.pt"
    if file.exists() and not args.resume:
        end(65, f"{file} is there: go on with --resume, or begin in another folder")
    args.out.mkdir(parents=True, exist_ok=True)
    run = Run(settings, train_rows, validation_rows, pad, args.out, fingerprint)
    if file.exists():
        run.load()
    print(f"{len(train_rows)} rows to learn, {len(validation_rows)} to validate, longest "
          f"{max(map(tokens_of, train_rows + validation_rows))} tokens; from step {run.step} of {len(run.updates)} on "
          f"{run.device}, {run.dtype}", file=sys.stderr, flush=True)

    def stop(number, _):
        run.stopping = True
        signal.signal(number, signal.SIG_DFL)  # who asks twice does not want to wait
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    board = SummaryWriter(str(args.out / "runs"), purge_step=run.step + 1)
    try:
        run.go(board, Progress(run))
    except Stopped:
        run.save()
        end(130, f"stopped after step {run.step} of {len(run.updates)}; --resume goes on there")
    except RuntimeError as e:  # torch.OutOfMemoryError is one; MPS and the CPU have none of their own
        if "out of memory" not in str(e) and "can't allocate memory" not in str(e):
            raise
        end(70, f"{run.device} has too little memory: a smaller batch_size (with more gradient_accumulation_steps the "
                f"result is the same) or max_seq_length, or device cpu. ({str(e).splitlines()[0]})")
    finally:
        board.close()
        if sys.stderr.isatty():
            print(file=sys.stderr)
    run.write()
    print(f"written {args.out}: the weights of step {run.best['step'] or run.step}", file=sys.stderr)


def main(args):
    signal.signal(signal.SIGTERM, lambda *_: end(130, "stopped before the first step"))
    signal.signal(signal.SIGINT, lambda *_: end(130, "stopped before the first step"))
    settings = json.loads(args.settings.read_text(encoding="utf-8"))
    base = Path(settings["base_model"])
    tokenizer = transformers.AutoTokenizer.from_pretrained(base.parent, gguf_file=base.name)
    files = [args.rows / "train.jsonl", args.rows / "validation.jsonl"]
    rows = [read_rows(file, tokenizer, bos_of(base, tokenizer)) for file in files]
    if args.count:
        for row in itertools.chain(*rows):
            print(json.dumps({"id": row.id, "tokens": tokens_of(row)}, ensure_ascii=False))
        return
    refuse_unfit(rows[0] + rows[1], settings["max_seq_length"])
    digest = hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()
    train(args, settings, *rows, tokenizer.pad_token_id or 0, {"settings": settings, "rows": digest})


if __name__ == "__main__":
    main(ARGS)
