#!/usr/bin/env bash
# run.sh: sets up, builds the tests and runs them with ctest. Exit code 0 means that tests ran and all of them passed.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)

usage() {
    cat <<'TEXT'
usage: tests/run.sh [--sanitize] [--no-install] [CTEST-OPTION...]

  --sanitize      unit tests and the smallest MPI tests, in a second build with AddressSanitizer and UndefinedBehaviorSanitizer
  --no-install    install no packages

Everything else goes to ctest: -L unit, -L mpi, -L cli choose by label, -R PATTERN by name, -N lists.
TEXT
}

sanitize=no
setup_options=(--tests)
ctest_options=()
for argument in "$@"; do
    case $argument in
    --sanitize) sanitize=yes ;;
    --no-install) setup_options+=(--no-install) ;;
    --help | -h)
        usage
        exit 0
        ;;
    *) ctest_options+=("$argument") ;;
    esac
done

build_dir=$root/build
if [ "$sanitize" = yes ]; then
    build_dir=$root/build-asan
    setup_options+=(--sanitize "address,undefined")
    # Without a choice of the caller: the tests of the rooms, and of those with ranks the smallest jobs.
    [ ${#ctest_options[@]} -gt 0 ] || ctest_options=(-R '^(unit\..*|mpi\..*\.[23])$')
    export ASAN_OPTIONS=abort_on_error=0:detect_stack_use_after_return=1:strict_string_checks=1
    export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
    export LSAN_OPTIONS=suppressions=$root/tests/sanitizers/lsan.supp:print_suppressions=0
fi

"$root/jobs/setup.sh" --build-dir "$build_dir" "${setup_options[@]}"
# One test a core; those that start ranks take turns (RESOURCE_LOCK).
ctest --test-dir "$build_dir" --output-on-failure --no-tests=error -j "$(nproc)" ${ctest_options[@]+"${ctest_options[@]}"}
