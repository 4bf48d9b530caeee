#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: bench/latency.sh [--setup] [--model NAME] [--onnx FILE] [--threads 1,2] [OPTIONS]
# Builds nibble when it is not there, then measures the latency of its float engine beside ONNX
# Runtime, OpenVINO and ncnn, in turn, in one run; see bench/peers/README.md and --help.
set -eu
root=$(dirname "$0")/..
case " $* " in
*" --nibble "* | *" --nibble="* | *" -h "* | *" --help "* | *" --setup "*) ;;
*) [ -x "$root/build/nibble" ] || "$root/bootstrap" build --no-install ;;
esac
exec python3 "$root/bench/peers/latency.py" "$@"
