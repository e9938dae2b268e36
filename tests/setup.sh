#!/usr/bin/env bash
# Installs what the full test needs besides Rust: the oracles for .tflite files in .venv, and for the firmware a Rust
# and a C compiler for microcontrollers, a linker, LLVM's tools and an emulator; and the sources of all dependencies.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
packages=()
need() { # PROGRAM PACKAGE...
    command -v "$1" >/dev/null || packages+=("${@:2}")
}
"$python" -m venv --help >/dev/null 2>&1 || packages+=(python3 python3-venv)
need cc build-essential # for the bundled SQLite
need qemu-system-arm qemu-system-arm
need arm-none-eabi-gcc gcc-arm-none-eabi
need strace strace
# `rustup target add thumbv7em-none-eabihf thumbv8m.main-none-eabihf` does as well as Debian's compiler with its source.
targets=$(for target in thumbv7em-none-eabihf thumbv8m.main-none-eabihf; do
    ls "$(rustc --print target-libdir --target $target)"/libcore-*.rlib 2>/dev/null || true
done | wc -l)
if [ "$targets" -lt 2 ]; then
    [ -x /usr/bin/rustc ] || packages+=(rustc-web)
    [ -d /usr/lib/rustlib/src/rust/library/core ] || packages+=(rust-web-src)
    need ld.lld-22 lld-22
fi
need llvm-mca-22 llvm-22
if [ ${#packages[@]} -gt 0 ]; then
    apt-get update -qq
    apt-get install -y --no-install-recommends "${packages[@]}"
fi
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --requirement tests/oracles/requirements.txt
# The licences of all dependencies are checked without the network, also of those that other platforms build.
cargo fetch --locked
