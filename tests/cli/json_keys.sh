#!/usr/bin/env bash
# json_keys.sh: the objects that --json prints have exactly the keys that scripts rely on; what people read stays on stderr.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

# expect_keys TEXT: the last stdout is one object, which without its plain values is TEXT.
expect_keys() {
    local found
    expect_object "{"
    found=$(sed -E 's/: ("[^"]*"|-?[0-9][-+.0-9e]*|true|false|null)//g' "$folder/out")
    [ "$found" = "$1" ] || fail "the keys are $found instead of $1"
}

generate data --rows 700 --dim 8 --queries 20
config flat '"index_builder_type":"flat"' '"metric":"l2"' '"dim":8'

build 2 flat --data data/base.fbin
expect_keys '{"index", "servers", "vectors", "dim", "seconds": {"read", "send", "train", "add", "save", "total"}, "vectors_per_second", "generation", "bytes_on_disk", "rss_bytes"}'
[ "$(value bytes_on_disk)" = "$(find st/flat -name '*.h5' -printf '%s\n' | awk '{ sum += $1 } END { print sum }')" ] || fail "bytes_on_disk is not the size of the files"
[ "$(value vectors) $(value dim) $(value generation)" = "700 8 1" ] || fail "other numbers than were given"

search flat --queries data/query.fbin -k 100 --groundtruth data/groundtruth.ibin
expect_keys '{"index", "servers", "queries", "k", "nprobe", "seconds", "qps", "recall": {"1", "10", "100"}}'
[ "$(value queries) $(value k)" = "20 100" ] || fail "other numbers than were given"
search flat --queries data/query.fbin -k 10 --groundtruth data/groundtruth.ibin
expect_keys '{"index", "servers", "queries", "k", "nprobe", "seconds", "qps", "recall": {"1", "10"}}'
search flat --queries data/query.fbin
expect_keys '{"index", "servers", "queries", "k", "nprobe", "seconds", "qps", "recall": {}}'

build 2 flat --data data/base.fbin --append
[ "$(value vectors) $(value generation)" = "700 2" ] || fail "an appending build tells other numbers than its own"
run 0 "$dfaiss" inspect --storage st --json
generation='{"number", "complete", "servers", "vectors", "buffered", "bytes"}'
expect_keys '{"indexes": [{"name", "generations": ['"$generation, $generation"'], "damaged": []}]}'
run 0 "$dfaiss" drop --storage st --index flat --json
expect_keys '{"index", "dropped"}'
run 2 "$dfaiss" drop --storage st --index flat --json
expect_keys '{"error": {"code", "text", "where"}}'

# A job of one's own says the same, once.
run 0 "$project/tests/mpirun.sh" 3 "$dfaiss" build --storage st --index flat --config flat.json --data data/base.fbin --json
expect_keys '{"index", "servers", "vectors", "dim", "seconds": {"read", "send", "train", "add", "save", "total"}, "vectors_per_second", "generation", "bytes_on_disk", "rss_bytes"}'
run 0 "$project/tests/mpirun.sh" 3 "$dfaiss" search --storage st --index flat --queries data/query.fbin --json
expect_keys '{"index", "servers", "queries", "k", "nprobe", "seconds", "qps", "recall": {}}'
