#!/usr/bin/env bash
# Prints the path of a wheel of full mmcv for CPUs, building it if necessary.
#
# usage: build_mmcv.sh PYTHON CACHE
#
# No wheel is published for recent versions of torch, and compiling the operators
# takes 15 minutes on two cores. So wheels are cached in CACHE, in one folder per
# version of torch, version of Python and platform. Progress goes to stderr.
set -euo pipefail
python=$1
cache=$2
version=2.1.0

key=$("$python" -c '
import platform, sys, torch
print(f"torch-{torch.__version__}-cp{sys.version_info[0]}{sys.version_info[1]}"
      f"-{platform.system()}-{platform.machine()}")')
folder=$cache/$key
wheel() { find "$folder" -maxdepth 1 -name "mmcv-$version-*.whl" 2>/dev/null | head -n 1; }
if [ -z "$(wheel)" ]; then
    echo "Compiling mmcv $version into $folder (15 minutes on two cores)" >&2
    mkdir -p "$folder"
    new=$(mktemp -d "$folder/new.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    "$python" -m pip install -q ninja psutil packaging wheel 'setuptools<81' >&2
    export MMCV_WITH_OPS=1 FORCE_CUDA=0 MAX_JOBS=${MAX_JOBS:-2}
    # the log gets all of the compiler's output, the screen one line per file
    if ! "$python" -m pip wheel -v --no-deps --no-build-isolation \
            --no-binary mmcv -w "$new" "mmcv==$version" 2>&1 |
            tee "$folder/build.log" |
            { grep --line-buffered -oE '^ *\[[0-9]+/[0-9]+\]' || true; } |
            while read -r step; do echo "mmcv: $step files compiled" >&2; done
    then
        tail -n 40 "$folder/build.log" >&2
        echo "error: mmcv does not compile; see $folder/build.log" >&2
        exit 2
    fi
    mv "$new"/mmcv-*.whl "$folder/"
fi
wheel
