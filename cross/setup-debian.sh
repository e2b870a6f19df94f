#!/bin/sh
# Gets a Debian bookworm (x86_64) ready for `cross/build.sh aarch64`. As root; a second run changes nothing.
set -eu

fail() { echo "setup-debian: $*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail "installs packages, so it must be run as root"
# Every figure of README.md was measured with bookworm's compilers; another release is another experiment.
# shellcheck source=/dev/null
. /etc/os-release
[ "${VERSION_CODENAME:-}" = bookworm ] || fail "made for Debian bookworm, this is ${PRETTY_NAME:-unknown}"
[ "$(dpkg --print-architecture)" = amd64 ] || fail "made for an amd64 host"

packages() {
    # The only Rust in Debian whose std for arm64 can be installed beside the host's own.
    # rustup's is not used: it has no other target's std without a download of its own, and cannot read Debian's.
    echo rustc-web cargo-web libstd-rust-web-dev:arm64
    echo g++-aarch64-linux-gnu          # C++ of llama.cpp, C of SQLite, and the linker; brings libgomp for arm64
    echo gcc libc6-dev                  # build scripts and procedural macros run on this machine
    echo cmake ninja-build libclang-14-dev  # llama.cpp's build; its bindings are made by libclang
    echo binutils                       # verify.sh reads with readelf
    # To run the result here. With the arm64 libraries installed, qemu must NOT be given -L (see README.md).
    echo qemu-user-static libstdc++6:arm64 libgomp1:arm64
}

dpkg --print-foreign-architectures | grep -qx arm64 || dpkg --add-architecture arm64
apt-get update
# shellcheck disable=SC2046 # one word is one package
DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(packages)

/usr/bin/rustc --version
aarch64-linux-gnu-g++ --version | head -n 1
