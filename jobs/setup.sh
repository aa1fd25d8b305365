#!/usr/bin/env bash
# setup.sh: from a clean clone to build/bin/dfaiss. Installs the Debian packages that are missing, finds or builds faiss, configures and compiles.
# Run it again after any change: what is done is not done twice.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd -P)
cache=${DFAISS_CACHE:-${HOME:?set HOME or DFAISS_CACHE}/.cache/dfaiss}
packages=(g++ gcc make cmake ninja-build pkg-config dpkg-dev
    openmpi-bin libopenmpi-dev libhdf5-dev libjansson-dev libxxhash-dev libopenblas-openmp-dev
    libcmocka-dev hdf5-tools)
# Without these some tests are skipped, so that a mistake is first seen on a machine that has them.
test_packages=(python3-minimal shellcheck munge slurmctld slurmd slurm-client iproute2)
mpich_packages=(mpich libmpich-dev)

usage() {
    cat <<'TEXT'
usage: jobs/setup.sh [--build-dir DIR] [--tests] [--sanitize LIST] [--mpich] [--no-install] [--cmake-args ARGUMENT...]

  --build-dir DIR     where to build (default: build)
  --tests             build the tests and the benchmarks too
  --sanitize LIST     compile with sanitizers, for example address,undefined
  --mpich             build with Debian's MPICH in place of Open MPI
  --target NAME       compile that alone
  --no-install        install no packages: they come from elsewhere
  --cmake-args ...    everything that follows goes to cmake

environment
  DFAISS_FAISS_PREFIX   a faiss with its C API (folder with include/ and lib/) to be used instead of building one;
                        CMAKE_PREFIX_PATH is searched as well
  DFAISS_CACHE          where faiss is built, once (default: ~/.cache/dfaiss)
TEXT
}

say() { echo "set-up: $*" >&2; }

fail() {
    say "$*"
    exit 1
}

wrong_usage() {
    say "$* (see jobs/setup.sh --help)"
    exit 2
}

# run_logged LOG COMMAND...: output goes to the file LOG; its end is shown when the command fails.
run_logged() {
    local log=$1
    shift
    mkdir -p "$(dirname "$log")"
    "$@" > "$log" 2>&1 && return
    tail -n 40 "$log" >&2
    fail "failed: $* (the whole log: $log)"
}

is_debian() {
    grep -q -x 'ID="\?debian"\?' /etc/os-release 2> /dev/null
}

explain_other_systems() {
    cat >&2 <<'TEXT'
set-up: this is not Debian, so nothing is installed. dfaiss needs
  a C11 and a C++17 compiler, CMake 3.20 or later, make or ninja, pkg-config
  an MPI (3.1 or later), HDF5 (the serial library with its C headers), jansson, xxHash, cmocka (for the tests)
  faiss 1.7.3 or later with its C API (-DFAISS_ENABLE_C_API=ON), with BLAS
and then
  cmake -B build -DCMAKE_PREFIX_PATH="FAISS_PREFIX;OTHER_PREFIX" && cmake --build build
With all of them at hand, DFAISS_FAISS_PREFIX=... jobs/setup.sh --no-install does the same.
TEXT
    exit 1
}

missing_packages() {
    local package
    for package in "${packages[@]}"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null)" = installed ] || echo "$package"
    done
}

install_packages() {
    local missing prefix=()
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$install" = no ]; then
        say "not installed from Debian (going on, as --no-install says): ${missing[*]}"
        return
    fi
    if [ "$(id -u)" != 0 ]; then
        command -v sudo > /dev/null || fail "packages are missing and there is no sudo; as root: apt-get install ${missing[*]}"
        prefix=(sudo)
        sudo -v || fail "packages are missing and sudo refuses; as root: apt-get install ${missing[*]}"
    fi
    say "installing ${missing[*]}"
    # Lists of other vendors may fail to update; what counts is whether the packages can be installed.
    run_logged "$cache/logs/apt-update.log" "${prefix[@]}" sh -c 'apt-get update || true'
    run_logged "$cache/logs/apt-install.log" "${prefix[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${missing[@]}"
}

has_c_api() {
    [ -f "$1/include/faiss/c_api/Index_c.h" ] && compgen -G "$1/lib*/libfaiss_c.*" > /dev/null
}

