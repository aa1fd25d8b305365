#!/usr/bin/env bash
# memory.sh: servers hold codes, ids, links and metadata, and little else.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

generate data --rows 200000 --dim 128 --queries 1 -k 1
common='"metric":"l2","dim":128'
config flat '"index_builder_type":"flat"' "$common"
config ivf_simple '"index_builder_type":"ivf_simple"' "$common" '"centroids":64'
config ivfsq '"index_builder_type":"ivfsq"' "$common" '"centroids":64'
config refine '"faiss_factory":"IVF64,SQ8,RFlat"' "$common"
config hnswsq '"index_builder_type":"hnswsq"' "$common" '"store_n":16' '"ef_construction":16'

# expect_small SERVERS NAME BYTES ARGUMENT...: servers together have at most a quarter more than BYTES for each vector and its id, and 40 MB each.
expect_small() {
    local servers=$1 name=$2 limit=$((200000 * ($3 + 8) * 5 / 4 + $1 * 40000000))
    shift 3
    build "$servers" "$name" --data data/base.fbin --overwrite "$@"
    echo "$name on $servers servers: $(value rss_bytes) bytes; at most $limit are expected"
    [ "$(value rss_bytes)" -le "$limit" ] || fail "$name on $servers servers: $(value rss_bytes) bytes; $limit are expected"
}

for servers in 2 4; do
    expect_small "$servers" flat 512
    expect_small "$servers" ivf_simple 512
done
expect_small 2 ivfsq 256
expect_small 2 refine 640
# Codes of 8 bits, and 32 links of 4 bytes in the lowest level, which nearly all nodes have alone.
expect_small 2 hnswsq 256
# With metadata, of which each row has 29 bytes.
awk 'BEGIN { for (row = 0; row < 200000; row++) printf "{\"title\": \"vector %09d\"}\n", row }' > meta.jsonl
expect_small 2 flat $((512 + 29)) --metadata meta.jsonl
