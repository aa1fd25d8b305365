#!/usr/bin/env bash
# lib.sh: what the tests of the program share. A test sources it with the path of dfaiss as first argument of its own, and then stands in a fresh folder
# that is removed when it ends.

dfaiss=$(realpath "$1")
# shellcheck disable=SC2034 # for the tests
root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
# A test that itself runs under a launcher starts jobs of its own all the same.
unset OMPI_COMM_WORLD_RANK OMPI_COMM_WORLD_SIZE PMIX_RANK PMI_RANK PMI_SIZE PMI_FD

fail() {
    echo "failed: $*" >&2
    for said in out err; do
        [ ! -s "$folder/$said" ] || sed "s/^/  $said: /" "$folder/$said" >&2
    done
    exit 1
}

# run CODE COMMAND...: the exit code is CODE; stdout is left in $folder/out, stderr in $folder/err.
run() {
    local expected=$1 found=0
    shift
    "$@" > "$folder/out" 2> "$folder/err" < /dev/null || found=$?
    [ "$found" = "$expected" ] || fail "exit code $found instead of $expected: $*"
}

# wait_until COMMAND...: until it succeeds, for a minute; ends with 1 where it does not.
wait_until() {
    local tries
    for ((tries = 0; tries < 600; tries++)); do
        ! "$@" > wait-out 2>&1 || return 0
        sleep 0.1
    done
    return 1
}

# processes PROGRAM: those of it that work in this folder.
processes() {
    local process
    for process in /proc/[0-9]*; do
        [ "$(readlink "$process/cwd")" = "$folder" ] || continue
        [ "$(readlink "$process/exe")" = "$1" ] || continue
        echo "${process#/proc/}"
    done 2> find-err
    return 0
}

# expect_output TEXT: the last stdout holds TEXT.
expect_output() {
    grep -q -F -- "$1" "$folder/out" || fail "stdout does not hold '$1'"
}

# expect_one_line TEXT: the last stderr is one line of ours, which holds TEXT. (That a job is started, and
# that its threads outnumber the cores, are notices and not counted.)
expect_one_line() {
    grep -v -e '^starting ' -e '^warning: ' "$folder/err" > "$folder/lines" || fail "nothing on stderr"
    [ "$(wc -l < "$folder/lines")" = 1 ] || fail "not exactly one line on stderr"
    grep -q '^dfaiss: ' "$folder/lines" || fail "stderr does not begin with 'dfaiss: '"
    grep -q -F -- "$1" "$folder/lines" || fail "stderr does not hold '$1'"
}

# expect_object BEGIN: the last stdout is one JSON object, on one line that begins with BEGIN.
expect_object() {
    [ "$(wc -l < "$folder/out")" = 1 ] || fail "stdout is not exactly one line"
    grep -q '}$' "$folder/out" || fail "stdout is no object"
    case $(cat "$folder/out") in
    "$1"*) ;;
    *) fail "stdout is no object that begins with $1" ;;
    esac
}

# expect_fail CODE STATUS TEXT ARGUMENT...: dfaiss with these arguments ends with CODE and says TEXT in one line and nothing on stdout; with --json it
# prints in addition the error object with STATUS, and nothing else.
expect_fail() {
    local code=$1 status=$2 text=$3
    shift 3
    run "$code" "$dfaiss" "$@"
    expect_one_line "$text"
    [ ! -s "$folder/out" ] || fail "something on stdout: $*"
    run "$code" "$dfaiss" "$@" --json
    expect_one_line "$text"
    expect_object "{\"error\": {\"code\": \"$status\", \"text\": \""
    expect_output '"where": "'
}

# make_part SERVER FILE...: the part of a server in a manifest, whose chain consists of these files below the index, of rows that follow each other,
# 61728 a file; 28 of the part's wait.
make_part() {
    local server=$1 row=0 comma="" file
    shift
    printf '{"vectors": %s, "buffered": 28, "files": [' $((61728 * $#))
    for file in "$@"; do
        printf '%s{"name": "%s", "bytes": 10, "checksum": "%s", "first_row": %s, "rows": %s, "first_indexed": %s, "indexed": %s, "held": 61700}' \
            "$comma" "$file" "$([ "$server" = 0 ] && echo 8e7d60cd5984e88b || echo e8ee560fa1a2b0a7)" "$row" $((row + 61728)) "$row" $((row + 61728))
        row=$((row + 61728))
        comma=", "
    done
    printf ']}'
}

# make_generation NUMBER VECTORS PART0 PART1: a generation of two servers in a manifest.
make_generation() {
    printf '{"number": %s, "servers": 2, "vectors": %s, "buffered": 56, "next_id": %s, "ids": "assigned", ' "$1" "$2" "$2"
    printf '"config": {"index_builder_type": "flat", "dim": 16}, "parts": [%s, %s]}' "$3" "$4"
}

# make_manifest STORAGE NAME GENERATIONS
make_manifest() {
    printf '{"format": "dfaiss manifest", "version": 3, "index": "%s", "generations": [%s]}' "$2" "$3" | "${dfaiss%/*}/tool_seal" > "$1/$2/manifest.json"
}

# make_index STORAGE NAME: an index of one generation by two servers whose shard files are not real ones, but have the bytes that its manifest names.
make_index() {
    mkdir -p "$1/$2/g000003"
    echo "shard one" > "$1/$2/g000003/shard-0000.h5"
    echo "shard two" > "$1/$2/g000003/shard-0001.h5"
    make_manifest "$1" "$2" "$(make_generation 3 123456 "$(make_part 0 g000003/shard-0000.h5)" "$(make_part 1 g000003/shard-0001.h5)")"
}
