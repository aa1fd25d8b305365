#!/usr/bin/env bash
# quickstart.sh: the main job, from nothing to a table of results. Sets up, makes a data set (or takes yours), builds and saves an index with some
# server ranks and one client, then loads and searches it in a second job.
set -euo pipefail

export LC_ALL=C.UTF-8 # numbers are read and printed with a point
root=$(cd "$(dirname "$0")/.." && pwd -P)
index=quickstart
neighbors=10

usage() {
    cat <<'TEXT'
usage: jobs/quickstart.sh [--data FILE... --queries FILE [--groundtruth FILE]] [--config FILE] [--metric l2|dot|cosine]
                          [--raw TYPE --dim D] [--servers N] [--storage DIR] [--work DIR] [--no-install] [--program FILE]

  --data FILE...        your vectors: .fbin .f16bin .u8bin .i8bin .fvecs .bvecs .npy (default: 200,000 x 96 generated)
  --queries FILE        your queries
  --groundtruth FILE    their true neighbours (.ibin or .ivecs); without them no recall is measured
  --raw TYPE --dim D    your files have no header: rows of D components of f32, f16, u8 or i8
  --config FILE         what index to build (default: configs/ivf_simple.json)
  --metric NAME         in place of the configuration's metric
  --servers N           server ranks (default: 4); one more rank is the client
  --work DIR            where data and results are kept (default: build/quickstart)
  --storage DIR         where the index is saved (default: WORK/storage); an index "quickstart" there is replaced
  --no-install          install no packages
  --program FILE        a dfaiss that is built already: no set-up
TEXT
}

say() { echo "quickstart: $*" >&2; }

fail() {
    say "$*"
    exit 1
}

wrong_usage() {
    say "$* (see jobs/quickstart.sh --help)"
    exit 2
}

parse_arguments() {
    data=() queries='' groundtruth='' metric='' raw='' dim='' servers=4 storage='' program='' setup_options=()
    config=$root/configs/ivf_simple.json
    work=$root/build/quickstart
    while [ $# -gt 0 ]; do
        case $1 in
        --data)
            while [ $# -gt 1 ] && [ "${2#--}" = "$2" ]; do
                data+=("$2")
                shift
            done
            [ ${#data[@]} -gt 0 ] || wrong_usage "--data needs a file"
            ;;
        --queries | --groundtruth | --config | --metric | --raw | --dim | --servers | --storage | --work | --program)
            [ $# -gt 1 ] || wrong_usage "$1 needs a value"
            printf -v "${1#--}" %s "$2"
            shift
            ;;
        --no-install) setup_options+=(--no-install) ;;
        --help | -h)
            usage
            exit 0
            ;;
        *) wrong_usage "unknown option $1" ;;
        esac
        shift
    done
    storage=${storage:-$work/storage}
}

