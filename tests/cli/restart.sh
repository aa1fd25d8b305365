#!/usr/bin/env bash
# restart.sh: what is saved and loaded answers as it did before, however often, and on whatever number of servers; what is appended answers as if it had
# been there from the start.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

generate data --rows 6000 --dim 24 --queries 1000 -k 10
"$tools/tool_convert" data/base.fbin f32 first.fbin 0 3501
"$tools/tool_convert" data/base.fbin f32 second.fbin 3501 2499
config flat '"index_builder_type":"flat"' '"metric":"l2"' '"dim":24'
config ivf '"index_builder_type":"ivf_simple"' '"metric":"l2"' '"dim":24' '"centroids":32' '"nprobe":6'
config pq '"faiss_factory":"IVF32,PQ8x4fs"' '"metric":"l2"' '"dim":24' '"nprobe":6'
config hnsw '"index_builder_type":"hnswsq"' '"metric":"l2"' '"dim":24' '"nprobe":64' '"store_n":16'

# ask NAME ANSWER ARGUMENT...
ask() {
    local name=$1 answer=$2
    shift 2
    search "$name" --queries data/query.fbin -k 10 --output "$answer.ibin" --groundtruth data/groundtruth.ibin "$@"
}

# Loaded twice; and built once more from the same input.
for kind in flat ivf pq hnsw; do
    build 3 "$kind" --data data/base.fbin
    ask "$kind" "$kind-1"
    ask "$kind" "$kind-2"
    expect_same "$kind-1" "$kind-2"
    build 3 "$kind" --data data/base.fbin --overwrite
    ask "$kind" "$kind-3"
    expect_equal "$kind-1" "$kind-3"
done
expect_exact l2 data flat-1

# Loaded by other numbers of servers: whole graphs are kept on one, and built anew from their codes on others.
for servers in 1 2 4 7; do
    for kind in flat ivf; do
        ask "$kind" "$kind-$servers-servers" --servers "$servers"
        expect_equal "$kind-1" "$kind-$servers-servers"
    done
    for kind in pq hnsw; do
        ask "$kind" "$kind-$servers-servers" --servers "$servers"
        expect_recall 10 data/groundtruth.ibin "$kind-$servers-servers.ibin" "$(recall 10 data/groundtruth.ibin "$kind-1.ibin")" 0.01
    done
done

# Appended in a second job, and in a third one with more servers than in the ones before.
for kind in flat ivf pq hnsw; do
    build 3 "$kind-parts" --data first.fbin --config "$kind.json"
    [ "$(value vectors)" = 3501 ] || fail "vectors of $kind"
    build 3 "$kind-parts" --data second.fbin --append
    run 0 "$dfaiss" build --storage st --index "$kind-grown" --config "$kind.json" --data first.fbin --servers 2 --threads 1
    build 5 "$kind-grown" --data second.fbin --append
    ask "$kind-grown" "$kind-grown"
    expect_recall 10 data/groundtruth.ibin "$kind-grown.ibin" "$(recall 10 data/groundtruth.ibin "$kind-1.ibin")" 0.01
    ask "$kind-parts" "$kind-parts"
    expect_recall 10 data/groundtruth.ibin "$kind-parts.ibin" "$(recall 10 data/groundtruth.ibin "$kind-1.ibin")" 0.01
done
expect_same flat-1 flat-parts
expect_equal flat-1 flat-grown
run 0 "$dfaiss" inspect --storage st --index flat-parts --verify --json
expect_output '"vectors": 6000, '
