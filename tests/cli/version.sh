#!/usr/bin/env bash
# version.sh: what dfaiss tells of itself and of what it runs on.
set -eu
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

run 0 "$dfaiss" --version
[ "$(wc -l < out)" = 4 ] || fail "expected four lines"
grep -q -E '^dfaiss +[0-9]+\.[0-9]+\.[0-9]+$' out || fail "no version of dfaiss"
grep -q -E '^faiss +[0-9]+\.[0-9]+\.[0-9]+, [A-Za-z0-9]+, with(out)? GPU$' out || fail "no version of faiss"
grep -q -E '^MPI +.*[0-9]+\.[0-9]+' out || fail "no version of MPI"
grep -q -E '^HDF5 +[0-9]+\.[0-9]+\.[0-9]+$' out || fail "no version of HDF5"
[ ! -s err ] || fail "something on stderr"

for words in "--version --json" "--json --version"; do
    # shellcheck disable=SC2086 # two words
    run 0 "$dfaiss" $words
    expect_object '{"dfaiss": "'
    for key in '"faiss": {"version": "' '"simd": "' '"gpu": ' '"mpi": "' '"hdf5": "'; do
        expect_output "$key"
    done
done

# A stdout that cannot be written is a failure, not a success without a result.
if [ -w /dev/full ]; then
    found=0
    "$dfaiss" --version > /dev/full 2> err || found=$?
    [ "$found" = 1 ] || fail "exit code $found with a full stdout"
    expect_one_line "cannot write stdout"
fi
