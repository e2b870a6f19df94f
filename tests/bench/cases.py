"""The cases, the same ones for both sides, and their prompts as our own program writes them.

Cases come from `tests/cases` and `adapters/demo/data`; those that training never saw come first. Nothing here says how
a prompt reads: `adapterctl render` does, and the peer is given that text. The form's bounds are read out of form.rs.
"""

import copy
import json
import re
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEPARTMENTS = ["internal", "obstetrics", "pediatrics", "surgery"]
# The fourth department: a copy of this one's adapter under another name, loaded as an adapter of its own by both sides.
COPIED_AS_SURGERY = "internal"
# Sections as form.rs names them, in its order, and their names in `progress` messages.
SECTIONS = {
    "PossibleCauses": "possible_causes",
    "CannotExclude": "cannot_exclude",
    "SuggestedChecks": "suggested_checks",
    "MedicationCautions": "medication_cautions",
    "MissingInformation": "missing_information",
}


def bounds():
    """{section: (most lines, most tokens in a line)} from the engine's own source."""
    source = (ROOT / "daemon/engine/src/form.rs").read_text(encoding="utf-8")
    found = re.findall(r"Section::(\w+) => \((\d+), (\d+)\)", source)
    assert [name for name, _, _ in found] == list(SECTIONS), "the bounds in form.rs do not read as they did"
    return {SECTIONS[name]: (int(lines), int(tokens)) for name, lines, tokens in found}


def headers():
    """{section: its Chinese header} from the engine's own source."""
    source = (ROOT / "daemon/engine/src/form.rs").read_text(encoding="utf-8")
    found = dict(re.findall(r'\(Lang::Zh, Section::(\w+)\) => "([^"]+)"', source))
    return {SECTIONS[name]: found[name] for name in SECTIONS}


def _held_out(adapterctl):
    """Ids of the samples that no adapter has been taught: as the lock beside them says."""
    data = ROOT / "adapters/demo/data"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([adapterctl, "split", data, "--out", folder], check=True, stdout=subprocess.DEVNULL)
        lines = (Path(folder) / "held-out.jsonl").read_text(encoding="utf-8").splitlines()
    return {json.loads(line)["id"] for line in lines}


def _samples(department, held):
    path = ROOT / f"adapters/demo/data/{department}.jsonl"
    samples = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return sorted(samples, key=lambda sample: sample["id"] not in held)


def _written_by_hand(department):
    for path in sorted((ROOT / "tests/cases").glob("*.zh.json")):
        message = json.loads(path.read_text(encoding="utf-8"))
        if message["department"] == department:
            yield message["case"]


class Pool:
    """Cases of each department, none given out twice: when all have been used, all patients are a year older."""

    def __init__(self, adapterctl):
        self.cases, held = {}, _held_out(adapterctl)
        for department in DEPARTMENTS:
            source = COPIED_AS_SURGERY if department == "surgery" else department
            cases = [sample["case"] for sample in _samples(source, held)]
            # The copy takes the same list from its other end, so that the two do not meet.
            self.cases[department] = cases[::-1] if department == "surgery" else [*_written_by_hand(source), *cases]
        self.given = dict.fromkeys(DEPARTMENTS, 0)

    def take(self, department):
        cases = self.cases[department]
        years, at = divmod(self.given[department], len(cases))
        self.given[department] += 1
        case = copy.deepcopy(cases[at])
        if years:
            age = case.setdefault("age", {"value": 30, "unit": "year"})
            age["value"] += years
        return {"department": department, "case": case}


class Prompts:
    def __init__(self, adapterctl):
        self.adapterctl = adapterctl

    def render(self, cases):
        """For each case the text that the engine reads, without the form's first header."""
        nothing = {"causes": [], "exclusions": [], "checks": [], "cautions": [], "missing": []}
        rest = {"completion": nothing, "lang": "zh", "source": "bench", "license": "none", "deid": True,
                "review": {"by": None, "at": None, "verdict": "unreviewed"}}
        samples = "\n".join(json.dumps({**case, **rest, "id": str(at)}, ensure_ascii=False)
                            for at, case in enumerate(cases))
        done = subprocess.run([self.adapterctl, "render", "/dev/stdin"], input=samples, text=True, check=True,
                              encoding="utf-8", stdout=subprocess.PIPE)
        texts = {}
        for row in map(json.loads, done.stdout.splitlines()):
            given = []
            for segment in row["segments"]:
                if segment["train"]:
                    break
                given.append(segment["text"])
            texts[int(row["id"].split(".")[0])] = "".join(given[:-1])
        return [texts[at] for at in range(len(cases))]
