#!/usr/bin/env bash
# export.sh: a plain faiss program reads what `dfaiss export` writes, and finds what `dfaiss search` finds.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

generate data --rows 4000 --dim 16 --queries 40 -k 10
generate dot --rows 4000 --dim 16 --queries 40 -k 10 --metric dot
for row in $(seq 0 3999); do
    echo "{\"n\": $row}"
done > meta.jsonl
"$tools/tool_ids" list 0 7 500 removed.ibin

# export_index NAME OUTPUT ARGUMENT...
export_index() {
    local name=$1 output=$2
    shift 2
    run 0 "$dfaiss" export --storage st --index "$name" --output "$output" --json "$@"
    expect_object "{\"index\": \"$name\", \"generation\": "
}

# compare NAME METRIC QUERIES FILE...: with what the files say of nprobe, plain faiss and dfaiss find the same.
compare() {
    local name=$1 metric=$2 queries=$3
    shift 3
    search "$name" --queries "$queries" -k 10 --output "$name.ibin"
    run 0 "$tools/tool_index" search "$metric" "$queries" 0 10 "$name-plain" "$@"
    expect_equal "$name" "$name-plain"
}

config flat '"index_builder_type":"flat"' '"metric":"l2"' '"dim":16'
config ivf_simple '"index_builder_type":"ivf_simple"' '"metric":"l2"' '"dim":16' '"centroids":32' '"nprobe":8'
config ivfsq '"index_builder_type":"ivfsq"' '"metric":"dot"' '"dim":16' '"centroids":32' '"nprobe":8'
config knnlm '"index_builder_type":"knnlm"' '"metric":"cosine"' '"dim":16' '"centroids":16' '"code_size":8' '"nprobe":8'
config factory '"faiss_factory":"PCA8,SQ8"' '"metric":"l2"' '"dim":16'

# expect_without NAME: plain faiss has found nothing that was removed.
expect_without() {
    od -An -v -td4 -w4 -j8 removed.ibin | sort > removed.txt
    od -An -v -td4 -w4 -j8 "$1-plain.ibin" | sort -u > found.txt
    [ "$(wc -l < found.txt)" -gt 100 ] || fail "plain faiss has found hardly anything"
    [ -z "$(comm -12 removed.txt found.txt)" ] || fail "plain faiss has found removed vectors of $1"
}

# Everything that is codes or lists: a file a part, and one file. Some vectors were added later, some are removed.
for name in flat ivf_simple ivfsq knnlm factory; do
    metric=$(sed 's/.*"metric":"\([a-z0-9]*\)".*/\1/' "$name.json")
    data=data
    [ "$metric" = l2 ] || data="dot"
    build 2 "$name" --data $data/base.fbin --metadata meta.jsonl
    build 2 "$name" --data $data/query.fbin --append
    run 0 "$dfaiss" remove --storage st --index "$name" --ids removed.ibin --threads 1
    export_index "$name" "out-$name"
    expect_output "\"vectors\": 3540, "
    expect_output "\"metric\": \"$metric\", \"queries\": \""
    compare "$name" "$metric" $data/query.fbin "out-$name/$name-part-0000.faiss" "out-$name/$name-part-0001.faiss"
    expect_without "$name"
    export_index "$name" "$name.faiss"
    compare "$name" "$metric" $data/query.fbin "$name.faiss"
    export_index "$name" "out-$name" --merge
    cmp "$name.faiss" "out-$name/$name.faiss" || fail "one file is not like the other"
done

# Metadata lies beside, of the vectors that are there.
[ "$(wc -l < flat.jsonl)" = 3500 ] || fail "not the metadata of 3500 vectors"
grep -q -x '{"id":1,"metadata":{"n":1}}' flat.jsonl || fail "no metadata of vector 1"
! grep -q '"id":7,' flat.jsonl || fail "metadata of a vector that was removed"
cat out-flat/flat-part-*.jsonl | sort | cmp - <(sort flat.jsonl) || fail "the parts have other metadata"

# Cosine: queries are to be normalised, and the user is told.
run 0 "$dfaiss" export --storage st --index knnlm --output knnlm.faiss
expect_output "metric     cosine: each query must be divided by its L2 norm"

# An older generation.
export_index flat old.faiss --generation 2
expect_output '"generation": 2, "vectors": 4040, '
expect_fail 2 ERR_NOT_FOUND "has no generation 99" export --storage st --index flat --output no.faiss --generation 99

# Graphs and what faiss alone can take apart: a file a segment.
config hnswsq '"index_builder_type":"hnswsq"' '"metric":"l2"' '"dim":16' '"store_n":16' '"nprobe":64'
config opaque '"faiss_factory":"IVF16,PQ8x4fs"' '"metric":"l2"' '"dim":16' '"nprobe":4'
config behind '"faiss_factory":"PCA8,HNSW16"' '"metric":"l2"' '"dim":16' '"nprobe":64'
for name in hnswsq opaque behind; do
    build 2 "$name" --data data/base.fbin
    export_index "$name" "out-$name"
    expect_output '"vectors": 4000, '
    compare "$name" l2 data/query.fbin out-"$name"/"$name"-part-*.faiss
    expect_fail 2 ERR_UNSUPPORTED "consists of 2 parts" export --storage st --index "$name" --output "$name.faiss"
    [ ! -e "$name.faiss" ] || fail "half of $name was exported"
done
build 1 hnswsq --data data/base.fbin --overwrite
export_index hnswsq hnswsq.faiss
compare hnswsq l2 data/query.fbin hnswsq.faiss
run 0 "$dfaiss" remove --storage st --index hnswsq --ids removed.ibin --threads 1
export_index hnswsq hnswsq.faiss
expect_output '"vectors": 3500, '
run 0 "$tools/tool_index" search l2 data/query.fbin 0 10 hnswsq-plain hnswsq.faiss
expect_without hnswsq

# Local training: parts, but not one file.
config local '"index_builder_type":"ivf_simple"' '"metric":"l2"' '"dim":16' '"centroids":8' '"nprobe":8' '"training":"local"'
build 2 local --data data/base.fbin
export_index local out-local
compare local l2 data/query.fbin out-local/local-part-*.faiss
expect_fail 2 ERR_UNSUPPORTED 'were trained apart (training "local")' export --storage st --index local --output local.faiss

# What cannot be exported.
expect_fail 2 ERR_NOT_FOUND "none" export --storage st --index none --output none.faiss
expect_fail 2 ERR_ARG "--output FILE.faiss" export --storage st --index flat
printf 'X~' | dd of=st/flat/g000003/shard-0001.h5 bs=1 seek=3000 conv=notrunc status=none 2> /dev/null || fail "there is no file to damage"
expect_fail 3 ERR_CHECKPOINT "shard-0001.h5 is damaged" export --storage st --index flat --output damaged.faiss
[ ! -e damaged.faiss ] || fail "a damaged index was exported"
