#!/usr/bin/env bash
# signals.sh: SIGUSR1 saves a build that goes on; SIGUSR2, and SIGTERM to the program that started the job, save it and end it with exit code 99, from where
# --resume goes on; a second signal, or a save that takes longer than --grace, ends it without, and what was saved before stays.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

rows=20000
generate data --rows "$rows" --dim 32 --queries 20 -k 10
config slow '"index_builder_type":"hnswsq"' '"metric":"l2"' '"dim":32' '"nprobe":64' '"store_n":32' '"ef_construction":1200' '"buffer_bsz":300'
config training '"index_builder_type":"ivf_simple"' '"metric":"l2"' '"dim":32' '"centroids":8000'

# begin ARGUMENT...: a build in the background, which is left in $job.
begin() {
    "$dfaiss" build --storage st --index slow --config slow.json --data data/base.fbin --servers 2 --threads 1 --json --quiet "$@" > out 2> err < /dev/null &
    job=$!
    trap 'kill -KILL $job 2> kill-err || true; rm -rf "$folder"' EXIT
}

# ranks: the processes of the job, in the order of their ranks.
ranks() {
    local process
    for process in $(processes "$dfaiss"); do
        tr '\0' '\n' < "/proc/$process/environ" | sed -n "s/^OMPI_COMM_WORLD_RANK=\(.*\)/\1 $process/p"
    done 2> environ-err | sort -n | cut -d ' ' -f 2
    return 0
}

has_ranks() {
    [ "$(ranks | wc -l)" = "$1" ]
}

# A new index has its lease from the start.
has_begun() {
    [ -e st/slow/lease ]
}

# end CODE: the job ends with it.
end() {
    local found=0
    wait "$job" || found=$?
    trap 'rm -rf "$folder"' EXIT
    [ "$found" = "$1" ] || fail "exit code $found instead of $1"
    wait_until has_ranks 0 || fail "ranks are left"
}

expect_stopped() {
    expect_one_line "stopped after a checkpoint: 1 index is saved"
    expect_object '{"error": {"code": "ERR_INTERRUPTED", "text": "stopped after a checkpoint: 1 index is saved", "where": ""}}'
    [ ! -e st/slow/lease ] || fail "a job that was stopped has left its lease"
}

# vectors: of the newest generation, every byte of which is verified.
vectors() {
    "$dfaiss" inspect --storage st --index slow --verify --json > found
    sed 's/.*"vectors": \([0-9][0-9]*\).*/\1/' found
}

# number: of the newest complete generation.
number() {
    "$dfaiss" inspect --storage st --index slow --json 2> inspect-err | sed 's/.*"number": \([0-9]*\), "complete": true.*/\1/' | grep -x '[0-9]*' || echo 0
}

has_generation() {
    [ "$(number)" -ge "$1" ]
}

# Saved and gone on with.
begin
wait_until has_begun || fail "the index has not come"
sleep 0.5
kill -USR1 "$job"
wait_until has_generation 1 || fail "a generation has not come"
end 0
[ "$(value vectors)" = "$rows" ] || fail "vectors of a build that was saved meanwhile"
[ "$(value generation)" -ge 2 ] || fail "SIGUSR1 has saved nothing"
[ "$(vectors)" = "$rows" ] || fail "vectors in the index"
rm -rf st

# Saved and stopped, whoever is told; each time the next job goes on.
sent=0
for how in USR2 TERM mpirun rank; do
    if [ "$how" = mpirun ]; then
        "$root/tests/mpirun.sh" 3 "$dfaiss" build --storage st --index slow --resume --config slow.json --data data/base.fbin --threads 1 --json --quiet > out 2> err < /dev/null &
        job=$!
    else
        begin --resume
    fi
    wait_until has_ranks 3 || fail "not all ranks have come"
    sleep 1.5
    case $how in
    USR2 | TERM) kill -s "$how" "$job" || fail "the job ended before a signal" ;;
    mpirun) kill -USR2 "$job" ;;
    rank) kill -USR2 "$(ranks | sed -n 2p)" ;;
    esac
    end 99
    grep '^dfaiss: ' err > lines || fail "nothing on stderr"
    mv lines err
    expect_stopped
    held=$(vectors)
    [ "$held" -ge "$sent" ] || fail "fewer vectors after a signal than before"
    echo "$how: $held vectors"
    sent=$held
done
run 0 "$dfaiss" build --storage st --index slow --resume --config slow.json --data data/base.fbin --threads 1 --json
[ $(($(value vectors) + held)) = "$rows" ] || fail "$held vectors were there, and $(value vectors) were sent of $rows"
run 0 "$root/tests/mpirun.sh" 3 "$tools/tool_held" st slow "$rows"

# A save that does not end: the server stops itself where it would sync its file.
begin_stuck() {
    rm -rf st
    build 2 slow --data data/query.fbin
    DFAISS_FAULT=sync:1:stop begin --append "$@"
    wait_until has_begun || fail "the index has not come"
    sleep 0.5
    kill -TERM "$job"
}

expect_unsaved() {
    expect_one_line "$1"
    expect_object '{"error": {"code": "ERR_INTERRUPTED", "text": "'
    # mpirun lets the server go on before it kills it, which may just be enough.
    held=$(vectors)
    [ "$(number)/$held" = 1/20 ] || [ "$(number)" = 2 ] || fail "$held vectors in generation $(number) after a stop that failed"
}

begin_stuck --grace 1
end 1
expect_unsaved "stopped by a signal, and not saved within the 1 seconds of --grace; what was saved before that is as it was"
begin_stuck
sleep 1.5
kill -USR2 "$job"
end 1
expect_unsaved "stopped by signal 12 (User defined signal 2) before it was saved; what was saved before that is as it was"
how=--append
[ "$held" = 20 ] || how=--resume
build 2 slow "$how" --data data/base.fbin --config slow.json
[ "$(vectors)" = $((rows + 20)) ] || fail "vectors that were added after a stop that failed"

# Where a save fails, the exit code says so.
rm -rf st
DFAISS_FAULT=sync:1+:ENOSPC begin
wait_until has_begun || fail "the index has not come"
sleep 0.5
kill -USR2 "$job"
end 1
expect_one_line "stopped by a signal, and not saved: "
expect_object '{"error": {"code": "ERR_SPACE", "text": "stopped by a signal, and not saved: '

# Training cannot be saved, and does not hold up the end.
generate large --rows 100000 --dim 32 --queries 1 -k 1
"$dfaiss" build --storage st --index training --config training.json --data large/base.fbin --servers 2 --threads 1 --json --quiet > out 2> err < /dev/null &
job=$!
wait_until has_ranks 3 || fail "not all ranks have come"
sleep 2
kill -USR2 "$job"
end 99
expect_one_line "stopped"
[ ! -e st/training/lease ] || fail "a training that was stopped has left its lease"

# What has nothing to save is stopped, too, and one more job can have the index.
expect_fail 2 ERR_ARG "--grace" build --storage st --index slow --config slow.json --data data/base.fbin --grace -1
