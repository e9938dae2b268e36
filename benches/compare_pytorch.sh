#!/usr/bin/env bash
# Training throughput on two cores, ours and PyTorch's, in alternating rounds; prints a markdown table.
# usage: benches/compare_pytorch.sh [ROUNDS [SECONDS]]     PYTHON names an interpreter that has torch.
# Ours: one process, two candidates, one thread each. PyTorch: fused Adam, and per network every
# combination of two processes of one thread or one of two threads, with and without channels-last.
# A round is short and everything is measured in each, so other load meets all alike.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-3} seconds=${2:-5} python=${PYTHON:-python3}
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

cargo bench --quiet --bench training --no-run
ours() { cargo bench --quiet --bench training -- "$1" "$seconds" 2 1; }
# Two processes of one thread, or one process of two threads: the sum of wall rates, and the
# processor rate of one core times two.
processes() { { "$python" benches/pytorch_baseline.py "$1" "$seconds" 1 ${2:-} &
    "$python" benches/pytorch_baseline.py "$1" "$seconds" 1 ${2:-}; wait; } |
    awk '{ wall += $1; processor += $2 } END { print wall, processor }'; }
threads() { "$python" benches/pytorch_baseline.py "$1" "$seconds" 2 ${2:-} |
    awk '{ print $1, 2 * $2 }'; }

for _ in $(seq "$rounds"); do
    for network in ae mobile; do
        ours $network >>"$results/$network.ours"
        processes $network >>"$results/$network.two processes"
        threads $network >>"$results/$network.two threads"
        [ $network = ae ] && continue
        processes $network channels_last >>"$results/$network.two processes, channels-last"
        threads $network channels_last >>"$results/$network.two threads, channels-last"
    done
done

median() { cut -d' ' -f"$2" "$1" | sort -n | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }
echo "| network | engine | samples/s | ours is | samples/s of processor time, two cores | ours is |"
echo "|---|---|--:|--:|--:|--:|"
for network in ae mobile; do
    wall=$(median "$results/$network.ours" 1) processor=$(median "$results/$network.ours" 2)
    printf '| %s | ours | %.0f | | %.0f | |\n' $network "$wall" "$processor"
    for file in "$results/$network".two*; do
        theirs=$(median "$file" 1) theirs_processor=$(median "$file" 2)
        printf '| %s | PyTorch, %s | %.0f | %.2fx | %.0f | %.2fx |\n' $network "${file##*.}" \
            "$theirs" "$(echo "$wall / $theirs" | awk '{ print $1 / $3 }')" \
            "$theirs_processor" "$(echo "$processor / $theirs_processor" | awk '{ print $1 / $3 }')"
    done
done
