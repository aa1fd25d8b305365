#!/usr/bin/env bash
# index_folder.sh: with index_storage_dir in its configuration an index lies there, and is found there afterwards, also where that folder is moved.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

generate data --rows 600 --dim 8 --queries 10 -k 10
config flat '"index_builder_type":"flat"' '"metric":"l2"' '"dim":8' '"index_storage_dir":"own/folder"'

# With the configuration --storage says nothing; without it the folder is the storage.
run 0 "$dfaiss" build --storage st --index one --config flat.json --data data/base.fbin --servers 2 --threads 1
expect_output "one, generation 1, in own/folder"
[ ! -e st ] || fail "something was left in the storage"
expect_fail 2 ERR_EXISTS "the storage own/folder holds an index one already" build --storage st --index one --config flat.json --data data/base.fbin
expect_fail 2 ERR_NOT_FOUND "the storage st does not exist" search --storage st --index one --queries data/query.fbin
run 0 "$dfaiss" inspect --storage own/folder --index one --verify --json
expect_output '"vectors": 600,'
run 0 "$dfaiss" search --storage own/folder --index one --queries data/query.fbin --groundtruth data/groundtruth.ibin --threads 1 --json
expect_output '"10": 1.0}'

# More is added where the index is: by its configuration, by its folder, and in the folder's new place.
build 2 one --config flat.json --data data/base.fbin --append
mv own/folder moved
run 0 "$dfaiss" build --storage moved --index one --data data/base.fbin --append --threads 1
expect_output "one, generation 3, in moved"
[ ! -e own/folder ] || fail "a generation was saved where the folder had been"
run 0 "$dfaiss" inspect --storage moved --index one --json
expect_output '"number": 3, "complete": true, "servers": 2, "vectors": 1800,'

: > file
config flat '"index_builder_type":"flat"' '"dim":8' '"index_storage_dir":"file/folder"'
expect_fail 1 ERR_IO "cannot use the storage file/folder: Not a directory" build --storage st --index two --config flat.json --data data/base.fbin
