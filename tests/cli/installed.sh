#!/usr/bin/env bash
# installed.sh PROGRAM: what `cmake --install` puts down: a library that shows the public calls alone, headers that compile by themselves in C and C++,
# and files by which CMake and pkg-config find them.
. "$(dirname "$0")/lib.sh"

build=$(dirname "$(dirname "$dfaiss")")
run 0 cmake --install "$build" --prefix "$folder/installed"
library=$(find "$folder/installed" -name libdfaiss.so)
[ -n "$library" ] || fail "no libdfaiss.so was installed"
libraries=$(dirname "$library")
export PKG_CONFIG_PATH=$libraries/pkgconfig
mpicc=$(pkg-config --variable=mpicc dfaiss) || fail "pkg-config does not find dfaiss"

# A sanitizer brings symbols of its own.
symbols=$(nm -D --defined-only "$library" | awk '{ print $NF }' | grep -v -e '^dfaiss_' -e '^__asan_' -e '^__odr_asan' || true)
[ -z "$symbols" ] || fail "libdfaiss.so shows more than dfaiss_*: $(head -5 <<< "$symbols")"

# Every call that a header declares is there, and no other.
sed -n 's/^DFAISS_API.*[ *]\(dfaiss_[a-z0-9_]*\)(.*/\1/p' "$folder"/installed/include/dfaiss/*.h | sort > declared
nm -D --defined-only "$library" | awk '{ print $NF }' | grep '^dfaiss_' | sort > shown
[ -s declared ] || fail "no call is declared"
diff declared shown > differences || fail "declared (<) and shown (>) calls differ: $(cat differences)"

# The rooms that it is made of neither print nor end the process, and leave signals to the program. (They write to files of their own.)
for room in base config filter engine message transport gateway shard checkpoint server client; do
    archive=$build/src/$room/libdfaiss_$room.a
    [ -f "$archive" ] || fail "there is no $archive"
    calls=$(nm -u "$archive" 2> /dev/null | awk '{ print $NF }' |
        grep -x -E '_?_?exit|_Exit|quick_exit|atexit|abort|v?printf|puts|putchar|perror|stdout|stderr|signal|sigaction' || true)
    [ -z "$calls" ] || fail "$room calls $calls"
done

for header in "$folder"/installed/include/dfaiss/*.h; do
    name=dfaiss/$(basename "$header")
    printf '#include <%s>\ntypedef int something;\n' "$name" > alone.c
    cp alone.c alone.cpp
    run 0 "$mpicc" -std=c11 -pedantic-errors -Wall -Wextra -Werror -I "$folder/installed/include" -c alone.c -o alone.o
    # MPI's bindings for C++, which mpi.h would bring, were taken out of the standard in 2012 and warn.
    run 0 "${mpicc/mpicc/mpicxx}" -std=c++17 -DOMPI_SKIP_MPICXX -DMPICH_SKIP_MPICXX -Wall -Wextra -Werror -I "$folder/installed/include" -c alone.cpp -o alone.o
done

# A library with sanitizers needs a program that has them.
flags=
if nm -D --undefined-only "$library" | grep -q -e __asan_ -e __ubsan_; then
    flags="-fsanitize=address,undefined"
fi

# The version of the header is the version of the library.
cat > version.c <<'SOURCE'
#include <dfaiss/dfaiss.h>
#include <stdio.h>
int main(void) { return printf("%s %d.%d.%d\n", dfaiss_version(), DFAISS_VERSION_MAJOR, DFAISS_VERSION_MINOR, DFAISS_VERSION_PATCH) < 0; }
SOURCE
flags+=" $(pkg-config --cflags --libs dfaiss)"
# shellcheck disable=SC2086 # several words
run 0 "$mpicc" version.c -o version $flags -Wl,-rpath,"$libraries"
run 0 ./version
[ "$(cut -d' ' -f1 out)" = "$(cut -d' ' -f2 out)" ] || fail "library and header have different versions: $(cat out)"
