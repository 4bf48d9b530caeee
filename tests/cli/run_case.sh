#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: run_case.sh PROGRAM PICK SCRATCH CASE.sh
#
# Runs a case in an empty folder and compares what it prints with CASE.want beside it. NB_ACCEPT=1
# writes CASE.want anew: read the difference before you commit it. Exit 77: the case was skipped.
set -eu
program=$1
pick=$2
scratch=$3
case=$4
here=$(cd "$(dirname "$case")" && pwd)
name=$(basename "$case" .sh)
rm -rf "$scratch"
mkdir -p "$scratch/bin" "$scratch/work"
ln -s "$program" "$scratch/bin/nibble"
ln -s "$pick" "$scratch/bin/pick"
status=0
(
    cd "$scratch/work"
    PATH=$scratch/bin:$PATH
    PRELUDE=$here/prelude.sh
    LC_ALL=C
    export PATH PRELUDE LC_ALL
    exec sh -u "$here/$name.sh"
) >"$scratch/out" 2>&1 || status=$?
if [ $status = 77 ]; then
    cat "$scratch/out"
    exit 77
fi
[ $status = 0 ] || echo "the case ended with $status" >>"$scratch/out"
if [ "${NB_ACCEPT:-0}" = 1 ]; then
    cp "$scratch/out" "$here/$name.want"
    exit 0
fi
if ! diff -u "$here/$name.want" "$scratch/out"; then
    echo "FAIL: $name: - is wanted, + was printed; the files are in $scratch/work"
    exit 1
fi
rm -rf "$scratch"
