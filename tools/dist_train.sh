#!/usr/bin/env bash
# Usage: bash tools/dist_train.sh CONFIG PROCESSES [arguments of train.py]
#
# Starts PROCESSES processes on this node, one per GPU; without GPUs, on its
# CPUs. To use several nodes, run it on each, with the same environment except
# for NODE_RANK:
#   NNODES        number of nodes (1)
#   NODE_RANK     index of this node, from 0 (0)
#   MASTER_ADDR   address of the first node (127.0.0.1)
#   PORT          a free port on the first node (29500)
#   MAX_RESTARTS  how many times to continue from the newest checkpoint when a
#                 process dies (0); if above 0, --work-dir must be the same
#                 folder on all nodes
#   PYTHON        the interpreter (the first with torch: python, python3, .venv)
source "$(dirname "${BASH_SOURCE[0]}")/launching.sh"
[ $# -ge 2 ] || usage 'CONFIG and PROCESSES are needed'
need_processes "$2"
launch "$2" "$TOOLS/train.py" "$1" --launcher pytorch "${@:3}"
