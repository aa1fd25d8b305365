#!/usr/bin/env bash
# incremental.sh: after vectors were added or removed a save writes these, and not the index once more; in the job that built it or in a later one. The
# answers are those of an index that was built at once.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

servers=2
rows=20000
more=200 # one in a hundred
dim=32

generate data --rows $((rows + more)) --dim $dim --queries 100 -k 10
"$tools/tool_convert" data/base.fbin f32 first.fbin 0 $rows
"$tools/tool_convert" data/base.fbin f32 second.fbin $rows $more
"$tools/tool_ids" list 7 31 300 gone.ibin
config flat '"index_builder_type":"flat"' '"metric":"l2"' "\"dim\":$dim"
config ivf '"index_builder_type":"ivf_simple"' '"metric":"l2"' "\"dim\":$dim" '"centroids":64' '"nprobe":64'

# bytes FOLDER: of the files in it.
bytes() {
    cat "$1"/shard-*.h5 | wc -c
}

for kind in flat ivf; do
    build $servers $kind --data first.fbin
    first=$(bytes st/$kind/g000001)
    build $servers $kind --data second.fbin --append
    [ -e st/$kind/g000001/shard-0001.h5 ] || fail "a file that generation 2 needs is gone"
    second=$(bytes st/$kind/g000002)
    echo "$kind: $second bytes for $more vectors, $first for $rows"
    # What the vectors and what comes with them take, a fifth more, and some for each file; everything would be a hundred times as much.
    most=$((more * (dim * 4 + 32) * 6 / 5 + servers * 32768))
    [ "$second" -le "$most" ] || fail "$second bytes were written for $more vectors; at most $most are expected"

    run 0 "$dfaiss" remove --storage st --index $kind --ids gone.ibin --threads 1
    third=$(bytes st/$kind/g000003)
    [ "$third" -le $((servers * 32768)) ] || fail "$third bytes were written for 300 vectors that were removed"

    # What a generation has are the files that it shares with those before, too. Folders stay that it needs, though their generations are gone.
    run 0 "$dfaiss" inspect --storage st --index $kind --verify --json
    expect_output "{\"number\": 2, \"complete\": true, \"servers\": 2, \"vectors\": $((rows + more)), \"buffered\": 0, \"bytes\": $((first + second))}"
    expect_output "{\"number\": 3, \"complete\": true, \"servers\": 2, \"vectors\": $((rows + more - 300)), \"buffered\": 0, \"bytes\": $((first + second + third))}"
    expect_output '"damaged": []'
    if grep -q '"number": 1, ' out; then
        fail "the folder of a generation that is gone is shown as one"
    fi

    build $servers $kind-at-once --data data/base.fbin --config $kind.json
    run 0 "$dfaiss" remove --storage st --index $kind-at-once --ids gone.ibin --threads 1
    search $kind --queries data/query.fbin -k 10 --output $kind.ibin
    search $kind-at-once --queries data/query.fbin -k 10 --output $kind-at-once.ibin
done
expect_equal flat flat-at-once
expect_recall 10 ivf-at-once.ibin ivf.ibin 1 0.001

# A file that several generations share is damaged in each of them.
printf 'X~' | dd of=st/flat/g000001/shard-0001.h5 bs=1 seek=3000 conv=notrunc status=none
run 3 "$dfaiss" inspect --storage st --index flat --verify --json
expect_output '{"number": 2, "complete": false'
expect_output '{"number": 3, "complete": false'
expect_output '{"generation": 2, "file": "st/flat/g000001/shard-0001.h5"'
expect_output '{"generation": 3, "file": "st/flat/g000001/shard-0001.h5"'
run 3 "$dfaiss" search --storage st --index flat --queries data/query.fbin --output none.ibin --threads 1
expect_one_line "no generation of index 'flat' is whole: 3: st/flat/g000001/shard-0001.h5 is damaged"

# The index goes with all its files.
run 0 "$dfaiss" drop --storage st --index flat
[ ! -e st/flat ] || fail "files of a dropped index"
