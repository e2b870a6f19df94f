#!/usr/bin/env bash
# Adds to the corpus what fuzzing found: inputs that reach code which the corpus does not, as few as cover it, and of
# those at most 64 a target, so that people can still look at them. `corpus.sh <folder of working inputs>`
set -euo pipefail
WORK=$(realpath "$1")
cd "$(dirname "$0")"
FILES_MAX=64
BYTES_MAX=2048 # each; most are short, and targets/tests/seeded.rs allows 1 MiB for all

for target in $(cargo +nightly fuzz list --fuzz-dir .); do
    [ -d "$WORK/$target" ] || continue
    cover=$(mktemp -d)
    cp "corpus/$target"/* "$cover"
    # By edges alone: libFuzzer's counters would keep thousands.
    cargo +nightly fuzz run --fuzz-dir . "$target" "$cover" "$WORK/$target" -- \
        -set_cover_merge=1 -use_counters=0 -max_len=$BYTES_MAX >/dev/null 2>&1
    added=0
    for input in "$cover"/*; do # named by their hash, so the first are a fair choice
        name=$(basename "$input")
        [ ! -e "corpus/$target/$name" ] && [ ! -e "corpus/$target/${name:0:12}" ] || continue
        [ "$(wc -c <"$input")" -le $BYTES_MAX ] && [ $added -lt $FILES_MAX ] || continue
        cp "$input" "corpus/$target/${name:0:12}"
        added=$((added + 1))
    done
    rm -r "$cover"
    echo "$target: $added more"
done
