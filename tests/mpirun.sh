#!/bin/sh
# mpirun.sh N PROGRAM [ARGUMENT...]: runs N ranks on this machine, however few cores it has, with Open MPI or MPICH.
set -eu
processes=$1
shift
if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
# More ranks than cores, and several jobs beside each other: no binding, and ranks that wait give their core away. Where a container
# denies reading another process's memory, messages go through shared memory instead.
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1
export PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
# With AddressSanitizer: Open MPI unloads its components before leaks are looked for, so only complete call stacks, taken while they are loaded, still tell
# whose they are. (They make allocating thirty times slower: only where MPI is.)
export ASAN_OPTIONS="fast_unwind_on_malloc=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
exec "${MPIEXEC:-mpirun}" -n "$processes" "$@"
