#!/usr/bin/env bash
# memory.sh: servers hold codes and ids, and little else.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

generate data --rows 200000 --dim 128 --queries 1 -k 1
config flat '"index_builder_type":"flat"' '"metric":"l2"' '"dim":128'
config ivf_simple '"index_builder_type":"ivf_simple"' '"metric":"l2"' '"dim":128' '"centroids":64'
bytes=$((200000 * (128 * 4 + 8)))
for servers in 2 4; do
    for kind in flat ivf_simple; do
        build "$servers" "$kind" --data data/base.fbin --overwrite
        limit=$((bytes * 5 / 4 + servers * 40000000))
        echo "$kind on $servers servers: $(value rss_bytes) bytes; at most $limit are expected"
        [ "$(value rss_bytes)" -le "$limit" ] || fail "$kind on $servers servers: $(value rss_bytes) bytes; $limit are expected"
    done
done
