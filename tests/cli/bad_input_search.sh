#!/usr/bin/env bash
# bad_input_search.sh: input of a search that is refused before any rank is started, and leaves nothing.
set -eu
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# Nothing here may get as far as starting a job.
export DFAISS_MPIRUN=/bin/false

"$dfaiss" generate --out data --rows 40 --dim 16 --queries 5 --quiet > out
"$dfaiss" generate --out wide --rows 40 --dim 24 --queries 6 --quiet > out
make_index st news

# refuse CODE STATUS TEXT ARGUMENT...
refuse() {
    local code=$1 status=$2 text=$3
    shift 3
    expect_fail "$code" "$status" "$text" search --storage st --index news "$@"
}

expect_fail 2 ERR_NOT_FOUND "there is no index nws" search --storage st --index nws --queries data/query.fbin
expect_fail 2 ERR_NOT_FOUND "the storage none does not exist" search --storage none --index news --queries data/query.fbin
refuse 2 ERR_ARG "--queries FILE is missing"
refuse 2 ERR_ARG "-k is '0'; a whole number from 1 to" --queries data/query.fbin -k 0
refuse 2 ERR_ARG "--nprobe is '-1'" --queries data/query.fbin --nprobe -1
refuse 2 ERR_NOT_FOUND "cannot open none.fbin" --queries none.fbin
refuse 2 ERR_ARG "the index's configuration declares no attributes" --queries data/query.fbin --filter 'year == 2000'
refuse 3 ERR_DATA "wide/query.fbin has vectors of dimension 24; the index news has dimension 16" --queries wide/query.fbin
refuse 2 ERR_NOT_FOUND "cannot open none.ibin" --queries data/query.fbin --groundtruth none.ibin
refuse 3 ERR_DATA "wide/groundtruth.ibin has the neighbours of 6 queries; data/query.fbin has 5" \
    --queries data/query.fbin --groundtruth wide/groundtruth.ibin
refuse 2 ERR_ARG "the output answers.txt must end in" --queries data/query.fbin --output answers.txt
refuse 2 ERR_NOT_FOUND "cannot write into the folder nowhere" --queries data/query.fbin --output nowhere/answers.ibin
make_manifest st news "$(make_generation 3 123456 "$(make_part 0 g000003/shard-0000.h5)" "$(make_part 1 g000003/shard-0001.h5)" | sed 's/"flat"/"flta"/')"
refuse 3 ERR_CHECKPOINT "flta" --queries data/query.fbin
echo '{}' > st/news/manifest.json
refuse 3 ERR_CHECKPOINT "st/news/manifest.json" --queries data/query.fbin
