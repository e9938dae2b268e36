#!/usr/bin/env bash
# Makes runs/example anew: a real search of half a minute, small enough to be kept beside the code.
set -euo pipefail
cd "$(dirname "$0")/.."
nas() { ${NAS:-cargo run --release --quiet --} "$@" --store runs/example/nas.sqlite; }
rm -rf runs/example
nas search --space mfcc-mlp --target u55 --trials 6 --epochs 3 --name example
# Kept are the store, one page with all pictures, one picture alone, and the model of the front's best trial.
best=$(nas front example --csv | sed -n 2p | cut -d, -f4)
rm -rf runs/example/cache runs/example/example/*.png runs/example/example/hypervolume.svg
for model in runs/example/example/*/; do
    [ "$(basename "$model")" = "$best" ] || rm -r "$model"
done
cat > runs/example/README.md <<END
# A small run to look at

Made by \`runs/make-example.sh\`: six classifiers, trained for three epochs each on built-in sounds, beside the reference detectors. It
shows what a store and a report look like, not what a search is worth. To save space only the model of trial $best is kept.

\`\`\`sh
nas front example --store runs/example/nas.sqlite
nas show example/$best --store runs/example/nas.sqlite
nas export example/$best --store runs/example/nas.sqlite --to DIR
\`\`\`
END
rm -f runs/example/nas.sqlite-{shm,wal} runs/example/example/lock
bytes=$(du --summarize --bytes runs/example | cut -f1)
echo "runs/example has $bytes bytes"
[ "$bytes" -lt 300000 ]
