#!/usr/bin/env bash
# launch.sh: the program starts itself under mpirun. In its place stands a script, so that what the program gives to mpirun, and makes of what comes back,
# can be told without ranks.
set -eu
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

"$dfaiss" generate --out data --rows 40 --dim 16 --queries 5 --quiet > out
echo '{"index_builder_type": "flat", "dim": 16}' > flat.json
build=(build --storage st --index new --config flat.json --data data/base.fbin)

# A launcher that notes its arguments and settings, and then does what JOB says.
cat > launcher <<'SCRIPT'
#!/usr/bin/env bash
echo "$*" > arguments
env > settings
trap 'echo USR2 >> signals; exit 99' USR2
trap 'echo USR1 >> signals' USR1
trap 'echo TERM >> signals; exit 1' TERM
eval "$JOB"
SCRIPT
chmod +x launcher
export DFAISS_MPIRUN=$PWD/launcher

JOB='echo result; exit 0' run 0 "$dfaiss" "${build[@]}" --servers 3
[ "$(cat out)" = result ] || fail "the job's stdout is not passed on"
grep -q '^starting 3 servers and 1 client: ' err || fail "no notice"
[[ "$(cat arguments)" == *"-n 4 $dfaiss ${build[*]} --servers 3" ]] || fail "arguments: $(cat arguments)"
grep -q '^OMPI_MCA_rmaps_base_oversubscribe=1$' settings || fail "jobs with more ranks than cores are not allowed"
OMPI_MCA_rmaps_base_oversubscribe=0 JOB='exit 0' run 0 "$dfaiss" "${build[@]}" --quiet
grep -q '^OMPI_MCA_rmaps_base_oversubscribe=0$' settings || fail "a setting of the user is changed"
[ ! -s err ] || fail "--quiet says something"

# Of several MPIs the one that dfaiss was built with is started, whatever mpirun is.
own=mpirun.mpich foreign=orterun
if [[ "$("$dfaiss" --version)" == *"Open MPI"* ]]; then
    own=mpirun.openmpi foreign=mpiexec.hydra
fi
mkdir several
printf '#!/bin/sh\nexit 1\n' > "several/$foreign"
chmod +x "several/$foreign"
ln -s "$foreign" several/mpirun
cp launcher "several/$own"
# shellcheck disable=SC2016 # expanded by the launcher
DFAISS_MPIRUN='' PATH="$PWD/several:$PATH" JOB='echo "$0"' run 0 "$dfaiss" "${build[@]}"
expect_output "several/$own"

# What the ranks report is all that is said, and their exit code ours.
JOB='echo "dfaiss: shard lost" >&2; exit 3' run 3 "$dfaiss" "${build[@]}"
expect_one_line "shard lost"
JOB='echo "dfaiss: shard lost" >&2; echo "{}"; exit 3' run 3 "$dfaiss" "${build[@]}" --json
expect_object "{"
JOB='exit 99' run 99 "$dfaiss" "${build[@]}" --quiet
[ ! -s err ] || fail "an exit after a checkpoint is no failure to report"

# Ranks that cannot report.
JOB='exit 137' expect_fail 4 ERR_PEER "a rank was ended by signal 9 (Killed)" "${build[@]}"
JOB='exit 1' expect_fail 1 ERR_MPI "ended with code 1 and no rank reported why" "${build[@]}"
DFAISS_MPIRUN=/none expect_fail 2 ERR_NOT_FOUND "DFAISS_MPIRUN is '/none'" "${build[@]}"

# Whoever reads lines from stdin does not lose them to the job.
JOB='cat > eaten' "$dfaiss" "${build[@]}" > out 2> err <<< "a line" || fail "with a stdin"
[ ! -s eaten ] || fail "the job read stdin"

# signal_job SIGNAL CODE GOT: the program is sent SIGNAL while the job waits; the job gets GOT, and the program ends with CODE.
signal_job() {
    rm -f signals ready
    JOB='touch ready; for _ in {1..100}; do sleep 0.1; [ ! -e signals ] || exit 0; done' "$dfaiss" "${build[@]}" > out 2> err &
    local program=$!
    wait_until test -e ready || fail "the job has not begun"
    kill -s "$1" "$program"
    local code=0
    wait "$program" || code=$?
    [ "$(cat signals)" = "$3" ] || fail "SIG$1 arrives as $(cat signals)"
    [ "$code" = "$2" ] || fail "exit code $code after SIG$1"
}

signal_job TERM 99 USR2
signal_job USR2 99 USR2
signal_job USR1 0 USR1
