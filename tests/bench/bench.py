#!/usr/bin/env python3
"""consultd against llama.cpp's own server: the same model, adapters, cases and threads on the same machine, in turns.

Prints a `ratio` line for each goal and a summary; writes a table, plots and all raw values to a folder. Ends with 0
when it could measure, whether the goals are met or not: a bench is no test.
"""

import argparse
import datetime
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import cases
import machine
import ours
import peer
import procs
import report
from scenarios import SCENARIOS, Bench, unmeasured, wait


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                epilog="scenarios: " + ", ".join(SCENARIOS))
    p.add_argument("--consultd", required=True, type=Path, help="the release binary, built with llama.cpp")
    p.add_argument("--adapterctl", required=True, type=Path, help="the release binary; it renders the peer's prompts")
    p.add_argument("--model", required=True, type=Path, help="the demo model, a GGUF file")
    p.add_argument("--peer", type=Path, help="a llama-server to measure against, instead of the wheel's")
    p.add_argument("--scenarios", default=",".join(SCENARIOS), help="some of them, separated by commas")
    p.add_argument("--runs", type=int, default=5, help="turns of each side (single requests: twice as many)")
    p.add_argument("--threads", type=int, default=os.cpu_count(), help="of each side; default: all cores")
    p.add_argument("--out", type=Path, required=True, help="results go to a folder of today's date in it")
    p.add_argument("--save", type=Path, help="copy the results to this folder as well")
    p.add_argument("--jobs-max", type=int, help="consultations that ours works on at a time, instead of its default")
    p.add_argument("--peer-slots", type=int, help="another number of slots for the peer, to try its settings")
    p.add_argument("--peer-pin", choices=("yes", "no"), help="whether departments keep to slots of their own")
    p.add_argument("--peer-spin", type=int, default=ours.spin_count(), metavar="TURNS",
                   help="GOMP_SPINCOUNT of the peer; default: what our worker has. 0: its threads sleep at once")
    p.add_argument("--peer-unified", action="store_true", help="one KV cache for all of the peer's slots")
    args = p.parse_args()
    args.scenarios = [name for name in args.scenarios.split(",") if name]
    for name in args.scenarios:
        if name not in SCENARIOS:
            p.error(f"no scenario {name}; there are: {', '.join(SCENARIOS)}")
    for file in (args.consultd, args.adapterctl, args.model):
        if not file.exists():
            p.error(f"{file} is not there; `make build model` makes it")
    return args


def say(text):
    print(text, flush=True)


def main():
    args = arguments()
    # An end from outside ends the children too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    out = args.out / datetime.datetime.now().strftime("%Y-%m-%d_%H%M")
    out.mkdir(parents=True, exist_ok=True)
    results = {"machine": machine.describe(args.threads), "rows": [], "costs": [], "facts": [], "runs": {}}
    results["machine"].update(versions(args))
    results["machine"]["spin"] = f"ours {ours.spin_count()}, the peer's {args.peer_spin} (GOMP_SPINCOUNT)"
    for name, value in results["machine"].items():
        say(f"{name}: {value}")
    bandwidth = machine.memory_bytes_per_s(args.threads)
    say(f"memory: {bandwidth / 1e9:.1f} GB/s read by {args.threads} threads")
    results["memory_bytes_per_s"] = bandwidth

    with tempfile.TemporaryDirectory(prefix="consultd-bench.") as folder:
        # A build that runs meanwhile must not change what is measured.
        args.consultd = Path(shutil.copy2(args.consultd, folder))
        args.adapterctl = Path(shutil.copy2(args.adapterctl, folder))
        for name in args.scenarios:
            try:
                scenario(name, args, Path(folder), out, results)
            except procs.Fault as fault:
                say(f"  FAULT: {fault}")
                results["rows"] += unmeasured(name)
                results["facts"].append(f"FAULT: {name} could not be measured: {str(fault).splitlines()[0]}")
    facts(results, bandwidth)
    finish(args, out, results)


