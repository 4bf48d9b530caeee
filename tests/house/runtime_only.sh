#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: runtime_only.sh FOLDER CC. The run-time library builds alone, installs, needs neither oneDNN
# nor cairo nor OpenMP, and a C program compiles against what was installed.
set -eu
folder=$1
cc=$2
prefix=$folder/installed
cmake -G Ninja -S . -B "$folder" -DNIBBLE_RUNTIME_ONLY=ON -DCMAKE_BUILD_TYPE=Debug \
    -DCMAKE_C_COMPILER="$cc" -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib >/dev/null
cmake --build "$folder" | tail -n 2
rm -rf "$prefix"
cmake --install "$folder" >/dev/null

library=$prefix/lib/libnibble_rt.so
needed=$(objdump -p "$library" | awk '$1 == "NEEDED" { print $2 }')
echo "libnibble_rt.so needs" $needed
if printf '%s' "$needed" | grep -E 'dnnl|cairo|gomp|libomp|png|jpeg'; then
    echo "FAIL: the run-time library needs what only training does"
    exit 1
fi
objdump -p "$library" | grep -q 'SONAME *libnibble_rt.so.0$' || { echo "FAIL: no SONAME"; exit 1; }

export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
for header in "$prefix"/include/nibble/*.h; do
    echo "#include <nibble/${header##*/}>"
done >"$folder/user.c"
echo 'int main(void) { NbError err = {{0}}; return err.message[0]; }' >>"$folder/user.c"
# shellcheck disable=SC2046 # lists of flags
$cc -Wall -Werror "$folder/user.c" -o "$folder/user" $(pkg-config --cflags --libs nibble_rt)
LD_LIBRARY_PATH="$prefix/lib" "$folder/user"
