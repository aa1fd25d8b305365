#!/usr/bin/env bash
# import.sh: files that plain faiss has written become an index that any number of servers loads, and that finds what plain faiss finds.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

generate data --rows 4000 --dim 16 --queries 40 -k 10

# make FACTORY METRIC FIRST COUNT IDS TO [TRAINED]
make() {
    local factory=$1 metric=$2
    shift 2
    run 0 env OMP_NUM_THREADS=1 "$tools/tool_index" make "$factory" "$metric" data/base.fbin "$@"
}

# import NAME ARGUMENT...
import() {
    local name=$1
    shift
    run 0 "$dfaiss" import --storage st --index "$name" --config "$name.json" --json "$@"
    expect_object "{\"index\": \"$name\", \"generation\": "
}

# three NAME FACTORY METRIC: all vectors in one file, and in three that have its training, as the servers of distributed-faiss leave them.
three() {
    make "$2" "$3" 0 4000 rows "$1-whole.faiss"
    mkdir -p "$1/0" "$1/1" "$1/2"
    make "$2" "$3" 0 1500 rows "$1/0/index.faiss" "$1-whole.faiss"
    make "$2" "$3" 1500 1500 rows "$1/1/index.faiss" "$1-whole.faiss"
    make "$2" "$3" 3000 1000 rows "$1/2/index.faiss" "$1-whole.faiss"
}

# compare NAME METRIC NPROBE SERVERS FILE...: what dfaiss finds with this number of servers, and plain faiss in the files.
compare() {
    local name=$1 metric=$2 nprobe=$3 servers=$4
    shift 4
    search "$name" --queries data/query.fbin -k 10 --output "$name.ibin" --servers "$servers" --nprobe "$nprobe"
    run 0 "$tools/tool_index" search "$metric" data/query.fbin "$nprobe" 10 "$name-plain" "$@"
    expect_equal "$name" "$name-plain"
}

config flat '"index_builder_type":"flat"' '"metric":"dot"' '"dim":0'
config ivf_simple '"index_builder_type":"ivf_simple"' '"metric":"l2"' '"dim":16' '"centroids":16' '"nprobe":4'
config ivfsq '"index_builder_type":"ivfsq"' '"metric":"cosine"' '"dim":16' '"centroids":16' '"nprobe":4'
config knnlm '"index_builder_type":"knnlm"' '"metric":"l2"' '"dim":16' '"infer_centroids":true' '"code_size":8' '"nprobe":4'
config factory '"faiss_factory":"PCA8,SQ8"' '"metric":"l2"' '"dim":16'
three flat Flat dot
three ivf_simple IVF16,Flat l2
three ivfsq IVF16,SQfp16 cosine
three knnlm IVF16,PQ8x8 l2
three factory PCA8,SQ8 l2

for name in flat ivf_simple ivfsq knnlm factory; do
    metric=$(sed 's/.*"metric":"\([a-z0-9]*\)".*/\1/' "$name.json")
    nprobe=4
    import "$name" --input $name/*/index.faiss
    expect_output '"parts": 3, "vectors": 4000, "dim": 16, "ids": "assigned", "next_id": 4000, "encoded_anew": 0, '
    for servers in 1 2 3; do
        case $name in
        flat | factory)
            search $name --queries data/query.fbin -k 10 --output $name.ibin --servers $servers
            run 0 "$tools/tool_index" search "$metric" data/query.fbin 0 10 $name-plain $name-whole.faiss
            expect_equal $name $name-plain
            ;;
        *) compare $name "$metric" $nprobe $servers $name-whole.faiss ;;
        esac
    done
done
run 0 "$dfaiss" inspect --storage st --verify

# An index that was imported is like any other: it grows, and leaves again.
build 2 flat --data data/query.fbin --append
run 0 "$dfaiss" export --storage st --index flat --output flat.faiss --json
expect_output '"vectors": 4040, '
run 2 "$dfaiss" import --storage st --index flat --config flat.json --input flat.faiss
expect_one_line "holds an index flat already: give --overwrite"
import flat --input flat.faiss --overwrite
expect_output '"parts": 1, "vectors": 4040, "dim": 16, "ids": "own", '

# Ids of their own, in lists and around codes and graphs, with and without offsets.
config lists '"index_builder_type":"ivf_simple"' '"metric":"l2"' '"dim":16' '"centroids":16' '"nprobe":16'
make IVF16,Flat l2 0 2000 5000 lists-0.faiss
make IVF16,Flat l2 2000 2000 5001 lists-1.faiss lists-0.faiss
import lists --input lists-0.faiss --input lists-1.faiss
expect_output '"ids": "own", "next_id": 10999, '
compare lists l2 16 1 lists-0.faiss lists-1.faiss
import lists --input lists-0.faiss lists-1.faiss --id-offset 7 --id-offset 70000 --overwrite
expect_output '"next_id": 80999, '
import lists --input ivf_simple/0/index.faiss ivf_simple/1/index.faiss --id-offset 0 --id-offset 100000 --overwrite
expect_output '"ids": "assigned", "next_id": 101500, '
config mapped '"faiss_factory":"SQfp16"' '"metric":"l2"' '"dim":16'
make IDMap,SQfp16 l2 0 4000 12 mapped.faiss
import mapped --input mapped.faiss
search mapped --queries data/query.fbin -k 10 --output mapped.ibin --servers 2
run 0 "$tools/tool_index" search l2 data/query.fbin 0 10 mapped-plain mapped.faiss
expect_equal mapped mapped-plain

# Graphs, whole and dealt out, and what faiss alone can take apart.
config hnswsq '"index_builder_type":"hnswsq"' '"metric":"l2"' '"dim":16' '"store_n":16' '"nprobe":64'
make HNSW16_SQ8 l2 0 2000 rows hnswsq-0.faiss
make HNSW16_SQ8 l2 2000 2000 rows hnswsq-1.faiss hnswsq-0.faiss
import hnswsq --input hnswsq-0.faiss hnswsq-1.faiss
for servers in 1 2 3; do
    search hnswsq --queries data/query.fbin -k 10 --output hnswsq.ibin --servers $servers
    expect_recall 10 data/groundtruth.ibin hnswsq.ibin 0.95
done
config opaque '"faiss_factory":"IVF16,PQ8x4fs"' '"metric":"l2"' '"dim":16' '"nprobe":16'
make IVF16,PQ8x4fs l2 0 4000 rows opaque.faiss
import opaque --input opaque.faiss
compare opaque l2 16 1 opaque.faiss

# Trained apart, as the original's servers were: encoded anew, or kept with local training.
make IVF16,Flat l2 0 2000 rows apart-0.faiss
make IVF16,Flat l2 2000 2000 rows apart-1.faiss
config apart '"index_builder_type":"ivf_simple"' '"metric":"l2"' '"dim":16' '"centroids":16' '"nprobe":16'
import apart --input apart-0.faiss apart-1.faiss
expect_output '"encoded_anew": 1, '
search apart --queries data/query.fbin -k 10 --output apart.ibin --servers 3
expect_exact l2 data apart
config local '"index_builder_type":"ivf_simple"' '"metric":"l2"' '"dim":16' '"centroids":16' '"nprobe":4' '"training":"local"'
import local --input apart-0.faiss apart-1.faiss
expect_output '"encoded_anew": 0, '
search local --queries data/query.fbin -k 10 --output local.ibin --servers 2
recall 10 data/groundtruth.ibin local.ibin
