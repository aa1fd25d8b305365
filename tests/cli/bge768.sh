#!/usr/bin/env bash
# bge768.sh: 10,247 text embeddings in a raw fp16 file, with metadata.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

base=$(shared_data bge768_base_fp16.mmap)
query=$(shared_data bge768_query.fbin)
truth=$(shared_data bge768_groundtruth_dot.ibin)
metadata=$(shared_data bge768_base_meta.jsonl)

config bge '"index_builder_type":"flat"' '"metric":"dot"' '"dim":768'
build 3 bge --data "$base" --raw f16 --dim 768 --metadata "$metadata"
[ "$(value vectors)" = 10247 ] || fail "vectors"
search bge --queries "$query" -k 100 --output answers.ibin --groundtruth "$truth"
expect_recall 100 "$truth" answers.ibin 0.999

# Each id brings the line of its row, and no other.
"$tools/tool_convert" "$query" f32 few.fbin 0 40
search bge --queries few.fbin -k 7 --output few.jsonl
[ "$(wc -l < few.jsonl)" = 40 ] || fail "lines of few.jsonl"
sed 's/.*"ids":\[\([^]]*\)\].*/\1/' few.jsonl | tr , '\n' > ids
[ "$(wc -l < ids)" = 280 ] || fail "ids of few.jsonl"
sed 's/.*"metadata":\[\(.*\)\]}$/\1/; s/},{/}\n{/g' few.jsonl > found
awk 'NR == FNR { line[NR - 1] = $0; next } { print line[$1] }' "$metadata" ids | sed 's/": "/":"/g; s/", "/","/g' > wanted
cmp found wanted || fail "metadata of other vectors"
