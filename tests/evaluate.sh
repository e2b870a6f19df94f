#!/usr/bin/env bash
# Cases through rules and model: the table of `adapterctl evaluate`, and a page with pictures where OUT names one.
# Called by `make evaluate`, which builds and fetches first; with SCRIPTED=1 the test engine writes the model's part, which takes seconds
# and says nothing of a model. Exit status 1 when a goal is missed.
#   CASES="a.jsonl b.jsonl"   in place of our own
set -euo pipefail
cd "$(dirname "$0")/.."

bin=${CARGO_TARGET_DIR:-target}/release
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

own="adapters/demo/evaluation.jsonl"
if [ -n "${SCRIPTED:-}" ]; then
    engine='kind = "scripted"
script = {}'
    own="$own adapters/rules/paraphrases.jsonl adapters/rules/paraphrases-held-out.jsonl adapters/rules/drugs-held-out.jsonl"
else
    engine="model = \"$CONSULTD_DEMO_MODEL\"
model_sha256 = \"$(sed -n 's/^SHA256=//p' adapters/demo/fetch-model.sh)\"
context_tokens = 2048"
    own="$own adapters/demo/data/internal.jsonl adapters/demo/data/obstetrics.jsonl adapters/demo/data/pediatrics.jsonl"
fi
cat >"$folder/consultd.toml" <<CONF
[box]
name = "evaluated"
state_dir = "$folder/state"
[engine]
$engine
[adapters]
folders = ["$PWD/adapters/demo/internal", "$PWD/adapters/demo/obstetrics", "$PWD/adapters/demo/pediatrics"]
demonstration = true
CONF
# Paths of cases have no blanks here.
# shellcheck disable=SC2086
"$bin/adapterctl" evaluate ${CASES:-$own} --box "$bin/consultd" --config "$folder/consultd.toml" --box-log "$folder/log" \
    ${OUT:+--html "$OUT"} --check || {
    grep -E "ERROR|WARN" "$folder/log" | tail -5 >&2 || true
    exit 1
}
