#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: scripts.sh SCRATCH CC. The check scripts of tools/ find what is planted for them.
set -eu
scratch=$1
CC=$2
export CC
tools=$PWD/tools
failed=0
rm -rf "$scratch"

tree() { # a small sound tree
    rm -rf "$scratch"
    mkdir -p "$scratch/src/base" "$scratch/src/tensor" "$scratch/src/cli" "$scratch/include/nibble" \
        "$scratch/tools"
    cp "$tools/layers.txt" "$tools/libraries.txt" "$scratch/tools/"
    cp .clang-format "$scratch/"
    echo 'int nb_one(void);' >"$scratch/include/nibble/one.h"
    echo 'int nb_low(void);' >"$scratch/src/base/low.h"
    printf '#include "base/low.h"\n\nint nb_high(void);\n' >"$scratch/src/tensor/high.h"
}

check() { # fault-or-none wanted-text command...
    name=$1
    want=$2
    shift 2
    status=0
    "$@" >"$scratch/out" 2>&1 || status=$?
    if [ "$name" = sound ]; then
        [ $status = 0 ] || { echo "FAIL: a sound tree is refused: $*"; cat "$scratch/out"; failed=1; }
    elif [ $status = 0 ] || ! grep -qF -e "$want" "$scratch/out"; then
        echo "FAIL: $name: status $status, wanted \"$want\":"
        cat "$scratch/out"
        failed=1
    fi
}

tree
check sound "" "$tools/check_layers" "$scratch"
check sound "" "$tools/check_headers" "$scratch"
check sound "" "$tools/check_banned" "$scratch"
check sound "" "$tools/check_size" "$scratch"

echo '#include "tensor/high.h"' >"$scratch/src/base/up.c"
check "include of a higher layer" "src/base/up.c:1: base/ may not include tensor/high.h" \
    "$tools/check_layers" "$scratch"
tree
echo '#include <cairo.h>' >"$scratch/src/base/draw.c"
check "library outside its folder" "src/base/draw.c:1: <cairo.h> belongs in src/report/" \
    "$tools/check_layers" "$scratch"
tree
mkdir "$scratch/src/extra"
echo '#include "base/low.h"' >"$scratch/src/extra/a.c"
check "unknown folder" "folder extra/ is not in tools/layers.txt" "$tools/check_layers" "$scratch"
tree
echo '#include "base/low.h"' >>"$scratch/include/nibble/one.h"
check "public header reaches in" "public headers may include only" "$tools/check_layers" "$scratch"

tree
echo 'size_t nb_size(void);' >"$scratch/src/base/alone.h"
check "header that needs another" "src/base/alone.h: does not compile alone" \
    "$tools/check_headers" "$scratch"
tree
echo 'struct NbTwice { int a; };' >"$scratch/src/base/twice.h"
check "header without guard" "src/base/twice.h: does not compile alone, or not twice" \
    "$tools/check_headers" "$scratch"
tree
echo 'int nb_new(int class);' >"$scratch/include/nibble/one.h"
check "public header that is not C++" "does not compile as C++" "$tools/check_headers" "$scratch"

for call in 'strcpy(a, b);' 'x = atoi (b);' 'exit(1);' 'printf("x");' 'fprintf(stderr, "x");'; do
    tree
    printf '/* printf("fine"); */\nvoid nb_f(void) {\n    %s\n}\n' "$call" >"$scratch/src/base/bad.c"
    check "$call" "src/base/bad.c:3:" "$tools/check_banned" "$scratch"
done
tree
printf 'int main(void) {\n    /* strcpy(\n     a) */ printf("gets(x)");\n    exit(0);\n}\n' \
    >"$scratch/src/cli/main.c"
check sound "" "$tools/check_banned" "$scratch"

tree
awk 'BEGIN { for (i = 0; i < 601; i++) print "int nb_x" i ";" }' >"$scratch/src/base/long.c"
check "long file" "src/base/long.c: 601 lines" "$tools/check_size" "$scratch"
tree
awk 'BEGIN { print "int nb_f(void) {"; for (i = 0; i < 80; i++) print "    x++;"; print "}" }' \
    >"$scratch/src/base/long.c"
check "long function" "src/base/long.c:1: 82 lines" "$tools/check_size" "$scratch"

archive() { # C text
    rm -f "$scratch/x.a"
    printf '%s\n' "$1" | $CC -O1 -fPIC -c -x c - -o "$scratch/x.o"
    ar rcs "$scratch/x.a" "$scratch/x.o"
}
archive 'static const char *const names[] = {"a", "b"}; const char *nb_f(int i) { return names[i]; }'
check sound "" "$tools/check_symbols" "$scratch/x.a"
archive 'int helper(int x) { return x + 1; }'
check "name without prefix" "exports helper" "$tools/check_symbols" "$scratch/x.a"
archive 'int nb_f(void) { static int calls; return ++calls; }'
check "static that changes" "calls" "$tools/check_symbols" "$scratch/x.a"
archive 'int nb_level = 3;'
check "writable global" "nb_level in .data can be written" "$tools/check_symbols" "$scratch/x.a"
archive '_Thread_local int nb_last;'
check "thread-local global" "nb_last in .tbss can be written" "$tools/check_symbols" "$scratch/x.a"
printf 'int nb_f(void) { return 1; }\nint loose(void) { return 2; }\n' |
    $CC -shared -fPIC -x c - -o "$scratch/x.so"
archive 'int nb_f(void) { return 1; }'
check "shared library exports more" "x.so exports loose" \
    "$tools/check_symbols" "$scratch/x.a" "$scratch/x.so"
check "exported without a version" "x.so exports nb_f without a version" \
    "$tools/check_symbols" "$scratch/x.a" "$scratch/x.so"

[ $failed = 0 ] && echo "every planted fault was found"
exit $failed
