#!/usr/bin/env bash
# roles.sh: who is a server and who a client: by --servers, by --servers-per-node, or by the program that each rank runs.
set -eu
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

mpirun=$root/tests/mpirun.sh
"$dfaiss" generate --out data --rows 400 --dim 8 --queries 5 --quiet > out
echo '{"index_builder_type": "flat", "metric": "l2", "dim": 8}' > flat.json
"$dfaiss" build --storage st --index a --config flat.json --data data/base.fbin --servers 2 --quiet > out
serve=("$dfaiss" serve --storage st)
search=("$dfaiss" search --storage st --index a --queries data/query.fbin --groundtruth data/groundtruth.ibin)

# Beside servers a command is a client, wherever its rank stands; of several ranks one works. An index that the servers have loaded is not loaded again.
run 0 "$mpirun" 2 "${serve[@]}" : -n 1 "${search[@]}"
expect_output "recall@10  1.0000"
run 0 "$mpirun" 1 "${search[@]}" : -n 2 "${serve[@]}" --load a
expect_output "index      a on 2 servers"
run 0 "$mpirun" 2 "${serve[@]}" : -n 3 "${search[@]}" --json
expect_object '{"index": "a", "servers": 2,'
run 0 "$mpirun" 2 "${serve[@]}" --load a : -n 2 "$dfaiss" bench --storage st --index a --queries data/query.fbin --clients 1,2 --seconds 0.01 --warmup 0
expect_output " clients "
run 0 "$mpirun" 3 "${serve[@]}" : -n 1 "$dfaiss" build --storage st --index b --config flat.json --data data/base.fbin
expect_output "of dimension 8 on 3 servers"
run 2 "$mpirun" 2 "${serve[@]}" : -n 1 "${search[@]}" --index none
grep -q "^dfaiss: .*none" err || fail "a client beside servers does not say why it fails"

# A rank whose command is wrong ends before it meets the others, which must not wait for it; it says why.
run 2 timeout 60 "$mpirun" 2 "${serve[@]}" : -n 1 "${search[@]}" --nprobe -1
grep -q "^dfaiss: --nprobe is '-1'" err || fail "a wrong command beside servers is not explained"
run 2 timeout 60 "$mpirun" 2 "${search[@]}" : -n 1 "$dfaiss" serve --bogus
grep -q "^dfaiss: dfaiss serve has no option --bogus" err || fail "a wrong command of a server is not explained"

# Of ranks that run the same.
run 0 "$mpirun" 4 "${search[@]}" --servers-per-node 2
expect_output "index      a on 2 servers"
run 2 "$mpirun" 2 "${search[@]}" --servers-per-node 2
grep -q "^dfaiss: 2 of 2 ranks are servers, with --servers-per-node 2" err || fail "no client is left, and that is not said"
run 2 "$mpirun" 2 "${search[@]}" --servers-per-node 3
grep -q "^dfaiss: a node has 2 ranks; --servers-per-node says 3" err || fail "a node is too small, and that is not said"
run 2 "$mpirun" 2 "${search[@]}" : -n 1 "${search[@]}" --nprobe 2
grep -q "^dfaiss: the ranks of the job run different commands" err || fail "two commands beside each other"
expect_fail 2 ERR_ARG "exclude each other" "${search[@]:1}" --servers 2 --servers-per-node 2
run 0 "$dfaiss" build --storage st --index c --config flat.json --data data/base.fbin --servers-per-node 2
expect_output "of dimension 8 on 2 servers"
