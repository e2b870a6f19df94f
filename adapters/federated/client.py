"""A region: trains the adapter that it was sent on its own rows, and gives back the LoRA tensors and a count.

Where rows, settings and programs are, the region itself says (--node-config), never the server:

    settings  the region's run.json for train.py
    rows      folder with train.jsonl and validation.jsonl
    train     adapters/train/train.py
    python    a Python with train.py's packages
"""
import json
import logging
import subprocess
import tempfile
from pathlib import Path

from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Error, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from safetensors.numpy import load_file, save_file

WEIGHTS = "adapter_model.safetensors"

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    try:
        with tempfile.TemporaryDirectory(prefix="consultd-region-") as work:
            reply = trained(message.content, context.node_config, Path(work))
        return Message(reply, reply_to=message)
    except Exception as fault:
        # Flower would send the text of the exception to the server. What happened here is told here.
        logging.getLogger("flwr").error("training failed", exc_info=fault)
        return Message(Error(code=0, reason="training failed; the region's own log says why"), reply_to=message)


def trained(content: RecordDict, node: dict, work: Path) -> RecordDict:
    sent = {name: array.numpy() for name, array in content["arrays"].items()}
    settings = json.loads(Path(node["settings"]).read_text(encoding="utf-8"))
    agree(settings, content["config"])
    start, out = work / "start", work / "out"
    start.mkdir()
    save_file(sent, start / WEIGHTS, metadata={"format": "pt"})
    settings["init"] = str(start)
    (work / "run.json").write_text(json.dumps(settings), encoding="utf-8")
    subprocess.run([node["python"], node["train"], "--settings", work / "run.json", "--rows", node["rows"], "--out", out],
                   check=True)

    learned = load_file(out / WEIGHTS)
    if {name: x.shape for name, x in learned.items()} != {name: x.shape for name, x in sent.items()}:
        raise ValueError("training gave other tensors than it was sent")
    samples = len(json.loads((out / "trained_ids.json").read_text(encoding="utf-8")))
    return RecordDict({
        "arrays": ArrayRecord({name: Array(x) for name, x in learned.items()}),
        "metrics": MetricRecord({"samples": samples}),
    })


def agree(settings: dict, asked: ConfigRecord) -> None:
    """B·A means something only with the scale alpha / rank under which it is trained."""
    for name in ("lora_rank", "lora_alpha"):
        if settings[name] != asked[name]:
            raise ValueError(f"the server's {name} is {asked[name]}, this region's settings say {settings[name]}")
