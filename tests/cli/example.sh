#!/usr/bin/env bash
# example.sh PROGRAM: a client that people write themselves is built against an installed dfaiss and started beside servers, as the README shows.
. "$(dirname "$0")/lib.sh"

build=$(dirname "$(dirname "$dfaiss")")
run 0 cmake --install "$build" --prefix "$folder/installed"
cp -r "$root/tests/cli/example" source
[ "$(wc -l < source/example.c)" -lt 100 ] || fail "the example has 100 lines or more"
flags=
if nm -D --undefined-only "$(find "$folder/installed" -name libdfaiss.so)" | grep -q -e __asan_ -e __ubsan_; then
    flags="-fsanitize=address,undefined"
fi
run 0 cmake -S source -B build -DCMAKE_PREFIX_PATH="$folder/installed" -DCMAKE_C_FLAGS="-Wall -Wextra -Werror $flags"
run 0 cmake --build build

if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1
serve() {
    run 0 "${MPIEXEC:-mpirun}" -n 4 "$folder/installed/bin/dfaiss" serve --storage storage "$@" : -n 2 build/example
}

serve
for client in 0 1; do
    expect_output "client $client found id"
    expect_output "at distance 0.000: client $client, row 0"
done
[ "$(wc -l < out)" = 6 ] || fail "not 3 hits for each client: $(cat out)"

serve --json
grep -q '^{"clients": 2}$' out || fail "serve --json does not say how many clients there were: $(cat out)"

# With an index that was built before: the client adds to it.
echo '{"index_builder_type": "flat", "metric": "l2", "dim": 32}' > flat.json
run 0 "$dfaiss" generate --out data --rows 100 --dim 32 --queries 1 --quiet
run 0 "$dfaiss" build --storage storage --index demo --config flat.json --data data/base.fbin --servers 4
serve --load demo
expect_output "client 1 found id"
expect_output "at distance 0.000: client 1, row 0"
grep -q 'found id [0-9]\{1,2\} ' out && fail "new vectors got ids of old ones: $(cat out)"

# Nothing to load: the job ends with one line that says so.
found=0
"${MPIEXEC:-mpirun}" -n 1 "$dfaiss" serve --storage storage --load nowhere : -n 1 build/example > out 2> err || found=$?
[ "$found" = 2 ] || [ "$found" = 1 ] || fail "exit code $found where an index to load is missing"
grep -q "^dfaiss: .*nowhere" err || fail "nobody says which index is missing: $(cat err)"

expect_fail 2 ERR_ARG "serve needs clients beside it" serve --storage storage
expect_fail 2 ERR_ARG "--storage DIR" serve
expect_fail 2 ERR_ARG "is not allowed" serve --storage storage --load -x/y
