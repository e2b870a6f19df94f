"""What the figures were taken on, and the machine's limit: how fast it reads its memory."""

import os
import platform
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import numpy

# Far above any cache in the last level.
ARRAY_BYTES = 512 * 1024 * 1024


def describe(threads):
    cpu = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
        total = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
        memory = f"{int(total.split()[1]) / 2**20:.0f} GiB"
    except (OSError, StopIteration):
        memory = "unknown"
    return {"cpu": cpu, "cores": os.cpu_count(), "threads": threads, "memory": memory,
            "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
            "load_before": round(os.getloadavg()[0], 2)}


def memory_bytes_per_s(threads):
    """The best of several sums over a large array, a slice for each thread. numpy lets go of Python's lock."""
    array = numpy.ones(ARRAY_BYTES // 8, dtype=numpy.int64)
    slices = numpy.array_split(array, threads)
    best = 0.0
    for _ in range(6):
        workers = [threading.Thread(target=part.sum) for part in slices]
        began = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        best = max(best, ARRAY_BYTES / (time.perf_counter() - began))
    return best


class Perf:
    """Samples a process until its shares are asked for, where `perf` is there and may."""

    def __init__(self, pid, file):
        self.file, self.process = file, None
        if pid and shutil.which("perf"):
            self.process = subprocess.Popen(["perf", "record", "-q", "-F", "499", "-o", str(file), "-p", str(pid)],
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def shares(self):
        """{symbol: share of the samples}, or None where nothing could be sampled."""
        if not self.process:
            return None
        self.process.terminate()
        self.process.wait()
        report = subprocess.run(["perf", "report", "-i", str(self.file), "--stdio", "--sort", "dso,symbol", "-F",
                                 "overhead,dso,symbol", "--field-separator", "|", "--percent-limit", "0"],
                                capture_output=True, text=True)
        shares = {}
        for line in report.stdout.splitlines():
            parts = [part.strip() for part in line.split("|")][:3]
            if len(parts) == 3 and parts[0].endswith("%"):
                shares[f"{parts[1]} {parts[2]}"] = float(parts[0][:-1]) / 100
        return shares or None


# Rust's crates, ours and those that we brought. libm is counted with them, though ggml calls it too.
OWN = re.compile(r"\b(engine|contract|decide|consultd|core|alloc|std|serde\w*|tokio\w*|tracing\w*|llama_cpp_2)::"
                 r"|^libm[.-]")
FOREIGN = re.compile(r"\bstd::(_|vector|function|string|basic|map|unordered)|ggml|llama_(?!cpp_2)")


def is_own(symbol):
    return bool(OWN.search(symbol)) and not FOREIGN.search(symbol)
