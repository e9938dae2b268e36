#!/bin/sh
# Links the example with the static library that cargo built: build.sh m7|m55
set -eu
folder=$(cd "$(dirname "$0")" && pwd)
case ${1:-} in
m7) target=thumbv7em-none-eabihf cpu="-mcpu=cortex-m7 -mfpu=fpv5-d16" ;;
m55) target=thumbv8m.main-none-eabihf cpu="-mcpu=cortex-m55" ;;
*) echo "usage: $0 m7|m55" >&2 && exit 2 ;;
esac
library=${CARGO_TARGET_DIR:-$folder/../../target}/$target/release
arm-none-eabi-gcc $cpu -mthumb -mfloat-abi=hard -std=c11 -O2 -Wall -Wextra -Werror -ffunction-sections -nostdlib \
    -I "$folder/.." -L "$folder" -T "$1.ld" -Wl,--gc-sections,-z,noexecstack \
    "$folder/main.c" "$folder/startup.c" "$library/libnas_model.a" -lgcc -o "$library/example.elf"
