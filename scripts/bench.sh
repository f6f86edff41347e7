#!/bin/bash
# Measures tsbox beside its peers, those that are installed, in one run. Absolute figures depend on
# the machine and on what else runs there: compare only within one table.
set -euo pipefail
cd "$(dirname "$0")/.."

runs=${BENCH_RUNS:-20}
results=build/bench
mkdir -p "$results"
tsbox=$PWD/dist/tsbox

if ! command -v hyperfine >/dev/null; then
    echo 'Cannot measure: hyperfine is not installed' >&2
    echo 'hint: apt-get install hyperfine' >&2
    exit 1
fi

echo "start of \`true\`, $runs runs each"
commands=(-n "node (floor)" "node -e 0" -n "tsbox run" "$tsbox run --rm base true")
if command -v bwrap >/dev/null; then
    commands+=(-n bwrap "bwrap --unshare-all --ro-bind / / true")
fi
hyperfine --shell=none --warmup 2 --runs "$runs" --style basic --export-json "$results/start.json" "${commands[@]}"
