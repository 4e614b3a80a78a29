#!/usr/bin/env bash
# Usage: bash tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [arguments of
# test.py]
#
# NNODES, NODE_RANK, MASTER_ADDR, PORT and PYTHON are as for dist_train.sh.
source "$(dirname "${BASH_SOURCE[0]}")/launching.sh"
[ $# -ge 3 ] || usage 'CONFIG, CHECKPOINT and PROCESSES are needed'
need_processes "$3"
launch "$3" "$TOOLS/test.py" "$1" "$2" --launcher pytorch "${@:4}"
