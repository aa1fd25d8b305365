#!/usr/bin/env bash
# lease.sh: of two jobs that write the same index the second is refused by name, while everybody may search; a job that has died holds up nobody.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

generate data --rows 1000 --dim 16 --queries 20 -k 10
config flat '"index_builder_type":"flat"' '"metric":"l2"' '"dim":16'

# refuse TEXT ARGUMENT...
refuse() {
    local text=$1
    shift
    run 1 "$dfaiss" "$@"
    expect_one_line "$text"
}

# find_stopped: the process that is stopped, of those that work in this folder.
find_stopped() {
    local process
    for process in /proc/[0-9]*; do
        [ "$(readlink "$process/cwd")" = "$folder" ] || continue
        if grep -q ') T ' "$process/stat"; then
            echo "${process#/proc/}"
        fi
    done 2> find-err
    return 0
}

# The server of a job stops where it would sync its first file.
DFAISS_FAULT=sync:1:stop "$dfaiss" build --storage st --index flat --config flat.json --data data/base.fbin --servers 1 --threads 1 > first-out 2> first-err &
first=$!
stopped=
trap 'kill -KILL $stopped $first 2> kill-err || true; rm -rf "$folder"' EXIT
for _ in $(seq 600); do
    stopped=$(find_stopped)
    [ -z "$stopped" ] || break
    sleep 0.1
done
[ -n "$stopped" ] || fail "the first job was not stopped"
refuse "index flat is being written by process $stopped on host $(hostname) (since 20" \
    build --storage st --index flat --config flat.json --data data/base.fbin --servers 1 --threads 1
refuse "is being written by process $stopped" drop --storage st --index flat
config other '"index_builder_type":"flat"' '"metric":"l2"' '"dim":16'
build 1 other --data data/base.fbin
kill -CONT "$stopped"
wait "$first" || fail "the first job failed"
trap 'rm -rf "$folder"' EXIT
[ ! -e st/flat/lease ] || fail "the first job has left its lease"

# foreign SECONDS: the lease of a process of another machine, refreshed that long ago.
foreign() {
    cat > st/flat/lease << 'JSON'
{"format": "dfaiss lease", "version": 1, "host": "far", "pid": 4242, "machine": "another", "started": 1, "job": "99", "restart": 0,
 "since": "2026-01-01T12:00:00Z", "nonce": "none"}
JSON
    touch -d "$1 seconds ago" st/flat/lease
}

foreign 20
for how in "--append" "--overwrite --config flat.json"; do
    # shellcheck disable=SC2086 # several words
    refuse "is being written by process 4242 on host far (job 99, since 2026-01-01T12:00:00Z)" build --storage st --index flat $how --data data/base.fbin --threads 1
done
search flat --queries data/query.fbin -k 10 --output one.ibin
expect_exact l2 data one
foreign 200
build 1 flat --append --data data/base.fbin
grep -q '^warning: the lease of index flat is taken over from process 4242 on host far' err || fail "no warning of a lease that has lapsed"
[ ! -e st/flat/lease ] || fail "the lease that was taken over is still there"

# A job that is killed leaves its lease, which holds up nobody.
DFAISS_FAULT=sync:1:kill "$dfaiss" build --storage st --index flat --append --data data/base.fbin --threads 1 > killed-out 2> killed-err && fail "a job whose server was killed has succeeded"
[ -e st/flat/lease ] || fail "the job that was killed has left no lease"
build 1 flat --append --data data/base.fbin
run 0 "$dfaiss" inspect --storage st --index flat --verify --json
expect_output '"vectors": 3000, '
DFAISS_FAULT=sync:1:kill "$dfaiss" build --storage st --index flat --append --data data/base.fbin --threads 1 > killed-out 2> killed-err && fail "a job whose server was killed has succeeded"
run 0 "$dfaiss" drop --storage st --index flat
[ ! -e st/flat ] || fail "a folder is left of an index that was dropped"
