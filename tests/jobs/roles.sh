#!/usr/bin/env bash
# roles.sh: servers and clients that are different programs, on different nodes: job files on a real Slurm of three nodes, and srun by hand.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

start_slurm 3
make_data 2000 16 20
export STORAGE=indexes
"$dfaiss" build --storage indexes --index demo --config ivf.json --data data/base.fbin --servers 4 --quiet > out
search="$dfaiss search --storage indexes --index demo --queries data/query.fbin --nprobe 16 --groundtruth data/groundtruth.ibin"

export CLIENT=$search
run_job serve.sbatch --cpus-per-task=1
expect_said "4 servers and 1 clients on n[1-2] with: srun --mpi=pmix"
expect_said "recall@10  1.0000"
LAUNCH="mpirun --bind-to none" run_job serve.sbatch --cpus-per-task=1
expect_said "with: mpirun"
expect_said "recall@10  1.0000"

run_job multi-prog.sbatch --cpus-per-task=1
expect_said "files      bench-$job/bench.*"

run_job het.sbatch --cpus-per-task=1 : --cpus-per-task=1
expect_said "servers on n[1-2], clients on n3"
expect_said "index      demo on 4 servers"
expect_said "recall@10  1.0000"

# A client that fails ends the job, and its reason is told.
: > said
CLIENT="$search --nprobe -1" submit --cpus-per-task=1 "$root/jobs/serve.sbatch"
expect_end FAILED
expect_said "--nprobe is '-1'"

# srun by hand: --servers-per-node puts the servers of a node first.
"$dfaiss" build --storage indexes --index two --config flat.json --data data/base.fbin --servers 2 --quiet > out
run 0 srun --mpi=pmix --overcommit --nodes=2 --ntasks=4 "$dfaiss" search --storage indexes --index two --queries data/query.fbin --servers-per-node 1
expect_output "index      two on 2 servers"

# Where srun gives no MPI to the ranks, each of them would be a job of its own.
run 1 srun --mpi=none --overcommit --nodes=2 --ntasks=2 "$dfaiss" search --storage indexes --index two --queries data/query.fbin
grep -q "^dfaiss: srun has started 2 of these without MPI: start them with srun --mpi=pmix" err || fail "nothing is said of srun without MPI"
[ "$(grep -c '^dfaiss: ' err)" = 1 ] || fail "more than one rank says so"
run 0 srun --mpi=pmix --overcommit --nodes=2 --ntasks=4 "$dfaiss" doctor --storage indexes --config ivf.json --rows 2000
expect_output "start      ok       4 ranks"
