#!/usr/bin/env bash
# Installs what the full test needs besides Rust: the oracles for .tflite files, in .venv.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
if ! "$python" -m venv --help >/dev/null 2>&1; then
    apt-get update -qq
    apt-get install -y --no-install-recommends python3 python3-venv
    python=python3
fi
# A compiler for the bundled SQLite.
if ! command -v cc >/dev/null; then
    apt-get update -qq
    apt-get install -y --no-install-recommends build-essential
fi
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --requirement tests/oracles/requirements.txt
