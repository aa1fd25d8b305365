#!/usr/bin/env bash
# acceptance.sh: what the tests share that build and search real indexes. A test sources it in the place of lib.sh, with the path of dfaiss as first
# argument of its own; the tools of these tests lie beside dfaiss. Indexes are in the storage st; servers have one thread each, so that many fit
# on few cores.
# shellcheck disable=SC2154

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$project/tests/cli/lib.sh"
tools=$(dirname "$dfaiss")

# skip TEXT: ends the test; ctest shows it as skipped.
skip() {
    echo "skipped: $*" >&2
    exit 77
}

# shared_data FILE: the path of one of the shared data files, for `name=$(shared_data FILE)`; the test is skipped where it is absent.
shared_data() {
    local found=${DFAISS_TEST_DATA:-$project/../shared/data}/$1
    [ -e "$found" ] || skip "$1 is neither in ../shared/data nor where DFAISS_TEST_DATA points"
    realpath "$found"
}

# generate DIR ARGUMENT...
generate() {
    local made=$1
    shift
    run 0 "$dfaiss" generate --out "$made" --quiet "$@"
}

# config NAME KEY-AND-VALUE...: writes NAME.json, each further word being one "key": value.
config() {
    local name=$1
    shift
    local IFS=,
    echo "{$*}" > "$name.json"
}

# build SERVERS NAME ARGUMENT...: builds the index NAME with NAME.json where no other configuration is given.
build() {
    local servers=$1 name=$2
    shift 2
    case " $* " in
    *" --config "* | *" --append "*) ;;
    *) set -- --config "$name.json" "$@" ;;
    esac
    run 0 "$dfaiss" build --storage st --index "$name" --servers "$servers" --threads 1 --json "$@"
    expect_object "{\"index\": \"$name\", \"servers\": $servers, \"vectors\": "
}

# search NAME ARGUMENT...
search() {
    local name=$1
    shift
    run 0 "$dfaiss" search --storage st --index "$name" --threads 1 --json "$@"
    expect_object "{\"index\": \"$name\", \"servers\": "
}

# value KEY: the number that the last JSON object has under a key.
value() {
    local found
    found=$(sed -n "s/.*\"$1\": \(-\{0,1\}[0-9][0-9.e+-]*\).*/\1/p" "$folder/out")
    [ -n "$found" ] || fail "no number $1 on stdout"
    echo "$found"
}

# expect_equal ONE OTHER: the answers ONE.ibin and OTHER.ibin, with their scores, are equal.
expect_equal() {
    run 0 "$tools/tool_compare" "$1.ibin" "$1.fbin" "$2.ibin" "$2.fbin"
}

# expect_same ONE OTHER: they are equal to the byte.
expect_same() {
    cmp "$1.ibin" "$2.ibin" || fail "the ids of $1 and $2 differ"
    cmp "$1.fbin" "$2.fbin" || fail "the scores of $1 and $2 differ"
}

# expect_exact METRIC DATA ANSWER: ANSWER.ibin and its scores are those of an exact search of DATA/base.*, whose true neighbours lie beside it.
expect_exact() {
    run 0 "$tools/tool_exact" "$1" "$(echo "$2"/base.*bin)" "$(echo "$2"/query.*bin)" "$2/groundtruth.ibin" "$3.ibin" "$3.fbin"
}

# recall R TRUTH FOUND
recall() {
    "$tools/tool_recall" "$1" "$2" "$3" || fail "recall of $3"
}

# expect_recall R TRUTH FOUND WANTED [SLACK]
expect_recall() {
    local found
    found=$("$tools/tool_recall" "$@") || fail "recall@$1 of $3 is ${found:-unknown}; $4 is expected${5:+, or $5 less}"
}

# expect_as_good NAME METRIC DATA FACTORY NPROBE SAMPLE [EFCONSTRUCTION]: 3 servers with NAME.json find no fewer of the 10 true neighbours than one plain
# faiss index of FACTORY that is trained on SAMPLE rows, 0.01 aside.
expect_as_good() {
    local name=$1 metric=$2 data=$3 factory=$4 nprobe=$5 sample=$6 plain
    shift 6
    build 3 "$name" --data "$data/base.fbin"
    search "$name" --queries "$data/query.fbin" -k 10 --output "$name.ibin" --groundtruth "$data/groundtruth.ibin"
    run 0 env OMP_NUM_THREADS=2 "$tools/tool_plain" "$factory" "$metric" "$data/base.fbin" "$data/query.fbin" "$sample" "$nprobe" 10 "$name-plain.ibin" "$@"
    plain=$(recall 10 "$data/groundtruth.ibin" "$name-plain.ibin")
    echo "$name: recall@10 of plain faiss $plain, of dfaiss $(recall 10 "$data/groundtruth.ibin" "$name.ibin")"
    expect_recall 10 "$data/groundtruth.ibin" "$name.ibin" "$plain" 0.01
}

# ready NAME FILE: NAME.json is the ready configuration FILE with fewer lists, for few rows.
ready() {
    sed 's/"centroids": 1024/"centroids": 128/; s/"nprobe": 32/"nprobe": 8/' "$project/configs/$2.json" > "$1.json"
}
