#!/bin/sh
# Judges a sound file in QEMU: run.sh m7|m55 FILE.wav
set -eu
folder=$(cd "$(dirname "$0")" && pwd)
case ${1:-} in
m7) target=thumbv7em-none-eabihf machine=mps2-an500 ;;
m55) target=thumbv8m.main-none-eabihf machine=mps3-an547 ;;
*) echo "usage: $0 m7|m55 FILE.wav" >&2 && exit 2 ;;
esac
exec qemu-system-arm -M $machine -nographic -monitor none -serial none \
    -semihosting-config "enable=on,target=native,arg=$2" \
    -kernel "${CARGO_TARGET_DIR:-$folder/../../target}/$target/release/example.elf"
