"""What was measured, for people (a table, plots) and for programs (`ratio` lines, JSON)."""

import json
import statistics

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend comes first)

OURS, PEER, GOAL = "#1b6b5a", "#8a8f98", "#b3541e"


def figure(value, unit=""):
    if value is None:
        return "n/a"
    return f"{value * 1000:.1f} ms" if unit == "s" and value < 0.1 else f"{value:.2f}" + (f" {unit}" if unit else "")


def spread(values, unit):
    """Median, least and most, and the middle half."""
    if not values:
        return "n/a"
    text = f"{figure(statistics.median(values), unit)} ({min(values):.3g}–{max(values):.3g}"
    if len(values) >= 4:
        low, _, high = statistics.quantiles(values, n=4)
        text += f"; half in {low:.3g}–{high:.3g}"
    return text + ")"


def ratio_line(row):
    goal = f"goal {row.goal} {row.better}" if row.goal is not None else "goal none info"
    return f"ratio {row.name} {'n/a' if row.ratio is None else f'{row.ratio:.3f}'} {goal}"


def token_line(row):
    return f"ratio-per-content-token {row.name} {row.per_token:.3f}" if row.per_token is not None else None


def verdict(row):
    met = row.met()
    return "" if met is None else "met" if met else "**missed**" if row.ratio is not None else "**not measured**"


def markdown(results):
    machine, lines = results["machine"], []
    lines += ["# Bench", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in machine.items()]
    lines += ["", "| scenario | ours | peer (or idle) | ratio | per content token | goal | |",
              "|---|---|---|---|---|---|---|"]
    for row in results["rows"]:
        goal = "" if row.goal is None else f"{'≤' if row.better == 'max' else '≥'} {row.goal:.2f}"
        per_token = "" if row.per_token is None else figure(row.per_token)
        lines.append(f"| {row.name} | {spread(row.ours, row.unit)} | {spread(row.peer, row.unit)} "
                     f"| {figure(row.ratio)} | {per_token} | {goal} | {verdict(row)} |")
    notes = [f"- {row.name}: {row.note}" for row in results["rows"] if row.note]
    lines += ["", *notes] if notes else []
    lines += ["", "| what it cost | side | CPU-s a request | content tokens a request | content tokens a CPU-second "
              "| peak memory, MB |", "|---|---|---|---|---|---|"]
    lines += [f"| {cost['scenario']} | {cost['side']} | {cost['cpu_s']:.2f} | {cost['content']:.0f} "
              f"| {cost['content_per_cpu_s']:.1f} | {cost['peak_mb']:.0f} |" for cost in results["costs"]]
    lines += ["", *[f"- {fact}" for fact in results["facts"]], ""]
    return "\n".join(lines)


def plot(rows, file):
    """Every value as a dot, what is compared as a bar, the goal as a line: its bound times the other side's bar."""
    rows = [row for row in rows if row.ours or row.peer]
    if not rows:
        return
    columns = min(len(rows), 2)
    lines = -(-len(rows) // columns)
    figure_, axes = plt.subplots(lines, columns, figsize=(4.4 * columns, 2.9 * lines), squeeze=False)
    for axis, row in zip(axes.flat, rows):
        names = ("loaded", "idle") if "idle" in row.note else ("consultd", "llama-server")
        for at, (values, colour) in enumerate(((row.ours, OURS), (row.peer, PEER))):
            if not values:
                continue
            axis.bar(at, row.bars[at], width=0.55, color=colour, alpha=0.35)
            offsets = [at + 0.22 * ((i % 5) - 2) / 2 for i in range(len(values))]
            axis.plot(offsets, values, "o", markersize=3.5, color=colour, markeredgewidth=0)
        if row.goal is not None and row.peer:
            bound = row.goal * row.bars[1]
            axis.axhline(bound, color=GOAL, linewidth=1.1, linestyle="--")
            words = f"goal {'≤' if row.better == 'max' else '≥'} {row.goal:g} ×"
            axis.annotate(words, (1.45, bound), xytext=(0, 3), textcoords="offset points", ha="right", fontsize=8,
                          color=GOAL)
        axis.set_xticks((0, 1), names)
        axis.set_xlim(-0.5, 1.5)
        axis.set_ylim(bottom=0)
        unit = {"s": "seconds", "1/min": "answers per minute", "tokens/s": "tokens per second"}[row.unit]
        axis.set_ylabel(unit)
        axis.set_title(row.name + ("" if row.ratio is None else f"   {row.ratio:.2f} ×"), fontsize=9, loc="left")
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes.flat[len(rows):]:
        axis.set_visible(False)
    figure_.tight_layout()
    figure_.savefig(file, metadata={"Date": None})
    plt.close(figure_)


def as_json(results):
    rows = [{**vars(row), "met": row.met()} for row in results["rows"]]
    return json.dumps({**results, "rows": rows}, ensure_ascii=False, indent=1)
