#!/usr/bin/env bash
# larger_than_memory.sh: a file of vectors that is larger than all the memory that the job may have is read all the same.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

# A control group with a limit: version 1 or version 2, where this machine lets us make one.
limit=$((320 << 20))
if group=$(mktemp -d /sys/fs/cgroup/memory/dfaiss-XXXXXX 2> group-err); then
    limit_file=$group/memory.limit_in_bytes
else
    group=$(mktemp -d /sys/fs/cgroup/dfaiss-XXXXXX 2> group-err) || skip "no control group can be made here: $(cat group-err)"
    limit_file=$group/memory.max
fi
trap 'rmdir "$group"; rm -rf "$folder"' EXIT
{ echo "$limit" > "$limit_file"; } 2> group-err || skip "the memory of a control group cannot be limited here: $(cat group-err)"

# limited COMMAND...: within the group.
limited() {
    # shellcheck disable=SC2016 # the inner shell's
    run 0 bash -c 'echo $$ > "$0/cgroup.procs" && exec "$@"' "$group" "$@"
}

generate data --rows 1250000 --dim 128 --queries 100 -k 10
[ "$(stat -c %s data/base.fbin)" -gt $((limit * 3 / 2)) ] || fail "the file is not larger than the limit"
config pq '"faiss_factory":"IVF256,PQ16x4fs"' '"metric":"l2"' '"dim":128' '"nprobe":32'
limited "$dfaiss" build --storage st --index pq --config pq.json --data data/base.fbin --servers 2 --threads 1 --json
[ "$(value vectors)" = 1250000 ] || fail "vectors"
limited "$dfaiss" search --storage st --index pq --queries data/query.fbin --groundtruth data/groundtruth.ibin --threads 1 --json
[ "$(value queries)" = 100 ] || fail "queries"
