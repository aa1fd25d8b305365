#!/usr/bin/env bash
# filter.sh: a search with a filter finds what a search of an index of the matching vectors alone finds, from however many servers, and after a load.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

generate data --rows 1500 --dim 16 --queries 30 -k 10 --type u8
attributes='"attributes":{"number":"int","tens":"string"}'
config all '"index_builder_type":"flat"' '"metric":"l2"' '"dim":16' "$attributes"
config lists '"index_builder_type":"ivf_simple"' '"metric":"l2"' '"dim":16' '"centroids":8' '"nprobe":8' "$attributes"
config part '"index_builder_type":"flat"' '"metric":"l2"' '"dim":16'
for row in $(seq 0 1499); do
    echo "{\"number\": $row, \"tens\": \"$((row / 10))\"}"
done > metadata.jsonl
"$tools/tool_convert" data/base.u8bin u8 part.u8bin 300 200
"$tools/tool_ids" list 300 1 200 part.ibin

build 1 part --data part.u8bin --ids part.ibin
search part --queries data/query.u8bin -k 10 --output part.ibin
for servers in 1 3; do
    for name in all lists; do
        build "$servers" "$name" --data data/base.u8bin --metadata metadata.jsonl --overwrite
        search "$name" --queries data/query.u8bin -k 10 --filter 'number >= 300 and not number >= 500' --output found.ibin
        expect_equal found part
    done
done

# Fewer than k match: all of them, and no other.
search all --queries data/query.u8bin -k 10 --filter 'tens in ("7", "150") and number > 71' --output found.jsonl
[ "$(grep -c '"ids":\[7[2-9]\(,7[2-9]\)\{7\},-1,-1\]' found.jsonl)" = 30 ] || fail "not the eight that match"

expect_fail 2 ERR_ARG 'unknown attribute "nmber"; did you mean "number"?' search --storage st --index all --queries data/query.u8bin --filter 'nmber == 1'
expect_fail 2 ERR_ARG 'filter, character 8' search --storage st --index all --queries data/query.u8bin --filter 'number => 1'
