# SPDX-License-Identifier: Apache-2.0
# YOLOv10 from its file to detections: train, continue, score, look at pictures. The one-to-one head
# decides; both heads have columns.
. "$PRELUDE"
make_data
make_free_model
echo "== two epochs of the zoo's file"
quiet nibble train model=yolov10n.yaml data=data/data.yaml epochs=2 imgsz=160 batch=8 project=runs name=n \
    plots=0 progress=off verbose=0
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) name[i] = $i; next }
    { for (i = 1; i <= NF; i++)
          if (name[i] ~ /(box|cls|dfl)(_loss|_oo)$/) { items++; if (!($i > 0)) print name[i] " is " $i } }
    END { print NR - 1 " epochs, " items / (NR - 1) " items" }' runs/n/results.csv
json engine imgsz conf images speed_ms.inference -- nibble val model=runs/n/weights/best.safetensors \
    data=data/data.yaml plots=0 | sed 's/^\(speed[^ ]*\) .*/\1/'
echo "== a run that learns"
quiet train a model=free.yaml epochs=100 optimizer=AdamW lr0=0.01 warmup_iters=8 nbs=4 ema_tau=20 mosaic=0 \
    scale=0 translate=0 hsv_h=0 hsv_s=0 hsv_v=0 threads=2
val() {
    nibble val model=runs/a/weights/last.safetensors data=data/data.yaml split=train plots=0 verbose=0 "$@" | sed '/^ms/d'
}
val threads=1 >one
val threads=3 batch=3 >three
same one three "one thread and three"
awk '/^all / { print ($6 > 0.1 ? "finds objects" : "mAP50 " $6) }' one
val iou=0.1 >loose
same one loose "nothing is suppressed"
echo "== detections"
rows() { nibble predict model=runs/a/weights/last.safetensors source=data/images/val save=0 json=1 verbose=0 "$@" |
    grep -o '"conf"' | wc -l; }
[ "$(rows conf=0)" = 1920 ] && echo "every cell and class without a threshold" # 8 x 80 x 3
[ "$(rows conf=0 max_det=7)" = 56 ] && echo "at most max_det"
n=$(rows conf=0.02)
[ "$n" -gt 0 ] && [ "$n" -lt 1000 ] && echo "some above a threshold"
echo "== integers: heads of both kinds on plain convolutions"
for head in Detect v10Detect; do
    cat >plain.yaml <<EOF
nc: 3
scales:
  n: [1.0, 1.0, 1024]
backbone:
  - [-1, 1, Conv, [8, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, Conv, [32, 3, 2]]
  - [-1, 1, Conv, [64, 3, 2]]
head:
  - [-1, 1, nn.Upsample, [None, 2, "nearest"]]
  - [[-1, 2], 1, Concat, [1]]
  - [-1, 1, Conv, [32, 3, 1]]
  - [[6, 3], 1, $head, [nc]]
EOF
    quiet train "$head" model=plain.yaml quantize=w8a8 optimizer=AdamW lr0=0.01 warmup_iters=4 nbs=4
    for engine in sim int; do
        nibble val model=runs/$head/weights/best.safetensors data=data/data.yaml plots=0 verbose=0 engine=$engine \
            conf=0.0001 | sed '/^ms/d' >$engine
    done
    same sim int "$head, sim and int"
    nibble parity model=runs/$head/weights/best.safetensors source=data/images/val limit=4 verbose=0 progress=off |
        grep -o '^[a-z]*  *[0-9]* tensors\|[0-9]* mismatches'
done
echo "== what integers cannot compute yet"
quiet train attention model=free.yaml quantize=w8a8
nibble val model=runs/attention/weights/best.safetensors data=data/data.yaml plots=0 2>&1 | sed -n 's/;.*//; /^engine/p'
fails 4 nibble val model=runs/attention/weights/best.safetensors data=data/data.yaml engine=int verbose=0
fails 4 nibble val model=runs/a/weights/last.safetensors data=data/data.yaml engine=int verbose=0
fails 2 nibble train model=free.yaml data=data/data.yaml o2o=mean
