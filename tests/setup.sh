#!/usr/bin/env bash
# Installs what building, demo and tests need, as far as it is missing: Debian and Ubuntu by apt (root or sudo),
# macOS by Homebrew. `setup.sh cargo …` runs a cargo that is new enough, wherever it is.
set -euo pipefail

RUST_MIN=89 # 1.89, rusqlite's own minimum

new_enough() { # path of a cargo
    local minor
    minor=$("$1" --version 2>/dev/null | sed -nE 's/^cargo 1\.([0-9]+).*/\1/p')
    [ -n "$minor" ] && [ "$minor" -ge "$RUST_MIN" ]
}

# rustup's, the distribution's, and the versioned ones that Ubuntu keeps aside.
find_cargo() {
    local candidate
    for candidate in "$(command -v cargo || true)" "$HOME/.cargo/bin/cargo" /usr/bin/cargo $(ls -dr /usr/lib/rust-1.*/bin/cargo 2>/dev/null || true); do
        if [ -x "$candidate" ] && new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

if [ "${1:-}" = cargo ]; then
    shift
    cargo=$(find_cargo) || { echo "no cargo of 1.$RUST_MIN or newer; run tests/setup.sh" >&2; exit 1; }
    # Its own rustc before any older one.
    PATH="$(dirname "$cargo"):$PATH" exec "$cargo" "$@"
fi

have() { command -v "$1" >/dev/null 2>&1; }

have_mosquitto() { have mosquitto || [ -x /usr/sbin/mosquitto ]; }
have_libclang() { ls /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* >/dev/null 2>&1; }

install_debian() {
    local missing=()
    have c++ && have cc && have make || missing+=(build-essential)
    have cmake || missing+=(cmake)
    have clang || missing+=(clang)
    have_libclang || missing+=(libclang-dev)
    have_mosquitto || missing+=(mosquitto)
    have git || missing+=(git)
    have python3 || missing+=(python3)
    python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
    [ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
    local rust=
    find_cargo >/dev/null || rust=wanted
    [ ${#missing[@]} -gt 0 ] || [ -n "$rust" ] || return 0

    local sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -qq
    if [ -n "$rust" ]; then
        # shellcheck disable=SC2207
        missing+=($(rust_packages))
    fi
    echo "installing: ${missing[*]}"
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"
    find_cargo >/dev/null || {
        echo "the Rust of this system's packages is older than 1.$RUST_MIN: turn on its security updates, or use rustup (https://rustup.rs)" >&2
        exit 1
    }
}

# Debian keeps a current toolchain for its browsers (rustc-web), Ubuntu versioned ones (rustc-1.xx).
rust_packages() {
    local minor newest
    if apt-cache show cargo-web >/dev/null 2>&1; then
        echo "rustc-web cargo-web"
        if apt-cache show rust-web-clippy >/dev/null 2>&1; then echo rust-web-clippy; fi
        return
    fi
    newest=$(apt-cache search --names-only '^cargo-1\.[0-9]+$' | sed -nE 's/^cargo-1\.([0-9]+) .*/\1/p' | sort -n | tail -1)
    if [ -n "$newest" ] && [ "$newest" -ge "$RUST_MIN" ]; then
        echo "rustc-1.$newest cargo-1.$newest"
        return
    fi
    minor=$(apt-cache policy cargo | sed -nE 's/^ *Candidate: *[^0-9]*1\.([0-9]+).*/\1/p')
    if [ -n "$minor" ] && [ "$minor" -ge "$RUST_MIN" ]; then
        echo "rustc cargo"
        return
    fi
    echo "this system's packages have no Rust of 1.$RUST_MIN or newer: install it with rustup (https://rustup.rs)" >&2
    exit 1
}

install_macos() {
    have brew || { echo "Homebrew is needed: https://brew.sh" >&2; exit 1; }
    local missing=()
    have cmake || missing+=(cmake)
    have mosquitto || [ -x "$(brew --prefix)/sbin/mosquitto" ] || missing+=(mosquitto)
    find_cargo >/dev/null || missing+=(rust)
    have python3 || missing+=(python3)
    [ ${#missing[@]} -eq 0 ] || brew install "${missing[@]}"
}

case "$(uname)" in
Darwin) install_macos ;;
Linux)
    if have apt-get; then
        install_debian
    else
        find_cargo >/dev/null && have cmake && have clang && have_mosquitto && have python3 || {
            echo "without apt, install yourself: a C++ compiler, cmake, clang with libclang, mosquitto, python3 with pip, Rust 1.$RUST_MIN" >&2
            exit 1
        }
    fi
    ;;
*) echo "no recipe for $(uname)" >&2; exit 1 ;;
esac
