"""Child processes and what they cost, read from /proc.

CPU seconds are utime + stime of a process and all below it, with what its dead children left (cutime + cstime).
Peak memory is VmHWM, summed over the processes. It is set back before each run, so a run's peak is its own. Pages of
the model file that are mapped count for each process that maps them, on both sides alike.
"""

import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1


def _die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Fault(Exception):
    """One side does not do what it must: this scenario cannot be measured, the others can."""


class Child:
    """A process that ends with its owner, and with the bench itself however that ends."""

    def __init__(self, command, log, environment=None, stdin=subprocess.DEVNULL):
        self.log = Path(log)
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                [str(word) for word in command], stdin=stdin, stdout=out, stderr=out, preexec_fn=_die_with_parent,
                env={**os.environ, **(environment or {})})

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process.poll() is None

    def log_text(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, what, ready, patience_s=120):
        """Until `ready()` holds. A process that ends before that is a fault, told with the end of its log."""
        began = time.monotonic()
        while not ready():
            if not self.alive() or time.monotonic() - began > patience_s:
                raise Fault(f"{what} never came; the end of its log:\n" + "\n".join(self.log_text().splitlines()[-12:]))
            time.sleep(0.05)

    def stop(self):
        if not self.alive():
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _stat(pid):
    """Fields of /proc/PID/stat behind the name, which may hold blanks."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def below(pid):
    """The process and all its descendants that are alive."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in task.read_text().split():
                found += below(int(child))
        except OSError:
            pass  # a thread that has just ended
    return found


def cpu_s(pids, tree=True):
    total = 0
    for pid in pids:
        for each in below(pid) if tree else [pid]:
            try:
                fields = _stat(each)
            except OSError:
                continue
            total += sum(int(ticks) for ticks in fields[11:15 if tree else 13])
    return total / TICKS


def busy_s():
    """What all processors together have worked since the machine's start, other machines' share (steal) included."""
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


def forget_peaks(pids):
    for pid in pids:
        for each in below(pid):
            try:
                Path(f"/proc/{each}/clear_refs").write_text("5")
            except OSError:
                pass  # not allowed here: then the peak is that of the whole life


def peak_mb(pids):
    total_kb = 0
    for pid in pids:
        for each in below(pid):
            try:
                status = Path(f"/proc/{each}/status").read_text()
            except OSError:
                continue
            total_kb += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return total_kb / 1024
