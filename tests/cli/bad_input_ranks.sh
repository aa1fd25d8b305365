#!/usr/bin/env bash
# bad_input_ranks.sh: started by mpirun, too, wrong words and wrong input are reported once, not once a rank, and with the same exit codes.
set -eu
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
mpirun=$root/tests/mpirun.sh

"$dfaiss" generate --out data --rows 40 --dim 16 --queries 5 --quiet > out
echo '{"index_builder_type": "flat", "dim": 16}' > flat.json
echo '{"index_builder_type": "flat", "dim": 24}' > wide.json
for ((line = 0; line < 41; line++)); do
    echo '{}'
done > more.jsonl
build=(build --storage st --index new --data data/base.fbin)

# refuse CODE TEXT RANKS ARGUMENT...: mpirun, which says more than a line of its own about exit codes, is told to be quiet.
refuse() {
    local code=$1 text=$2 ranks=$3
    shift 3
    run "$code" "$mpirun" "$ranks" -q "$dfaiss" "$@"
    expect_one_line "$text"
    [ ! -s out ] || fail "something on stdout"
    [ ! -e st/new ] || fail "something was left"
}

refuse 2 "no option --bogus" 3 build --bogus
refuse 2 "leaves no server" 1 "${build[@]}" --config flat.json
refuse 2 "did you mean search?" 2 serach
refuse 2 "cannot open none.json" 3 "${build[@]}" --config none.json
refuse 3 "data/base.fbin has vectors of dimension 16; wide.json expects dim 24" 3 "${build[@]}" --config wide.json
refuse 3 "more.jsonl has more lines than the 40 vectors" 3 "${build[@]}" --config flat.json --metadata more.jsonl
refuse 2 "the storage st does not exist" 2 search --storage st --index new --queries data/query.fbin
run 3 "$mpirun" 3 -q "$dfaiss" "${build[@]}" --config wide.json --json
expect_object '{"error": {"code": "ERR_DATA"'

# What needs no ranks is done by one of them.
make_index st news
run 0 "$mpirun" 3 -q "$dfaiss" inspect --storage st --json
expect_object '{"indexes": [{"name": "news"'
