#!/usr/bin/env bash
# kinds_lists.sh: indexes with inverted lists on several servers find as much as the same index undivided.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

for metric in l2 dot cosine; do
    generate "$metric" --rows 12000 --dim 32 --queries 300 -k 10 --metric "$metric"
done
ready ivf_simple ivf_simple
ready ivfsq ivfsq
ready knnlm knnlm
sed 's/"l2"/"dot"/' ivf_simple.json > dot.json
sed 's/"l2"/"cosine"/' ivfsq.json > cosine.json
sed -i 's/"code_size": 32/"code_size": 8/' knnlm.json
# 64 rows a list are drawn for training; a PQ of 8 bits gets more, and so all there are.
expect_as_good ivf_simple l2 l2 IVF128,Flat 8 8192
expect_as_good ivfsq l2 l2 IVF128,SQfp16 8 8192
expect_as_good knnlm l2 l2 IVF128,PQ8x8np 8 12000
expect_as_good dot dot dot IVF128,Flat 8 8192
expect_as_good cosine cosine cosine IVF128,SQfp16 8 8192
