#!/usr/bin/env bash
# checkpoint.sh: what saving and loading cost beside plain writing and reading of the same bytes. Builds dfaiss and the benchmark program, and measures
# both in turn, several times. benchmarks/checkpoint.sh --help says what is measured and how.
#
#   benchmarks/checkpoint.sh                                   the default: 1 GiB over 2 servers, two kinds of index, some minutes
#   benchmarks/checkpoint.sh --kind flat --mib 32 --rounds 3   a first look
#   benchmarks/checkpoint.sh --json results.json               keeps every measurement, the medians and the environment
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=measure.sh
. "$(dirname "$0")/measure.sh"
measure checkpoint.py "$@"
