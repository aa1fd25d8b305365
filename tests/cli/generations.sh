#!/usr/bin/env bash
# generations.sh: where the newest generation of an index is damaged, all servers load the one before, whatever server finds it; where none is whole the
# job ends with what is wrong with each.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

generate data --rows 2000 --dim 16 --queries 50 -k 10
config ivf '"index_builder_type":"ivf_simple"' '"metric":"l2"' '"dim":16' '"centroids":16' '"nprobe":16'

# ask ANSWER
ask() {
    search ivf --queries data/query.fbin -k 10 --output "$1.ibin"
}

# expect_warnings N TEXT: so many lines on stderr begin as warnings of generations, and one of them holds TEXT.
expect_warnings() {
    [ "$(grep -c '^warning: generation ' err)" = "$1" ] || fail "not $1 warnings of generations"
    grep '^warning: generation ' err | grep -q -F -- "$2" || fail "no warning holds '$2'"
}

# damage FILE
damage() {
    printf 'X~' | dd of="$1" bs=1 seek=3000 conv=notrunc status=none
}

build 3 ivf --data data/base.fbin
ask first
build 3 ivf --data data/base.fbin --append
ask second
cp st/ivf/g000002/shard-0001.h5 whole.h5

# Any server's file: changed, cut off, gone, or of another generation.
damage st/ivf/g000002/shard-0001.h5
ask found
expect_warnings 1 "generation 2 of index 'ivf' is damaged, the one before is tried: st/ivf/g000002/shard-0001.h5 is damaged: expected checksum"
expect_same first found
cp whole.h5 st/ivf/g000002/shard-0001.h5
ask found
expect_same second found
: > st/ivf/g000002/shard-0002.h5
ask found
expect_warnings 1 "g000002/shard-0002.h5 is damaged: expected "
expect_same first found
rm st/ivf/g000002/shard-0000.h5
ask found
expect_same first found
for shard in 0 1 2; do
    cp "st/ivf/g000001/shard-000$shard.h5" st/ivf/g000002
done
ask found
expect_same first found

# What is added then comes to the generation that was loaded; the damaged one takes no place of a whole one.
build 3 ivf --data data/base.fbin --append
run 0 "$dfaiss" inspect --storage st --index ivf --verify --json
expect_output '"number": 1, "complete": true, "servers": 3, "vectors": 2000, '
expect_output '"number": 3, "complete": true, "servers": 3, "vectors": 4000, '
[ ! -e st/ivf/g000002 ] || fail "the damaged generation is still there"
ask found
expect_same second found

# None is whole: the newer one rests on a file of the older one.
rm st/ivf/g000001/shard-0000.h5
run 3 "$dfaiss" search --storage st --index ivf --queries data/query.fbin --output none.ibin --threads 1
expect_one_line "no generation of index 'ivf' is whole: 3: st/ivf/g000001/shard-0000.h5 is missing"
expect_one_line "; 1: st/ivf/g000001/shard-0000.h5 is missing"
[ ! -e none.ibin ] || fail "an index of which nothing is whole has answered"
