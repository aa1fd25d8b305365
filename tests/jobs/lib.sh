#!/usr/bin/env bash
# lib.sh: what the tests on a real Slurm share, beside ../cli/lib.sh, which it takes in: a test sources this one with the path of dfaiss as first argument
# of its own.

# shellcheck source-path=SCRIPTDIR source=../cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../cli/lib.sh"
here=$root/tests/jobs
chmod 755 "$folder"
# A test that itself runs in a job of Slurm's has nothing to do with that one.
for name in "${!SLURM_@}" "${!SBATCH_@}" "${!SRUN_@}" "${!PMIX_@}"; do
    unset "$name"
done

# What job files read. All nodes are this machine, whose shared memory they would take for one of their own.
export DFAISS=$dfaiss OMPI_MCA_btl=tcp,self OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_mpi_yield_when_idle=1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

skip() {
    echo "skipped: $*" >&2
    exit 77
}

# start_slurm NODES: until the test ends.
start_slurm() {
    local code=0
    trap '"$here/slurm.sh" stop "$folder/slurm" || true; rm -rf "$folder"' EXIT
    "$here/slurm.sh" start "$folder/slurm" "$1" || code=$?
    [ "$code" != 77 ] || skip "Slurm is not installed"
    [ "$code" = 0 ] || fail "Slurm does not start"
    export SLURM_CONF=$folder/slurm/slurm.conf
}

# submit OPTION... FILE: submits a job file of this project; its number is left in $job, and what it says goes to $folder/said.
submit() {
    job=$(sbatch --parsable --overcommit --output="$folder/said" --error="$folder/said" --open-mode=append "$@") || fail "sbatch $*"
}

# Of a heterogeneous job that of its first component.
job_state() { scontrol show job "$job" | awk '!n && match($0, /JobState=[A-Z_]+/) { n = 1; print substr($0, RSTART + 9, RLENGTH - 9) }'; }

# expect_end STATE [SECONDS]: the job ends so.
expect_end() {
    local state i
    for ((i = 0; i < ${2:-120} * 5; i++)); do
        state=$(job_state)
        case $state in
        PENDING | RUNNING | CONFIGURING | COMPLETING | REQUEUED | SIGNALING | STOPPED | SUSPENDED) sleep 0.2 ;;
        *) break ;;
        esac
    done
    [ "$state" = "$1" ] || fail_with_job "job $job is $state instead of $1"
}

fail_with_job() {
    sed 's/^/  said: /' "$folder/said" >&2 || true
    tail -n 20 "$folder"/slurm/log/slurmctld.log >&2 || true
    fail "$*"
}

# expect_said TEXT: the job has said TEXT.
expect_said() {
    grep -q -F -- "$1" "$folder/said" || fail_with_job "the job does not say '$1'"
}

# run_job FILE [OPTION...]: a job file of this project that ends well.
run_job() {
    local file=$1
    shift
    : > "$folder/said"
    submit "$@" "$root/jobs/$file"
    expect_end COMPLETED
}

# make_data ROWS DIM QUERIES: data/, and configurations beside it.
make_data() {
    "$dfaiss" generate --out data --rows "$1" --dim "$2" --queries "$3" --quiet > out
    echo "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": $2}" > flat.json
    echo "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": $2, \"centroids\": 16, \"nprobe\": 4}" > ivf.json
}