# Sets faiss_prefix. A prefix among the cmake arguments is the user's own choice and is not looked into.
find_faiss() {
    local prefix prefixes
    case " ${cmake_arguments[*]-} " in
    *" -DCMAKE_PREFIX_PATH"*) return ;;
    esac
    if [ -n "${DFAISS_FAISS_PREFIX:-}" ]; then
        has_c_api "$DFAISS_FAISS_PREFIX" ||
            fail "DFAISS_FAISS_PREFIX=$DFAISS_FAISS_PREFIX has no C API of faiss (include/faiss/c_api/Index_c.h and lib/libfaiss_c.so): build faiss with -DFAISS_ENABLE_C_API=ON"
        faiss_prefix=$(cd "$DFAISS_FAISS_PREFIX" && pwd)
        return
    fi
    IFS=: read -r -a prefixes <<< "${CMAKE_PREFIX_PATH:-}:/usr/local"
    for prefix in "${prefixes[@]}"; do
        if [ -n "$prefix" ] && has_c_api "$prefix"; then
            faiss_prefix=$prefix
            return
        fi
    done
    is_debian || explain_other_systems
    faiss_prefix=$("$root/jobs/debian-faiss.sh") || exit 1
}

cached_value() { sed -n "s/^$2:[A-Z]*=//p" "$1"; } # FILE KEY

# What cmake remembers is of no use with another faiss, or where the folder was copied from another tree.
is_of_another_build() {
    [ -f "$1" ] || return
    [ "$(cached_value "$1" CMAKE_HOME_DIRECTORY)" != "$root" ] ||
        { [ -n "$faiss_prefix" ] && [ "$(cached_value "$1" CMAKE_PREFIX_PATH)" != "$faiss_prefix" ]; }
}

configure() {
    local arguments=("-DCMAKE_BUILD_TYPE=Release" "-DDFAISS_SANITIZE=$sanitize") known=$build_dir/CMakeCache.txt
    if [ -n "$faiss_prefix" ]; then
        arguments+=("-DCMAKE_PREFIX_PATH=$faiss_prefix")
    fi
    if [ -n "$sanitize" ]; then
        # With sanitizers gcc warns of what cannot happen; the plain build is the one whose warnings count.
        arguments+=("-DDFAISS_WERROR=OFF")
    fi
    if [ "$mpich" = yes ]; then
        arguments+=("-DMPI_C_COMPILER=mpicc.mpich")
    fi
    if is_of_another_build "$known"; then
        rm -rf "$known" "$build_dir/CMakeFiles"
    fi
    if [ ! -f "$known" ]; then
        arguments+=("-DDFAISS_TESTS=$tests" "-DDFAISS_BENCHMARKS=$tests")
        ! command -v ninja > /dev/null || arguments+=(-G Ninja)
    elif [ "$tests" = ON ]; then
        arguments+=("-DDFAISS_TESTS=ON" "-DDFAISS_BENCHMARKS=ON")
    fi
    run_logged "$build_dir/setup-configure.log" cmake -S "$root" -B "$build_dir" "${arguments[@]}" ${cmake_arguments[@]+"${cmake_arguments[@]}"}
}

build_dir=$root/build
tests=OFF
sanitize=
mpich=no
target=all
install=yes
faiss_prefix=
cmake_arguments=()
while [ $# -gt 0 ]; do
    case $1 in
    --build-dir)
        [ $# -ge 2 ] || wrong_usage "--build-dir needs a folder"
        build_dir=$2
        shift
        ;;
    --sanitize)
        [ $# -ge 2 ] || wrong_usage "--sanitize needs a list, for example address,undefined"
        sanitize=$2
        shift
        ;;
    --tests) tests=ON ;;
    --target)
        [ $# -ge 2 ] || wrong_usage "--target needs a name"
        target=$2
        shift
        ;;
    --mpich) mpich=yes ;;
    --no-install) install=no ;;
    --cmake-args)
        shift
        cmake_arguments=("$@")
        break
        ;;
    --help | -h)
        usage
        exit 0
        ;;
    *) wrong_usage "unknown option $1" ;;
    esac
    shift
done

[ "$mpich" = no ] || packages+=("${mpich_packages[@]}")
[ "$tests" = OFF ] || packages+=("${test_packages[@]}")
if is_debian; then
    install_packages
elif [ "$install" = yes ]; then
    explain_other_systems
fi
find_faiss
[ -z "$faiss_prefix" ] || say "faiss: $faiss_prefix"
mkdir -p "$build_dir" || fail "cannot write $build_dir: give another folder with --build-dir"
build_dir=$(cd "$build_dir" && pwd)
say "configuring and compiling in $build_dir"
configure
run_logged "$build_dir/setup-compile.log" cmake --build "$build_dir" -j "$(nproc)" --target "$target"
ready=$build_dir/bin/dfaiss
[ "$target" = all ] || ready="$target in $build_dir"
say "ready after $SECONDS s: $ready"
