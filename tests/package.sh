#!/usr/bin/env bash
# A demonstration adapter's weights, as they lie in the repository, through all that comes behind a training: split, render,
# convert, gate (the box's own engine), package, sign, verify. Trains nothing. Called by `make test`.
set -euo pipefail
cd "$(dirname "$0")/.."
department=${1:-obstetrics}
bin=${CARGO_TARGET_DIR:-target}/release
ctl=$bin/adapterctl
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
run=$folder/run

refused() { if "$@" 2>/dev/null; then echo "not refused: $*" >&2; exit 1; fi; }

# The model may lie elsewhere than the file says.
sed -e "s|^base_model:.*|base_model: ${CONSULTD_DEMO_MODEL:-~/.cache/consultd/models/gemma-3-270m-q4_k_m.gguf}|" \
    -e "s|^train_data_dir: |&$PWD/adapters/demo/|" -e "s|^metadata_path: |&$PWD/adapters/demo/|" \
    "adapters/demo/$department.yaml" >"$folder/train.yaml"
"$ctl" train --config "$folder/train.yaml" --output-dir "$run" --box "$bin/consultd" --dry-run >/dev/null
cp -R "adapters/demo/$department/peft" "$run/peft"
# All of its training samples were used.
{ sed -n "s/^{\"id\":\"\($department-[0-9]*\)\".*/\"\1\"/p" "$run/data/train.jsonl" | paste -sd, - | sed 's/^/[/; s/$/]/'; } >"$run/peft/trained_ids.json"
# So few questions are passed or not by chance of the processor; either way there is one right thing to do next.
if "$ctl" gate "$run" --box "$bin/consultd" --samples-max 2 --forms-max 1; then
    "$ctl" package "$run"
else
    refused "$ctl" package "$run"
    "$ctl" package "$run" --approve "tests/package.sh" --reason "asked two samples and one form only"
fi
cmp "$run/package/adapter.gguf" "adapters/demo/$department/adapter.gguf"

"$ctl" keygen "$folder/county" --unencrypted >/dev/null
"$ctl" sign "$run/package" --key "$folder/county.key"
"$ctl" verify "$run/package" --key "$folder/county.pub"
refused "$ctl" verify "$run/package" --demo
printf x >>"$run/package/adapter.gguf"
refused "$ctl" verify "$run/package" --key "$folder/county.pub"
for demo in adapters/demo/*/manifest.json; do "$ctl" verify "$(dirname "$demo")" --demo; done
