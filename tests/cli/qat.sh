# SPDX-License-Identifier: Apache-2.0
# From a trained float model to low bits: what is taken, what is measured, what stays; and what heads of
# YOLOv10 take for granted.
. "$PRELUDE"
make_data
go() { nibble train data=data/data.yaml imgsz=64 batch=8 plots=0 project=runs exist_ok=1 progress=off workers=0 "$@"; }
weights() { nibble inspect model="runs/$1/weights/best.safetensors" | grep '^  model.*conv.weight '; }
quiet go model=lpyolo.yaml name=float epochs=2 quantize=none
start=runs/float/weights/best.safetensors
echo "== w4a8 from the float checkpoint"
go model=$start name=four epochs=2 quantize=w4a8 2>said >out
grep -E 'loaded|^activation' said
# the first loss of quantizers that were measured is near that of the float model
sed -n 's/^first loss: \([0-9.e+-]*\) with quantizers, \([0-9.e+-]*\) without$/\1 \2/p' said |
    awk '{ print ($1 < 1.3 * $2 && $1 > $2 / 1.3) ? "the first loss is near the float one" : "first loss " $0 }'
grep -o 'engine=int' out
echo "== the weights are those of the checkpoint"
quiet go model=$start name=still epochs=1 quantize=w4a8 lr0=0 warmup_bias_lr=0 safeguards=none
weights float >one
weights still >two
[ -s one ] && cmp one two && echo "nothing moved"
echo "== what has learned stays"
go model=runs/four/weights/best.safetensors name=again epochs=1 2>&1 >/dev/null | grep -c '^activation'
quiet nibble train resume=runs/again epochs=2 progress=off verbose=0
echo "== heads of YOLOv10"
cat >ten.yaml <<'EOF'
nc: 3
backbone:
  - [-1, 1, Conv, [8, 3, 2]]
  - [-1, 1, Conv, [8, 3, 2]]
  - [-1, 1, Conv, [8, 3, 2]]
  - [-1, 1, Conv, [8, 3, 2]]
head:
  - [[2, 3], 1, v10Detect, [nc]]
EOF
go model=ten.yaml name=ten epochs=1 lr0=0.5 2>&1 >/dev/null | grep '^optimizer'
grep -E '^(optimizer|lr0|momentum|warmup_bias_lr):' runs/ten/args.yaml
quiet nibble train resume=runs/ten epochs=2 progress=off verbose=0
quiet go model=ten.yaml name=sgd epochs=1 optimizer=SGD
awk -F, 'NR == 2 { print "pg0 warms down from 0.1:", ($13 > 0.09), "pg1 and pg2 up from 0:", ($14 < 0.01 && $14 == $15) }' \
    runs/sgd/results.csv
fails 2 go model=ten.yaml name=peer compat=quantized-yolov5 verbose=0
