#!/usr/bin/env bash
# gc.sh: what dead jobs have left goes; what a manifest names, what a live job is writing, and what dfaiss did not write stays.
set -eu
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# plant: an index with leftovers of every kind, and one of which only these are left.
plant() {
    rm -rf st
    make_index st one
    mkdir -p st/one/g000004 st/one/g000002 st/one/photos st/gone/g000001 st/strange/g000001 st/mine
    head -c 1000 /dev/zero > st/one/g000004/shard-0000.h5
    head -c 500 /dev/zero > st/one/g000004/shard-0001.h5
    head -c 300 /dev/zero > st/one/g000002/shard-0000.h5
    head -c 77 /dev/zero > st/one/g000003/shard-0002.h5
    echo "a note" > st/one/g000003/notes.txt
    echo "a note" > st/one/g000002/notes.txt
    echo "a picture" > st/one/photos/shard-0000.h5
    echo "begun" > st/one/manifest.json.new
    echo "tried" > st/one/lease.1234
    touch -d '1 hour ago' st/one/lease.1234
    echo "trying" > st/one/lease.5678
    head -c 200 /dev/zero > st/gone/g000001/shard-0000.h5
    echo "a file" > st/strange/g000001/data.bin
    echo "a file" > st/mine/file
    ln -s ../mine st/one/g000009
    ln -s ../../mine/file st/one/g000003/shard-0007.h5
}

expect_gone() {
    local path
    for path in "$@"; do
        [ ! -e "$path" ] || fail "$path is still there"
    done
}

expect_there() {
    local path
    for path in "$@"; do
        [ -e "$path" ] || fail "$path is gone"
    done
}

everything() {
    (cd st && find . -printf '%p %s %y\n' | grep -v '^\. ' | sort)
}

# A dry run says the same and changes nothing.
plant
everything > before
run 0 "$dfaiss" gc --storage st --dry-run --json
expect_object '{"storage": "st", "dry_run": true, "bytes": 2089, "removed": ['
everything > after
cmp before after || fail "a dry run has changed something"

run 0 "$dfaiss" gc --storage st --json
expect_object '{"storage": "st", "dry_run": false, "bytes": 2089, "removed": ['
for said in '"path": "st/one/g000004", "bytes": 1500' '"path": "st/one/g000002", "bytes": 300' '"path": "st/one/g000003/shard-0002.h5", "bytes": 77' \
    '"path": "st/one/manifest.json.new", "bytes": 6' '"path": "st/one/lease.1234", "bytes": 6' '"path": "st/gone/g000001", "bytes": 200' \
    '"left": [{"path": "st/' '"path": "st/one/g000002/notes.txt", "bytes": 7' '"path": "st/strange/g000001/data.bin", "bytes": 7' '"skipped": []'; do
    expect_output "$said"
done
expect_gone st/one/g000004 st/one/g000002/shard-0000.h5 st/one/g000003/shard-0002.h5 st/one/manifest.json.new st/one/lease.1234 st/gone st/one/lease
expect_there st/one/g000003/shard-0000.h5 st/one/g000003/shard-0001.h5 st/one/g000003/notes.txt st/one/g000002/notes.txt st/one/photos/shard-0000.h5 \
    st/one/lease.5678 st/strange/g000001/data.bin st/mine/file st/one/g000009 st/one/g000003/shard-0007.h5
run 0 "$dfaiss" inspect --storage st --index one --verify
run 0 "$dfaiss" gc --storage st
expect_output "0 leftovers, 0 B"

# One index alone, for people.
plant
run 0 "$dfaiss" gc --storage st --index gone
expect_output "removed            200 B  st/gone/g000001"
expect_output "1 leftovers, 200 B"
expect_there st/one/g000004/shard-0000.h5
expect_gone st/gone

# A live lease: this shell holds it, as far as anybody can tell. One that is stale goes.
lease() {
    printf '{"format": "dfaiss lease", "version": 1, "host": "elsewhere", "pid": 1, "machine": "", "started": 0, "job": "", "restart": 0, "since": "2026-01-01T00:00:00Z", "nonce": "n"}' > st/one/lease
}
lease
run 0 "$dfaiss" gc --storage st --json
expect_output '"skipped": [{"index": "one", "code": "ERR_STATE", "text": "index one is being written by '
expect_there st/one/g000004/shard-0000.h5 st/one/lease
expect_fail 1 ERR_STATE "index one is being written by " gc --storage st --index one
expect_fail 1 ERR_STATE "index one is being written by " gc --storage st --index one --dry-run
touch -d '1 hour ago' st/one/lease
run 0 "$dfaiss" gc --storage st --index one --dry-run --json
expect_output '"path": "st/one/lease"'
expect_there st/one/lease
run 0 "$dfaiss" gc --storage st --index one --json
expect_output '"path": "st/one/lease"'
expect_gone st/one/lease st/one/g000004

# Where the manifest is damaged nobody knows what it named.
plant
echo "{" > st/one/manifest.json
everything | grep '/one/' > before
run 0 "$dfaiss" gc --storage st --json
expect_output '"skipped": [{"index": "one", "code": "ERR_CHECKPOINT", '
everything | grep '/one/' > after
cmp before after || fail "something of an index with a damaged manifest has changed"
expect_fail 3 ERR_CHECKPOINT "st/one/manifest.json" gc --storage st --index one

# What is not there.
expect_fail 2 ERR_NOT_FOUND "there is nothing of an index mine in the storage st" gc --storage st --index mine
expect_fail 2 ERR_NOT_FOUND "nowhere" gc --storage nowhere
expect_fail 2 ERR_ARG "--storage DIR" gc
