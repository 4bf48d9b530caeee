# SPDX-License-Identifier: Apache-2.0
# The keys of the training loop, one by one.
. "$PRELUDE"
make_data
make_model
# rows FILE: epoch, mAP50-95 (or "-" where there is none), learning rates
scored() { awk -F, 'NR > 1 { print $1, $10 == "" ? "not scored" : "scored" }' "runs/$1/results.csv"; }
said() { nibble train model=tiny.yaml data=data/data.yaml imgsz=64 batch=4 epochs=1 plots=0 project=runs \
    name="$1" exist_ok=1 progress=off threads=1 workers=0 "$2" "$3" 2>&1 >/dev/null | grep -E "$4" | grep -v '^epoch'; }
echo "== val, noval, val_period"
quiet train unscored epochs=3 val=0 patience=1
scored unscored
quiet train unscored epochs=2 --noval
scored unscored
quiet train some epochs=14 val_period=3
scored some
ls runs/some/weights
fails 2 train some val_period=0
echo "== fraction"
said part fraction=0.25 seed=0 'fraction|^train'
said part fraction=0.01 batch=1 fraction
json images -- nibble data stats data=data/data.yaml | head -1
echo "== freeze"
quiet train float epochs=1 quantize=none
quiet train frozen epochs=1 'freeze=[0,4]' quantize=none pretrained=runs/float/weights/best.safetensors
nibble inspect model=runs/float/weights/best.safetensors | grep '^  model' >before
nibble inspect model=runs/frozen/weights/best.safetensors | grep '^  model' >after
for layer in 0 2 4; do
    grep "model.$layer.conv.weight " before >one
    grep "model.$layer.conv.weight " after >two
    cmp -s one two && echo "layer $layer: as it was" || echo "layer $layer: trained"
done
echo "== cache"
quiet train ram cache=ram
quiet train none cache=0
same runs/ram/weights/last.safetensors runs/none/weights/last.safetensors "cache=0"
ls data/images/train | grep -c npy
quiet train disk cache=disk
same runs/ram/weights/last.safetensors runs/disk/weights/last.safetensors "cache=disk"
ls data/images/train | grep -c npy
quiet train disk cache=disk workers=2
same runs/ram/weights/last.safetensors runs/disk/weights/last.safetensors "cache=disk again"
quiet train ram cache=True
rm data/images/*/*.npy
echo "== batch=-1"
said memory batch=-1 seed=0 '^batch' | sed 's/(.*)/(...)/'
quiet train memory batch=-1 epochs=1
grep '^batch' runs/memory/args.yaml
quiet nibble train resume=runs/memory epochs=2 progress=off verbose=0
echo "== optimizers"
for name in SGD Adam AdamW NAdam RAdam RMSProp Adamax sgd; do
    quiet train "$name" epochs=1 optimizer=$name
    quiet nibble train resume=runs/"$name" epochs=2 progress=off verbose=0
done
quiet train adam epochs=1 --adam --linear-lr
fails 2 nibble train resume=runs/NAdam optimizer=RAdam epochs=3 progress=off verbose=0
for name in Adam AdamW NAdam RAdam RMSProp Adamax; do
    cmp -s runs/SGD/weights/last.safetensors runs/$name/weights/last.safetensors && echo "$name is SGD"
done
echo "== time"
quiet train timed epochs=100000 time=0.0002
awk -F, 'END { if (NR > 1 && NR < 2000 && $10 != "") print "it ended, and its last epoch was scored" }' \
    runs/timed/results.csv
quiet nibble val model=runs/timed/weights/best.safetensors data=data/data.yaml
echo "== notes"
said noted amp=1 seed=0 amp
said noted deterministic=0 seed=0 deterministic
said noted amp=0 deterministic=1 'amp|deterministic'
echo "== cfg: settings, and a model with weights"
printf 'epochs: 1\nfreeze: [0]\namp: True\nrect: False\n' >cfg.yaml
said cfg cfg=cfg.yaml seed=0 'amp|left out'
grep -E '^(freeze|epochs)' runs/cfg/args.yaml
quiet nibble train resume=runs/cfg epochs=2 progress=off verbose=0
nibble train --cfg tiny.yaml --weights runs/float/weights/best.safetensors --data data/data.yaml --img 64 \
    --batch-size 4 --epochs 1 --project runs --name both --exist-ok --plots 0 2>&1 >/dev/null | grep '^runs/float'
