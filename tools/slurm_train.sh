#!/usr/bin/env bash
# Usage: bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR
# [arguments of train.py]
#
# Environment variables:
#   GPUS           total number of processes, one per GPU (8)
#   GPUS_PER_NODE  processes per node (8)
#   GRES           resources of each node (gpu:GPUS_PER_NODE); GRES= for CPUs
#   CPUS_PER_TASK  CPU cores per process (5)
#   PORT           a free port on the first node (29500)
#   SRUN_ARGS      additional arguments for srun
#   PYTHON         the interpreter (the first with torch: python, python3, .venv)
source "$(dirname "${BASH_SOURCE[0]}")/launching.sh"
[ $# -ge 4 ] || usage 'PARTITION, JOB_NAME, CONFIG and WORK_DIR are needed'
launch_slurm "$1" "$2" "$TOOLS/train.py" "$3" --work-dir="$4" \
    --launcher=slurm "${@:5}"
