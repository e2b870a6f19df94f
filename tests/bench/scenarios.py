"""What is measured: each scenario puts the same cases to both sides in turns and returns its rows.

A run is one turn of one side: `{"side", "wall_s", "cpu_s", "own_cpu_s", "peak_mb", "asked": [...]}`. A row is one line
of the table: two lists of values, how they become a ratio, and its goal.
"""

import re
import statistics
import time

import cases
import procs

PATIENCE_S = 900


# Ours ÷ the peer's; "max" is an upper bound, "min" a lower one.
GOALS = {
    "one-warm/complete": (0.50, "max"),
    "one-warm/first-line": (0.25, "max"),
    "switching/complete": (0.40, "max"),
    "mixed-8/last-answer": (0.50, "max"),
    "mixed-8/p95-first-line": (0.15, "max"),
    "tablets-20/answers-per-minute": (1.50, "min"),
    "raw-decode": (0.97, "min"),
    "urgent/first-line": (2.0, "max"),
}


class Row:
    """One line of the table: the values of both sides, and what of them is compared: the median by default."""

    def __init__(self, name, unit, ours, peer, per_token=None, note="", compared=None):
        self.name, self.unit, self.ours, self.peer = name, unit, ours, peer
        self.goal, self.better = GOALS.get(name, (None, None))
        self.per_token, self.note = per_token, note
        compared = compared or middle
        self.bars = [compared(ours), compared(peer)]
        self.ratio = quotient(*self.bars)

    def met(self):
        """None where there is no goal. What could not be measured is not met."""
        return self._reaches(self.ratio)

    def met_per_token(self):
        """None also where the row cannot be put in relation to what was said."""
        return self._reaches(self.per_token) if self.per_token is not None else None

    def _reaches(self, ratio):
        if self.goal is None:
            return None
        if ratio is None:
            return False
        return ratio <= self.goal if self.better == "max" else ratio >= self.goal


def middle(values):
    return statistics.median(values) if values else None


def quotient(a, b):
    return a / b if a is not None and b else None


def p95(values):
    values = sorted(values)
    return values[min(len(values) - 1, round(0.95 * (len(values) - 1)))] if values else None


class Bench:
    """Both servers and the cases, for one scenario."""

    def __init__(self, clinic, peer, prompts, say):
        self.clinic, self.peer, self.prompts, self.say = clinic, peer, prompts, say
        self.pool, self.runs = cases.Pool(prompts.adapterctl), []

    def take(self, departments):
        """A fresh case for each department named, with the prompt that our own program renders for it."""
        taken = [self.pool.take(department) for department in departments]
        return [{**case, "prompt": prompt} for case, prompt in zip(taken, self.prompts.render(taken))]

    def plain(self, case):
        return {key: value for key, value in case.items() if key != "prompt"}

    def send(self, side, at, case, **more):
        if side == "ours":
            return self.clinic.ask(at, self.plain(case), **more)
        return self.peer.ask(at, case, **more)

    def turn(self, side, wanted, label="", **more):
        """All cases at once, each from a tablet of its own; returns when the last answer is there."""
        server = self.clinic if side == "ours" else self.peer
        procs.forget_peaks(server.pids)
        cpu, own, busy, bench = procs.cpu_s(server.pids), self.own_cpu(), procs.busy_s(), time.process_time()
        began = time.perf_counter()
        asked = [self.send(side, at, case, **more) for at, case in enumerate(wanted)]
        wait(asked)
        wall = max(one.began + one.complete_s for one in asked) - began
        run = {"side": side, "label": label, "wall_s": wall, "cpu_s": procs.cpu_s(server.pids) - cpu,
               "own_cpu_s": self.own_cpu() - own if side == "ours" else None, "busy_s": procs.busy_s() - busy,
               "bench_s": time.process_time() - bench, "peak_mb": procs.peak_mb(server.pids),
               "asked": [self.told(one) for one in asked]}
        self.runs.append(run)
        firsts = [one["first_s"] for one in run["asked"] if one["first_s"]]
        self.say(f"  {side:5} {label:6} {wall:7.2f} s, first line {min(firsts, default=float('nan')):5.2f} s, "
                 f"{run['cpu_s']:6.2f} CPU-s, {sum(one['content_tokens'] for one in run['asked']):4} content tokens"
                 + "".join(f"  FAULT: {one['fault']}" for one in run["asked"] if one["fault"]))
        return run

    def note_loaded(self, side, asked):
        """Keeps one request that had others beside it: it has times, and no cost of its own."""
        told = self.told(asked)
        self.runs.append({"side": side, "label": "loaded", "wall_s": told["complete_s"], "cpu_s": None,
                          "asked": [told]})
        alert = f", alert {told['alert_s'] * 1000:.1f} ms" if told["alert_s"] else ""
        line = told["first_s"] or float("nan")
        self.say(f"  {side:5} loaded {told['complete_s']:7.2f} s, first line {line:5.2f} s{alert}")

    def own_cpu(self):
        """Of the daemon's own process, without its worker and the broker."""
        return procs.cpu_s([self.clinic.daemon.pid], tree=False)

    def told(self, asked):
        content = asked.content()
        count = self.peer.count_tokens
        return {"department": asked.case["department"], "alert_s": asked.alert_s, "first_s": asked.first_s,
                "complete_s": asked.complete_s, "content": content, "content_tokens": count(content),
                "first_tokens": count(asked.first_lines), "fault": asked.fault,
                "timings": getattr(asked, "timings", None)}

    def both(self, wanted, label="", **more):
        """Ours, then the peer's, on the same cases."""
        return self.turn("ours", wanted, label), self.turn("peer", wanted, label, **more)

    def warm_up(self, departments):
        wanted = self.take(departments)
        for side in ("ours", "peer"):
            wait([self.send(side, at, case) for at, case in enumerate(wanted)])

    def runs_of(self, side, form=""):
        return [run for run in self.runs if run["side"] == side and run["label"].startswith(form)]


