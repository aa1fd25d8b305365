#!/usr/bin/env bash
# forms.sh: the same vectors in every form of file, in one or in several, give the same answers; and answers come in every form.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

# Small whole numbers are the same in all types.
generate data --rows 900 --dim 20 --queries 30 -k 10 --type u8
config index '"index_builder_type":"flat"' '"metric":"l2"' '"dim":20'
convert=$tools/tool_convert
"$convert" data/base.u8bin i8 signed.i8bin
"$convert" signed.i8bin u8 small.u8bin
"$convert" data/query.u8bin f32 query.fvecs
for form in f32/fvecs u8/bvecs f32/fbin f16/f16bin i8/i8bin; do
    "$convert" small.u8bin "${form%/*}" "small.${form#*/}"
done
for type in f32 f16 u8 i8; do
    "$convert" small.u8bin "$type" "small-$type.npy"
    "$convert" small.u8bin "$type" "small-$type.raw"
done
"$convert" small.u8bin f32 part-1.fvecs 0 1
"$convert" small.u8bin f32 part-2.npy 1 500
"$convert" small.u8bin f32 part-3.fbin 501 399

# try ANSWER ARGUMENT...: builds from these arguments, and searches.
try() {
    local answer=$1
    shift
    build 2 index --overwrite "$@"
    [ "$(value vectors)" = 900 ] || fail "vectors of $answer"
    search index --queries query.fvecs -k 10 --output "$answer.ibin"
    expect_same "$answer" first
}

build 1 index --data small.u8bin
search index --queries query.fvecs -k 10 --output first.ibin
for form in fvecs bvecs fbin f16bin i8bin; do
    try "$form" --data "small.$form"
done
for type in f32 f16 u8 i8; do
    try "npy-$type" --data "small-$type.npy"
done
for type in f32 f16; do
    try "raw-$type" --data "small-$type.raw" --raw "$type" --dim 20
done
try parts --data part-1.fvecs part-2.npy --data part-3.fbin

# The first rows of a file without a header.
build 2 rows --config index.json --data small-f16.raw --raw f16 --dim 20 --rows 400
[ "$(value vectors)" = 400 ] || fail "--rows"

# Queries in other forms; answers in other forms.
for type in f32 f16 u8; do
    "$convert" query.fvecs "$type" "query-$type.npy"
    search index --queries "query-$type.npy" -k 10 --output "query-$type.ibin"
    expect_same "query-$type" first
done
search index --queries query.fvecs -k 10 --batch 7 --output batches.ibin
expect_equal batches first
search index --queries query.fvecs -k 3 --output few.jsonl
[ "$(grep -c '^{"query":[0-9]*,"ids":\[[0-9]*,[0-9]*,[0-9]*\],"scores":\[[^]]*\],"metadata":' few.jsonl)" = 30 ] || fail "lines of few.jsonl"
search index --queries query.fvecs -k 10 --output found.h5
if command -v h5dump > h5dump-path; then
    h5dump -d neighbors -b LE -o neighbors found.h5 > h5dump-out || fail "neighbors in found.h5"
    h5dump -d distances -b LE -o distances found.h5 > h5dump-out || fail "distances in found.h5"
    tail -c +9 first.fbin | cmp - distances || fail "distances in found.h5 are others"
    [ "$(stat -c %s neighbors)" = 2400 ] || [ "$(stat -c %s neighbors)" = 1200 ] || fail "shape of neighbors in found.h5"
fi
