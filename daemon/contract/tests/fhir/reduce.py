#!/usr/bin/env python3
"""HL7's JSON Schema of FHIR R4, reduced to the resources that consultd writes and whatever they refer to.

    reduce.py fhir.schema.json >r4.schema.json

Left out: the other resources (so a bundle that holds one of them is refused) and all descriptions. Nothing is changed.
"""
import json
import sys

OURS = [
    "Bundle", "ClinicalImpression", "DetectedIssue", "GuidanceResponse", "OperationOutcome", "Provenance",
    "ServiceRequest",
]


def without_descriptions(node):
    if isinstance(node, list):
        return [without_descriptions(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    # An element of the name `description` is an object, the description of an element a string.
    kept = {key: value for key, value in node.items() if key != "description" or isinstance(value, dict)}
    return {key: without_descriptions(value) for key, value in kept.items()}


def references(node):
    if isinstance(node, list):
        return set().union(*map(references, node))
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"].removeprefix("#/definitions/")} if isinstance(node.get("$ref"), str) else set()
    return own.union(*map(references, node.values()))


with open(sys.argv[1], encoding="utf-8") as file:
    whole = json.load(file)
definitions = without_descriptions(whole["definitions"])
definitions["ResourceList"] = {"oneOf": [{"$ref": f"#/definitions/{name}"} for name in OURS]}

wanted, todo = set(), {"Bundle"}
while todo:
    wanted |= todo
    todo = set().union(*(references(definitions[name]) for name in todo)) - wanted

print('{"$schema": %s,\n"id": %s,\n"$ref": "#/definitions/Bundle",\n"definitions": {' % (
    json.dumps(whole["$schema"]), json.dumps(whole["id"])))
print(",\n".join(f"{json.dumps(name)}: {json.dumps(definitions[name])}" for name in sorted(wanted)))
print("}}")
