# SPDX-License-Identifier: Apache-2.0
# COCO's JSON as data=: labels, official numbers with its areas and crowds, its ids in what is written, lists of pictures.
. "$PRELUDE"
make_data seed=3
make_model
quiet train a epochs=40
quiet nibble data convert data=data/data.yaml split=val to=coco out=coco pictures=link images=data/images verbose=0
val() { run nibble val model=runs/a/weights/best.safetensors threads=1 verbose=0 project=runs plots=0 "$@"; }
echo "== the same boxes as JSON and as labels"
val data=data/data.yaml | grep '^all\|^A' >by_labels
val data=coco/instances_val.json | grep '^all\|^A' >by_json
cut -d' ' -f1-12 by_labels >one
cut -d' ' -f1-12 by_json >two
same one two scores
run nibble data check coco/instances_val.json verbose=0
nibble data stats coco/instances_val.json verbose=0 | head -5
echo "== other ids, a crowd, areas of masks; classes in another order"
sed -e 's/"id":\([0-2]\),"name"/"id":9\1,"name"/' -e 's/"category_id":/"category_id":9/' \
    -e '/"categories"/,$!s/"image_id":/"image_id":7000/' \
    -e 's/{"id":\([0-7]\),"file_name"/{"id":7000\1,"file_name"/' \
    -e '0,/"iscrowd":0/s//"iscrowd":1/' -e '0,/"area":[0-9.]*/s//"area":1/' coco/instances_val.json >coco/ids.json
val data=coco/ids.json save_json=1 name=j | grep '^A' >by_val
run nibble eval annotations=coco/ids.json detections=runs/j/predictions.json | grep '^A' >by_eval
same by_val by_eval "official numbers"
cmp -s by_val by_json && echo "the crowd changed nothing"
grep -o '"image_id":[0-9]*' runs/j/predictions.json | sort -u | sed -n '1p;$p'
grep -o '"category_id":[0-9]*' runs/j/predictions.json | sort -u
echo "== a YAML with JSON splits, with names of its own and without"
printf 'train: coco/instances_val.json\nval: coco/ids.json\n' >split.yaml
run nibble data check split.yaml verbose=0
printf 'val: coco/ids.json\nnames: [cross, square]\n' >bad.yaml
fails 3 nibble data check bad.yaml verbose=0
echo "== training"
quiet nibble train model=tiny.yaml data=coco/instances_val.json imgsz=64 batch=4 epochs=1 plots=0 project=runs name=t \
    progress=off verbose=0
ls runs/t/weights
echo "== lists of pictures"
printf '70002 # by id\n000005.jpg\n' >ids
json images -- nibble val model=runs/a/weights/best.safetensors plots=0 data=coco/ids.json ids=ids
printf '2\n000005\n' >ids
json images -- nibble val model=runs/a/weights/best.safetensors plots=0 data=data/data.yaml ids=ids first=1
printf '70002\n99\n' >ids
fails 3 nibble val model=runs/a/weights/best.safetensors verbose=0 plots=0 data=coco/ids.json ids=ids
printf '# nothing\n' >ids
fails 3 nibble val model=runs/a/weights/best.safetensors verbose=0 plots=0 data=coco/ids.json ids=ids
echo "== rectangular batches"
json images -- nibble val model=runs/a/weights/best.safetensors plots=0 data=coco/ids.json rect=1
echo "== bad"
mkdir empty
fails 3 nibble val model=runs/a/weights/best.safetensors verbose=0 plots=0 data=coco/ids.json images=empty
fails 3 nibble val model=runs/a/weights/best.safetensors verbose=0 plots=0 data=coco/ids.json images=none
sed 's/000000.jpg/..\/000000.jpg/' coco/ids.json >bad.json
fails 3 nibble val model=runs/a/weights/best.safetensors verbose=0 plots=0 data=bad.json images=data/images/val
head -c 200 coco/ids.json >bad.json
fails 3 nibble val model=runs/a/weights/best.safetensors verbose=0 plots=0 data=bad.json images=data/images/val
