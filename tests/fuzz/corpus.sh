#!/usr/bin/env bash
# Adds to the corpus what fuzzing found: of the working inputs of each target those that reach code which the corpus
# does not reach, the smallest first, as far as the target's share goes. `corpus.sh <folder of working inputs>`
set -euo pipefail
cd "$(dirname "$0")"
WORK=$1
SHARE=$((80 * 1024)) # bytes a target, of the 1 MiB that targets/tests/seeded.rs allows for all
LARGEST=$((8 * 1024))

for target in $(cargo +nightly fuzz list --fuzz-dir .); do
    [ -d "$WORK/$target" ] || continue
    new=$(mktemp -d)
    cp "corpus/$target"/* "$new"
    # By edges alone: libFuzzer's counters would keep thousands.
    cargo +nightly fuzz run --fuzz-dir . "$target" "$new" "$WORK/$target" -- -merge=1 -use_counters=0 2>/dev/null
    used=$(cat "corpus/$target"/* | wc -c)
    # shellcheck disable=SC2012 # names are hashes
    for input in $(ls -Sr "$new"); do
        [ ! -e "corpus/$target/$input" ] || continue
        bytes=$(wc -c <"$new/$input")
        [ "$bytes" -le "$LARGEST" ] && [ $((used + bytes)) -le "$SHARE" ] || continue
        cp "$new/$input" "corpus/$target/${input:0:12}"
        used=$((used + bytes))
    done
    rm -r "$new"
    echo "$target: $(ls "corpus/$target" | wc -l) files, $used bytes"
done
