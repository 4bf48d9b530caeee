# SPDX-License-Identifier: Apache-2.0
# Files of settings of both peers, by every key that takes one.
. "$PRELUDE"
# show KEYS... -- COMMAND...: these lines of what cfg prints
show() {
    keys=
    while [ "$1" != -- ]; do
        keys="$keys|$1"
        shift
    done
    shift
    run "$@" progress=off verbose=1 >.out 2>.stderr
    grep -E "^(${keys#|}) " .out | tr -s ' '
    grep '^exit' .out
    cat .stderr
}
echo "== Ultralytics' defaults"
cat >default.yaml <<'EOF'
task: detect # (str) what is done
mode: train
model:
data:
epochs: 120
time:
patience: 100
batch: 32
imgsz: 320
save: True
save_period: -1
val_period: 1
cache: False
device:
workers: 8
project:
name:
exist_ok: False
pretrained: True
optimizer: auto
verbose: True
seed: 0
deterministic: True
single_cls: False
rect: False
cos_lr: False
close_mosaic: 10
resume: False
amp: True
fraction: 1.0
profile: False
freeze:
multi_scale: 0.0
overlap_mask: True
mask_ratio: 4
dropout: 0.0
val: True
split: val
save_json: False
save_hybrid: False
conf:
iou: 0.7
max_det: 300
half: False
dnn: False
plots: True
source:
vid_stride: 1
stream_buffer: False
visualize: False
augment: False
agnostic_nms: False
classes:
retina_masks: False
embed:
show: False
save_frames: False
save_txt: False
save_conf: False
save_crop: False
show_labels: True
show_conf: True
show_boxes: True
line_width:
format: torchscript
keras: False
optimize: False
int8: False
dynamic: False
simplify: False
opset:
workspace: 4
nms: False
lr0: 0.01
lrf: 0.01
momentum: 0.937
weight_decay: 0.0005
warmup_epochs: 3.0
warmup_momentum: 0.8
warmup_bias_lr: 0.1
box: 7.5
cls: 0.5
dfl: 1.5
pose: 12.0
kobj: 1.0
label_smoothing: 0.0
nbs: 64
hsv_h: 0.015
hsv_s: 0.7
hsv_v: 0.4
degrees: 0.0
translate: 0.1
scale: 0.5
shear: 0.0
perspective: 0.0
flipud: 0.0
fliplr: 0.5
bgr: 0.0
mosaic: 1.0
mixup: 0.0
copy_paste: 0.0
auto_augment: randaugment
erasing: 0.4
crop_fraction: 1.0
cfg:
tracker: botsort.yaml
EOF
show epochs batch cache amp dfl box workers device classes freeze multi_scale -- nibble cfg cfg=default.yaml
show epochs batch -- nibble cfg --hyp default.yaml epochs=3
echo "== lists"
printf 'freeze: [0, 2, 5]\nclasses: [1]\n' >lists.yaml
show freeze classes -- nibble cfg settings=lists.yaml
printf 'epochs: {a: 1}\n' >lists.yaml
fails 3 nibble cfg settings=lists.yaml
printf 'freeze: [[1]]\n' >lists.yaml
fails 3 nibble cfg settings=lists.yaml
echo "== what is not in this build"
printf 'copy_paste: 0.1\nmixup: 0.1\n' >high.yaml
show mixup -- nibble cfg settings=high.yaml
for line in 'rect: True' 'image_weights: 1' 'quad: yes' 'evolve: 300' 'epcohs: 3' 'cfg_: 3'; do
    echo "$line" >wrong.yaml
    fails 3 nibble cfg settings=wrong.yaml
done
echo "== YOLOv5's hyp and opt"
cat >hyp.yaml <<'EOF'
lr0: 0.00258
lrf: 0.17
momentum: 0.779
weight_decay: 0.00058
warmup_epochs: 1.33
warmup_momentum: 0.86
warmup_bias_lr: 0.0711
box: 0.0539
cls: 0.299
cls_pw: 0.825
obj: 0.632
obj_pw: 1.0
iou_t: 0.2
anchor_t: 3.44
anchors: 3.2
fl_gamma: 0.0
hsv_h: 0.0188
hsv_s: 0.704
hsv_v: 0.36
degrees: 0.0
translate: 0.0902
scale: 0.491
shear: 0.0
perspective: 0.0
flipud: 0.0
fliplr: 0.5
mosaic: 1.0
mixup: 0.0
copy_paste: 0.0
EOF
show lr0 warmup_bias_lr obj_pw anchor_t -- nibble cfg --hyp hyp.yaml
cat >opt.yaml <<'EOF'
weights: ''
cfg: yolov5n.yaml
data: data/coco128.yaml
hyp: data/hyps/hyp.scratch-low.yaml
epochs: 300
batch_size: 16
imgsz: 640
rect: false
resume: false
nosave: false
noval: false
noautoanchor: false
noplots: false
evolve: null
bucket: ''
cache: null
image_weights: false
device: ''
multi_scale: false
single_cls: false
optimizer: SGD
sync_bn: false
workers: 8
project: runs/train
name: exp
exist_ok: false
quad: false
cos_lr: false
label_smoothing: 0.0
patience: 100
freeze:
- 10
save_period: -1
seed: 0
local_rank: -1
entity: null
upload_dataset: false
bbox_interval: -1
artifact_alias: latest
EOF
show model batch imgsz optimizer freeze noval -- nibble cfg settings=opt.yaml
echo "== cfg is a model or settings"
json params -- nibble cost --cfg lpyolo.yaml
make_model
echo 'epochs: 3' >settings.yaml
show model pretrained epochs -- nibble cfg --cfg tiny.yaml
show model pretrained epochs -- nibble cfg --cfg settings.yaml
fails 2 nibble train --cfg tiny.yaml
fails 2 nibble train --cfg settings.yaml
