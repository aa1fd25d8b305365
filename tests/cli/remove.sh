#!/usr/bin/env bash
# remove.sh: what is removed from a saved index is found no more, by ids or by a filter, and everything else as before.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

generate data --rows 1000 --dim 16 --queries 30 -k 10 --type u8
attributes='"attributes":{"number":"int"}'
config all '"index_builder_type":"flat"' '"metric":"l2"' '"dim":16' "$attributes"
config lists '"index_builder_type":"ivf_simple"' '"metric":"l2"' '"dim":16' '"centroids":8' '"nprobe":8' "$attributes"
config left '"index_builder_type":"flat"' '"metric":"l2"' '"dim":16'
for row in $(seq 0 999); do
    echo "{\"number\": $row}"
done > metadata.jsonl
"$tools/tool_ids" list 0 1 250 first.ibin
"$tools/tool_convert" data/base.u8bin u8 left.u8bin 250 550
"$tools/tool_ids" list 250 1 550 left.ibin
build 1 left --data left.u8bin --ids left.ibin
search left --queries data/query.u8bin -k 10 --output left.ibin

# remove NAME REMOVED LEFT GENERATION ARGUMENT...
remove() {
    local name=$1 removed=$2 vectors=$3 generation=$4
    shift 4
    run 0 "$dfaiss" remove --storage st --index "$name" --threads 1 --json "$@"
    expect_object "{\"index\": \"$name\", \"servers\": "
    expect_output "\"removed\": $removed, \"vectors\": $vectors, \"generation\": $generation, \"seconds\": "
}

for name in all lists; do
    build 2 "$name" --data data/base.u8bin --metadata metadata.jsonl
    remove "$name" 250 750 2 --ids first.ibin
    remove "$name" 0 750 3 --ids first.ibin
    remove "$name" 200 550 4 --filter 'number >= 800'
    search "$name" --queries data/query.u8bin -k 10 --output found.ibin
    expect_equal found left
    run 0 "$dfaiss" inspect --storage st --index "$name" --verify --json
    expect_output '"vectors": 550'
done

# What is appended later has new ids.
build 2 all --append --data left.u8bin
search all --queries data/query.u8bin -k 10 --output found.jsonl
grep -q '"ids":\[.*1[0-9][0-9][0-9]' found.jsonl || fail "no id beyond the old ones"

remove_of() {
    local code=$1 status=$2 text=$3
    shift 3
    expect_fail "$code" "$status" "$text" remove --storage st --index all "$@"
}
remove_of 2 ERR_ARG "--ids FILE or --filter EXPR is missing"
remove_of 2 ERR_ARG "--ids and --filter are both given" --ids first.ibin --filter 'number == 1'
remove_of 2 ERR_ARG 'did you mean "number"?' --filter 'numbr == 1'
remove_of 2 ERR_NOT_FOUND "cannot open none.ibin" --ids none.ibin
expect_fail 2 ERR_NOT_FOUND "there is no index nowhere" remove --storage st --index nowhere --ids first.ibin
