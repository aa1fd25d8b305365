#!/usr/bin/env bash
# metrics.sh: squared distances, inner products and cosines, exact and best first, for every type of vectors.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

for metric in l2 dot cosine; do
    config "$metric" '"index_builder_type":"flat"' "\"metric\":\"$metric\"" '"dim":40'
    for type in f32 f16 i8; do
        made=$metric-$type
        generate "$made" --rows 1500 --dim 40 --queries 60 -k 50 --type "$type" --metric "$metric"
        build 2 "$made" --config "$metric.json" --data "$made"/base.*bin
        search "$made" --queries "$made"/query.*bin -k 50 --output "$made.ibin" --groundtruth "$made/groundtruth.ibin"
        expect_exact "$metric" "$made" "$made"
    done
done
