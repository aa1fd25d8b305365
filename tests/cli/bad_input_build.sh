#!/usr/bin/env bash
# bad_input_build.sh: input of a build that is refused before any rank is started, and leaves nothing.
set -eu
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# Nothing here may get as far as starting a job.
export DFAISS_MPIRUN=/bin/false

"$dfaiss" generate --out data --rows 400 --dim 16 --queries 5 --quiet > out
"$dfaiss" generate --out bytes --rows 40 --dim 16 --queries 5 --type u8 --quiet > out
"$dfaiss" generate --out wide --rows 40 --dim 24 --queries 5 --quiet > out
echo '{"index_builder_type": "flat", "dim": "16", "metric": "l2"}' > flat.json

# refuse CODE STATUS TEXT ARGUMENT...: the build of a new index.
refuse() {
    local code=$1 status=$2 text=$3
    shift 3
    expect_fail "$code" "$status" "$text" build --storage st --index new "$@"
    [ ! -e st/new ] || fail "something was left: st/new"
    [ -z "$(find . -name '.dfaiss-*')" ] || fail "something was left: .dfaiss-*"
}

refuse 2 ERR_ARG "--config FILE is missing" --data data/base.fbin
refuse 2 ERR_ARG "--data FILE is missing" --config flat.json
refuse 2 ERR_ARG "--overwrite and --append exclude each other" --config flat.json --data data/base.fbin --overwrite --append
expect_fail 2 ERR_ARG 'the index name "a/b" is not allowed' build --storage st --index a/b --config flat.json --data data/base.fbin

# Vector files.
: > empty.fbin
head -c 1000 data/base.fbin > short.fbin
cp data/base.fbin long.fbin
echo x >> long.fbin
refuse 2 ERR_NOT_FOUND "cannot open none.fbin: No such file or directory" --config flat.json --data none.fbin
refuse 3 ERR_DATA "empty.fbin is empty" --config flat.json --data empty.fbin
refuse 3 ERR_DATA "short.fbin has 1000 bytes, but" --config flat.json --data short.fbin
refuse 3 ERR_DATA "long.fbin has" --config flat.json --data long.fbin
refuse 3 ERR_DATA "short.fbin" --config flat.json --data data/base.fbin short.fbin
refuse 3 ERR_DATA "wide/base.fbin" --config flat.json --data data/base.fbin --data wide/base.fbin
refuse 3 ERR_DATA "bytes/base.u8bin" --config flat.json --data data/base.fbin bytes/base.u8bin
refuse 3 ERR_DATA "wide/base.fbin has vectors of dimension 24; flat.json expects dim 16" --config flat.json --data wide/base.fbin
refuse 2 ERR_ARG "flat.json" --config flat.json --data flat.json
refuse 2 ERR_ARG "--raw needs --dim D" --config flat.json --data short.fbin --raw f16
refuse 2 ERR_ARG "--dim is only for files without a header" --config flat.json --data short.fbin --dim 16
refuse 3 ERR_DATA "short.fbin has 1000 bytes" --config flat.json --data short.fbin --raw f16 --dim 16

# Configurations.
echo '{"index_builder_type": "flat", "dmi": 16}' > misspelt.json
echo '{"index_builder_type": "flat", "dim": true}' > type.json
echo '{"index_builder_type": "flat", "dim": 16, "nprobe": 0}' > range.json
echo '{"index_builder_type": "flat"' > cut.json
echo '{"faiss_factory": "IVF8,Nonsense", "dim": 16}' > factory.json
refuse 2 ERR_NOT_FOUND "cannot open none.json" --config none.json --data data/base.fbin
refuse 2 ERR_CONFIG "did you mean 'dim'?" --config misspelt.json --data data/base.fbin
refuse 2 ERR_CONFIG "type.json: dim" --config type.json --data data/base.fbin
refuse 2 ERR_CONFIG "range.json: nprobe" --config range.json --data data/base.fbin
refuse 2 ERR_CONFIG "cut.json" --config cut.json --data data/base.fbin
refuse 2 ERR_CONFIG "IVF8,Nonsense" --config factory.json --data data/base.fbin

# Metadata and ids.
lines() {
    local line
    for ((line = 0; line < $1; line++)); do
        echo '{"title": "one"}'
    done
}
lines 399 > fewer.jsonl
lines 401 > more.jsonl
{ lines 399 && echo '[1]'; } > array.jsonl
{ lines 399 && echo '{"a": '; } > cut.jsonl
refuse 3 ERR_DATA "fewer.jsonl has 399 lines" --config flat.json --data data/base.fbin --metadata fewer.jsonl
refuse 3 ERR_DATA "more.jsonl has more lines than the 400 vectors" --config flat.json --data data/base.fbin --metadata more.jsonl
refuse 3 ERR_DATA "array.jsonl line 400" --config flat.json --data data/base.fbin --metadata array.jsonl
refuse 3 ERR_DATA "cut.jsonl line 400" --config flat.json --data data/base.fbin --metadata cut.jsonl
refuse 2 ERR_NOT_FOUND "cannot open none.jsonl" --config flat.json --data data/base.fbin --metadata none.jsonl
refuse 3 ERR_DATA "data/groundtruth.ibin has 5 rows of 100" --config flat.json --data data/base.fbin --ids data/groundtruth.ibin
printf '\003\0\0\0\001\0\0\0\007\0\0\0\010\0\0\0\011\0\0\0' > three.ibin
printf '\003\0\0\0\001\0\0\0\007\0\0\0\010\0\0\0\007\0\0\0' > twice.ibin
refuse 3 ERR_DATA "three.ibin has 3 ids for 400 vectors" --config flat.json --data data/base.fbin --ids three.ibin
refuse 3 ERR_DATA "twice.ibin" --config flat.json --data data/base.fbin --ids twice.ibin

# Indexes that are there, or are not.
refuse 2 ERR_NOT_FOUND "the storage st does not exist" --append --data data/base.fbin
make_index st old
refuse 2 ERR_NOT_FOUND "there is no index new" --append --data data/base.fbin
expect_fail 2 ERR_EXISTS "holds an index old already: give --overwrite, --append or --resume" build --storage st --index old --config flat.json --data data/base.fbin
expect_fail 2 ERR_CONFIG "metric differs from that of the index old" \
    build --storage st --index old --append --config flat.json --data data/base.fbin
expect_fail 3 ERR_DATA "the index old expects dim 16" build --storage st --index old --append --data wide/base.fbin
expect_fail 2 ERR_ARG "can be added only without --ids" build --storage st --index old --append --data data/base.fbin --ids three.ibin

# Storage that cannot be written.
: > file
expect_fail 1 ERR_IO "cannot use the storage file/st: Not a directory" build --storage file/st --index new --config flat.json --data data/base.fbin
expect_fail 1 ERR_IO "cannot write to the storage /proc/dfaiss" build --storage /proc/dfaiss --index new --config flat.json --data data/base.fbin