def wait(asked):
    for one in asked:
        if not one.done.wait(PATIENCE_S):
            raise procs.Fault(f"no answer within {PATIENCE_S} s")


def each(runs, value):
    return [v for run in runs for one in run["asked"] if (v := value(one)) is not None]


def complete(one):
    return one["complete_s"]


def first(one):
    return one["first_s"]


def complete_per_token(one):
    return quotient(one["complete_s"], one["content_tokens"])


def first_per_token(one):
    return quotient(one["first_s"], one["first_tokens"])


def request_rows(name, ours, peer, note=""):
    """Rows of a scenario of single requests: to the complete answer and to the first line."""
    rows = []
    for what, value, per_token in (("complete", complete, complete_per_token),
                                   ("first-line", first, first_per_token)):
        normal = quotient(middle(each(ours, per_token)), middle(each(peer, per_token)))
        rows.append(Row(f"{name}/{what}", "s", each(ours, value), each(peer, value), normal, note))
    return rows


def one_warm(bench, runs):
    """One tablet, one department, warm."""
    bench.warm_up(["internal"])
    for form in ["json", "lines", "json", "objects"] * runs:
        # New cases for each form: the peer must not find a prompt in its cache that another form has left there.
        bench.both(bench.take(["internal"]), form, form=form)
    both = lambda form: (bench.runs_of("ours", form), bench.runs_of("peer", form))
    rows = request_rows("one-warm", *both("json"))
    for form, words in (("lines", "the peer writes the very text of our form, by a grammar, instead of JSON"),
                        ("objects", "the peer's JSON has name and reason apart, as consultd's answer has them")):
        rows += request_rows(f"one-warm-{form}", *both(form), words)
    return rows


def switching(bench, runs):
    """One tablet; the department changes at each request."""
    for department in cases.DEPARTMENTS:
        bench.warm_up([department])
    for run in range(2 * runs):
        bench.both(bench.take([cases.DEPARTMENTS[run % len(cases.DEPARTMENTS)]]))
    return request_rows("switching", bench.runs_of("ours"), bench.runs_of("peer"))


def mixed_8(bench, runs):
    """8 tablets at once, 4 departments, 2 each."""
    eight = cases.DEPARTMENTS * 2
    bench.warm_up(eight)
    for run in range(runs):
        bench.both(bench.take(eight))
    ours, peer = bench.runs_of("ours"), bench.runs_of("peer")
    wall = lambda all: [run["wall_s"] for run in all]
    per_token = lambda all: middle([run["wall_s"] / max(1, content(run)) for run in all])
    last = Row("mixed-8/last-answer", "s", wall(ours), wall(peer), quotient(per_token(ours), per_token(peer)))
    firsts, peers = each(ours, first), each(peer, first)
    normal = quotient(p95(each(ours, first_per_token)), p95(each(peer, first_per_token)))
    return [last, Row("mixed-8/p95-first-line", "s", firsts, peers, normal,
                      "the 95th percentiles over all requests are compared", p95)]


def content(run):
    return sum(one["content_tokens"] for one in run["asked"])


def tablets_20(bench, runs):
    """20 tablets, one department, all at once."""
    twenty = ["internal"] * 20
    bench.warm_up(twenty[:4])
    for run in range(runs):
        bench.both(bench.take(twenty))
    rate = lambda run: 60 * len([one for one in run["asked"] if not one["fault"]]) / run["wall_s"]
    content_rate = lambda all: middle([content(run) / run["wall_s"] for run in all])
    ours, peer = bench.runs_of("ours"), bench.runs_of("peer")
    return [Row("tablets-20/answers-per-minute", "1/min", list(map(rate, ours)), list(map(rate, peer)),
                quotient(content_rate(ours), content_rate(peer)))]


