"""What binds the peer's answer, with the bounds of our own form: JSON by a schema or by GBNF, or the form's very text.

`json` is lists of lines, `objects` lists of name and reason, `lines` the text that the adapters were trained on.
"""

import json
import re

import cases

# Our bound on a line is in tokens, a schema's in characters: 0.74 tokens a Chinese character in this vocabulary.
TOKENS_PER_CHARACTER = 0.74
# The whole form (640 tokens) and the scaffolding of JSON.
PREDICT_MAX = 768
PARTS = ["名称", "依据"]


def constraint(form, llguidance):
    """The fields of a request that bind its answer to a form; none for `raw`."""
    if form == "raw":
        return {}
    if form == "lines":
        return {"grammar": lines_lark() if llguidance else lines_gbnf()}
    objects = form == "objects"
    return {"json_schema": json_schema(objects)} if llguidance else {"grammar": json_gbnf(objects)}


def complete_lines(text, form):
    """The finished lines of content in what has come so far."""
    if form in ("json", "objects"):
        # A key is followed by a colon; a string of content by a comma or by the end of its list or object.
        found = re.findall(r'("(?:[^"\\]|\\.)*")(.)', text)
        strings = [json.loads(string) for string, behind in found if behind != ":"]
        return strings if form == "json" else strings[: len(strings) // 2 * 2]
    lines = [line.strip() for line in text.split("\n")[:-1]]
    return [line for line in lines if line and not line.startswith("【")]


def characters(tokens):
    return round(tokens / TOKENS_PER_CHARACTER)


def json_schema(objects=False):
    """The five sections with the form's own bounds, keyed by the very headers that the adapters were trained on."""
    headers, properties = cases.headers(), {}
    for section, (lines, tokens) in cases.bounds().items():
        line = {"type": "string", "maxLength": characters(tokens)}
        if objects:
            part = {"type": "string", "maxLength": characters(tokens) // len(PARTS)}
            line = schema_object(dict.fromkeys(PARTS, part))
        properties[headers[section]] = {"type": "array", "items": line, "minItems": 1, "maxItems": lines}
    return {**schema_object(properties),
            "x-guidance": {"whitespace_flexible": False, "item_separator": ",", "key_separator": ":"}}


def schema_object(properties):
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def json_gbnf(objects=False):
    """The same as GBNF, for builds whose schemas always allow whitespace."""
    headers, rules, members = cases.headers(), [], []
    for at, (section, (lines, tokens)) in enumerate(cases.bounds().items()):
        rules.append(f't{at} ::= "\\"" c{{1,{characters(tokens) // (len(PARTS) if objects else 1)}}} "\\""')
        parts = ' "," '.join(f'"\\"{part}\\":" t{at}' for part in PARTS)
        rules.append(f's{at} ::= "{{" {parts} "}}"' if objects else f"s{at} ::= t{at}")
        members.append(f'"\\"{headers[section]}\\":[" s{at} ("," s{at}){{0,{lines - 1}}} "]"')
    rules.append(r'c ::= [^"\\\x7F\x00-\x1F] | "\\" ["\\/bfnrt]')
    return "root ::= \"{\" " + ' "," '.join(members) + ' "}"\n' + "\n".join(rules) + "\n"


def lines_gbnf():
    """Our own form as the adapters were trained on it; the first header stands in the prompt."""
    headers, rules, sections = cases.headers(), [], []
    for at, (section, (lines, tokens)) in enumerate(cases.bounds().items()):
        rules.append(f'l{at} ::= [^\\n【] [^\\n]{{0,{characters(tokens) - 1}}} "\\n"')
        header = "" if at == 0 else f'"{headers[section]}\\n" '
        sections.append(f'{header}l{at}{{1,{lines}}} "\\n"')
    return "root ::= " + " ".join(sections) + "\n" + "\n".join(rules) + "\n"


def lines_lark():
    """The same for llguidance."""
    headers, rules, sections = cases.headers(), [], []
    for at, (section, (lines, tokens)) in enumerate(cases.bounds().items()):
        rules.append(f"L{at}: /[^\\n【][^\\n]{{0,{characters(tokens) - 1}}}\\n/")
        header = "" if at == 0 else f'"{headers[section]}\\n" '
        sections.append(f'{header}L{at}{{1,{lines}}} "\\n"')
    return "%llguidance {}\nstart: " + " ".join(sections) + "\n" + "\n".join(rules) + "\n"
