#!/usr/bin/env bash
# search.sh: what distribution costs. Builds dfaiss and the benchmark programs, generates a data set, and measures dfaiss beside plain faiss: the same
# faiss library, vectors, training sample and total number of threads, in turn, several times. benchmarks/search.sh --help says what is measured and how.
#
#   benchmarks/search.sh                                      the default: five kinds of index, about a quarter of an hour on two cores
#   benchmarks/search.sh --kind flat --rows 20000 --builds 1  a first look, in under a minute
#   benchmarks/search.sh --json results.json                  keeps every measurement, the medians and the environment
set -euo pipefail

export LC_ALL=C.UTF-8
root=$(cd "$(dirname "$0")/.." && pwd -P)

fail() {
    echo "search.sh: $*" >&2
    exit 1
}

command -v python3 > /dev/null || fail "python3 is missing (Debian: apt-get install python3-minimal)"

programs=''
setup_options=()
arguments=()
while [ $# -gt 0 ]; do
    case $1 in
    --help | -h) exec python3 "$root/benchmarks/compare.py" --help ;;
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
    python3 "$root/benchmarks/compare.py" --check ${arguments[@]+"${arguments[@]}"}
    "$root/jobs/setup.sh" ${setup_options[@]+"${setup_options[@]}"} --cmake-args -DDFAISS_BENCHMARKS=ON >&2
    programs=$root/build/bin
fi
exec python3 "$root/benchmarks/compare.py" --programs "$programs" --mpirun "$root/tests/mpirun.sh" ${arguments[@]+"${arguments[@]}"}
