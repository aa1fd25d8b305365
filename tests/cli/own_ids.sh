#!/usr/bin/env bash
# own_ids.sh: ids from a file come back in the place of row numbers, narrow or wide, also of vectors that are appended.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

generate data --rows 2000 --dim 16 --queries 40 -k 20 --type i8
config index '"index_builder_type":"flat"' '"metric":"l2"' '"dim":16'
"$tools/tool_convert" data/base.i8bin i8 first.i8bin 0 1200
"$tools/tool_convert" data/base.i8bin i8 second.i8bin 1200 800

# ask NAME ANSWER
ask() {
    search "$1" --queries data/query.i8bin -k 20 --output "$2.ibin"
}

# Ids of 32 bits.
"$tools/tool_ids" list 7 3 2000 narrow.ibin
"$tools/tool_ids" map 7 3 data/groundtruth.ibin wanted.ibin
build 2 index --data data/base.i8bin --ids narrow.ibin
ask index narrow-found
cmp narrow-found.ibin wanted.ibin || fail "other ids of 32 bits"
expect_fail 2 ERR_ARG "more can be added only with --ids" build --storage st --index index --append --data first.i8bin

# Ids beyond them: the file of ids is then .i64bin.
"$tools/tool_ids" list 5000000000 1000003 2000 wide.i64bin
"$tools/tool_ids" map 5000000000 1000003 data/groundtruth.ibin wanted.i64bin
build 3 index --data data/base.i8bin --ids wide.i64bin --overwrite
ask index wide-found
[ ! -e wide-found.ibin ] || fail "ids of 64 bits in an .ibin file"
cmp wide-found.i64bin wanted.i64bin || fail "other ids of 64 bits"
search index --queries data/query.i8bin -k 20 --output wide-found.jsonl
grep -q '^{"query":0,"ids":\[[5-7][0-9]\{9\}' wide-found.jsonl || fail "ids of 64 bits in .jsonl"

# Appended, with ids and without.
"$tools/tool_ids" list 5000000000 1000003 1200 first.i64bin
"$tools/tool_ids" list 6200003600 1000003 800 second.i64bin
build 3 appended --config index.json --data first.i8bin --ids first.i64bin
build 3 appended --append --data second.i8bin --ids second.i64bin
ask appended appended
cmp appended.i64bin wanted.i64bin || fail "other ids of what is appended"
build 3 rows --config index.json --data first.i8bin
build 3 rows --append --data second.i8bin
ask rows rows
cmp rows.ibin data/groundtruth.ibin || fail "other row numbers of what is appended"

# --overwrite leaves nothing of what was there.
build 2 rows --config index.json --data second.i8bin --overwrite
ask rows rows
build 2 second --config index.json --data second.i8bin
ask second second
expect_same rows second
