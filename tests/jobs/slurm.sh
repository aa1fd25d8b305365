#!/usr/bin/env bash
# slurm.sh: a real Slurm of one's own, below one folder, as an ordinary user or as root: munged, slurmctld, and a slurmd for each of several nodes, which
# all are this machine.
#
#   slurm.sh start FOLDER NODES    starts it and waits until the nodes are idle; afterwards SLURM_CONF=FOLDER/slurm.conf
#   slurm.sh stop FOLDER           ends its jobs and its daemons
#   slurm.sh lose FOLDER NODE      the node is gone: its daemon and what runs there are killed, and Slurm notices
#   slurm.sh regain FOLDER NODE    the node is back
#
# Exit code 77 where Slurm is not installed. Of a machine with a Slurm of its own nothing is touched.
set -euo pipefail

say() { echo "slurm: $*" >&2; }

fail() {
    say "$*"
    tail -n 15 "$folder"/log/*.log >&2 || true
    exit 1
}

require_programs() {
    local program
    for program in munged slurmctld slurmd sbatch srun; do
        command -v "$program" > /dev/null || {
            say "no $program (Debian: slurmctld, slurmd, slurm-client, munge)"
            exit 77
        }
    done
}

is_free() { ! (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }

# The first of as many free ports in a row: one for the controller, one for each node.
find_ports() {
    local first port
    for ((first = 20000 + $$ % 8000; first < 32000; first += nodes + 1)); do
        for ((port = first; port <= first + nodes; port++)); do
            is_free "$port" || continue 2
        done
        echo "$first"
        return
    done
    fail "no free ports"
}

# A node has more processors here than the machine, so that several ranks of a test fit on it. A requeued job would wait for as long as the credentials of
# its first run last. Nodes of one machine must not share the folder where MPI meets its ranks (TmpFS).
write_configuration() {
    local user port
    user=$(id -un)
    port=$(find_ports)
    cat > "$folder/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket,cred_expire=5
CredType=cred/munge
SlurmctldPort=$port
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/%n.pid
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool.%n
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/%n.log
TmpFS=$folder/tmp.%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0
ReturnToService=2
SlurmdTimeout=300
KillWait=10
MinJobAge=600
JobRequeue=1
SlurmdParameters=config_overrides
NodeName=n[1-$nodes] NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=[$((port + 1))-$((port + nodes))] CPUs=8 RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
}

start_munge() {
    mkdir -m 700 "$folder/munge"
    (umask 077 && head -c 1024 /dev/urandom > "$folder/munge/key")
    munged --force --socket="$folder/munge/socket" --key-file="$folder/munge/key" --pid-file="$folder/munge/pid" \
        --log-file="$folder/log/munged.log" --seed-file="$folder/munge/seed" || fail "munged does not start"
    chmod 711 "$folder/munge"
}

start() {
    local i
    mkdir -p "$folder"/{run,state,log}
    chmod 755 "$folder"
    start_munge
    write_configuration
    slurmctld -c || fail "slurmctld does not start"
    for ((i = 1; i <= nodes; i++)); do
        mkdir -p "$folder/spool.n$i" "$folder/tmp.n$i"
        slurmd -N "n$i" || fail "slurmd of n$i does not start"
    done
    wait_for_nodes
}

wait_for_nodes() {
    local i
    for ((i = 0; i < 300; i++)); do
        [ "$(sinfo -h -t idle -o %D 2> /dev/null)" != "$nodes" ] || return 0
        sleep 0.1
    done
    fail "the nodes are not idle: $(sinfo 2>&1)"
}

# end_process FILE SIGNAL: the process whose number the file holds, and waits until it is gone.
end_process() {
    local number i
    [ -s "$1" ] || return 0
    number=$(cat "$1")
    kill -s "$2" "$number" 2> /dev/null || return 0
    for ((i = 0; i < 100; i++)); do
        case $(cat "/proc/$number/stat" 2> /dev/null) in
        "" | *") Z "*) return 0 ;;
        esac
        sleep 0.1
    done
    kill -s KILL "$number"
}

end_jobs() {
    local i
    scancel --quiet --user="$(id -un)" 2> /dev/null || return 0
    for ((i = 0; i < 300; i++)); do
        [ -n "$(squeue -h 2> /dev/null)" ] || return 0
        sleep 0.1
    done
}

stop() {
    local file
    [ ! -f "$folder/run/slurmctld.pid" ] || end_jobs
    for file in "$folder"/run/n*.pid "$folder/run/slurmctld.pid" "$folder/munge/pid"; do
        end_process "$file" TERM
    done
}

# Those of a node: the steps (slurmstepd: [JOB.STEP]) leave no file; they are the children that the node's daemon had, in sessions of their own.
lose() {
    local node=$1 process environment
    end_process "$folder/run/$node.pid" KILL
    for process in /proc/[0-9]*; do
        environment=$(tr '\0' '\n' 2> /dev/null < "$process/environ") || continue
        if grep -q -x "SLURM_CONF=$folder/slurm.conf" <<< "$environment" && grep -q -x "SLURMD_NODENAME=$node" <<< "$environment"; then
            kill -s KILL "${process#/proc/}" 2> /dev/null || true
        fi
    done
    scontrol update "NodeName=$node" State=DOWN Reason=lost
}

regain() {
    nodes=$(sinfo -h -N -o %N | wc -l)
    slurmd -N "$1" || fail "slurmd of $1 does not start"
    # A node that says that it is there comes back by itself (ReturnToService), or does not need to.
    wait_for_nodes
}

[ $# -ge 2 ] || {
    say "usage: slurm.sh start|stop|lose|regain FOLDER ..."
    exit 2
}
folder=$2
export SLURM_CONF=$folder/slurm.conf
case $1 in
start)
    nodes=${3:-1}
    require_programs
    start
    ;;
stop) stop ;;
lose) lose "$3" ;;
regain) regain "$3" ;;
esac
