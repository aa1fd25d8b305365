#!/usr/bin/env bash
# servers.sh: a flat index answers exactly, and the same to the byte, whatever the number of servers.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

# Bytes: many distances are equal, and ties break by id.
generate bytes --rows 3000 --dim 8 --queries 50 --type u8
generate floats --rows 3000 --dim 33 --queries 50 --metric dot
config bytes '"index_builder_type":"flat"' '"metric":"l2"' '"dim":0'
config floats '"index_builder_type":"flat"' '"metric":"dot"' '"dim":33'
for servers in 1 2 3 4 8; do
    for data in bytes floats; do
        build "$servers" "$data" --data "$data"/base.*bin --overwrite
        [ "$(value vectors)" = 3000 ] || fail "vectors of $data"
        search "$data" --queries "$data"/query.*bin -k 100 --output "$data-$servers.ibin" --groundtruth "$data/groundtruth.ibin"
        expect_output '"10": 1.0, "100": 1.0}'
        expect_same "$data-$servers" "$data-1"
    done
done
expect_exact l2 bytes bytes-1
cmp bytes-1.ibin bytes/groundtruth.ibin || fail "distances of bytes are whole numbers, and yet the neighbours are others"
expect_exact dot floats floats-1

# More servers than vectors, and more neighbours asked for than there are.
"$tools/tool_convert" bytes/base.u8bin u8 few.u8bin 0 3
config few '"index_builder_type":"flat"' '"metric":"l2"' '"dim":8'
build 5 few --data few.u8bin
search few --queries bytes/query.u8bin -k 5 --output few-5.ibin
build 1 few --data few.u8bin --overwrite
search few --queries bytes/query.u8bin -k 5 --output few-1.ibin
expect_same few-5 few-1
