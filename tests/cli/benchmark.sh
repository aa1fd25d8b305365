#!/usr/bin/env bash
# benchmark.sh: the benchmarks run to their end on few vectors. What they measure there says nothing; that all of it is measured is what counts.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

command -v python3 > python3-path || skip "python3 is not installed"
[ -x "$tools/bench_dfaiss" ] || skip "the benchmarks are not built (-DDFAISS_BENCHMARKS=ON)"
run 0 "$project/benchmarks/search.sh" --programs "$tools" --kind flat --rows 3000 --queries 50 --batch 1,16 --builds 1 --rounds 1 \
    --seconds 0.1 --json results.json
for word in "queries/s" "p50, us" "p99, us" "recall@10" "ingest, vectors/s" "memory, bytes" "/(a)" "/(b)"; do
    expect_output "$word"
done
[ -s results.json ] || fail "no results.json"

run 0 "$project/benchmarks/checkpoint.sh" --programs "$tools" --kind flat ivf_simple --mib 8 --rounds 2 --storage . --json checkpoint.json
for word in "plain/save" "plain/load" "peak/index" flat ivf_simple; do
    expect_output "$word"
done
[ -s checkpoint.json ] || fail "no checkpoint.json"
