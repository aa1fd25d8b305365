#!/usr/bin/env bash
# training.sh: training shared by all servers or local to each, with as many lists and vectors as the configuration says.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

generate data --rows 8000 --dim 24 --queries 200 -k 10
ivf='"index_builder_type":"ivf_simple"'
config shared "$ivf" '"dim":24' '"metric":"l2"' '"centroids":64' '"nprobe":8'
config local "$ivf" '"dim":24' '"metric":"l2"' '"centroids":64' '"nprobe":8' '"training":"local"'
config inferred "$ivf" '"dim":24' '"metric":"l2"' '"infer_centroids":true' '"nprobe":"200"'
config inferred_local "$ivf" '"dim":24' '"metric":"l2"' '"infer_centroids":"true"' '"nprobe":100' '"training":"local"'
config all_rows "$ivf" '"dim":24' '"metric":"l2"' '"centroids":64' '"nprobe":8' '"train_num":100000'
config few_rows "$ivf" '"dim":24' '"metric":"l2"' '"centroids":8' '"nprobe":2' '"train_num":40'

for kind in shared local inferred inferred_local all_rows few_rows; do
    build 3 "$kind" --data data/base.fbin
    search "$kind" --queries data/query.fbin -k 10 --output "$kind.ibin" --groundtruth data/groundtruth.ibin
    echo "$kind: recall@10 $(recall 10 data/groundtruth.ibin "$kind.ibin")"
done
"$tools/tool_plain" IVF64,Flat l2 data/base.fbin data/query.fbin 8000 8 10 plain.ibin
plain=$(recall 10 data/groundtruth.ibin plain.ibin)
for kind in shared local all_rows; do
    expect_recall 10 data/groundtruth.ibin "$kind.ibin" "$plain" 0.01
done

# 2 * sqrt(8000) lists of one index, or 2 * sqrt(8000 / 3) of each server, are all looked into: nothing is missed.
expect_recall 10 data/groundtruth.ibin inferred.ibin 1
search inferred --queries data/query.fbin -k 10 --output inferred-1.ibin --nprobe 178
expect_recall 10 data/groundtruth.ibin inferred-1.ibin 1
expect_recall 10 data/groundtruth.ibin inferred_local.ibin 0.98

# All lists looked into: nothing is missed.
search shared --queries data/query.fbin -k 10 --nprobe 64 --output every-list.ibin
expect_recall 10 data/groundtruth.ibin every-list.ibin 1

# Too few vectors to train on.
"$tools/tool_convert" data/base.fbin f32 few.fbin 0 40
expect_fail 2 ERR_CONFIG "centroids" build --storage st --index few --config shared.json --data few.fbin --servers 2
[ ! -e st/few/manifest.json ] || fail "an index of a build that failed"
