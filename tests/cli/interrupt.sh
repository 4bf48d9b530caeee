# SPDX-License-Identifier: Apache-2.0
# Ctrl-C while training: exit 130, last.safetensors is there, and continuing ends where an
# undisturbed run ends.
. "$PRELUDE"
make_data
make_model
quiet train straight epochs=60
arguments="model=tiny.yaml data=data/data.yaml imgsz=64 batch=4 epochs=60 plots=0 project=runs progress=off
    verbose=0 threads=1 workers=0"
for signal in INT TERM; do
    # shellcheck disable=SC2086
    nibble train $arguments name=stopped$signal >out 2>err &
    pid=$!
    while ! grep -q '"ev":"start"' runs/stopped$signal/events.jsonl 2>/dev/null; do sleep 0.02; done
    kill -$signal $pid
    status=0
    wait $pid || status=$?
    [ $status = 130 ] || echo "exit $status"
    cat out
    sed 's/epoch [0-9]*/epoch N/' err
    quiet nibble train resume=runs/stopped$signal progress=off verbose=0
    same runs/straight/weights/last.safetensors runs/stopped$signal/weights/last.safetensors last
    same runs/straight/weights/best.safetensors runs/stopped$signal/weights/best.safetensors best
done
