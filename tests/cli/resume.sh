#!/usr/bin/env bash
# resume.sh: a build that is killed, at whatever moment and however often, is gone on with by --resume: afterwards the index has every vector once and answers
# as one that was built without interruption, whatever numbers of servers and clients took part. Inputs that are not what they were are refused by name.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

RANDOM=${DFAISS_TEST_SEED:-20261123}
rows=12000

generate data --rows "$rows" --dim 32 --queries 100 -k 10
"$tools/tool_convert" data/base.fbin f32 first.fbin 0 7001
"$tools/tool_convert" data/base.fbin f32 second.fbin 7001 4999
seq 0 $((rows - 1)) | sed 's/.*/{"row": &}/' > metadata.jsonl
config flat '"index_builder_type":"flat"' '"metric":"l2"' '"dim":32' '"save_interval_sec":0.02'
config ivf '"index_builder_type":"ivf_simple"' '"metric":"l2"' '"dim":32' '"centroids":64' '"nprobe":8' '"buffer_bsz":300' '"save_interval_sec":0.02'
config hnsw '"index_builder_type":"hnswsq"' '"metric":"l2"' '"dim":32' '"nprobe":64' '"store_n":16' '"buffer_bsz":300' '"save_interval_sec":0.1'

# ask NAME ANSWER
ask() {
    search "$1" --queries data/query.fbin -k 10 --output "$2.ibin" --groundtruth data/groundtruth.ibin
}

has_ended() {
    [ -z "$(processes "$dfaiss")" ]
}

