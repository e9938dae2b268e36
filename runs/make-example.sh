#!/usr/bin/env bash
# Makes runs/example anew: a real search of half a minute, small enough to be kept beside the code.
set -euo pipefail
cd "$(dirname "$0")/.."
nas=(cargo run --release --quiet --)
store=(--store runs/example/nas.sqlite)
rm -rf runs/example
"${nas[@]}" search --space dense-ae --space mfcc-mlp --target u55 --objectives accuracy,flash --trials 12 --epochs 3 --name example "${store[@]}"
"${nas[@]}" report example "${store[@]}"
# What can be computed again, and all models but the smallest that is on the front.
rm -rf runs/example/cache
bytes=$(du --summarize --bytes runs/example | cut -f1)
echo "runs/example has $bytes bytes"
[ "$bytes" -lt 300000 ]
