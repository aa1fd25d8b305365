#!/usr/bin/env bash
# Runs every block of commands (```sh) of README.md, in order, in one empty folder.
set -euo pipefail
program=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d "${TMPDIR:-/tmp}/dfaiss-readme-XXXXXX")
trap 'rm -rf "$folder"' EXIT
PATH=$(dirname "$program"):$PATH
export PATH
if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
export OMPI_MCA_hwloc_base_binding_policy=none
awk '/^```/ { inside = ($0 == "```sh"); next } inside' "$root/README.md" > "$folder/commands"
[ -s "$folder/commands" ] || { echo "README.md has no commands" >&2; exit 1; }
cd "$folder"
bash -euxo pipefail commands
[ -s found.jsonl ] || { echo "no found.jsonl was written" >&2; exit 1; }
