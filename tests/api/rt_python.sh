#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: rt_python.sh LIBRARY RT_FOLDER CC. Runs rt_python.py; skipped without NumPy, or where a
# sanitizer's library cannot be loaded before Python.
set -eu
library=$1
python=
for name in "${NIBBLE_PYTHON:-python3}" /usr/bin/python3; do # the system's NumPy is the system's Python's
    if [ -z "$python" ] && "$name" -c 'import numpy' 2>/dev/null; then
        python=$name
    fi
done
[ -n "$python" ] || { echo "NumPy is missing: skipped"; exit 77; }
for name in libasan libtsan libubsan; do
    if readelf -d "$library" | grep -q "NEEDED.*$name"; then
        preload="${preload-} $("$3" -print-file-name=$name.so)"
    fi
done
if [ -z "${preload-}" ] && nm -D "$library" | grep -q ' U __[atu]san_'; then
    echo "the sanitizer is not a shared library: skipped"
    exit 77
fi
export ASAN_OPTIONS="detect_leaks=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}" # Python keeps what it has
NIBBLE_LIBRARY=$library PYTHONPATH=python PYTHONDONTWRITEBYTECODE=1 \
    ${preload:+env LD_PRELOAD="$preload"} "$python" tests/api/rt_python.py "$2"
