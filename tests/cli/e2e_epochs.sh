# SPDX-License-Identifier: Apache-2.0
# Longer runs, early ends, kept checkpoints, and what other models give to a start.
. "$PRELUDE"
make_data
make_model
echo "== epochs may grow"
quiet train a epochs=2
quiet nibble train resume=runs/a epochs=5 progress=off verbose=0
cut -d, -f1 runs/a/results.csv | tr '\n' ' '
echo
json epochs run -- nibble train resume=runs/a progress=off
fails 2 nibble train resume=runs/a seed=4 progress=off verbose=0
fails 2 nibble train resume=runs/a optimizer=SGD progress=off verbose=0
fails 3 nibble train resume=runs/a batch=3 epochs=9 progress=off verbose=0
echo "== a checkpoint from elsewhere goes on in a folder of its own"
cp runs/a/weights/last.safetensors elsewhere.safetensors
json run epochs -- nibble train resume=elsewhere.safetensors project=others epochs=6 progress=off
ls others/train/weights
echo "== the newest run"
json epochs run -- nibble train resume=1 project=runs epochs=6 progress=off
echo "== early stopping"
quiet train long epochs=60
json stopped_early -- train stop epochs=40 patience=1 lr0=0 warmup_bias_lr=0 \
    pretrained=runs/long/weights/best.safetensors
awk 'END { if (NR > 30) print NR - 1 " epochs" }' runs/stop/results.csv
echo "== save_period"
quiet train kept epochs=4 save_period=2
ls runs/kept/weights
quiet nibble inspect model=runs/kept/weights/epoch2.safetensors
echo "== numbered folders"
quiet train numbered epochs=1 exist_ok=0
quiet train numbered epochs=1 exist_ok=0
ls -d runs/numbered*
echo "== from float to four bits"
quiet train float epochs=3 quantize=none
json best.engine -- train quantized epochs=2 pretrained=runs/float/weights/best.safetensors
nibble train model=tiny.yaml data=data/data.yaml imgsz=64 batch=4 epochs=1 plots=0 project=runs name=said \
    pretrained=runs/float/weights/best.safetensors progress=off 2>&1 >/dev/null | grep 'float/weights'
json best.engine -- train fromcheckpoint epochs=1 model=runs/float/weights/best.safetensors quantize=w8a8
echo "== freeze"
quiet train frozen epochs=2 freeze=3 pretrained=runs/float/weights/best.safetensors calibrate=0
nibble inspect model=runs/float/weights/best.safetensors | grep '^  model' >before
nibble inspect model=runs/frozen/weights/best.safetensors | grep '^  model' >after
for layer in 0 2 4; do
    grep "model.$layer.conv.weight " before >one
    grep "model.$layer.conv.weight " after >two
    cmp -s one two && echo "layer $layer: as it was" || echo "layer $layer: trained"
done
echo "== settings of YOLOv5's files"
printf 'lr0: 0.01\niou_t: 0.2\ncopy_paste: 0.0\nmosaic: 0.5\n' >hyp.yaml
nibble train --weights tiny.yaml --data data/data.yaml --img 64 --batch-size 4 --epochs 1 --hyp hyp.yaml \
    --project runs --name hyp --exist-ok --plots 0 --verbose 0 --workers 0 >out
tail -1 out
grep '^lr0\|^mosaic' runs/hyp/args.yaml
printf "rect: True\n" >hyp.yaml
fails 3 nibble train --weights tiny.yaml --data data/data.yaml --hyp hyp.yaml
echo "== the peer's ways"
json best.engine best.metrics -- train peer epochs=2 compat=quantized-yolov5
json best.engine -- train hard epochs=2 hardtanh=1
json best.engine -- train one epochs=1 single_cls=1
json best.engine -- train adam epochs=1 optimizer=Adam cos_lr=0 label_smoothing=0.1 fl_gamma=1.5
json best.engine -- train sized epochs=1 multi_scale=1
