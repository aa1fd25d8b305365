#!/usr/bin/env bash
# kinds_graphs.sh: indexes with HNSW graphs on several servers find as much as the same index undivided.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

generate data --rows 2000 --dim 64 --queries 300 -k 10
ready hnswsq hnswsq
config hnsw '"faiss_factory":"HNSW16,Flat"' '"metric":"l2"' '"dim":64' '"nprobe":16'
expect_as_good hnswsq l2 data HNSW32_SQ8 64 2000 100
expect_as_good hnsw l2 data HNSW16,Flat 16 2000
# np: without polysemous training, which dfaiss leaves out as well, because it takes most of a minute and changes no answer.
ready opq opq_ivf_hnsw_pq
expect_as_good opq l2 data OPQ16_64,IVF128_HNSW32,PQ16np 8 2000
