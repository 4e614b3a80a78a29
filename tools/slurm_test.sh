#!/usr/bin/env bash
# Usage: bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT
# [arguments of test.py]
#
# It reads the same environment variables as slurm_train.sh.
source "$(dirname "${BASH_SOURCE[0]}")/launching.sh"
[ $# -ge 4 ] || usage 'PARTITION, JOB_NAME, CONFIG and CHECKPOINT are needed'
launch_slurm "$1" "$2" "$TOOLS/test.py" "$3" "$4" --launcher=slurm "${@:5}"
