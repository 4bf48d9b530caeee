# SPDX-License-Identifier: Apache-2.0
# Trained at many widths: interpreter, simulation and integers agree in every value, and simulation
# and integers in every score.
. "$PRELUDE"
make_data
make_model
for bits in w4a4 w2a4 w4a2 w8a8 w1a4 w3a5:first=w4a4:last=w6; do
    echo "== $bits"
    quiet train $bits epochs=8 quantize=$bits
    best=runs/$bits/weights/best.safetensors
    for isa in c avx512vnni; do
        json representations.0.mismatches representations.1.mismatches -- \
            nibble parity model=$best source=data/images isa=$isa
    done
    for engine in float sim int; do
        nibble val model=$best data=data/data.yaml engine=$engine plots=0 verbose=0 conf=0.0001 |
            sed '/^ms/d' >$engine
    done
    same sim int "scores of sim and int"
done
echo "== with the output as codes, and as the peer builds it"
for more in hardtanh=1 compat=quantized-yolov5; do
    quiet train more epochs=3 $more
    json representations.0.mismatches representations.1.mismatches -- \
        nibble parity model=runs/more/weights/best.safetensors source=data/images/val
done
