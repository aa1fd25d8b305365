#!/usr/bin/env bash
# bench.sh: dfaiss bench measures every combination, tells the recall that search tells, writes its files, and refuses what it cannot measure.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

quick=(--seconds 0.02 --warmup 0.01 --repeats 2)

# bench ARGUMENT...
bench() {
    run 0 "$dfaiss" bench --storage st --index lists --queries data/query.fbin "${quick[@]}" --json "$@"
    expect_object '{"environment": {'
}

# runs: the runs of the last object, one a line.
runs() {
    sed 's/.*"runs": \[//; s/}, {/}\n{/g' "$folder/out"
}

# combinations KEY...: these keys' numbers, a line a run.
combinations() {
    local key
    for key in "$@"; do
        runs | sed -n "s/.*\"$key\": \([-0-9.e+]*\).*/\1/p" > "$folder/column-$key"
    done
    (cd "$folder" && paste -d ' ' "${@/#/column-}")
}

generate data --rows 3000 --dim 16 --queries 50
config lists '"index_builder_type":"ivf_simple"' '"metric":"l2"' '"dim":16' '"centroids":32' '"nprobe":4'
build 2 lists --data data/base.fbin

# Every combination once, in the order of the lists, with nprobe varying fastest.
bench --groundtruth data/groundtruth.ibin --batch 7,1 --nprobe 32,1 -k 10,1 --clients 2,1 --threads 1,2
run_keys='{"batch", "nprobe", "k", "clients", "servers", "threads", "qps", "latency_us": {"p50", "p95", "p99"}, "recall"}'
[ "$(runs | sed -E 's/: -?[0-9][-+.0-9e]*//g; s/\]\}$//' | sort -u)" = "$run_keys" ] || fail "other keys than scripts rely on"
combinations threads clients batch k nprobe servers > found
for threads in 1 2; do for clients in 2 1; do for batch in 7 1; do for k in 10 1; do for nprobe in 32 1; do
    echo "$threads $clients $batch $k $nprobe 2"
done; done; done; done; done > expected
cmp expected found || fail "other runs than the combinations"
combinations qps p50 p95 p99 | awk '!($1 > 0 && $2 > 0 && $2 <= $3 && $3 <= $4) { exit 1 }' || fail "speeds that cannot be"
for key in date dfaiss faiss simd mpi hdf5 hosts processor cores index config queries; do
    grep -q "\"environment\": {.*\"$key\": .*\"runs\"" out || fail "the environment does not tell $key"
done
expect_output '"servers": 2, "clients": 2}]'
expect_output '"index_builder_type": "ivf_simple"'

# The recall is that of a search, and complete where all lists are looked into.
combinations nprobe k recall | sort -u > recalls
[ "$(wc -l < recalls)" = 4 ] || fail "the recall depends on how queries are asked"
grep -q '^32 10 1.0$' recalls || fail "not all is found in all lists"
bench --groundtruth data/groundtruth.ibin --batch 16
found=$(combinations nprobe recall)
search lists --queries data/query.fbin -k 10 --groundtruth data/groundtruth.ibin
[ "$found" = "4 $(value 10)" ] || fail "bench finds $found, search $(value 10)"

# Batches may be larger than the file of queries; what no truth tells is null.
bench --batch 500 --output deep/er/bench
[ "$(runs | grep -c '"recall": null')" = 1 ] || fail "a recall without ground truth"
[ "$(ls deep/er/bench)" = "$(printf 'bench.csv\nbench.json')" ] || fail "other files than bench.csv and bench.json"
grep -q "no picture: .*--groundtruth" err || fail "nothing is said of the picture"
bench --groundtruth data/groundtruth.ibin -k 10,200 --batch 1
grep -q "no recall at k 200: data/groundtruth.ibin has 100 neighbours" err || fail "nothing is said of the recall"
[ "$(runs | grep -c '"recall": null')" = 1 ] || fail "a recall beyond the truth"

# Files; an earlier picture goes. People get a table.
mkdir results tools
touch results/bench.png results/bench.svg
printf '#!/bin/sh\necho noise\necho noise >&2\necho drawn > bench.png\n' > tools/gnuplot
chmod +x tools/gnuplot
measured=(bench --storage st --index lists --queries data/query.fbin "${quick[@]}" --groundtruth data/groundtruth.ibin --batch 1 --output results)
export DFAISS_GNUPLOT=$folder/tools/gnuplot
run 0 "$dfaiss" "${measured[@]}"
[ "$(cat results/bench.png)" = drawn ] || fail "no picture of gnuplot"
[ ! -e results/bench.svg ] || fail "a picture of another benchmark"
expect_output "index      lists: ivf_simple, l2, 3,000 x 16 on 2 servers"
expect_output "recall@k"
! grep -q noise out err || fail "what gnuplot says is passed on"
[ "$(wc -l < results/bench.csv)" = 2 ] || fail "not one line a run"
grep -q '^set title' results/bench.gp || fail "no script for gnuplot"
grep -q '"recall"' results/bench.json || fail "no results in bench.json"

