# SPDX-License-Identifier: Apache-2.0
# Detections from a picture, a folder, a glob and a list; files beside them.
. "$PRELUDE"
make_data
make_model
quiet train a epochs=3
best=runs/a/weights/best.safetensors
predict() { nibble predict model=$best conf=0.00001 max_det=2 threads=1 verbose=0 "$@"; }
predict source=data/images/val project=runs name=all >out
grep -c ' 2 detections' out
find runs/all | sort
predict source='data/images/val/00000[0-3].jpg' save=0 | grep -c detections
printf '000001.jpg\n\n000002.jpg\n' >data/images/val/list.txt
predict source=data/images/val/list.txt save=0 | grep -c detections
predict source=data/images/val/000001.jpg out=one save=0 save_txt=1 save_conf=1 save_crop=1 >/dev/null
find one | sed 's,crops/[a-z]*,crops/CLASS,' | sort -u
wc -l <one/labels/000001.txt
awk '{ if (NF != 6 || $1 != int($1) || $2 < 0 || $2 > 1 || $3 < 0 || $3 > 1) print "bad row: " $0 }' \
    one/labels/000001.txt
echo "== integers and their simulation say the same"
for engine in sim int; do
    predict source=data/images/val save=0 engine=$engine | sed 's/,[^,]*ms$//' >$engine
    predict source=data/images/val out=by_$engine save=0 save_txt=1 save_conf=1 engine=$engine >/dev/null
done
same sim int detections
diff -r by_sim by_int && echo "labels: the same"
echo "== classes"
json images.0.detections.0.class -- predict source=data/images/val/000001.jpg save=0 classes=2
fails 2 predict source=data/images/val/000001.jpg save=0 classes=3
fails 2 predict source=data/images/val/000001.jpg save=0 classes=a
echo "== classes with odd names stay below crops/"
sed 's!^names:.*!names: [a/b, ../../up, "."]!' data/data.yaml >data/odd.yaml
quiet train odd epochs=1 data=data/odd.yaml
nibble predict model=runs/odd/weights/best.safetensors source=data/images/val conf=0.00001 max_det=20 out=odd \
    save=0 save_crop=1 verbose=0 >/dev/null
find odd -type d | sed 's,^odd/crops/\(_._.._up\|a_b\|_\)$,odd/crops/CLASS,' | sort -u
find . -name 'up*'
echo "== names that are not UTF-8"
name=$(printf 'a\377b.jpg')
cp data/images/val/000001.jpg "$name"
json images.0.path -- predict source="$name" save=0
rm "$name"
echo "== one bad picture among good ones"
head -c 600 data/images/val/000000.jpg >data/images/val/000009.jpg
nibble predict model=$best source=data/images/val save=0 conf=0.9 2>err | grep -c detections
grep 000009 err
