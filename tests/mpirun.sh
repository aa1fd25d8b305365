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
exec "${MPIEXEC:-mpirun}" -n "$processes" "$@"
