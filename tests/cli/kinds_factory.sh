#!/usr/bin/env bash
# kinds_factory.sh: indexes of faiss's factory on several servers find as much as the same index undivided.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

generate data --rows 10000 --dim 96 --queries 2000 -k 10
ready fast_scan ivf_pq_fastscan
ready refine ivf_sq8_refine
ready pca pca_flat
config pq '"faiss_factory":"PQ8"' '"metric":"l2"' '"dim":96'
config sq '"faiss_factory":"SQ8"' '"metric":"l2"' '"dim":96'
expect_as_good fast_scan l2 data IVF128,PQ16x4fs 8 8192
expect_as_good refine l2 data IVF128,SQ8,RFlat 8 8192
expect_as_good pca l2 data PCA64,Flat 0 10000
# np: without polysemous training, which dfaiss leaves out as well.
expect_as_good pq l2 data PQ8np 0 10000
expect_as_good sq l2 data SQ8 0 10000
