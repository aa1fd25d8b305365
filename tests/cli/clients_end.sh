#!/usr/bin/env bash
# clients_end.sh PROGRAM: a client ends with an error, or dies, and the servers go on serving the others.
. "$(dirname "$0")/lib.sh"

if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1
mpirun=${MPIEXEC:-mpirun}
client=$(dirname "$dfaiss")/tool_client

# One whose call has failed leaves with its requests under way; the job ends with its exit code when the others are done.
run 3 "$mpirun" -n 2 "$dfaiss" serve --storage storage : -n 1 "$client" leave : -n 2 "$client" work
[ "$(grep -c '^served$' out)" = 2 ] || fail "not both of the other clients were served"
rm -r gone storage

# One that dies is missed by nobody but the launcher, which ends the job unless it is told not to.
"$mpirun" --version 2>&1 | grep -q "Open MPI" || exit 0
export OMPI_MCA_orte_abort_on_non_zero_status=0
found=0
timeout 300 "$mpirun" -n 2 "$dfaiss" serve --storage storage : -n 1 "$client" die : -n 1 "$client" outlive > out 2> err || found=$?
grep -q '^served$' out || fail "the client that is left was not served (exit code $found)"
