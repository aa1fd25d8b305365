#!/usr/bin/env bash
# node_lost.sh: of three nodes that serve one is lost: the job file starts the servers again on the two others, from the newest generation.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

start_slurm 3
make_data 2000 16 20
export STORAGE=indexes
"$dfaiss" build --storage indexes --index demo --config ivf.json --data data/base.fbin --servers 5 --quiet > out
cat > client <<'SCRIPT'
#!/usr/bin/env bash
# As long as three nodes serve it asks until it is killed; then it asks once.
"$DFAISS" bench --storage indexes --index demo --queries data/query.fbin --batch 1 --warmup 0 --seconds "$([ -e lost ] && echo 0.1 || echo 600)" \
    --nprobe 16 --groundtruth data/groundtruth.ibin
SCRIPT
chmod +x client

export CLIENT=$folder/client RESTARTS=2
: > said
submit --cpus-per-task=1 "$root/jobs/serve-restart.sbatch"
for ((i = 0; i < 300; i++)); do
    ! grep -q "run 0 on 3 nodes" said || break
    sleep 0.1
done
expect_said "run 0 on 3 nodes: n1 n2 n3"
sleep 3
touch lost
"$here/slurm.sh" lose "$folder/slurm" n2
expect_end COMPLETED
expect_said "lost: n2"
expect_said "run 1 on 2 nodes: n1 n3 ("
expect_said "done: the clients have left"
