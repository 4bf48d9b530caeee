#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: bench/train_speed.sh [data=YAML] [OPTIONS]
# Builds nibble when it is not there, then measures its training speed beside the peer's; see
# bench/peers/README.md and --help.
set -eu
root=$(dirname "$0")/..
case " $* " in
*" --nibble "* | *" --nibble="* | *" -h "* | *" --help "*) ;;
*) [ -x "$root/build/nibble" ] || "$root/bootstrap" build --no-install ;;
esac
exec python3 "$root/bench/peers/train_speed.py" "$@"
