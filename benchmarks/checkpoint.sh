#!/usr/bin/env bash
# checkpoint.sh: what saving and loading cost beside plain writing and reading of the same bytes. Builds dfaiss and the benchmark program, and measures
# both in turn, several times. benchmarks/checkpoint.sh --help says what is measured and how.
#
#   benchmarks/checkpoint.sh                                   the default: 1 GiB over 2 servers, two kinds of index, some minutes
#   benchmarks/checkpoint.sh --kind flat --mib 32 --rounds 3   a first look
#   benchmarks/checkpoint.sh --json results.json               keeps every measurement, the medians and the environment
set -euo pipefail

export LC_ALL=C.UTF-8
root=$(cd "$(dirname "$0")/.." && pwd -P)

fail() {
    echo "checkpoint.sh: $*" >&2
    exit 1
}

command -v python3 > /dev/null || fail "python3 is missing (Debian: apt-get install python3-minimal)"

programs=''
setup_options=()
arguments=()
while [ $# -gt 0 ]; do
    case $1 in
    --help | -h) exec python3 "$root/benchmarks/checkpoint.py" --help ;;
    --programs)
        [ $# -gt 1 ] || fail "--programs needs a folder"
        programs=$(cd "$2" && pwd -P) || fail "--programs: there is no folder $2"
        shift
        ;;
    --no-install) setup_options+=(--no-install) ;;
    *) arguments+=("$1") ;;
    esac
    shift
done

if [ -z "$programs" ]; then
    # A wrong option should not have to wait for a compiler.
    python3 "$root/benchmarks/checkpoint.py" --check ${arguments[@]+"${arguments[@]}"}
    "$root/jobs/setup.sh" ${setup_options[@]+"${setup_options[@]}"} --cmake-args -DDFAISS_BENCHMARKS=ON >&2
    programs=$root/build/bin
fi
exec python3 "$root/benchmarks/checkpoint.py" --programs "$programs" --mpirun "$root/tests/mpirun.sh" ${arguments[@]+"${arguments[@]}"}
