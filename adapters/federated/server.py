"""The rounds: sends an adapter to all regions, writes what comes back as PEFT folders, and lets adapterctl combine them.

    out/round-1/region-<node>/  adapter_config.json, adapter_model.safetensors, trained_counts.json
    out/round-1/global/         what `adapterctl aggregate` makes of them; sent out in round 2
"""
import json
import logging
import shutil
import subprocess
from pathlib import Path

from flwr.app import Array, ArrayRecord, ConfigRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from safetensors.numpy import load_file, save_file

CONFIG, WEIGHTS, COUNTS = "adapter_config.json", "adapter_model.safetensors", "trained_counts.json"

LOG = logging.getLogger("flwr")

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    settings = context.run_config
    start, out = Path(settings["start"]), Path(settings["out"])
    out.mkdir(parents=True)  # rounds of an earlier run are not mixed with these
    lora = json.loads((start / CONFIG).read_text(encoding="utf-8"))
    Regions(start, out, settings["adapterctl"], settings["regions"]).start(
        grid,
        initial_arrays=arrays(start),
        train_config=ConfigRecord({"lora_rank": lora["r"], "lora_alpha": lora["lora_alpha"]}),
        num_rounds=settings["rounds"],
        timeout=settings["round-hours-max"] * 3600,
    )


def arrays(folder: Path) -> ArrayRecord:
    return ArrayRecord({name: Array(x) for name, x in load_file(folder / WEIGHTS).items()})


class Regions(FedAvg):
    """Flower's sampling and messages; only the averaging is another."""

    def __init__(self, start: Path, out: Path, adapterctl: str, regions: int) -> None:
        super().__init__(fraction_evaluate=0.0, min_train_nodes=regions, min_available_nodes=regions,
                         weighted_by_key="samples")
        self.start_folder, self.out, self.adapterctl, self.regions = start, out, adapterctl, regions

    def aggregate_train(self, server_round, replies):
        replies = sorted(replies, key=lambda reply: reply.metadata.src_node_id)  # the same bytes whoever is first
        for reply in replies:
            if reply.has_error():
                LOG.warning("region %d: %s", reply.metadata.src_node_id, reply.error.reason)
        answers = [reply for reply in replies if not reply.has_error()]
        if len(answers) < self.regions:
            # A round without one of them would be another adapter, weighted towards the others.
            raise RuntimeError(f"round {server_round}: {len(answers)} of {self.regions} regions have answered")

        folder = self.out / f"round-{server_round}"
        inputs = [self.write(folder, reply) for reply in answers]
        done = subprocess.run([self.adapterctl, "aggregate", folder / "global", *inputs], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"round {server_round}: {done.stderr.strip()}")
        LOG.info("%s", done.stdout)
        counts = json.loads((folder / "global" / COUNTS).read_text(encoding="utf-8"))
        return arrays(folder / "global"), MetricRecord(counts)

    def write(self, folder: Path, reply) -> Path:
        """Unchecked: adapterctl refuses what is not the same adapter with other, finite values."""
        region = folder / f"region-{reply.metadata.src_node_id}"
        region.mkdir(parents=True)
        shutil.copy(self.start_folder / CONFIG, region / CONFIG)
        learned = {name: array.numpy() for name, array in reply.content["arrays"].items()}
        save_file(learned, region / WEIGHTS, metadata={"format": "pt"})
        counts = {"samples": reply.content["metrics"]["samples"]}
        (region / COUNTS).write_text(json.dumps(counts), encoding="utf-8")
        return region
