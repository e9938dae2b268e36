#!/usr/bin/env bash
# Training throughput on two cores, ours and PyTorch's, in alternating rounds; prints a markdown table.
# usage: benches/compare_pytorch.sh [ROUNDS [SECONDS]]     PYTHON names an interpreter that has torch.
# Ours: one process, two candidates, one thread each, in single precision and with products of bfloat16 (where
# the processor has AVX512-BF16). PyTorch: fused Adam, and per network every combination of two processes of one
# thread or one of two threads, with and without channels-last, with and without autocast to bfloat16.
# A round is short and everything is measured in each, so other load meets all alike.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-3} seconds=${2:-5} python=${PYTHON:-python3}
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

cargo bench --quiet --bench training --no-run
ours() { cargo bench --quiet --bench training -- "$1" "$seconds" 2 1 "$2"; }
devices=cpu
grep -q avx512_bf16 /proc/cpuinfo && devices='cpu cpu-bf16'
# Two processes of one thread, or one process of two threads: the sum of wall rates, and the
# processor rate of one core times two.
processes() { { "$python" benches/pytorch_baseline.py "$1" "$seconds" 1 "${@:2}" &
    "$python" benches/pytorch_baseline.py "$1" "$seconds" 1 "${@:2}"; wait; } |
    awk '{ wall += $1; processor += $2 } END { print wall, processor }'; }
threads() { "$python" benches/pytorch_baseline.py "$1" "$seconds" 2 "${@:2}" |
    awk '{ print $1, 2 * $2 }'; }

for _ in $(seq "$rounds"); do
    for network in ae mobile; do
        for device in $devices; do
            ours $network $device >>"$results/$network.ours $device"
        done
        for precision in '' bf16; do
            for layout in '' channels_last; do
                [ $network$layout = aechannels_last ] && continue
                processes $network $precision $layout >>"$results/$network.two processes $precision $layout"
                threads $network $precision $layout >>"$results/$network.two threads $precision $layout"
            done
        done
    done
done

median() { cut -d' ' -f"$2" "$1" | sort -n | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }
header='| network | PyTorch | samples/s | of processor time, two cores |' rule='|---|---|--:|--:|'
for device in $devices; do
    header+=" $device is | by processor time |" rule+='--:|--:|'
done
for network in ae mobile; do
    for device in $devices; do
        echo "$network, ours, $device: $(median "$results/$network.ours $device" 1) samples/s," \
            "$(median "$results/$network.ours $device" 2) of processor time"
    done
done
printf '\n%s\n%s\n' "$header" "$rule"
for network in ae mobile; do
    for file in "$results/$network".two*; do
        name=$(echo "${file##*.}" | xargs)
        row="| $network | $name | $(median "$file" 1) | $(median "$file" 2) |"
        for device in $devices; do
            for column in 1 2; do
                ratio=$(echo "$(median "$results/$network.ours $device" $column) $(median "$file" $column)" |
                    awk '{ printf "%.2f", $1 / $2 }')
                row+=" ${ratio}x |"
            done
        done
        echo "$row"
    done
done
