#!/usr/bin/env bash
# hosts.sh: several hosts on this machine: network namespaces, each with a host name and an address of its own, joined by a bridge that lies in one more. Root.
#
#   hosts.sh up PREFIX N             makes PREFIX1 to PREFIXN
#   hosts.sh down PREFIX             removes them
#   hosts.sh run HOST COMMAND...     runs a command there
#   hosts.sh bytes PREFIX N          bytes that host N has received
#
# PREFIX is at most 8 letters. Exit code 77 where namespaces are not to be had. As mpirun's way to other hosts: --mca plm_rsh_agent "hosts.sh run"
set -euo pipefail

network=10.77.0

unavailable() {
    echo "hosts: $*" >&2
    exit 77
}

up() {
    local prefix=$1 count=$2 i j
    [ "$(id -u)" = 0 ] || unavailable "network namespaces need root"
    command -v ip > /dev/null || unavailable "no ip (Debian: iproute2)"
    unshare --uts --net true 2> /dev/null || unavailable "this machine grants no namespaces"
    ip netns add "${prefix}br" 2> /dev/null || unavailable "this machine grants no named namespaces"
    ip -n "${prefix}br" link add bridge type bridge || {
        down "$prefix"
        unavailable "no bridge in this kernel"
    }
    ip -n "${prefix}br" link set bridge up
    for ((i = 1; i <= count; i++)); do
        ip netns add "$prefix$i"
        ip -n "${prefix}br" link add "port$i" type veth peer name eth0 netns "$prefix$i"
        ip -n "${prefix}br" link set "port$i" master bridge up
        ip -n "$prefix$i" addr add "$network.$i/24" dev eth0
        ip -n "$prefix$i" link set eth0 up
        ip -n "$prefix$i" link set lo up
        # What `ip netns exec` shows there as /etc/hosts.
        mkdir -p "/etc/netns/$prefix$i"
        {
            echo "127.0.0.1 localhost"
            for ((j = 1; j <= count; j++)); do
                echo "$network.$j $prefix$j"
            done
        } > "/etc/netns/$prefix$i/hosts"
    done
}

down() {
    local name process
    for name in $(ip netns list | awk -v prefix="$1" 'index($1, prefix) == 1 { print $1 }'); do
        for process in $(ip netns pids "$name"); do
            kill -s KILL "$process" 2> /dev/null || true
        done
        ip netns del "$name"
        rm -rf "/etc/netns/$name"
    done
    rmdir /etc/netns 2> /dev/null || true
}

# mpirun's agent gets options of ssh in front of the host, and a command for a shell.
run_there() {
    local host
    while [[ $1 == -* ]]; do
        shift
    done
    host=$1
    shift
    exec ip netns exec "$host" unshare --uts sh -c "hostname $host; $*"
}

action=${1:?up, down, run or bytes}
shift
case $action in
up) up "$@" ;;
down) down "$@" ;;
run) run_there "$@" ;;
bytes) ip netns exec "$1$2" cat /sys/class/net/eth0/statistics/rx_bytes ;;
esac