def scenario(name, args, folder, out, results):
    """Starts both sides, measures, ends both."""
    measure, peer_settings, engine = SCENARIOS[name]
    peer_settings = {**peer_settings, "kv_unified": args.peer_unified, "spin": args.peer_spin}
    if args.jobs_max:
        engine = {**engine, "jobs_max": args.jobs_max}
    if args.peer_slots:
        peer_settings["slots"] = args.peer_slots
    if args.peer_pin:
        peer_settings["pin"] = args.peer_pin == "yes"
    say(f"\n{name}: {measure.__doc__.strip().splitlines()[0]} The peer: {settings_in_words(peer_settings)}.")
    adapters = ours.adapter_folders(folder, args.adapterctl)
    clinic = ours.Clinic(folder / name, args.consultd, args.model, adapters, args.threads, engine)
    server = None
    try:
        if clinic.unknown:
            say(f"  this consultd does not know the settings {', '.join(clinic.unknown)}: left out")
        server = peer.Peer(folder / f"{name}.peer", args.model, adapters, args.threads, port=ours.free_port(),
                           binary=args.peer, **peer_settings)
        bench = Bench(clinic, server, cases.Prompts(args.adapterctl), say)
        rows = measure(bench, args.runs)
        results["model_bytes"] = model_bytes(clinic.log_text())
        results["perf"] = results.get("perf") or profile(bench, folder / "perf.data")
        results["rows"] += rows
        results["runs"][name] = bench.runs
        results["costs"] += [cost for side in ("ours", "peer") if (cost := cost_of(name, side, bench.runs))]
        results["machine"]["peer"] = peer_version(server)
        report.plot(rows, out / f"{name}.svg")
        for row in rows:
            print_row(row)
    finally:
        if server:
            server.stop()
        clinic.stop()


def profile(bench, file):
    """Where the worker's time goes, over answers that are in no row: sampling costs something itself."""
    perf = machine.Perf(bench.clinic.worker_pid(), file)
    for _ in range(3 if perf.process else 0):
        wait([bench.send("ours", 0, bench.take(["internal"])[0])])
    return perf.shares()


def print_row(row):
    say(report.ratio_line(row))
    if line := report.token_line(row):
        say(line)


def settings_in_words(settings):
    words = [f"{settings['slots']} slot{'s' if settings['slots'] > 1 else ''}"]
    words += ["each department keeps to its own"] if settings.get("pin") else []
    words += ["one KV cache"] if settings.get("kv_unified") else []
    return ", ".join(words)


def versions(args):
    run = lambda *words: subprocess.run(words, capture_output=True, text=True, cwd=cases.ROOT).stdout.strip()
    crate = re.search(r'name = "llama-cpp-sys-2"\nversion = "([^"]+)"', (cases.ROOT / "Cargo.lock").read_text())
    commit = run("git", "rev-parse", "--short", "HEAD")
    dirty = " and changes" if run("git", "status", "--porcelain", "--untracked-files=no") else ""
    broker = re.search(r"version (\S+)", run(ours.mosquitto(), "-h"))
    return {"consultd": f"{run(args.consultd, '--version').split()[-1]}, sources {commit}{dirty}",
            "its llama.cpp": f"llama-cpp-sys-2 {crate[1]}" if crate else "unknown",
            "mosquitto": broker[1] if broker else "unknown",
            "model": f"{args.model.name}, {args.model.stat().st_size / 1e6:.0f} MB"}


def peer_version(server):
    try:
        build = server.get("/props").get("build_info", "unknown")
    except (RuntimeError, OSError):
        build = "unknown"
    if Path(server.child.process.args[0]).name.startswith("python"):
        from importlib.metadata import version
        build = f"llama.cpp of xllamacpp {version('xllamacpp')}"
    return build


def model_bytes(log):
    found = re.search(r"the worker is ready.*?\bbytes=(\d+)", log)
    return int(found[1]) if found else None


