#!/usr/bin/env bash
# debian-faiss.sh: builds Debian's faiss source package with the C API into a cache folder, once, and prints the folder on stdout.
#
# Debian's binary package lacks the C API and is compiled for the oldest processor (1.2 to 8 times slower). The source comes through apt, signatures
# checked, with a state and lists of its own: the machine's package lists stay as they are, and no root is needed. What is built for one release,
# processor level and recipe lies in a folder named after them. jobs/setup.sh calls this.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
recipe=1 # raise it when anything below changes what is built
cache=${DFAISS_CACHE:-${HOME:?set HOME or DFAISS_CACHE}/.cache/dfaiss}
work=

say() { echo "faiss: $*" >&2; }

fail() {
    say "$*"
    exit 1
}

# fail_with_log LOG TEXT: the last lines of the log, then what failed and where the whole log lies.
fail_with_log() {
    local kept=$cache/logs/${1##*/}
    mkdir -p "$cache/logs"
    cp "$1" "$kept"
    tail -n 25 "$kept" >&2
    fail "$2; the whole log: $kept"
}

# The processor level to compile for: x86-64-v3 (AVX2, FMA) where this machine has it, else the compiler's default.
processor_level() {
    local flag
    [ "$(uname -m)" = x86_64 ] || { uname -m && return; }
    for flag in avx2 fma f16c bmi1 bmi2 movbe abm; do
        grep -q -m 1 -w "$flag" /proc/cpuinfo || { echo x86-64 && return; }
    done
    echo x86-64-v3
}

# Compiler processes at once: one a core, but 2 GiB for each of the memory that is free and that this container may have.
job_count() {
    local cores kib limit
    cores=$(nproc)
    kib=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
    limit=$(cat /sys/fs/cgroup/memory.max 2> /dev/null || true)
    if [[ $limit =~ ^[0-9]{1,18}$ ]] && [ $((limit / 1024)) -lt "$kib" ]; then
        kib=$((limit / 1024))
    fi
    echo $((kib < 4194304 ? 1 : kib / 2097152 < cores ? kib / 2097152 : cores))
}

# An apt configuration with folders of its own. The machine's hooks after an update are not for these lists.
write_apt_configuration() {
    local state=$1 parts=$1/sources.list.d codename
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$parts"
    cat > "$state/apt.conf" <<CONFIGURATION
Dir::State "$state";
Dir::State::Lists "$state/lists";
Dir::Cache "$state/cache";
Dir::Etc::SourceList "$state/sources.list";
Dir::Etc::SourceParts "$parts";
Acquire::Languages "none";
Acquire::Retries "2";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
CONFIGURATION
    # Entries say the release by name, or, on some machines, by its standing.
    for codename in "$VERSION_CODENAME" stable testing; do
        select_sources "$codename" sources.list > "$state/sources.list"
        select_sources "$codename" sources > "$parts/debian.sources"
        if [ -s "$state/sources.list" ] || [ -s "$parts/debian.sources" ]; then
            return
        fi
    done
    fail "no entry of Debian $VERSION_CODENAME in /etc/apt/sources.list or /etc/apt/sources.list.d: set DFAISS_FAISS_PREFIX to a faiss with its C API"
}

select_sources() {
    local files=()
    shopt -s nullglob
    if [ "$2" = sources ]; then
        files=(/etc/apt/sources.list.d/*.sources)
    else
        files=(/etc/apt/sources.list.d/*.list)
        [ -f /etc/apt/sources.list ] && files+=(/etc/apt/sources.list)
    fi
    shopt -u nullglob
    [ ${#files[@]} = 0 ] || awk -v codename="$1" -f "$here/debian-sources.awk" "${files[@]}"
}

# Leaves the unpacked source in $work/source/faiss-VERSION and prints that folder.
fetch_source() {
    local state=$work/apt log=$work/faiss-source.log
    write_apt_configuration "$state"
    mkdir "$work/source"
    # An entry of another vendor that does not answer is no reason to stop: what counts is whether the source can be had.
    apt-get -c "$state/apt.conf" update > "$log" 2>&1 || true
    (cd "$work/source" && apt-get -c "$state/apt.conf" source --only-source faiss) >> "$log" 2>&1 ||
        fail_with_log "$log" "apt could not fetch Debian's source package"
    find "$work/source" -mindepth 1 -maxdepth 1 -type d -name 'faiss-*' | head -n 1
}

# build SOURCE INSTALLED FINAL: compiles SOURCE and installs it into INSTALLED, to be renamed to FINAL.
build() {
    local source=$1 installed=$2 final=$3 binary=$work/build flags='' blas generator=()
    blas=$(find /usr/lib -path '*/openblas-openmp/libopenblas.so' | head -n 1)
    [ -n "$blas" ] || fail "OpenBLAS with OpenMP is missing: install libopenblas-openmp-dev"
    if [ "$(processor_level)" = x86-64-v3 ]; then
        flags=-march=x86-64-v3
    fi
    if command -v ninja > /dev/null; then
        generator=(-G Ninja)
    fi
    # Programs that are not needed, and that want packages which are not there.
    sed -i -E '/^[[:space:]]*add_subdirectory\((demos|benchs|perf_tests|tutorial\/cpp)\)/d' "$source/CMakeLists.txt"
    # FAISS_OPT_LEVEL=generic with -march keeps one library under the usual name. OpenBLAS is named by its file, so that the variant with
    # POSIX threads, which slows batched search by 3.5, is not loaded in its place where both are installed.
    cmake -S "$source" -B "$binary" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS="$flags" -DFAISS_OPT_LEVEL=generic \
        -DFAISS_ENABLE_C_API=ON -DFAISS_ENABLE_GPU=OFF -DFAISS_ENABLE_PYTHON=OFF -DFAISS_ENABLE_MKL=OFF -DFAISS_ENABLE_EXTRAS=OFF \
        -DBUILD_TESTING=OFF -DBUILD_SHARED_LIBS=ON -DBLAS_LIBRARIES="$blas" -DLAPACK_LIBRARIES="$blas" \
        -DCMAKE_INSTALL_PREFIX="$final" -DCMAKE_INSTALL_LIBDIR=lib \
        -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON -DCMAKE_INSTALL_RPATH="\$ORIGIN;$(dirname "$blas")" &&
        cmake --build "$binary" --target faiss faiss_c -j "$(job_count)" &&
        cmake --install "$binary" --prefix "$installed" || return
    # 1.7.3 does not install its C library.
    [ -e "$installed/lib/libfaiss_c.so" ] || cp "$binary/c_api/libfaiss_c.so" "$installed/lib/"
}

finished() { # the newest finished build, or nothing
    find "$cache" -maxdepth 1 -type d -name "faiss-*-$flavour" 2> /dev/null | sort -V | tail -n 1
}

clean_up() {
    [ -z "$work" ] || rm -rf "$work"
    [ -z "${staging:-}" ] || rm -rf "$staging"
}

# shellcheck source=/dev/null
. /etc/os-release
[ "${ID:-}" = debian ] || fail "this is not Debian: set DFAISS_FAISS_PREFIX to a faiss with its C API"
mkdir -p "$cache" || fail "cannot write the cache folder $cache: set DFAISS_CACHE to another"
cache=$(cd "$cache" && pwd)
flavour=debian${VERSION_ID:-0}-$(processor_level)-recipe$recipe
prefix=$(finished)
if [ -z "$prefix" ]; then
    [ -n "${VERSION_CODENAME:-}" ] || fail "/etc/os-release names no VERSION_CODENAME"
    exec 9> "$cache/lock"
    flock -n 9 || { say "another set-up builds it: waiting" && flock 9; }
    prefix=$(finished)
fi
if [ -z "$prefix" ]; then
    trap clean_up EXIT
    trap 'exit 130' INT TERM HUP
    work=$(mktemp -d)
    chmod 755 "$work" # apt reads it as its own user
    say "fetching Debian's source package"
    source_folder=$(fetch_source)
    name=$(basename "$source_folder")
    say "building ${name/-/ } for $(processor_level) with $(job_count) jobs, once (1 to 2 minutes on two cores)"
    rm -rf "$cache"/building.* # of set-ups that were killed: whoever holds the lock is the only one
    staging=$(mktemp -d "$cache/building.XXXXXX")
    chmod 755 "$staging"
    build "$source_folder" "$staging" "$cache/$name-$flavour" > "$work/faiss-build.log" 2>&1 || fail_with_log "$work/faiss-build.log" "the build failed"
    prefix=$cache/$name-$flavour
    mv -T "$staging" "$prefix"
    say "built in $SECONDS s"
fi
echo "$prefix"
