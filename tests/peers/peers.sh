#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: peers.sh SCRIPT BUILD ARGUMENTS...
# Runs SCRIPT with the Python of the peers' environment: NIBBLE_PEERS, or peers/ in BUILD or build/.
# Skipped (77) where there is none, and with CI=true unless NIBBLE_PEERS names one.
set -eu
script=$1
build=$2
shift 2
if [ "${CI-}" = true ] && [ -z "${NIBBLE_PEERS-}" ]; then
    echo "CI without NIBBLE_PEERS: skipped"
    exit 77
fi
for folder in "${NIBBLE_PEERS-}" "$build/peers" build/peers; do
    if [ -n "$folder" ] && [ -e "$folder/ready" ]; then
        PYTHONPATH=bench/peers PYTHONDONTWRITEBYTECODE=1 exec "$folder/bin/python" -W ignore "$script" "$@"
    fi
done
echo "the peers are not installed (bench/train_speed.sh --setup): skipped"
exit 77
