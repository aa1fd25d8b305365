#!/usr/bin/env bash
# import_refused.sh: a file that is no index, or another one than the configuration says, is refused by name, whatever faiss would have made of it.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

generate data --rows 2000 --dim 16 --queries 40 -k 10

# make FACTORY METRIC FIRST COUNT IDS TO [TRAINED]
make() {
    local factory=$1 metric=$2
    shift 2
    run 0 env OMP_NUM_THREADS=1 "$tools/tool_index" make "$factory" "$metric" data/base.fbin "$@"
}

config lists '"index_builder_type":"ivf_simple"' '"metric":"l2"' '"dim":16' '"centroids":16' '"nprobe":16'
make Flat dot 0 1000 rows flat.faiss
make IVF16,Flat l2 0 1000 5000 lists-0.faiss
make IVF16,Flat l2 1000 1000 5001 lists-1.faiss lists-0.faiss
make IDMap,SQfp16 l2 0 1000 12 mapped.faiss

# What does not fit, and what is no index. Nothing is left of it.
# refuse CODE STATUS TEXT ARGUMENT...
refuse() {
    local code=$1 status=$2 text=$3
    shift 3
    expect_fail "$code" "$status" "$text" import --storage st --index refused "$@"
    [ ! -e st/refused ] || fail "something is left of an import that failed"
}
refuse 2 ERR_CONFIG "flat.faiss is an index of inner products; the configuration's metric expects squared L2 distances" --config lists.json --input flat.faiss
refuse 2 ERR_CONFIG "mapped.faiss holds an index with another kind of index than the configuration" --config lists.json --input mapped.faiss
config wide '"index_builder_type":"ivf_simple"' '"metric":"l2"' '"dim":17' '"centroids":16'
refuse 2 ERR_CONFIG "lists-0.faiss holds vectors of dimension 16; the configuration expects dim 17" --config wide.json --input lists-0.faiss
config many '"index_builder_type":"ivf_simple"' '"metric":"l2"' '"dim":16' '"centroids":17'
refuse 2 ERR_CONFIG "lists-0.faiss holds an index with another number of lists" --config many.json --input lists-0.faiss
refuse 3 ERR_DATA "id 5000 is in lists-0.faiss and in lists-0.faiss; --id-offset" --config lists.json --input lists-0.faiss lists-0.faiss
refuse 2 ERR_ARG "--id-offset is given 1 times for 2 files" --config lists.json --input lists-0.faiss lists-1.faiss --id-offset 1
refuse 3 ERR_DATA "data/base.fbin is no index that faiss has written" --config lists.json --input data/base.fbin
refuse 2 ERR_NOT_FOUND "nothing.faiss" --config lists.json --input nothing.faiss
refuse 2 ERR_ARG "--input FILE" --config lists.json
{ printf IBxF; cat flat.faiss; } > binary.faiss
refuse 2 ERR_UNSUPPORTED "binary.faiss holds a binary index" --config lists.json --input binary.faiss
head -c 20000 lists-0.faiss > short.faiss
refuse 3 ERR_DATA "short.faiss: " --config lists.json --input lists-1.faiss short.faiss

# Bytes that are wrong never end the program, whatever faiss makes of them: the number of bytes of a vector, of lists, of links.
config graph '"faiss_factory":"HNSW16"' '"metric":"l2"' '"dim":16'
make HNSW16 l2 0 300 rows graph.faiss
make IVF16,Flat l2 0 300 rows few.faiss lists-0.faiss
for file in graph few; do
    config=graph
    [ $file = graph ] || config=lists
    for place in 4 8 12 41 44 47 53 61 64 85 200 333 1100 1300 1310 2000 9000 20007; do
        cp $file.faiss wrong.faiss
        printf '\377\177\001\377' | dd of=wrong.faiss bs=1 seek=$place conv=notrunc status=none
        found=0
        "$dfaiss" import --storage st --index wrong --config $config.json --input wrong.faiss --overwrite > out 2> err || found=$?
        case $found in
        0 | 2 | 3) ;;
        *) fail "byte $place of $file: exit code $found" ;;
        esac
        [ $found = 0 ] || grep -q 'wrong.faiss' err || fail "byte $place of $file: the text does not name the file"
    done
done
