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

"$ctl" train --config "adapters/demo/$department.yaml" --output-dir "$run" --box "$bin/consultd" --dry-run >/dev/null
cp -R "adapters/demo/$department/peft" "$run/peft"
# All of its training samples were used.
{ sed -n "s/^{\"id\":\"\($department-[0-9]*\)\".*/\"\1\"/p" "$run/data/train.jsonl" | paste -sd, | sed 's/^/[/; s/$/]/'; } >"$run/peft/trained_ids.json"
"$ctl" gate "$run" --box "$bin/consultd" --samples-max 2 --forms-max 1
"$ctl" package "$run"
cmp "$run/package/adapter.gguf" "adapters/demo/$department/adapter.gguf"

"$ctl" keygen "$folder/county" --unencrypted >/dev/null
"$ctl" sign "$run/package" --key "$folder/county.key"
"$ctl" verify "$run/package" --key "$folder/county.pub"
refused() { if "$@" 2>/dev/null; then echo "not refused: $*" >&2; exit 1; fi; }
refused "$ctl" verify "$run/package" --demo
printf x >>"$run/package/adapter.gguf"
refused "$ctl" verify "$run/package" --key "$folder/county.pub"
for demo in adapters/demo/*/manifest.json; do "$ctl" verify "$(dirname "$demo")" --demo; done
