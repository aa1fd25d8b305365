#!/usr/bin/env bash
# kinds_graphs.sh: indexes with HNSW graphs on several servers find as much as the same index undivided.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

generate data --rows 4000 --dim 64 --queries 300 -k 10
ready hnswsq hnswsq
config hnsw '"faiss_factory":"HNSW16,Flat"' '"metric":"l2"' '"dim":64' '"nprobe":16'
expect_as_good hnswsq l2 data HNSW32_SQ8 64 4000 100
expect_as_good hnsw l2 data HNSW16,Flat 16 4000

# A rotation is long in training: few rows.
generate few --rows 1600 --dim 64 --queries 300 -k 10
ready opq opq_ivf_hnsw_pq
sed -i 's/"centroids": 128/"centroids": 16/; s/"nprobe": 8/"nprobe": 4/' opq.json
expect_as_good opq l2 few OPQ16_64,IVF16_HNSW32,PQ16 4 1600
