# SPDX-License-Identifier: Apache-2.0
# A run that is killed at random moments, again and again, and continued each time ends in the same
# checkpoint and the same results.csv (times aside) as one that nobody disturbed.
. "$PRELUDE"
make_data
make_model
make_free_model
number() { od -An -N2 -tu2 /dev/urandom | tr -d ' '; }
survive() { # name, keys
    name=$1
    shift
    start="model=tiny.yaml data=data/data.yaml imgsz=64 batch=4 plots=0 project=runs name=$name-killed exist_ok=1
        progress=off verbose=0 save_minutes=0.0002"
    quiet train "$name" "$@"
    kills=0
    done=0
    while [ $done = 0 ]; do
        if [ -e runs/$name-killed/weights/last.safetensors ]; then
            nibble train resume=runs/$name-killed progress=off verbose=0 threads=$((kills % 3 + 1)) >out 2>err &
        else
            # shellcheck disable=SC2086
            nibble train $start "$@" >out 2>err &
        fi
        pid=$!
        if [ $kills -lt 12 ]; then
            sleep "0.$(printf %03d $(($(number) % 400 + 20)))"
            kill -KILL $pid 2>/dev/null && kills=$((kills + 1))
        fi
        status=0
        wait $pid 2>/dev/null || status=$?
        case $status in
        0) done=1 ;;
        137) ;;
        *)
            echo "exit $status"
            cat err
            done=1
            ;;
        esac
    done
    [ $kills -gt 1 ] || echo "$name was killed $kills times only"
    for file in last best; do
        same "runs/$name/weights/$file.safetensors" "runs/$name-killed/weights/$file.safetensors" "$name $file"
    done
    ls runs/$name-killed/weights
    cut -d, -f1,3-18,20- "runs/$name/results.csv" >one
    cut -d, -f1,3-18,20- "runs/$name-killed/results.csv" >two
    same one two "$name results"
}
survive plain epochs=${NIBBLE_KILL_EPOCHS:-60}
survive gathered epochs=60 optimizer=SGD nbs=16 multi_scale=1 mixup=0.3
survive guarded epochs=40 safeguards=all
survive float epochs=60 quantize=none compat=quantized-yolov5
survive free model=free.yaml epochs=20 o2o=weighted nbs=16
