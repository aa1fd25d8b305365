#!/usr/bin/env bash
# several_hosts.sh: three hosts, which reach each other by TCP alone, build an index together and search it.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

unset OMPI_MCA_btl OMPI_MCA_btl_tcp_if_include
prefix=df$((BASHPID % 100000))
mpirun=$(command -v mpirun.openmpi || command -v mpirun) || skip "no mpirun"
[[ $("$dfaiss" --version) == *"Open MPI"* ]] || skip "not built with Open MPI, whose way to other hosts this test uses"
code=0
trap '"$here/hosts.sh" down "$prefix" || true; rm -rf "$folder"' EXIT
"$here/hosts.sh" up "$prefix" 3 || code=$?
[ "$code" != 77 ] || skip "no network namespaces here"
[ "$code" = 0 ] || fail "no hosts"

# on_hosts RANKS COMMAND...: started on the first host; ranks fill the hosts in order.
on_hosts() {
    local ranks=$1
    shift
    run 0 timeout 120 "$here/hosts.sh" run "${prefix}1" cd "$folder" "&&" "$mpirun" -q -n "$ranks" \
        --host "${prefix}1:$((ranks - 2)),${prefix}2,${prefix}3" --bind-to none --mca mpi_yield_when_idle 1 --mca plm_rsh_agent "'$here/hosts.sh run'" \
        --mca btl tcp,self --mca btl_tcp_if_include eth0 --mca oob_tcp_if_include eth0 "$@"
}

received() { "$here/hosts.sh" bytes "$prefix" "$1"; }

make_data 6000 32 20
before=$(received 2)
# The first two ranks share a host; the last one, the client, is alone on the third.
on_hosts 4 "$dfaiss" build --storage indexes --index demo --config ivf.json --data data/base.fbin
expect_output "vectors    6000 of dimension 32 on 3 servers"
# A third of the vectors, as floats, must have come to the second host.
[ $(($(received 2) - before)) -gt $((2000 * 32 * 4)) ] || fail "the vectors did not come over the network"
on_hosts 4 "$dfaiss" search --storage indexes --index demo --queries data/query.fbin --nprobe 16 --groundtruth data/groundtruth.ibin
expect_output "recall@10  1.0000"
on_hosts 4 "$dfaiss" bench --storage indexes --index demo --queries data/query.fbin --batch 1 --seconds 0.05 --warmup 0 --json
[ "$(grep -o "\"name\": \"${prefix}[123]\"" out | sort -u | wc -l)" = 3 ] || fail "not three hosts: $(cat out)"

# The doctor sees three hosts, what lies between them, and a storage that is a different folder on one of them.
on_hosts 4 "$dfaiss" doctor --storage indexes
expect_output "start      ok       4 ranks on 3 hosts"
grep -q "^network .* us a message ${prefix}1 to ${prefix}[23]$" out || fail "nothing is said of the network: $(cat out)"
mkdir elsewhere
code=0
"$here/hosts.sh" run "${prefix}1" cd "$folder" "&&" "$mpirun" -q --host "${prefix}1,${prefix}2" --bind-to none --mca plm_rsh_agent "'$here/hosts.sh run'" \
    --mca btl tcp,self --mca btl_tcp_if_include eth0 --mca oob_tcp_if_include eth0 -n 1 "$dfaiss" doctor --storage indexes : \
    -n 1 --wdir "$folder/elsewhere" "$dfaiss" doctor --storage indexes > out 2> err || code=$?
[ "$code" = 1 ] || fail "code $code instead of 1"
expect_output "${prefix}2 does not see in indexes what ${prefix}1 wrote there"
