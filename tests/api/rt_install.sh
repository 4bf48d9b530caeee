#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: rt_install.sh BUILD RT_FOLDER CC FLAGS. The run-time library as installed: what it needs and
# exports, and the example compiled as C and as C++ against it, which finds what `nibble predict` did.
set -eu
build=$1
rt=$2
cc=$3
flags=$4
prefix=$rt/installed
rm -rf "$prefix"
cmake --install "$build" --prefix "$prefix" >/dev/null
pc=$(find "$prefix" -name nibble_rt.pc)
libdir=$(dirname "$(dirname "$pc")")
library=$libdir/libnibble_rt.so

readelf -d "$library" | awk '/NEEDED/ { gsub(/[][]/, "", $NF); print $NF }' | sort >"$rt/needed"
echo "libnibble_rt.so needs" $(cat "$rt/needed")
if grep -E 'dnnl|gomp|libomp|cairo|OpenCL|stdc|png|jpeg' "$rt/needed" | grep -v san; then
    echo "FAIL: the run-time library needs what only training does"
    exit 1
fi
# what those need in turn
case $flags in
*sanitize*) ;; # the runtime of a sanitizer brings its own
*) if ldd "$library" | grep -E 'dnnl|gomp|libomp|cairo|OpenCL|png|jpeg|not found'; then
        echo "FAIL: a library of the run-time library is too much"
        exit 1
    fi ;;
esac

# exactly what the headers of the run-time library declare, each with a version
cat "$prefix/include/nibble/nibble.h" "$prefix/include/nibble/status.h" | grep -v '^#' | tr '\n' ' ' |
    grep -o 'NB_API [^;]*;' | sed 's/^\([^(]*\)(.*/\1/; s/.*[ *]//' | sort >"$rt/declared"
nm -D --defined-only --with-symbol-versions "$library" | awk '$2 != "A" { print $NF }' |
    grep -vE '^(__odr_asan|__asan|__ubsan|__tsan|__sanitizer|___asan)' | sort >"$rt/exported"
sed 's/$/@@NIBBLE_0/' "$rt/declared" | diff - "$rt/exported" ||
    { echo "FAIL: declared (<) and exported (>) differ"; exit 1; }
echo "$(wc -l <"$rt/exported") names are exported, all declared and versioned"

PKG_CONFIG_PATH=${pc%/*}:${PKG_CONFIG_PATH-}
export PKG_CONFIG_PATH
python=$(command -v python3 || true)
for language in c c++; do
    std=c17
    [ $language = c ] || std=c++11
    # pkg-config knows where another prefix would be: the tree may have been moved
    # shellcheck disable=SC2046,SC2086 # lists of flags
    case $cc$language in
    *clang*c++) compiler=$(command -v "$(echo "$cc" | sed 's/clang/clang++/')" || true) ;;
    *c++) compiler=$(command -v g++ || true) ;;
    *) compiler=$cc ;;
    esac
    [ -n "$compiler" ] || { echo "no C++ compiler: only C was tried"; continue; }
    # shellcheck disable=SC2046,SC2086
    $compiler -x $language -std=$std -Wall -Wextra -Werror $flags examples/detect.c -x none \
        -o "$rt/detect" $(pkg-config --define-variable=prefix="$prefix" \
        --define-variable=libdir="$libdir" --define-variable=includedir="$prefix/include" \
        --cflags --libs nibble_rt)
    export LD_LIBRARY_PATH="$libdir"
    for picture in "$rt"/pictures/*.ppm; do
        "$rt/detect" "$rt/model.safetensors" "$picture" 0.01
    done >"$rt/found"
    [ -s "$rt/found" ] || { echo "FAIL: the example ($language) found nothing"; exit 1; }
    if [ -n "$python" ]; then
        "$python" - "$rt" <<'PY'
import json, sys
rt = sys.argv[1]
want = [(d["name"], *("%.9g" % v for v in [d["conf"], *d["xyxy"]]))
        for image in json.load(open(rt + "/predictions.json"))["images"] for d in image["detections"]]
found = [tuple(line.split()) for line in open(rt + "/found")]
if found != want:
    sys.exit("FAIL: the example found %d boxes, predict %d, or others" % (len(found), len(want)))
PY
    fi
    echo "the example ($language) finds $(wc -l <"$rt/found") boxes, as predict does"
    if "$rt/detect" "$rt/float.safetensors" "$rt/pictures/0.ppm" 2>"$rt/said"; then exit 1; fi
    grep -q 'no quantizers' "$rt/said" || { cat "$rt/said"; exit 1; }
done