def raw_decode(bench, runs):
    """Tokens a second at batch 1 with a LoRA adapter: the engine's log against the peer's own timings."""
    bench.warm_up(["internal"])
    ours, peer, with_schema = [], [], []
    for run in range(2 * runs):
        wanted = bench.take(["internal"])
        seen = len(bench.clinic.log_text())
        bench.turn("ours", wanted)
        ours += decode_rates(bench.clinic.log_text()[seen:])
        # As many tokens as a form of ours takes, so that both read about as much KV.
        raw = bench.turn("peer", wanted, "raw", form="raw", predict=128, ignore_eos=True)
        schema = bench.turn("peer", bench.take(["internal"]), "json")
        peer.append(raw["asked"][0]["timings"]["predicted_per_second"])
        with_schema.append(schema["asked"][0]["timings"]["predicted_per_second"])
    note = "ours: steps that write one token; those that read the next section's header have no equal at the peer"
    rows = [Row("raw-decode", "tokens/s", ours, peer, note=note),
            Row("raw-decode-with-schema", "tokens/s", ours, with_schema, note="the peer under its schema")]
    if "branches" in bench.clinic.unknown:
        rows[0].ratio = rows[1].ratio = None
        rows[0].note = rows[1].note = ("this build cannot decode one branch at a time (no setting `branches`): "
                                       "ours is the rate of four branches together, not of batch 1")
    return rows


def decode_rates(log):
    """Of steps that write one token and read none."""
    found = [dict(re.findall(r"(\w+_ms|tokens_written)=(\d+)", line)) for line in log.splitlines() if "form filled" in line]
    forms = [{name: int(value) for name, value in one.items()} for one in found]
    times = [(one["tokens_written"], one["write_ms"] - one["headers_ms"]) for one in forms]
    return [tokens * 1000 / ms for tokens, ms in times if tokens > 0 and ms > 0]


def urgent(bench, runs):
    """An urgent case while 8 routine ones run, against the same on an idle box; and the alert of a red flag."""
    eight = cases.DEPARTMENTS * 2
    bench.warm_up(eight)
    for run in range(runs):
        for side in ("ours", "peer"):
            more = {"priority": "urgent"} if side == "ours" else {}
            bench.turn(side, [red_flag(bench)], "idle", **more)
            routine = [bench.send(side, at, case) for at, case in enumerate(bench.take(eight))]
            time.sleep(1.0)  # all eight are taken, and at work as far as the engine lets them
            loaded = bench.send(side, 8, red_flag(bench), **more)
            wait([loaded, *routine])
            bench.note_loaded(side, loaded)
    pair = lambda side, value: [each(bench.runs_of(side, load), value) for load in ("loaded", "idle")]
    alert = lambda one: one["alert_s"]
    return [Row("urgent/first-line", "s", *pair("ours", first), note="ours under load ÷ ours idle"),
            Row("urgent-peer/first-line", "s", *pair("peer", first),
                note="the peer's under load ÷ its idle; it knows no urgency"),
            Row("alert", "s", *pair("ours", alert), note="publish to alert, ours under load ÷ ours idle")]


def red_flag(bench):
    """A case in which a red-flag rule fires: age and words vary, the flag stays."""
    bench.flags = getattr(bench, "flags", 0) + 1
    case = {"age": {"value": 50 + bench.flags % 30, "unit": "year"}, "sex": "male",
            "complaint": {"text": "胸口疼，出冷汗", "duration": f"{1 + bench.flags % 9}小时"}}
    case = {"department": "internal", "case": case}
    return {**case, "prompt": bench.prompts.render([case])[0]}


def unmeasured(scenario):
    """Its rows with goals, when it could not be measured."""
    names = [name for name in GOALS if name.split("/")[0] == scenario]
    return [Row(name, "s", [], [], note="could not be measured") for name in names]


# For each: its function, the peer's slots and settings (how they were chosen: README.md), and our engine's settings
# beyond the plain ones. `nice = 0` gives our worker the same claim to the processor as the peer has.
SCENARIOS = {
    "one-warm": (one_warm, {"slots": 1}, {"nice": 0}),
    "switching": (switching, {"slots": 4, "pin": True}, {"nice": 0}),
    "mixed-8": (mixed_8, {"slots": 8, "pin": True}, {"nice": 0}),
    "tablets-20": (tablets_20, {"slots": 20}, {"nice": 0}),
    "raw-decode": (raw_decode, {"slots": 1}, {"nice": 0, "branches": "sequential"}),
    "urgent": (urgent, {"slots": 9}, {}),
}
