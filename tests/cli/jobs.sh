#!/usr/bin/env bash
# jobs.sh: the scripts that people start first. What they refuse, which package sources they take, and the quick start itself on a small data set.
set -euo pipefail

program=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() {
    echo "failed: $*" >&2
    exit 1
}

# refuses CODE TEXT COMMAND...: exactly one line, which holds TEXT, and the exit code.
refuses() {
    local code=$1 text=$2 found=0 said
    shift 2
    said=$("$@" 2>&1 > /dev/null) || found=$?
    [ "$found" = "$code" ] || fail "$* ended with $found instead of $code: $said"
    [[ $said == *"$text"* ]] || fail "$* does not say '$text': $said"
    [ "$(wc -l <<< "$said")" = 1 ] || fail "$* says more than one line: $said"
}

check_shell_style() {
    if command -v shellcheck > /dev/null; then
        shellcheck -x -P SCRIPTDIR "$root"/jobs/*.sh "$root"/tests/*.sh "$root"/jobs/*.sbatch "$root"/tests/cli/*.sh "$root"/tests/jobs/*.sh "$root"/benchmarks/*.sh "$root/.ci/run"
    fi
}

check_options() {
    local script
    for script in setup quickstart; do
        "$root/jobs/$script.sh" --help | grep -q "^usage: jobs/$script.sh" || fail "$script.sh --help"
        refuses 2 "unknown option --bogus" "$root/jobs/$script.sh" --bogus
    done
    refuses 2 "--build-dir needs a folder" "$root/jobs/setup.sh" --build-dir
    refuses 2 "--data needs --queries" "$root/jobs/quickstart.sh" --data "$0"
    refuses 2 "belong to your own --data" "$root/jobs/quickstart.sh" --queries "$0"
    refuses 2 "expected l2, dot or cosine" "$root/jobs/quickstart.sh" --metric euclid
    refuses 2 "expected a number from 1" "$root/jobs/quickstart.sh" --servers 0
    refuses 1 "cannot read $folder/none" "$root/jobs/quickstart.sh" --data "$folder/none" --queries "$0"
}

check_faiss_prefix() {
    mkdir -p "$folder/prefix/lib"
    DFAISS_FAISS_PREFIX=$folder/prefix "$root/jobs/setup.sh" --no-install --build-dir "$folder/build" 2> "$folder/said" && fail "a prefix without the C API was taken"
    grep -q "has no C API of faiss" "$folder/said" || fail "a prefix without the C API: $(cat "$folder/said")"
    [ ! -e "$folder/build" ] || fail "a refused set-up left a build folder"
}

# What a plain cmake does not find is named at once, with what brings it.
check_missing_libraries() {
    command -v cmake > /dev/null || return 0
    PKG_CONFIG_LIBDIR=/none cmake -S "$root" -B "$folder/none" -DCMAKE_DISABLE_FIND_PACKAGE_MPI=ON -DCMAKE_DISABLE_FIND_PACKAGE_HDF5=ON \
        -DXXHASH_LIBRARY= > "$folder/said" 2>&1 && fail "cmake found what is not there"
    local word
    for word in libopenmpi-dev MPI_C_COMPILER libxxhash-dev libjansson-dev libhdf5-dev HDF5_ROOT libcmocka-dev DFAISS_TESTS=OFF; do
        grep -q -e "$word" "$folder/said" || fail "cmake does not name $word: $(tail -n 20 "$folder/said")"
    done
    [ "$(grep -c 'CMake Error' "$folder/said")" = 1 ] || fail "more than one error of cmake: $(cat "$folder/said")"
}

# stub NAME LINE...: a program that takes another one's place.
stub() {
    local name=$1
    shift
    printf '%s\n' '#!/bin/sh' "$@" > "$folder/stubs/$name"
    chmod +x "$folder/stubs/$name"
}

# One package is missing. As root apt installs it, as a user sudo is asked first, and where that is not to be had the set-up says what to install.
check_packages() {
    local program
    command -v dpkg-query > /dev/null || return 0
    mkdir "$folder/stubs"
    for program in bash sh cat cp dirname env grep mkdir sed sort tail; do
        ln -s "$(command -v "$program")" "$folder/stubs/"
    done
    # shellcheck disable=SC2016 # expanded by the stubs
    local apt='echo "apt-get $*" >> "$LOG"' sudo='echo "sudo $*" >> "$LOG"' refusal='[ "$1" != -v ]' obedience='[ "$1" = -v ] || exec "$@"'
    # shellcheck disable=SC2016
    stub dpkg-query 'case "$*" in *jansson*) exit 1 ;; *) echo installed ;; esac'
    # shellcheck disable=SC2016
    stub apt-get "$apt" 'case "$*" in *install*) exit 7 ;; esac'
    local setup=(env "PATH=$folder/stubs" "LOG=$folder/log" "DFAISS_CACHE=$folder/cache" DFAISS_FAISS_PREFIX=/none "$root/jobs/setup.sh" --build-dir "$folder/build")
    stub id 'echo 1000'
    refuses 1 "there is no sudo; as root: apt-get install libjansson-dev" "${setup[@]}"
    stub sudo "$refusal"
    refuses 1 "sudo refuses; as root: apt-get install libjansson-dev" "${setup[@]}"
    [ ! -e "$folder/log" ] || fail "apt-get without sudo: $(cat "$folder/log")"
    stub sudo "$sudo" "$obedience"
    "${setup[@]}" 2> "$folder/said" && fail "a failed installation went unnoticed"
    grep -q "^set-up: installing libjansson-dev$" "$folder/said" || fail "no notice: $(cat "$folder/said")"
    grep -q "^set-up: failed: sudo .*the whole log: $folder/cache/logs/apt-install.log" "$folder/said" || fail "no reason: $(cat "$folder/said")"
    grep -q "^sudo env .*apt-get .*install -y .*libjansson-dev$" "$folder/log" || fail "sudo: $(cat "$folder/log")"
    : > "$folder/log"
    stub id 'echo 0'
    "${setup[@]}" 2> "$folder/said" && fail "a failed installation went unnoticed"
    grep -q '^apt-get .*install -y .*libjansson-dev$' "$folder/log" || fail "apt-get as root: $(cat "$folder/log")"
    ! grep -q sudo "$folder/log" || fail "sudo as root: $(cat "$folder/log")"
    : > "$folder/log"
    "${setup[@]}" --no-install 2> "$folder/said" && fail "a prefix without the C API was taken"
    [ ! -s "$folder/log" ] || fail "--no-install installs: $(cat "$folder/log")"
}

# Only Debian's own suites and main, with their keys; binary entries become source entries.
check_package_sources() {
    cat > "$folder/sources.list" <<'LIST'
# deb mirror:///off bookworm main
deb [signed-by=/key.gpg arch=amd64] mirror:///debian bookworm main contrib # why
deb-src mirror:///debian bookworm main
deb mirror:///security   bookworm-security  main
deb mirror:///vendor stable main
deb mirror:///vendor bookworm stable
deb mirror:///flat ./
LIST
    diff - <(awk -v codename=bookworm -f "$root/jobs/debian-sources.awk" "$folder/sources.list") <<'EXPECTED' || fail "one-line sources"
deb-src [signed-by=/key.gpg arch=amd64] mirror:///debian bookworm main
deb-src mirror:///security bookworm-security main
EXPECTED
    cat > "$folder/debian.sources" <<'SOURCES'
Types: deb
URIs: mirror:///debian
# a remark
Suites: bookworm bookworm-backports
 bookworm-updates
Components: contrib main
Signed-By:
 -----BEGIN
 .
 key

Types: deb
Enabled: no
URIs: mirror:///off
Suites: bookworm
Components: main

Types: deb
URIs: mirror:///vendor
Suites: nodistro
Components: main
SOURCES
    diff - <(awk -v codename=bookworm -f "$root/jobs/debian-sources.awk" "$folder/debian.sources") <<'EXPECTED' || fail "deb822 sources"
Types: deb-src
Suites: bookworm bookworm-updates
Components: main
URIs: mirror:///debian
Signed-By:
 -----BEGIN
 .
 key

EXPECTED
}

# Own files with true neighbours: flat finds them all. Without true neighbours the table has no recall.
check_quickstart() {
    local data=$folder/data work="$folder/a folder"
    "$program" generate --out "$data" --rows 3000 --dim 24 --queries 40 -k 10 --metric l2 --quiet
    "$root/jobs/quickstart.sh" --program "$program" --work "$work" --config "$root/configs/flat.json" --servers 2 \
        --data "$data/base.fbin" --queries "$data/query.fbin" --groundtruth "$data/groundtruth.ibin" > "$folder/table"
    grep -q '^  vectors          3000 x 24, l2, on 2 servers' "$folder/table" || fail "vectors: $(cat "$folder/table")"
    grep -q '^  recall@10        1.0000$' "$folder/table" || fail "recall: $(cat "$folder/table")"
    grep -q '^  queries/s        [1-9]' "$folder/table" || fail "queries/s: $(cat "$folder/table")"
    [ -f "$work/storage/quickstart/manifest.json" ] || fail "no checkpoint in $work/storage"
    "$root/jobs/quickstart.sh" --program "$program" --work "$work" --config "$root/configs/flat.json" --servers 2 --metric cosine \
        --data "$data/base.fbin" "$data/query.fbin" --queries "$data/query.fbin" > "$folder/table"
    grep -q '^  vectors          3040 x 24, cosine, on 2 servers' "$folder/table" || fail "two files: $(cat "$folder/table")"
    ! grep -q 'recall' "$folder/table" || fail "recall without true neighbours"
    tail -c +9 "$data/base.fbin" > "$data/base.raw"
    tail -c +9 "$data/query.fbin" > "$data/query.raw"
    "$root/jobs/quickstart.sh" --program "$program" --work "$work" --config "$root/configs/flat.json" --servers 1 --raw f32 --dim 24 \
        --data "$data/base.raw" --queries "$data/query.raw" --groundtruth "$data/groundtruth.ibin" > "$folder/table"
    grep -q '^  recall@10        1.0000$' "$folder/table" || fail "files without a header: $(cat "$folder/table")"
    head -c 100 "$data/query.fbin" > "$data/short.fbin"
    "$root/jobs/quickstart.sh" --program "$program" --work "$work" --servers 1 --data "$data/short.fbin" --queries "$data/query.fbin" \
        > "$folder/table" 2> "$folder/said" && fail "a truncated file was taken"
    grep -q 'short.fbin' "$folder/said" || fail "a truncated file: $(cat "$folder/said")"
    [ ! -s "$folder/table" ] || fail "a table after a failure"
}

check_shell_style
check_options
check_faiss_prefix
check_packages
check_missing_libraries
check_package_sources
check_quickstart
