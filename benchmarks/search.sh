#!/usr/bin/env bash
# search.sh: what distribution costs. Builds dfaiss and the benchmark programs, generates a data set, and measures dfaiss beside plain faiss: the same
# faiss library, vectors, training sample and total number of threads, in turn, several times. benchmarks/search.sh --help says what is measured and how.
#
#   benchmarks/search.sh                                      the default: five kinds of index, about a quarter of an hour on two cores
#   benchmarks/search.sh --kind flat --rows 20000 --builds 1  a first look, in under a minute
#   benchmarks/search.sh --json results.json                  keeps every measurement, the medians and the environment
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=measure.sh
. "$(dirname "$0")/measure.sh"
measure compare.py "$@"
