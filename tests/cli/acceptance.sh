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
    echo "skipped: $*"
    exit 77
}

# find_data FILE: the path of one of the shared data files; fails where it is absent.
find_data() {
    local found=${DFAISS_TEST_DATA:-$project/../shared/data}/$1
    [ -e "$found" ] && realpath "$found"
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
