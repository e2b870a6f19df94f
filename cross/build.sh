#!/bin/sh
# Builds the daemon for another machine:  cross/build.sh aarch64
# Puts into $CARGO_TARGET_DIR/aarch64/: consultd (stripped, for the box) and consultd.debug (for reading its crashes).
set -eu

fail() { echo "build: $*" >&2; exit 1; }

[ $# = 1 ] || fail "one target, please: aarch64"
[ "$1" = aarch64 ] || fail "no recipe for \"$1\"; there is aarch64 (README.md says what is not there yet)"
cd "$(dirname "$0")/.."
# shellcheck source=cross/env-aarch64.sh
. cross/env-aarch64.sh
[ -x "$RUSTC" ] || fail "$RUSTC is missing: run cross/setup-debian.sh first"

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
triple=aarch64-unknown-linux-gnu
# --locked: a build for the box is made of the versions that were tested, or not at all.
"$CARGO" build --release --locked --target "$triple" --package consultd

built="$CARGO_TARGET_DIR/$triple/release/consultd"
out="$CARGO_TARGET_DIR/aarch64"
mkdir -p "$out"
aarch64-linux-gnu-objcopy --only-keep-debug "$built" "$out/consultd.debug"
aarch64-linux-gnu-objcopy --strip-all --add-gnu-debuglink="$out/consultd.debug" "$built" "$out/consultd"
cross/verify.sh "$out/consultd"
