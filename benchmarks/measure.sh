# measure.sh: sourced by the benchmarks that people start. Builds what they measure, and gives the word to the Python that does.
# shellcheck shell=bash
set -euo pipefail

export LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
root=$(cd "$(dirname "$0")/.." && pwd -P)

fail() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# measure SCRIPT ARGUMENT...: runs benchmarks/SCRIPT. --programs and --no-install say what is built for it; everything else is for the script.
measure() {
    local script=$root/benchmarks/$1 programs='' setup_options=() arguments=()
    shift
    command -v python3 > /dev/null || fail "python3 is missing (Debian: apt-get install python3-minimal)"
    while [ $# -gt 0 ]; do
        case $1 in
        --help | -h) exec python3 "$script" --help ;;
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
        python3 "$script" --check ${arguments[@]+"${arguments[@]}"}
        "$root/jobs/setup.sh" ${setup_options[@]+"${setup_options[@]}"} --cmake-args -DDFAISS_BENCHMARKS=ON >&2
        programs=$root/build/bin
    fi
    exec python3 "$script" --programs "$programs" --mpirun "$root/tests/mpirun.sh" ${arguments[@]+"${arguments[@]}"}
}
