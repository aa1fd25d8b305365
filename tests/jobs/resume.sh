#!/usr/bin/env bash
# resume.sh: signals that Slurm sends to the ranks of a real build: SIGUSR1 saves one that goes on; with SIGTERM it saves and ends with 99 under srun, as the job's
# script sees it, and the next run sends the rest.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

rows=40000
start_slurm 2
"$dfaiss" generate --out data --rows "$rows" --dim 32 --queries 10 --quiet > out
echo '{"index_builder_type": "hnswsq", "metric": "l2", "dim": 32, "store_n": 32, "ef_construction": 600, "buffer_bsz": 300}' > slow.json
cat > build.sbatch <<'SCRIPT'
#!/usr/bin/env bash
export SRUN_CPUS_PER_TASK=1
srun --mpi=pmix "$DFAISS" build --storage indexes --index slow --config slow.json --data data/base.fbin --resume --json --threads 1
echo "code $?"
SCRIPT

# newest KEY: of the newest complete generation; nothing where there is none.
newest() {
    "$dfaiss" inspect --storage indexes --index slow --json 2> inspect-err | sed -n "s/.*\"complete\": true.*\"$1\": \([0-9][0-9]*\).*/\1/p"
}

# begin: a run, until its ranks have begun to build.
begin() {
    : > said
    submit --nodes=2 --ntasks=4 --cpus-per-task=1 build.sbatch
    for _ in $(seq 300); do
        [ "$(pgrep -c -f "^$dfaiss build --storage indexes --index slow ")" -lt 4 ] || break
        sleep 0.2
    done
    sleep 2
}

expect_stopped() {
    expect_end COMPLETED
    expect_said '{"error": {"code": "ERR_INTERRUPTED", "text": "stopped after a checkpoint'
    expect_said "code 99"
    [ ! -e indexes/slow/lease ] || fail_with_job "a lease is left after $1"
    echo "$1: $(newest vectors) vectors"
}

# To the step, whose ranks get it.
begin
for _ in $(seq 60); do
    scancel --signal=USR1 "$job.0"
    sleep 1
    [ -z "$(newest number)" ] || break
done
[ -n "$(newest number)" ] || fail_with_job "SIGUSR1 has saved nothing"
[ "$(job_state)" = RUNNING ] || fail_with_job "SIGUSR1 has ended the job"
scancel --signal=TERM "$job.0"
expect_stopped TERM
held=$(newest vectors)
begin
expect_end COMPLETED 300
expect_said "code 0"
expect_said "\"vectors\": $((rows - held)), "
[ "$(newest vectors)" = "$rows" ] || fail_with_job "$(newest vectors) vectors instead of $rows"
