#!/usr/bin/env bash
# Trains and packages the demo adapters anew: `PYTHON=… make adapters` (see README.md here).
set -euo pipefail
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-python3}
ADAPTERCTL=${CARGO_TARGET_DIR:-target}/release/adapterctl
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for department in internal obstetrics pediatrics; do
    samples=adapters/demo/data/$department.jsonl
    "$ADAPTERCTL" render "$samples" >"$work/rows.jsonl"
    "$PYTHON" adapters/train/train.py --base "$CONSULTD_DEMO_MODEL" --rows "$work/rows.jsonl" --out "$work/$department"
    "$ADAPTERCTL" package "$work/$department" "adapters/demo/$department" --samples "$samples" \
        --department "$department" --id "demo-$department" --adapter-version 1 --base "$CONSULTD_DEMO_MODEL" \
        --architecture gemma3 --license "MIT OR Apache-2.0 (weights derived under the Gemma terms)" \
        --note "Demonstration. Not physician-reviewed. Not for clinical use."
done