# kill_some MILLISECONDS: after that time one process of the job is killed, a rank or the program that has started them.
kill_some() {
    local victims victim
    sleep "$(printf '0.%03d' "$1")"
    mapfile -t victims < <(processes "$dfaiss")
    [ "${#victims[@]}" -gt 0 ] || return 0
    victim=${victims[$((RANDOM % ${#victims[@]}))]}
    kill -KILL "$victim" 2> kill-err || true
}

# resume_until_done NAME ARGUMENT...: resumed with other numbers of servers and clients and killed again and again, at any moment or at any call that
# changes the storage, and the last time left alone.
resume_until_done() {
    local name=$1 round code held fault killed=0
    shift
    for round in $(seq 6); do
        fault=
        [ $((round % 2)) = 0 ] || fault=any:$((1 + RANDOM % 60)):kill
        DFAISS_FAULT=$fault "$dfaiss" build --storage st --index "$name" --resume --servers $((1 + RANDOM % 4)) --clients $((1 + RANDOM % 3)) \
            --threads 1 --quiet "$@" > out 2> err < /dev/null &
        local job=$!
        [ -n "$fault" ] || kill_some $((50 + RANDOM % 900))
        code=0
        wait "$job" || code=$?
        wait_until has_ended || fail "ranks are left of a job that was killed"
        [ "$code" = 0 ] || killed=$((killed + 1))
        held=$(vectors "$name")
        [ "$code" = 0 ] || [ "$held" = 0 ] || [ "$held" = "$rows" ] || parts=$((parts + 1))
    done
    run 0 "$dfaiss" build --storage st --index "$name" --resume --servers 3 --clients 2 --threads 1 "$@"
    echo "$name: killed $killed times"
}

# vectors NAME: of the newest generation; 0 where there is none.
vectors() {
    "$dfaiss" inspect --storage st --index "$1" --verify --json 2> inspect-err | sed 's/.*"vectors": \([0-9]*\).*/\1/' | grep -x '[0-9]*' || echo 0
}

# expect_held NAME: every row of the input, once.
expect_held() {
    run 0 "$root/tests/mpirun.sh" 3 "$tools/tool_held" st "$1" "$rows"
    run 0 "$dfaiss" inspect --storage st --index "$1" --verify --json
    expect_output "\"vectors\": $rows, \"buffered\": 0"
}

parts=0
for kind in flat ivf hnsw; do
    sed 's/, *"save_interval_sec":[0-9.]*//' "$kind.json" > "$kind-whole.json"
    build 2 "$kind-whole" --data first.fbin second.fbin --metadata metadata.jsonl
    ask "$kind-whole" "$kind-whole"
    resume_until_done "$kind" --config "$kind.json" --data first.fbin second.fbin --metadata metadata.jsonl
    expect_held "$kind"
    ask "$kind" "$kind"
done
[ "$parts" -gt 0 ] || fail "no job was killed with a part of its input saved"
expect_equal flat-whole flat
expect_equal ivf-whole ivf
expect_recall 10 data/groundtruth.ibin hnsw.ibin "$(recall 10 data/groundtruth.ibin hnsw-whole.ibin)" 0.01
search flat --queries data/query.fbin -k 10 --output flat.jsonl
search flat-whole --queries data/query.fbin -k 10 --output flat-whole.jsonl
cmp flat.jsonl flat-whole.jsonl || fail "metadata are not those of a build without interruption"

# What is there is not sent again, and no job is started for it.
run 0 "$dfaiss" build --storage st --index flat --resume --data first.fbin second.fbin --metadata metadata.jsonl --json
expect_object '{"index": "flat", "servers": '
expect_output '"vectors": 0, '
grep -q "the index flat has all $rows vectors of this input: nothing is left to be done" err || fail "a complete index is not told of"
! grep -q '^starting ' err || fail "a job was started for nothing"
run 0 "$root/tests/mpirun.sh" 3 "$dfaiss" build --storage st --index flat --resume --data first.fbin second.fbin --metadata metadata.jsonl --json
expect_object '{"index": "flat", "servers": '
expect_output '"vectors": 0, '

# Another input, another configuration.
expect_fail 2 ERR_ARG "the index flat was built last from $folder/first.fbin and 2 other files, not from $folder/data/base.fbin" build --storage st --index flat --resume --data data/base.fbin
expect_fail 2 ERR_ARG "not from $folder/first.fbin" build --storage st --index flat --resume --data first.fbin second.fbin
sed 's/:64/:65/' ivf.json > other.json
expect_fail 2 ERR_CONFIG "other.json: index 'ivf' was saved with centroids 64, which cannot become 65" build --storage st --index ivf --resume --data first.fbin --config other.json
expect_fail 2 ERR_ARG "there is no index none in st yet: to begin with it build needs --config" build --storage st --index none --resume --data first.fbin
expect_fail 2 ERR_ARG "--overwrite and --resume exclude each other" build --storage st --index flat --resume --overwrite --data first.fbin
expect_fail 2 ERR_ARG "--append and --resume exclude each other" build --storage st --index flat --resume --append --data first.fbin

# Files that have changed are refused, whatever has changed of them, before a job is started.
refuse() {
    expect_fail 3 ERR_DATA "$1" build --storage st --index flat --resume --data first.fbin second.fbin --metadata metadata.jsonl
}
cp -p second.fbin kept.fbin
touch -d '2020-01-01 12:00:00 UTC' second.fbin
refuse "$folder/second.fbin has changed since the index flat took rows of it: modified 2020-01-01T12:00:00.000000000Z, expected 20"
printf 'XXXX' | dd of=second.fbin bs=1 seek=20 conv=notrunc status=none
touch -r kept.fbin second.fbin
refuse "$folder/second.fbin has changed since the index flat took rows of it: its first and last bytes have checksum "
cp -p kept.fbin second.fbin
cp -p metadata.jsonl kept.jsonl
sed -i 's/"row": 0}/"row": 9}/' metadata.jsonl
touch -r kept.jsonl metadata.jsonl
refuse "$folder/metadata.jsonl has changed"
cp -p kept.jsonl metadata.jsonl
mkdir moved
mv first.fbin second.fbin moved
run 0 "$dfaiss" build --storage st --index flat --resume --data moved/first.fbin moved/second.fbin --metadata metadata.jsonl

# A file that has grown, and one more time the same input: added when that is asked for, and gone on with by itself.
build 2 grown --data moved/second.fbin --config flat-whole.json
"$tools/tool_convert" data/base.fbin f32 second.fbin 7000 5000
expect_fail 3 ERR_DATA "second.fbin has changed since the index grown took rows of it: it has 640008 bytes, expected 639880" \
    build --storage st --index grown --resume --data second.fbin
build 2 grown --append --data moved/first.fbin
build 2 grown --append --data moved/first.fbin
run 0 "$dfaiss" build --storage st --index grown --resume --data moved/first.fbin --json
expect_object '{"index": "grown", "servers": 2, "vectors": 0, '
run 0 "$dfaiss" inspect --storage st --index grown --json
expect_output '"vectors": 19001, "buffered": 0'
