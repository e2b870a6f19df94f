#!/usr/bin/env bash
# The demonstration's adapters anew, from their samples to signed packages: `make adapters` (hours without a GPU).
# A department's name trains that one alone; PYTHON names a Python that has the training packages.
set -euo pipefail
cd "$(dirname "$0")/../.."
adapterctl=${CARGO_TARGET_DIR:-target}/release/adapterctl
out=${CONSULTD_CACHE:-$HOME/.cache/consultd}/train
for department in ${1:-internal obstetrics pediatrics surgery}; do
    "$adapterctl" train --config "adapters/demo/$department.yaml" --output-dir "$out/$department" ${PYTHON:+--python "$PYTHON"}
    "$adapterctl" sign "$out/$department/package" --key adapters/demo/demo.key
    rm -rf "adapters/demo/$department"
    cp -R "$out/$department/package" "adapters/demo/$department"
done