def cost_of(name, side, runs):
    """Over the turns in which the peer wrote JSON; requests beside others have no cost of their own."""
    counted = [run for run in runs if run["side"] == side and run["cpu_s"] is not None
               and run["label"] in ("", "json", "idle")]
    if not counted:
        return None
    requests = sum(len(run["asked"]) for run in counted)
    cpu = sum(run["cpu_s"] for run in counted)
    content = sum(one["content_tokens"] for run in counted for one in run["asked"])
    return {"scenario": name, "side": side, "cpu_s": cpu / requests, "content": content / requests,
            "content_per_cpu_s": content / cpu if cpu else 0, "peak_mb": max(run["peak_mb"] for run in counted)}


def facts(results, bandwidth):
    """What stands beside the table: the machine's limit, our own code's share, faults."""
    add = results["facts"].append
    add(f"Memory is read at {bandwidth / 1e9:.1f} GB/s by all threads together.")
    if size := results.get("model_bytes"):
        limit = bandwidth / size
        add(f"A token at batch 1 reads {size / 1e6:.0f} MB of weights, so memory allows {limit:.0f} tokens/s "
            "(without adapter and KV).")
        for row in results["rows"]:
            if row.name == "raw-decode":
                for side, values in (("ours", row.ours if row.ratio is not None else []), ("the peer's", row.peer)):
                    if values:
                        add(f"Raw decode, {side}: {statistics.median(values):.1f} tokens/s, "
                            f"{statistics.median(values) / limit:.0%} of that limit.")
    runs = [run for all in results["runs"].values() for run in all if run.get("own_cpu_s") is not None]
    if runs:
        own, all_ = sum(run["own_cpu_s"] for run in runs), sum(run["cpu_s"] for run in runs)
        add(f"The daemon's own process (without worker and broker) took {own / all_:.2%} of our side's CPU time.")
    if costly := [run for all in results["runs"].values() for run in all if run["cpu_s"] is not None]:
        spent = lambda key: sum(run[key] for run in costly)
        others = spent("busy_s") - spent("cpu_s") - spent("bench_s")
        capacity = os.cpu_count() * spent("wall_s")
        loud = ": **the machine was not quiet**." if others > 0.1 * capacity else "."
        add(f"During the measured runs the bench itself took {spent('bench_s') / capacity:.1%} of the processors, and "
            f"other programs {max(0, others) / capacity:.0%}{loud}")
    if shares := results.pop("perf", None):
        mine = {name: share for name, share in shares.items() if machine.is_own(name)}
        most = ", ".join(f"`{name}` {share:.1%}" for name, share in sorted(mine.items(), key=lambda item: -item[1])[:3])
        share = sum(mine.values()) / sum(shares.values())
        add(f"Inside the worker {share:.1%} of the samples lay in our Rust code, its crates and libm, the rest in "
            f"ggml, llama.cpp and the kernel; most of ours in {most or 'nothing'}.")
    faults = [f"{name}, {run['side']}: {one['fault']}" for name, all in results["runs"].items()
              for run in all for one in run["asked"] if one["fault"]]
    for fault in sorted(set(faults)):
        add(f"FAULT ({faults.count(fault)} ×): {fault}")


def finish(args, out, results):
    (out / "results.json").write_text(report.as_json(results), encoding="utf-8")
    (out / "table.md").write_text(report.markdown(results), encoding="utf-8")
    say("\n" + report.markdown(results))
    for row in results["rows"]:
        print_row(row)
    goals = [row for row in results["rows"] if row.goal is not None]
    for row in goals:
        if not row.met():
            say(f"missed: {row.name} is {report.figure(row.ratio)}, the goal is "
                f"{'at most' if row.better == 'max' else 'at least'} {row.goal}")
    per_token = [row.met_per_token() for row in goals if row.met_per_token() is not None]
    say(f"goals met per content token {sum(per_token)} of {len(per_token)}")
    say(f"goals met {sum(row.met() for row in goals)} of {len(goals)}")
    say(f"table, plots and all values: {out}")
    if args.save:
        shutil.copytree(out, args.save, dirs_exist_ok=True)
        say(f"copied to {args.save}")


if __name__ == "__main__":
    main()
