#!/usr/bin/env bash
# doctor.sh: what the doctor says of this machine, of an index that does not fit, and of a storage that cannot be written.
set -eu
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

mpirun=$root/tests/mpirun.sh
echo '{"index_builder_type": "ivfsq", "metric": "l2", "dim": 0, "centroids": 64}' > ivf.json

# verdict CHECK: of the last answer, in JSON.
verdict() {
    grep -o "\"check\": \"$1\", \"verdict\": \"[a-z]*\"" out | sed 's/.*"\([a-z]*\)"$/\1/' | sort -u | paste -s -d ' '
}

run 0 "$dfaiss" doctor --storage "a storage"
expect_output "start      ok       2 ranks on 1 host"
grep -q '^storage    .*MB/s' out || fail "nothing is said of the storage's speed"
grep -q '^network    .* GB/s' out || fail "nothing is said of the network"
grep -q '^[0-9]* problems, [0-9]* piece' out || fail "no sum"
[ -z "$(ls -A "a storage")" ] || fail "left in the storage: $(ls -A "a storage")"
run 0 "$dfaiss" doctor --config ivf.json --dim 64 --rows 100000 --json
expect_object '{"checks": [{"check": "start", "verdict": "ok"'
[ "$(verdict memory)" = ok ] || fail "a small index does not fit: $(cat out)"
run 1 "$dfaiss" doctor --config ivf.json --dim 64 --rows 100000000000000 --json
expect_object '{"checks": ['
[ "$(verdict memory)" = problem ] || fail "an index of petabytes fits: $(cat out)"
expect_output '"problems": 1'
[ "$(grep -c -v '^starting ' err)" = 0 ] || fail "more than the notice on stderr"

# More ranks than cores. (What else there is to say of this machine is not looked at here, nor below.)
core=$(sed -n 's/^Cpus_allowed_list:[^0-9]*\([0-9]*\).*/\1/p' /proc/self/status)
taskset -c "$core" "$mpirun" 3 "$dfaiss" doctor --json > out 2> err || true
[ "$(verdict binding)" = advice ] || fail "nothing is said of ranks without cores: $(cat out)"
OMP_PROC_BIND=true "$mpirun" 2 "$dfaiss" doctor --json > out 2> err || true
[ "$(verdict threads)" = advice ] || fail "nothing is said of bound threads: $(cat out)"

# A storage that is a file.
echo > file
run 1 "$dfaiss" doctor --storage file --json
[ "$(verdict storage)" = problem ] || fail "a file is a storage: $(cat out)"

expect_fail 2 ERR_ARG "--rows N is missing" doctor --config ivf.json
expect_fail 2 ERR_ARG "give --dim D" doctor --config ivf.json --rows 5
expect_fail 2 ERR_ARG "belong to --config" doctor --rows 5
