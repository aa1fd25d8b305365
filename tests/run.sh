#!/usr/bin/env bash
# run.sh: sets up, builds the tests and runs them with ctest. Exit code 0 means that tests ran and all of them passed.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)

usage() {
    cat <<'TEXT'
usage: tests/run.sh [--sanitize | --mpich] [--no-install] [CTEST-OPTION...]

  --sanitize      unit tests and the smallest MPI tests, in a second build with AddressSanitizer and UndefinedBehaviorSanitizer, and those of
                  servers that are threads of one process (label fake), in a third one with ThreadSanitizer
  --mpich         the MPI tests, and some of the program's, in a build with Debian's MPICH
  --no-install    install no packages

Everything else goes to ctest: -L unit, -L mpi, -L cli, -L jobs (on a real Slurm, on several hosts) choose by label, -R PATTERN by name, -N lists.
TEXT
}

sanitize=no
mpich=no
setup_options=(--tests)
ctest_options=()
# One test a core; those that start ranks take turns (RESOURCE_LOCK).
common_options=(--output-on-failure -j "$(nproc)")
for argument in "$@"; do
    case $argument in
    --sanitize) sanitize=yes ;;
    --mpich) mpich=yes ;;
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
    # Threads first: it takes the least time. What the caller chooses need not be among these tests.
    "$root/jobs/setup.sh" --build-dir "$root/build-tsan" "${setup_options[@]}" --sanitize thread --target dfaiss_fake_tests
    TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 \
        ctest --test-dir "$root/build-tsan" -L fake --no-tests=ignore "${common_options[@]}" ${ctest_options[@]+"${ctest_options[@]}"}
    build_dir=$root/build-asan
    setup_options+=(--sanitize "address,undefined")
    # The tests of the rooms, and of those with ranks the smallest jobs; another -R takes the place of this one.
    ctest_options=(-R '^(unit\..*|mpi\..*\.[23])$' ${ctest_options[@]+"${ctest_options[@]}"})
    export ASAN_OPTIONS=detect_stack_use_after_return=1
    export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
    # Where Open MPI 4.1.4 copies straight from the sender's memory, it writes beyond a receive that is too short; elsewhere it reports the sender.
    export OMPI_MCA_btl_vader_single_copy_mechanism=none
    export LSAN_OPTIONS=suppressions=$root/tests/sanitizers/lsan.supp:print_suppressions=0
fi
if [ "$mpich" = yes ]; then
    build_dir=$root/build-mpich
    setup_options+=(--mpich)
    ctest_options=(-R '^(mpi\..*|cli\.(launch|servers|roles|restart))$' ${ctest_options[@]+"${ctest_options[@]}"})
    export MPIEXEC=mpirun.mpich
fi

"$root/jobs/setup.sh" --build-dir "$build_dir" "${setup_options[@]}"
ctest --test-dir "$build_dir" --no-tests=error "${common_options[@]}" ${ctest_options[@]+"${ctest_options[@]}"}
