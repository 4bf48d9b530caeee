# SPDX-License-Identifier: Apache-2.0
# Broken input of every kind: exit 3 and one sentence with file, place, expected and found.
. "$PRELUDE"
make_data
make_model

echo "== model files"
printf 'nc: 1\nbackbone: [\n' >bad.yaml
fails 3 nibble cost model=bad.yaml
printf 'nc: 1\nbackbone: 3\nhead: []\n' >bad.yaml
fails 3 nibble cost model=bad.yaml
sed 's/nn.MaxPool2d/nn.MaxPol2d/' tiny.yaml >bad.yaml
fails 4 nibble cost model=bad.yaml
sed 's/\[\[5\], 1, Detect/[[7], 1, Detect/' tiny.yaml >bad.yaml
fails 3 nibble cost model=bad.yaml
sed 's/^nc: 3/nc: three/' tiny.yaml >bad.yaml
fails 3 nibble cost model=bad.yaml
sed 's/QuantConv, \[8, 3, 2/QuantConv, [8, -3, 2/' tiny.yaml >bad.yaml
fails 3 nibble cost model=bad.yaml
: >bad.yaml
fails 3 nibble cost model=bad.yaml

echo "== settings"
printf 'epochs: 3\nepcohs: 4\n' >bad.yaml
fails 3 nibble train settings=bad.yaml
printf 'epochs: [3]\n' >bad.yaml
fails 3 nibble train settings=bad.yaml
printf 'epochs: many\n' >bad.yaml
fails 3 nibble train settings=bad.yaml

printf 'default: w4a4\n"model.2.*": w9\n' >bits.yaml
fails 3 nibble cost model=tiny.yaml quantize=bits.yaml

echo "== data sets"
printf 'train: data/images/train\nval: data/images/val\nnc: 0\n' >bad.yaml
fails 3 nibble data check data=bad.yaml
printf 'train: data/images/train\nval: data/images/val\nnc: 2\nnames: [a]\n' >bad.yaml
fails 3 nibble data check data=bad.yaml
printf 'val: data/images/val\nnc: 3\n' >bad.yaml
fails 3 nibble train model=tiny.yaml data=bad.yaml verbose=0
printf 'train: data/images/train\nval: data/images/val\nnc: 4\n' >bad.yaml
fails 3 nibble val model=tiny.yaml data=bad.yaml verbose=0

echo "== pictures"
head -c 600 data/images/val/000000.jpg >cut.jpg
fails 3 nibble predict model=tiny.yaml source=cut.jpg save=0 verbose=0
echo "no picture" >text.jpg
fails 3 nibble predict model=tiny.yaml source=text.jpg save=0 verbose=0
: >empty.png
fails 3 nibble predict model=tiny.yaml source=empty.png save=0 verbose=0
fails 3 nibble parity model=tiny.yaml source=cut.jpg imgsz=64 verbose=0

echo "== checkpoints"
quiet train a epochs=1
last=runs/a/weights/last.safetensors
head -c 2000 $last >bad.safetensors
fails 3 nibble inspect model=bad.safetensors | sed 's/header: [0-9]* bytes/header: more bytes/'
size=$(wc -c <$last)
head -c $((size - 100)) $last >bad.safetensors
fails 3 nibble val model=bad.safetensors data=data/data.yaml
fails 3 nibble train resume=bad.safetensors
fails 3 nibble train model=tiny.yaml data=data/data.yaml pretrained=bad.safetensors verbose=0
head -c 4 $last >bad.safetensors
fails 3 nibble cost model=bad.safetensors
: >bad.safetensors
fails 3 nibble cost model=bad.safetensors
echo '{"a": 1}' >bad.safetensors
fails 3 nibble cost model=bad.safetensors
printf '\002\000\000\000\000\000\000\000{}' >bad.safetensors
fails 3 nibble cost model=bad.safetensors
mkdir -p b/weights
cp runs/a/weights/best.safetensors b/weights/last.safetensors
fails 3 nibble train resume=b verbose=0

echo "== detections"
printf '{"images": [{"id": 1}], "annotations": [], "categories": [{"id": 1}]}' >a.json
printf '[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3], "score": 0.5}]' >d.json
fails 3 nibble eval annotations=a.json detections=d.json
printf '[{"image_id": 2, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]' >d.json
fails 3 nibble eval annotations=a.json detections=d.json
printf '[{"image_id": 1,' >d.json
fails 3 nibble eval annotations=a.json detections=d.json

echo "== labels"
cp -r data broken
echo "0 0.5 0.5 nan 0.1" >broken/labels/train/000003.txt
echo "0 0.5 0.5 1.5 0.1" >broken/labels/train/000004.txt
head -c 600 data/images/train/000005.jpg >broken/images/train/000005.jpg
run nibble data check broken/data.yaml verbose=0
echo "-- training leaves out what the label files spoil, and says so"
nibble train model=tiny.yaml data=broken/data.yaml imgsz=64 batch=4 epochs=1 plots=0 project=runs name=c \
    progress=off 2>&1 | grep -i 'left out\|corrupt'
for i in broken/labels/train/*.txt; do echo "7 0.5 0.5 0.1 0.1" >"$i"; done
fails 3 nibble train model=tiny.yaml data=broken/data.yaml verbose=0
