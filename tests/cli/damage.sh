#!/usr/bin/env bash
# damage.sh: values that are no numbers, damaged files and full disks end a job with one line and the right exit code, and nothing half-written is seen.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

generate data --rows 4000 --dim 32 --queries 20 -k 10
config flat '"index_builder_type":"flat"' '"metric":"l2"' '"dim":32'
config ivf '"index_builder_type":"ivf_simple"' '"metric":"l2"' '"dim":32' '"centroids":16' '"nprobe":16'

# break_value FILE BYTE: puts a NaN there (fp32).
break_value() {
    printf '\000\000\300\177' | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# refuse TEXT ARGUMENT...: as expect_fail of damaged data, but in one job alone: mpirun takes a second or two to notice an exit code that is not 0.
refuse() {
    local text=$1
    shift
    run 3 "$dfaiss" "$@"
    expect_one_line "$text"
    [ ! -s out ] || fail "something on stdout: $*"
}

# A NaN in row 2500, of the only file and of the second of two.
cp data/base.fbin nan.fbin
break_value nan.fbin $((8 + 2500 * 128 + 12))
for kind in flat ivf; do
    expect_fail 3 ERR_DATA "nan.fbin, row 2500: component 3 is NaN or infinite" \
        build --storage st --index nan --config "$kind.json" --data nan.fbin --servers 3 --threads 1
    refuse "nan.fbin, row 2500: component 3 is NaN or infinite" \
        build --storage st --index nan --config "$kind.json" --data data/base.fbin nan.fbin --servers 2 --threads 1
    [ ! -e st/nan/manifest.json ] || fail "a build that failed left an index"
done

build 3 flat --data data/base.fbin
search flat --queries data/query.fbin -k 10 --output before.ibin
cp data/query.fbin nan-query.fbin
break_value nan-query.fbin $((8 + 7 * 128))
refuse "nan-query.fbin, row 7: component 0 is NaN or infinite" \
    search --storage st --index flat --queries nan-query.fbin --output nan.ibin --threads 1
[ ! -e nan.ibin ] || fail "a search that failed left an answer"

# What fails leaves the index that is there as it is.
refuse "nan.fbin, row 2500" build --storage st --index flat --overwrite --config flat.json --data nan.fbin --servers 3 --threads 1
refuse "nan.fbin, row 2500" build --storage st --index flat --append --data nan.fbin --threads 1
search flat --queries data/query.fbin -k 10 --output after.ibin
expect_same before after

# One byte of a shard file is another, or some are missing.
shard=$(find st/flat -name shard-0001.h5)
cp "$shard" whole.h5
for place in 100 20000 $(($(stat -c %s "$shard") - 50)); do
    printf 'X~' | dd of="$shard" bs=1 seek="$place" conv=notrunc status=none
    for servers in 2 3 5; do
        refuse "shard-0001.h5" search --storage st --index flat --queries data/query.fbin --output damaged.ibin --threads 1 --servers "$servers"
    done
    run 0 "$dfaiss" inspect --storage st --index flat --json
    cp whole.h5 "$shard"
done
for bytes in 0 100 60000; do
    head -c "$bytes" whole.h5 > "$shard"
    refuse "shard-0001.h5" search --storage st --index flat --queries data/query.fbin --output damaged.ibin --threads 1
    refuse "shard-0001.h5" build --storage st --index flat --append --data data/base.fbin --threads 1
done
rm "$shard"
for servers in 2 3 5; do
    expect_fail 3 ERR_CHECKPOINT "shard-0001.h5" \
        search --storage st --index flat --queries data/query.fbin --output damaged.ibin --threads 1 --servers "$servers"
done
[ ! -e damaged.ibin ] || fail "a search of a damaged index left an answer"
cp whole.h5 "$shard"
search flat --queries data/query.fbin -k 10 --output after.ibin
expect_same before after
