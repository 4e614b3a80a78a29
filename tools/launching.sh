# Functions that dist_train.sh, dist_test.sh, slurm_train.sh and slurm_test.sh
# source.
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PYTHONPATH="$TOOLS/..${PYTHONPATH:+:$PYTHONPATH}"

# usage MESSAGE: prints it and the script's first comment; exits with status 2
usage() {
    echo "error: $1" >&2
    sed -n -e '2,/^[^#]/{s/^# \{0,1\}//p' -e '}' "$0" >&2
    exit 2
}

# need_processes VALUE: exits unless it is a valid number of processes
need_processes() {
    case $1 in
    auto | gpu | cpu) ;;
    *[!0-9]* | 0 | '') usage "PROCESSES='$1': expected a number of at least 1" ;;
    esac
}

# find_python: sets PYTHON, unless it is set, to the first interpreter that has
# torch and MMEngine; .venv need not be activated
find_python() {
    local candidate
    [ -z "${PYTHON:-}" ] || return 0
    for candidate in python python3 "$TOOLS/../.venv/bin/python"; do
        if "$candidate" -c 'import importlib.util as u, sys
sys.exit(not (u.find_spec("torch") and u.find_spec("mmengine")))' \
            2>/dev/null; then
            PYTHON=$candidate
            return 0
        fi
    done
    echo 'error: no python with torch and mmengine; run `make install`,' \
        'activate your environment, or set PYTHON' >&2
    exit 2
}

# launch PROCESSES SCRIPT ARGUMENTS...: starts this node's processes by torchrun
launch() {
    local processes=$1
    shift
    find_python
    local address=${MASTER_ADDR:-127.0.0.1} port=${PORT:-29500}
    local rank=${NODE_RANK:-0} together
    if [ "${MAX_RESTARTS:-0}" = 0 ]; then
        together=(--node_rank="$rank" --master_addr="$address"
            --master_port="$port")
    else
        export PSS_LAUNCHED_AT=$(date +%s)
        # every start gets a new store: in one shared with torchrun, processes
        # would find the addresses of dead ones
        export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
        # after a restart, nodes rendezvous again at a store on the first node
        together=(--max_restarts="$MAX_RESTARTS" --rdzv_backend=c10d
            --rdzv_endpoint="$address:$port" --rdzv_id="${RDZV_ID:-pss}"
            --rdzv_conf="is_host=$([ "$rank" = 0 ] && echo 1 || echo 0)")
    fi
    # exec, so that a signal to this script reaches torchrun
    exec "$PYTHON" -m torch.distributed.run --nnodes="${NNODES:-1}" \
        --nproc_per_node="$processes" "${together[@]}" "$@"
}

# launch_slurm PARTITION JOB_NAME SCRIPT ARGUMENTS...: starts all processes by
# srun
launch_slurm() {
    local partition=$1 job=$2 per_node=${GPUS_PER_NODE:-8}
    shift 2
    find_python
    local gres=${GRES-gpu:$per_node}
    export MASTER_PORT=${PORT:-${MASTER_PORT:-29500}}
    set -x
    # SRUN_ARGS is unquoted because it holds several words
    # shellcheck disable=SC2086
    exec srun -p "$partition" \
        --job-name="$job" \
        ${gres:+--gres="$gres"} \
        --ntasks="${GPUS:-8}" \
        --ntasks-per-node="$per_node" \
        --cpus-per-task="${CPUS_PER_TASK:-5}" \
        --kill-on-bad-exit=1 \
        ${SRUN_ARGS:-} \
        "$PYTHON" -u "$@"
}
