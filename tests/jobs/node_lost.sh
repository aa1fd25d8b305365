#!/usr/bin/env bash
# node_lost.sh: of three nodes that serve one is lost: the job file starts the servers again on the two others, from the newest generation; with a client in
# the same job, and for clients that connect.
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
expect_said "done: "

"$here/slurm.sh" regain "$folder/slurm" n2
export CLIENT='' LISTEN=$folder/demo.listen
ask() { run 0 timeout 120 "$dfaiss" search --connect demo.listen --index demo --queries data/query.fbin --nprobe 16 --groundtruth data/groundtruth.ibin; }

# wait_for_servers N: until the job has said so N times.
wait_for_servers() {
    for ((i = 0; i < 600; i++)); do
        [ "$(grep -c "the servers answer" said)" != "$1" ] || return 0
        sleep 0.1
    done
    fail_with_job "no servers"
}

: > said
submit --cpus-per-task=1 "$root/jobs/serve-restart.sbatch"
wait_for_servers 1
ask
expect_output "index      demo on 6 servers"
"$here/slurm.sh" lose "$folder/slurm" n3
wait_for_servers 2
ask
expect_output "index      demo on 4 servers"
expect_output "recall@10  1.0000"
run 0 "$dfaiss" shutdown --connect demo.listen
expect_end COMPLETED
expect_said "lost: n3"
[ ! -e demo.listen ] || fail "the listen file is left"