# A gnuplot that fails, and none at all, are named, and no failure. The real one, where there is one, draws.
printf '#!/bin/sh\nexit 3\n' > tools/gnuplot
run 0 "$dfaiss" "${measured[@]}"
grep -q "no picture: gnuplot failed; 'cd results && gnuplot bench.gp' says why" err || fail "the failure of gnuplot is not named"
[ -e results/bench.gp ] || fail "no script where gnuplot failed"
[ ! -e results/bench.png ] || fail "a picture of another benchmark where gnuplot failed"
rm tools/gnuplot
run 0 "$dfaiss" "${measured[@]}"
grep -q "no picture: gnuplot is not installed; where it is, it draws results/bench.gp" err || fail "that gnuplot is missing is not said"
unset DFAISS_GNUPLOT
if command -v gnuplot > /dev/null; then
    run 0 "$dfaiss" "${measured[@]}"
    compgen -G "results/bench.[ps][nv]g" > /dev/null || fail "no picture"
    [ "$(grep -c -v '^starting ' err)" = 0 ] || fail "gnuplot leaves words on stderr"
fi

# In a job of one's own, ranks that are neither servers nor asked are idle clients.
mpirun=$project/tests/mpirun.sh
run 0 "$mpirun" 5 "$dfaiss" "${measured[@]}" --servers 2 --clients 1,2 --json
expect_output '"servers": 2, "clients": 3}]'
[ "$(combinations clients | tr '\n' ' ')" = "1 2 " ] || fail "other clients than were asked for"
run 2 "$mpirun" 2 -q "$dfaiss" "${measured[@]}" --clients 2
expect_one_line "2 ranks leave no server beside 2 clients; start at least 3 ranks"
run 2 "$mpirun" 3 -q "$dfaiss" "${measured[@]}" --servers 2 --clients 2
expect_one_line "3 ranks are 2 clients and 1 server; --servers says 2"
# Another number of servers than saved it.
run 0 "$mpirun" 4 "$dfaiss" "${measured[@]}" --clients 1 --json
expect_output '"servers": 3, "clients": 1}]'

# What only the ranks see is told once, whoever sees it, and leaves no process waiting.
cp data/query.fbin bad.fbin
printf '\0\0\300\177' | dd of=bad.fbin bs=1 seek=$((8 + 4 * (16 * 7 + 3))) conv=notrunc 2> dd.log
run 3 "$dfaiss" bench --storage st --index lists --queries bad.fbin --clients 3
expect_one_line "bad.fbin, row 7: component 3 is NaN or infinite"

# Nothing else gets as far as starting a job.
export DFAISS_MPIRUN=/bin/false
# refuse CODE STATUS TEXT ARGUMENT...
refuse() {
    local code=$1 status=$2 text=$3
    shift 3
    expect_fail "$code" "$status" "$text" bench --storage st --index lists "$@"
}
refuse 2 ERR_ARG "--queries FILE is missing"
refuse 2 ERR_ARG "--batch is '1,0'; up to 64 different whole numbers from 1 to" --queries data/query.fbin --batch 1,0
refuse 2 ERR_ARG "-k is '10,10'; up to 64 different" --queries data/query.fbin -k 10,10
refuse 2 ERR_ARG "--clients is ''" --queries data/query.fbin --clients ""
refuse 2 ERR_ARG "--repeats is '0'" --queries data/query.fbin --repeats 0
many=$(seq -s , 1 64)
refuse 2 ERR_ARG "the lists have 262144 combinations" --queries data/query.fbin --batch "$many" --nprobe "$many" -k "$many"
refuse 2 ERR_NOT_FOUND "cannot open none.fbin" --queries none.fbin
refuse 1 ERR_IO "cannot write into the folder data/base.fbin" --queries data/query.fbin --output data/base.fbin
refuse 1 ERR_IO "cannot write into the folder data/base.fbin/deeper" --queries data/query.fbin --output data/base.fbin/deeper
refuse 2 ERR_ARG "the output '' is empty" --queries data/query.fbin --output ""
