# SPDX-License-Identifier: Apache-2.0
# Raw tensors through an ONNX model: y = x times 1.5 and -2 (a convolution of one pixel).
. "$PRELUDE"
cp "${PRELUDE%/*}/../fuzz/corpus/onnx/conv" conv.onnx
cp "${PRELUDE%/*}/../fuzz/corpus/onnx/cut" cut.onnx
# npy NAME DTYPE SHAPE BYTES: version 1, a head of 128 bytes
npy() {
    head="{'descr': '$2', 'fortran_order': False, 'shape': ($3), }"
    printf '\223NUMPY\001\000\166\000%-117s\n' "$head" >"$1"
    printf "$4" >>"$1"
}
npy x.npy '<f4' '1, 1, 2, 2' '\000\000\200\077\000\000\000\100\000\000\100\100\000\000\200\100'
npy short.npy '<f4' '1, 1, 1, 2' '\000\000\200\077\000\000\000\100'
json outputs.0.name outputs.0.shape.1 outputs.0.dtype -- nibble run model=conv.onnx input=x.npy out=o
od -An -tf4 -j128 o/y.npy | tr -s ' ' '\n' | grep . | paste -sd' '
echo "== refused in one sentence"
fails 3 nibble run model=cut.onnx input=x.npy out=o
fails 2 nibble run model=conv.onnx input=x.npy,x.npy out=o
fails 2 nibble run model=conv.onnx input=short.npy out=o
fails 4 nibble val model=conv.onnx data=none.yaml
