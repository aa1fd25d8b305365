#!/usr/bin/env bash
# faults.sh: whatever moment of a save a server is killed at, and whatever call fails, the index is what it was or what it was to become, and the next job
# goes on with it; the same on a disk that is too small, as far as it gets.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

enough=10 # points of each kind

generate data --rows 3000 --dim 16 --queries 30 -k 10
config ivf '"index_builder_type":"ivf_simple"' '"metric":"l2"' '"dim":16' '"centroids":16' '"nprobe":16'
build 2 ivf --data data/base.fbin
search ivf --queries data/query.fbin -k 10 --output old.ibin
cp -r st old
build 2 ivf --data data/base.fbin --append
search ivf --queries data/query.fbin -k 10 --output new.ibin
cp -r st new

# put_old: the storage is as before the append.
put_old() {
    rm -rf st/ivf
    mkdir -p st
    cp -r old/ivf st
}

# append FAULT: in the environment of all ranks; whether it succeeds is left in $code.
append() {
    code=0
    DFAISS_FAULT=$1 "$dfaiss" build --storage st --index ivf --append --data data/base.fbin --threads 1 > out 2> err < /dev/null || code=$?
}

# vectors: of the newest generation, of which every byte is verified.
vectors() {
    "$dfaiss" inspect --storage st --index ivf --verify --json > found 2> found-err || fail "what is there is not whole after $1"
    sed 's/.*"complete": true, "servers": [0-9]*, "vectors": \([0-9]*\).*/\1/' found
}

# expect_whole FAULT: the old index or the new one; after a success the new one, which a search tells as well.
expect_whole() {
    local there
    there=$(vectors "$1")
    case $there in
    3000) wanted=old ;;
    6000) wanted=new ;;
    *) fail "$there vectors after $1" ;;
    esac
    [ "$code" != 0 ] || [ "$wanted" = new ] || fail "$1: a save that succeeded is lost"
}

expect_answers() {
    search ivf --queries data/query.fbin -k 10 --output found.ibin
    expect_equal "$wanted" found
}

# How many calls each server has: the most of all processes.
put_old
append "count:$folder/calls"
[ "$code" = 0 ] || fail "appending fails"
calls=$(cat calls.* | sort -n | tail -n 1)
echo "$((calls)) calls of a server"

for fate in kill ENOSPC EIO; do
    old=0
    for i in $(seq "$enough"); do
        point=$((calls * i / enough))
        put_old
        append "any:$point:$fate"
        expect_whole "any:$point:$fate"
        [ "$wanted" = new ] || old=$((old + 1))
        [ $((i % 5)) != 0 ] || expect_answers
    done
    echo "$fate: $old of $enough left the old index"
    [ "$old" -gt 0 ] || fail "no point of $fate was reached"
done
# What a killed job has left does not stop the next one.
put_old
append "any:$((calls / 2)):kill"
[ "$code" != 0 ] || fail "a job whose servers were killed has succeeded"
append ""
[ "$code" = 0 ] || fail "after a killed job appending fails"
wanted=new
expect_answers

# A small disk, with room for more and more of the new generation.
rm -rf st
mkdir st
mount -t tmpfs -o size=1m tmpfs st 2> mount-err || skip "a small file system cannot be mounted here: $(cat mount-err)"
trap 'umount "$folder/st"; rm -rf "$folder"' EXIT
base=$(du -s --apparent-size -k old/ivf | cut -f 1)
more=$(du -s --apparent-size -k new/ivf/g000002 | cut -f 1)
for i in $(seq "$enough"); do
    mount -o "remount,size=$((base + 40 + (more + 40) * i / enough))k" st
    put_old
    append ""
    expect_whole "a disk with room for $i of $enough parts"
    [ "$code" = 0 ] || [ "$(grep -c 'No space left on device' err)" = 1 ] || fail "not one line on a full disk"
done
[ "$wanted" = new ] || fail "the index does not fit into the largest of the small disks"
expect_answers
