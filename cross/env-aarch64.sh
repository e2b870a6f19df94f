# shellcheck shell=sh
# To be sourced in the repository's root: everything that a build for aarch64-unknown-linux-gnu must be told.
# It names two things that are ours to choose, the toolchain and the CPU; cmake and bindgen find out the rest.

[ -f "$PWD/cross/ggml-arch.cmake" ] || { echo "env-aarch64: source it in the repository's root" >&2; return 1; }

# Debian's Rust and not rustup's: it is the one with a std for arm64, and rustup's cannot read that std (E0514).
export CARGO=/usr/bin/cargo RUSTC=/usr/bin/rustc

# Rust links with the C compiler of the target; `cc` and `cmake` crates look for the variables with its name.
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc
export CXX_aarch64_unknown_linux_gnu=aarch64-linux-gnu-g++
export AR_aarch64_unknown_linux_gnu=aarch64-linux-gnu-ar

# For llama.cpp: Ninja keeps all cores busy where make waits at each folder.
export CMAKE_GENERATOR=Ninja
# llama-cpp-sys-2 sets the CPU to plain armv8-a after it has read the environment; this file has the last word.
export CMAKE_PROJECT_INCLUDE="$PWD/cross/ggml-arch.cmake"
# Jetson AGX Orin (Cortex-A78AE): dot products and half floats. On a CPU without them, such as a Raspberry Pi 4's,
# the worker dies of SIGILL at its first case; GGML_CPU_ARM_ARCH=armv8-a makes one that runs everywhere and is slower.
# A name with GGML_ and no other: those are what the crate's build script watches, so a change builds anew.
export GGML_CPU_ARM_ARCH="${GGML_CPU_ARM_ARCH:-armv8.2-a+dotprod+fp16}"

# To run what was built: `cargo test` and people use the same emulator. No -L: see README.md.
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=qemu-aarch64-static
