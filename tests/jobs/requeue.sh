#!/usr/bin/env bash
# requeue.sh: the job file of builds that take longer than a job may, on a real Slurm: what it makes of signals, codes and progress, told with a program in
# dfaiss's place that builds nothing.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

start_slurm 1
export STORAGE=indexes
mkdir indexes

# The stand-in: each run saves 100 vectors more when it is told to, up to 300; with STUCK it saves nothing new. The file runs has a line for each run.
cat > stand-in <<'SCRIPT'
#!/usr/bin/env bash
vectors=$(cat "$FOLDER/vectors")
case $1 in
inspect) echo "{\"indexes\": [{\"generations\": [{\"number\": 1, \"vectors\": $vectors, \"buffered\": 0}]}]}" ;;
build)
    [[ " $* " == *" --resume "* ]] || exit 2
    echo x >> "$FOLDER/runs"
    [ "$vectors" -lt 200 ] || { echo 300 > "$FOLDER/vectors"; exit 0; }
    trap '[ -n "${STUCK:-}" ] || echo $((vectors + 100)) > "$FOLDER/vectors"; exit ${CODE:-99}' USR2
    touch "$FOLDER/running"
    for ((i = 0; i < 600; i++)); do sleep 0.1; done
    exit 1
    ;;
esac
SCRIPT
chmod +x stand-in

# run_stand_in STATE: the job is told each time it runs that its time is over, as Slurm does, and ends so.
run_stand_in() {
    local i
    echo 0 > vectors
    : > runs
    : > said
    rm -f running
    DFAISS=$folder/stand-in FOLDER=$folder submit --nodes=1 --ntasks=1 --cpus-per-task=1 "$root/jobs/build-requeue.sbatch"
    for ((i = 0; i < 600; i++)); do
        if [ -e running ]; then
            rm running
            scancel --batch --signal=USR1 "$job"
        fi
        case $(job_state) in
        PENDING | RUNNING | COMPLETING | REQUEUED) sleep 0.2 ;;
        *) break ;;
        esac
    done
    expect_end "$1" 1
}

run_stand_in COMPLETED
[ "$(wc -l < runs)" = 3 ] || fail_with_job "$(wc -l < runs) runs instead of 3"
[ "$(cat vectors)" = 300 ] || fail_with_job "$(cat vectors) vectors instead of 300"
expect_said "run 0 of the build"
expect_said "the time is nearly over: saving"
expect_said "saved: 100/0; going on in the next run"
expect_said "run 2 of the build of demo on n1 with: srun --mpi=pmix; saved so far: 200/0"
STUCK=yes RESTARTS=1 run_stand_in FAILED
expect_said "giving up: 1 restarts saved nothing new (0/0)"
CODE=3 run_stand_in FAILED
[ -z "$(ls -A indexes)" ] || fail "left in the storage: $(ls -A indexes)"
expect_said "failed with code 3"
[ "$(wc -l < runs)" = 1 ] || fail_with_job "a failure was tried again"
