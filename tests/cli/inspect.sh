#!/usr/bin/env bash
# inspect.sh: listing and verifying what a storage holds, and dropping an index.
set -eu
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

whole='{"name": "news", "generations": [{"number": 3, "complete": true, "servers": 2, "vectors": 123456, "buffered": 56, "bytes": 20}], "damaged": []}'

expect_fail 2 ERR_NOT_FOUND "the storage none does not exist" inspect --storage none
mkdir st
run 0 "$dfaiss" inspect --storage st
expect_output "st holds no index"
run 0 "$dfaiss" inspect --storage st --json
expect_object '{"indexes": []}'

make_index st news
make_index st a-name-that-is-longer-than-its-column
for words in "" --verify; do
    run 0 "$dfaiss" inspect --storage st --index news --json $words
    [ "$(cat out)" = "{\"indexes\": [$whole]}" ] || fail "another object"
    run 0 "$dfaiss" inspect --storage st $words
    grep -q -E '^news +3 +2 +123456 +56 +20 B$' out || fail "no row for news"
    grep -q -E '^ +3 +2 +123456 +56 +20 B$' out || fail "no row for the index with the long name"
    [ ! -s err ] || fail "something on stderr"
    awk 'length($0) > 80 { exit 1 }' out || fail "wider than a terminal"
done
expect_fail 2 ERR_NOT_FOUND "there is no index nws" inspect --storage st --index nws
expect_fail 2 ERR_ARG 'the index name "../st" is not allowed' inspect --storage st --index ../st

# expect_damage TEXT OPTION...: one damaged file of news, on stderr, in the table and in the object, which holds the error besides; nothing wrong elsewhere.
expect_damage() {
    local text=$1
    shift
    run 0 "$dfaiss" inspect --storage st --index a-name-that-is-longer-than-its-column "$@"
    run 3 "$dfaiss" inspect --storage st "$@"
    expect_one_line "$text"
    expect_output "Damaged:"
    expect_output "$text"
    run 3 "$dfaiss" inspect --storage st --json "$@"
    expect_one_line "$text"
    expect_object '{"indexes": [{"name": "a-name-that-is-longer-than-its-column", "generations": [{"number": 3, "complete": true'
    expect_output '"error": {"code": "ERR_CHECKPOINT", "text": "'
}

# Of a byte that changed only --verify knows.
echo "shard tow" > st/news/g000003/shard-0001.h5
run 0 "$dfaiss" inspect --storage st
expect_damage "st/news/g000003/shard-0001.h5 is damaged: expected checksum e8ee560fa1a2b0a7" --verify
expect_output '{"number": 3, "complete": false'
expect_output '"damaged": [{"generation": 3, "file": "st/news/g000003/shard-0001.h5", "text": "'
echo "shard two and more" > st/news/g000003/shard-0001.h5
expect_damage "st/news/g000003/shard-0001.h5 is damaged: expected 10 bytes, found 19"
expect_damage "st/news/g000003/shard-0001.h5 is damaged: expected 10 bytes, found 19" --verify
rm st/news/g000003/shard-0001.h5
expect_damage "st/news/g000003/shard-0001.h5 is missing"
rm st/news/g000003/shard-0000.h5
expect_damage "st/news/g000003/shard-0000.h5 is missing" --verify
expect_one_line "2 files are damaged, the first of them: "
truncate -s 100 st/news/manifest.json
expect_damage "st/news/manifest.json"
expect_output '"generations": [], "damaged": [{"generation": null, "file": "st/news/manifest.json"'

# What a save that was cut off leaves is shown and harms nothing.
make_index st news
mkdir st/news/g000004
echo part > st/news/g000004/shard-0000.h5
run 0 "$dfaiss" inspect --storage st --index news --json
expect_output '{"number": 4, "complete": false, "servers": null, "vectors": null, "buffered": null, "bytes": 5}], "damaged": []'
run 0 "$dfaiss" inspect --storage st --index news
expect_output "not complete"

run 0 "$dfaiss" drop --storage st --index news
expect_output "index news is removed from st"
[ ! -e st/news ] || fail "files of a dropped index"
run 0 "$dfaiss" drop --storage st --index a-name-that-is-longer-than-its-column --json
expect_object '{"index": "a-name-that-is-longer-than-its-column", "dropped": true}'
expect_fail 2 ERR_NOT_FOUND "there is no index news" drop --storage st --index news

# A file that generations share counts once, and each of them is incomplete without it.
make_index st shared
mkdir st/shared/g000004
echo "shard one" > st/shared/g000004/shard-0000.h5
one=$(make_part 0 g000003/shard-0000.h5) two=$(make_part 1 g000003/shard-0001.h5)
make_manifest st shared "$(make_generation 3 123456 "$one" "$two"), $(make_generation 4 185184 "$(make_part 0 g000003/shard-0000.h5 g000004/shard-0000.h5)" "$two")"
run 0 "$dfaiss" inspect --storage st --index shared --verify --json
expect_output '{"number": 4, "complete": true, "servers": 2, "vectors": 185184, "buffered": 56, "bytes": 30}'
echo "shard 2wo" > st/shared/g000003/shard-0001.h5
run 3 "$dfaiss" inspect --storage st --index shared --verify --json
expect_output '{"number": 3, "complete": false, '
expect_output '{"number": 4, "complete": false, '
expect_one_line "st/shared/g000003/shard-0001.h5 is damaged: expected checksum"
echo "shard 1" > st/shared/g000003/shard-0000.h5
run 3 "$dfaiss" inspect --storage st --index shared --verify
expect_one_line "2 files are damaged, the first of them: st/shared/g000003/shard-0000.h5 is damaged: expected 10 bytes"
