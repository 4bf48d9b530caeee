#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: onnx.sh --setup BUILD
#        onnx.sh SCRIPT BUILD ARGUMENTS...
# Runs SCRIPT with the Python that has onnx and onnxruntime: that of NIBBLE_ONNX_PEERS, or of
# onnx_peers/ in BUILD or build/, which --setup makes (a virtual environment, from PyPI). Skipped
# (77) where there is none.
set -eu
if [ "$1" = --setup ]; then
    python3 -m venv "$2/onnx_peers"
    "$2/onnx_peers/bin/pip" install -q onnx onnxruntime numpy opencv-python-headless
    : >"$2/onnx_peers/ready"
    exit 0
fi
script=$1
build=$2
shift 2
for folder in "${NIBBLE_ONNX_PEERS-}" "$build/onnx_peers" build/onnx_peers; do
    if [ -n "$folder" ] && [ -e "$folder/ready" ]; then
        PYTHONDONTWRITEBYTECODE=1 exec "$folder/bin/python" -W ignore "$script" "$@"
    fi
done
echo "onnxruntime is not installed (tests/peers/onnx.sh --setup build): skipped"
exit 77
