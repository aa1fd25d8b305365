#!/usr/bin/env bash
# time_limit.sh: a build that its time limit is too short for is saved, requeued and resumed, on a real Slurm, until every vector is there once.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

start_slurm 1
export STORAGE=indexes INDEX=slow CONFIG=slow.json DATA=data/base.fbin
echo '{"index_builder_type": "hnswsq", "metric": "l2", "dim": 32, "store_n": 64, "ef_construction": 400, "segment_rows": 2048}' > slow.json

# As many vectors as this machine, which may be busy, builds in about three quarters of a minute: a limit of one minute is told to the job some time between
# the 5th and the 35th second, since Slurm looks twice a minute. Where the machine was idle all at once it takes more of them.
make_data 2000 32 10
run 0 "$dfaiss" build --storage trial --index slow --config slow.json --data data/base.fbin --servers 2 --threads 1 --json
rows=$(($(sed 's/.*"vectors_per_second": \([0-9]*\).*/\1/' out) * 45))
for _ in 1 2 3; do
    [ "$rows" -ge 4000 ] || rows=4000
    rm -rf data indexes said
    make_data "$rows" 32 50
    OPTIONS="--threads 1" submit --nodes=1 --ntasks=3 --cpus-per-task=1 --time=1 --signal=B:USR1@55 "$root/jobs/build-requeue.sbatch"
    expect_end COMPLETED 500
    ! grep -q "the time is nearly over: saving" said || break
    rows=$((rows * 3))
done
expect_said "the time is nearly over: saving"
expect_said "going on in the next run"
expect_said "run 1 of the build of slow"
run 0 "$dfaiss" inspect --storage indexes --verify --json
expect_output "\"vectors\": $rows, \"buffered\": 0"
run 0 "$dfaiss" search --storage indexes --index slow --queries data/query.fbin --nprobe 200 -k 10 --groundtruth data/groundtruth.ibin --output found.jsonl
[ "$(sed -n 's/^recall@10 *0*\([01]\)\.\([0-9]\{2\}\).*/\1\2/p' out)" -ge 90 ] || fail "too little is found: $(cat out)"
# No vector twice: no answer names an id twice.
awk -F '[][]' '{ n = split($2, ids, ", *"); for (i = 1; i <= n; i++) if (seen[NR, ids[i]]++) exit 1 }' found.jsonl || fail "an id is found twice"
