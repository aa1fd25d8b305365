#!/usr/bin/env bash
# siftsmall.sh: 10,000 SIFT descriptors, whose exact neighbours others have published, on 1 to 8 servers.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

base=$(shared_data siftsmall_base.fvecs)
query=$(shared_data siftsmall_query.fvecs)
truth=$(shared_data siftsmall_groundtruth.ivecs)

config sift '"index_builder_type":"flat"' '"metric":"l2"' '"dim":128'
for servers in 1 2 3 4 8; do
    build "$servers" sift --data "$base" --overwrite
    search sift --queries "$query" -k 100 --output "sift-$servers.ibin" --groundtruth "$truth"
    run 0 "$tools/tool_exact" l2 "$base" "$query" "$truth" "sift-$servers.ibin" "sift-$servers.fbin"
    expect_same "sift-$servers" sift-1
done
