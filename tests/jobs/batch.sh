#!/usr/bin/env bash
# batch.sh: job files that end by themselves, each submitted to a real Slurm of two nodes: with srun and PMIx, and with mpirun inside the job.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

start_slurm 2
make_data 2000 16 20
export CONFIG=ivf.json STORAGE=indexes

run_job build.sbatch --cpus-per-task=1
expect_said "with: srun --mpi=pmix"
expect_said "vectors    2000 of dimension 16 on 4 servers"

OPTIONS="-k 10 --nprobe 16 --groundtruth data/groundtruth.ibin" run_job search.sbatch --cpus-per-task=1
expect_said "index      demo on 4 servers"
expect_said "recall@10  1.0000"
[ -s found.ibin ] || fail "no answers"
[ -s found.fbin ] || fail "no scores"

BATCH=1,8 NPROBE=1,4 GROUNDTRUTH=data/groundtruth.ibin OUTPUT=measured OPTIONS="--seconds 0.02 --warmup 0 --repeats 1" run_job bench.sbatch --cpus-per-task=1
expect_said "files      measured/bench.*"
[ "$(wc -l < measured/bench.csv)" = 9 ] || fail "not a line for each of 8 runs: $(cat measured/bench.csv)"

# Where srun does not speak the MPI's language, and where little of the environment comes with the job.
rm found.*
export INDEX=other LAUNCH="mpirun --bind-to none"
run_job build.sbatch --cpus-per-task=1
expect_said "with: mpirun"
run_job search.sbatch --cpus-per-task=1
expect_said "index      other on 4 servers"
[ -s found.ibin ] || fail "no answers by mpirun"
