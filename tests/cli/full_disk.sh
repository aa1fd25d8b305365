#!/usr/bin/env bash
# full_disk.sh: a disk that is full while an index is saved ends the job with one line, and leaves what was there.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

mkdir st
mount -t tmpfs -o size=3m tmpfs st 2> mount-err || skip "a small file system cannot be mounted here: $(cat mount-err)"
trap 'umount "$folder/st"; rm -rf "$folder"' EXIT

generate small --rows 2000 --dim 64 --queries 10 -k 10
generate large --rows 20000 --dim 64 --queries 10 -k 10
config flat '"index_builder_type":"flat"' '"metric":"l2"' '"dim":64'

# refuse ARGUMENT...: a build that does not fit.
refuse() {
    expect_fail 1 ERR_SPACE "No space left on device" build --storage st --index "$@" --threads 1
}

refuse new --config flat.json --data large/base.fbin --servers 2
run 0 "$dfaiss" inspect --storage st --json
expect_object '{"indexes": []'

build 2 flat --data small/base.fbin
run 0 "$dfaiss" inspect --storage st --index flat --verify --json
cp out before.json
search flat --queries small/query.fbin -k 10 --output before.ibin
refuse flat --overwrite --config flat.json --data large/base.fbin --servers 2
refuse flat --append --data large/base.fbin
run 0 "$dfaiss" inspect --storage st --index flat --verify --json
cmp out before.json || fail "inspect shows something else after a failed save"
search flat --queries small/query.fbin -k 10 --output after.ibin
expect_same before after
# What was half-written is gone: the next build has all the room.
build 2 flat --append --data small/base.fbin
