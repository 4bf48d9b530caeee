# SPDX-License-Identifier: Apache-2.0
# The same run with any number of threads and workers ends in the same bytes.
. "$PRELUDE"
make_data
make_model
make_free_model
compare() { # name, keys for all
    name=$1
    shift
    quiet train "$name" "$@"
    for pair in 1,3 2,0 2,1 3,2 3,3; do
        quiet train "$name$pair" threads=${pair%,*} workers=${pair#*,} "$@"
        for file in last best; do
            cmp "runs/$name/weights/$file.safetensors" "runs/$name$pair/weights/$file.safetensors"
        done
        cut -d, -f1,3-18,20- "runs/$name/results.csv" >one
        cut -d, -f1,3-18,20- "runs/$name$pair/results.csv" >two
        cmp one two
    done
    echo "$name: compared"
}
compare quantized epochs=3
compare guarded epochs=8 safeguards=all
compare float epochs=3 quantize=none
compare sizes epochs=3 multi_scale=1 mixup=0.5 degrees=10
compare uneven epochs=2 batch=5
compare free model=free.yaml epochs=3
compare weighted model=free.yaml epochs=2 o2o=weighted batch=5
compare peer epochs=2 compat=quantized-yolov5
quiet train seeded epochs=3 seed=1
cmp -s runs/quantized/weights/last.safetensors runs/seeded/weights/last.safetensors && echo "the seed changes nothing"
for engine in sim int; do
    for threads in 1 3; do
        nibble val model=runs/quantized/weights/best.safetensors data=data/data.yaml plots=0 verbose=0 conf=0.0001 \
            engine=$engine threads=$threads | sed '/^ms/d' >val$engine$threads
    done
done
same valsim1 valsim3 "sim"
same valint1 valint3 "int"
same valsim1 valint1 "sim and int"