check_arguments() {
    local file
    [[ $servers =~ ^[1-9][0-9]{0,5}$ ]] || wrong_usage "--servers is '$servers'; expected a number from 1"
    case $metric in
    '' | l2 | dot | cosine) ;;
    *) wrong_usage "--metric is '$metric'; expected l2, dot or cosine" ;;
    esac
    if [ ${#data[@]} -gt 0 ]; then
        [ -n "$queries" ] || wrong_usage "--data needs --queries"
    else
        [ -z "$queries$groundtruth$raw$dim" ] || wrong_usage "--queries, --groundtruth, --raw and --dim belong to your own --data"
    fi
    for file in ${data[@]+"${data[@]}"} "$config" ${queries:+"$queries"} ${groundtruth:+"$groundtruth"}; do
        [ -r "$file" ] || fail "cannot read $file"
    done
}

# A path as one types it here: without the folder in which one is, where a folder is left.
shown() {
    local short=${1#"$(pwd -P)"/}
    [[ $short == */* ]] || short=$1
    printf '%q\n' "$short"
}

counted() { # NUMBER WORD: "1 server", "2 servers"
    echo "$1 $2$([ "$1" = 1 ] || echo s)"
}

# Prints the number under a key of a JSON file; keys are looked for at any depth, and the ones asked for occur once.
json_number() { # FILE KEY
    tr -d '\n' < "$1" | sed -n 's/.*"'"$2"'"[[:space:]]*:[[:space:]]*\(-\{0,1\}[0-9][-+.0-9eE]*\).*/\1/p'
}

# Leaves in $work/config.json the configuration with the metric that was asked for, and in $metric the one that holds.
choose_metric() {
    local given
    given=$(sed -n 's/.*"metric"[[:space:]]*:[[:space:]]*"\([a-z0-9]*\)".*/\1/p' "$config" | head -n 1)
    if [ -n "$metric" ] && [ -n "$given" ]; then
        sed 's/\("metric"[[:space:]]*:[[:space:]]*\)"[a-z0-9]*"/\1"'"$metric"'"/' "$config" > "$work/config.json"
    elif [ -n "$metric" ]; then
        sed '0,/{/s/{/{ "metric": "'"$metric"'",/' "$config" > "$work/config.json"
    else
        cp "$config" "$work/config.json"
    fi
    metric=${metric:-${given:-dot}}
}

# Makes the data set; one that is complete and of the same metric is used again.
generate_data() {
    local folder=$work/data settings="rows 200000 dim 96 queries 1000 metric $metric"
    if [ "$(cat "$folder/complete" 2> /dev/null)" != "$settings" ]; then
        say "generating 200,000 vectors of 96 dimensions, 1,000 queries and their true neighbours"
        rm -rf "$folder"
        "$program" generate --out "$folder" --rows 200000 --dim 96 --queries 1000 --metric "$metric" >&2 || fail "dfaiss generate failed with exit code $?"
        echo "$settings" > "$folder/complete"
    fi
    data=("$folder/base.fbin")
    queries=$folder/query.fbin
    groundtruth=$folder/groundtruth.ibin
}

# Settings for all ranks on this machine, in their environment alone; sets launcher.
prepare_mpi() {
    launcher=("${MPIEXEC:-mpirun}")
    case $("${launcher[@]}" --version 2>&1) in
    *"Open MPI"* | *OpenRTE* | *PRRTE* | *prterun*) launcher+=(-q) ;; # dfaiss itself says in one line what failed
    esac
    if [ "$(id -u)" = 0 ]; then
        export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    fi
    # Servers share the cores among them by --threads instead of by binding. More ranks than cores: those that wait give their core away.
    # Containers may deny reading another process's memory: messages go through shared memory.
    export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1
    export OMPI_MCA_btl_vader_single_copy_mechanism=none
    export PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe PRTE_MCA_hwloc_default_binding_policy=none
}

threads_per_server() {
    local cores
    cores=$(lscpu -p=CORE,SOCKET 2> /dev/null | grep -v '^#' | sort -u | wc -l)
    if [ "$cores" -lt 1 ] || [ "$cores" -gt "$(nproc)" ]; then
        cores=$(nproc)
    fi
    echo $((cores > servers ? cores / servers : 1))
}

# run_job RESULT COMMAND...: one MPI job of dfaiss; its JSON object goes to the file RESULT, what it says to stderr.
run_job() {
    local result=$1 code=0
    shift
    "${launcher[@]}" -n $((servers + 1)) "$program" "$@" --servers "$servers" --threads "$threads" --json > "$result" || code=$?
    [ $code = 0 ] || fail "dfaiss $1 failed with exit code $code"
}

build_index() {
    say "building the index; servers: $servers, clients: 1"
    run_job "$work/build.json" build --storage "$storage" --index "$index" --config "$work/config.json" --data "${data[@]}" --overwrite \
        ${raw:+--raw "$raw"} ${dim:+--dim "$dim"}
}

search_index() {
    say "a second job loads it and searches"
    run_job "$work/search.json" search --storage "$storage" --index "$index" --queries "$queries" -k "$neighbors" \
        ${groundtruth:+--groundtruth "$groundtruth"} ${raw:+--raw "$raw"} ${dim:+--dim "$dim"}
}

print_row() { printf '  %-16s %s\n' "$1" "$2"; }

print_table() {
    local built=$work/build.json searched=$work/search.json recall
    recall=$(json_number "$searched" "$neighbors")
    echo
    print_row vectors "$(json_number "$built" vectors) x $(json_number "$built" dim), $metric, on $(counted "$servers" server) with $(counted "$threads" thread) each"
    print_row vectors/s "$(printf %.0f "$(json_number "$built" vectors_per_second)") (read, trained, added and saved in $(printf %.1f "$(json_number "$built" total)") s)"
    if [ -n "$recall" ]; then
        print_row "recall@$neighbors" "$(printf %.4f "$recall")"
    fi
    print_row queries/s "$(printf %.0f "$(json_number "$searched" qps)")"
    print_row checkpoint "$(shown "$storage/$index") ($(($(json_number "$built" bytes_on_disk) / 1000000)) MB)"
}

print_next() {
    local again
    again=$(shown "$root/jobs/quickstart.sh")
    cat <<TEXT

Next:
  $(shown "$program") inspect --storage $(shown "$storage")
  $(shown "$program") search --storage $(shown "$storage") --index $index --queries $(shown "$queries")${raw:+ --raw $raw --dim $dim} -k 100 --nprobe 128 --output found.jsonl
  $again --config $(shown "$root/configs/hnswsq.json")
  $again --data VECTORS.npy --queries QUERIES.npy --metric cosine
TEXT
}

parse_arguments "$@"
check_arguments
if [ -z "$program" ]; then
    "$root/jobs/setup.sh" ${setup_options[@]+"${setup_options[@]}"}
    program=$root/build/bin/dfaiss
fi
mkdir -p "$work" "$storage" || fail "cannot write $work and $storage"
threads=$(threads_per_server)
choose_metric
prepare_mpi
[ ${#data[@]} -gt 0 ] || generate_data
build_index
search_index
print_table
print_next
