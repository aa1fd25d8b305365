#!/usr/bin/env bash
# generate.sh: data sets from a seed.
set -eu
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

run 0 "$dfaiss" generate --out made/here --rows 500 --dim 12 --queries 7 -k 5
expect_output "500 vectors of dimension 12"
[ ! -s err ] || fail "something on stderr"
[ "$(stat -c %s made/here/base.fbin)" = $((8 + 500 * 12 * 4)) ] || fail "size of base.fbin"
[ "$(stat -c %s made/here/query.fbin)" = $((8 + 7 * 12 * 4)) ] || fail "size of query.fbin"
[ "$(stat -c %s made/here/groundtruth.ibin)" = $((8 + 7 * 5 * 4)) ] || fail "size of groundtruth.ibin"
[ "$(find made -type f | wc -l)" = 3 ] || fail "files left over"

run 0 "$dfaiss" generate --out again --rows 500 --dim 12 --queries 7 -k 5 --threads 1 --json
expect_object '{"directory": "again", "rows": 500, "dim": 12, "queries": 7, "k": 5, "seconds": '
[ ! -s err ] || fail "something on stderr"
diff -r made/here again || fail "the same seed gives other files"
run 0 "$dfaiss" generate --out other --rows 500 --dim 12 --queries 7 -k 5 --seed 2 --quiet
cmp -s again/base.fbin other/base.fbin && fail "another seed gives the same file"

for type in f16 u8 i8; do
    run 0 "$dfaiss" generate --out "$type" --rows 20 --dim 4 --queries 2 --type "$type" --clusters 3 --metric dot
    [ -s "$type/base.${type}bin" ] || fail "base file of type $type"
    [ -s "$type/query.${type}bin" ] || fail "query file of type $type"
    [ "$(stat -c %s "$type/groundtruth.ibin")" = $((8 + 2 * 100 * 4)) ] || fail "100 neighbours are the default"
done

expect_fail 2 ERR_ARG "--out DIR is missing" generate --rows 3 --dim 3 --queries 3
expect_fail 2 ERR_ARG "--queries Q is missing" generate --out x --rows 3 --dim 3
expect_fail 2 ERR_ARG "--metric is 'l1'; one of dot, l2, cosine is expected" generate --out x --metric l1
: > file
expect_fail 1 ERR_IO "Not a directory" generate --out file/x --rows 3 --dim 3 --queries 3
[ ! -e x ] || fail "a refused command made a folder"
