#!/usr/bin/env bash
# Usage: bash tools/dist_train.sh CONFIG PROCESSES [arguments of train.py]
#
# One process for each GPU of this node; without GPUs, on its CPUs. On several
# nodes run it on each, with the same environment but for NODE_RANK:
#   NNODES        how many nodes (1)
#   NODE_RANK     which one this is, from 0 (0)
#   MASTER_ADDR   address of the first one (127.0.0.1)
#   PORT          a free port of the first one (29500)
#   MAX_RESTARTS  how often to go on from the newest checkpoint when a process
#                 dies (0); --work-dir must then be the same folder on all nodes
#   PYTHON        the interpreter (the first with torch: python, python3, .venv)
source "$(dirname "${BASH_SOURCE[0]}")/launching.sh"
[ $# -ge 2 ] || usage 'CONFIG and PROCESSES are needed'
need_processes "$2"
launch "$2" "$TOOLS/train.py" "$1" --launcher pytorch "${@:3}"
