# SPDX-License-Identifier: Apache-2.0
# nibble data convert: each form to YOLO and back, what is left out and why, and bad inputs.
. "$PRELUDE"
convert() { run nibble data convert verbose=0 "$@"; }
make_data seed=3
cat >a.json <<'EOF'
{"images": [{"id": 9, "file_name": "b.jpg", "width": 200, "height": 100},
            {"id": 4, "file_name": "a.jpg", "width": 100, "height": 100}],
 "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}],
 "annotations": [
  {"id": 1, "image_id": 9, "category_id": 18, "bbox": [10, 20, 30, 40], "area": 700, "iscrowd": 0},
  {"id": 2, "image_id": 9, "category_id": 1, "bbox": [150, 50, 100, 10], "iscrowd": 0},
  {"id": 3, "image_id": 9, "category_id": 1, "bbox": [0, 0, 50, 50], "iscrowd": 1},
  {"id": 4, "image_id": 9, "category_id": 1, "bbox": [5, 5, 0, 10]},
  {"id": 5, "image_id": 9, "category_id": 1, "bbox": [300, 5, 10, 10]},
  {"id": 6, "image_id": 9, "category_id": 18, "bbox": [10, 20, 30, 40]},
  {"id": 7, "image_id": 77, "category_id": 1, "bbox": [1, 1, 2, 2]},
  {"id": 8, "image_id": 4, "category_id": 99, "bbox": [1, 1, 2, 2]}]}
EOF
echo "== coco to yolo"
convert from=coco to=yolo annotations=a.json out=yolo
find yolo -type f | sort
cat yolo/labels/b.txt yolo/data.yaml
pick command from.sha256 counts.images counts.boxes counts.backgrounds counts.clipped skipped.crowd skipped.empty \
    skipped.outside skipped.duplicate skipped.unlisted classes.0.name classes.0.category_id <yolo/provenance.json
sha256sum a.json | cut -d' ' -f1
echo "== other classes, boxes as they are"
convert annotations=a.json out=dogs names=dog clip=0
cat dogs/labels/b.txt
convert annotations=a.json out=wide names=person,dog clip=0
cat wide/labels/b.txt
echo "== a list, the first ones"
printf '# two\n\n9\nfolder/a.jpg # by name\n' >ids.txt
convert annotations=a.json out=listed ids=ids.txt
convert annotations=a.json out=first.json to=coco first=1
cat first.json
echo "== yolo to coco and back: the same labels"
convert data=data/data.yaml split=val to=coco out=coco pictures=copy images=data/images
convert annotations=coco/instances_val.json out=again split=val
for f in data/labels/val/*.txt; do
    sort "$f" >one
    sort "again/labels/val/${f##*/}" | paste -d' ' one - |
        awk 'NF != 10 || $1 != $6 { print "bad row " $0 }
             { for (i = 2; i < 6; i++) if (($i - $(i + 5)) ^ 2 > 1e-11) print "apart: " $0 }'
done
ls coco/images | wc -l
echo "== yolo to voc and back"
convert data=data/data.yaml split=val to=voc out=voc
head -21 voc/Annotations/000000.xml
head -2 voc/ImageSets/Main/val.txt
printf 'circle\nsquare\n' >two.names
convert from=voc annotations=voc out=fromvoc images=data/images/val names=two.names
convert from=voc annotations=voc out=fromvoc images=data/images/val names=data/data.yaml
nibble data check data=fromvoc/data.yaml verbose=0 | tail -1
echo "== two splits in one folder"
convert annotations=a.json out=both split=train
convert annotations=a.json out=both split=val ids=ids.txt
grep ':' both/data.yaml
convert annotations=a.json out=both split=test names=dog
echo "== voc: difficult, pixels from 1, a file that is cut off"
mkdir xml
printf '<annotation><filename>x.png</filename><size><width>100</width><height>50</height></size>
<object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>100</xmax><ymax>50</ymax></bndbox></object>
<object><name>ant</name><difficult>1</difficult><bndbox><xmin>11</xmin><ymin>11</ymin><xmax>20</xmax><ymax>20</ymax></bndbox></object>
</annotation>' >xml/x.xml
printf '<annotation><object><name>c' >xml/y.xml
convert from=voc annotations=xml out=v
cat v/labels/x.txt
pick problems.0.kind problems.0.path problems.0.line problems.0.text counts.images_left_out <v/provenance.json
convert from=voc annotations=xml/x.xml out=v1 pixel_base=1 difficult=1
cat v1/labels/x.txt
fails 3 nibble data convert annotations=xml/y.xml out=v2 verbose=0
echo "== widerface"
mkdir -p wider/0--A
cp data/images/val/000000.jpg wider/0--A/p.jpg
printf '0--A/p.jpg\n3\n1 2 30 40 0 0 0 0 0 0 \n5 5 9 9 2 0 0 1 2 0 \n0 0 0 0 0 0 0 0 0 0 \n' >w.txt
convert from=widerface annotations=w.txt images=wider out=w
cat w/labels/0--A/p.txt
convert from=yolo to=widerface data=w/data.yaml out=back.txt
cat back.txt
fails 3 nibble data convert from=widerface annotations=w.txt out=w2 verbose=0
echo "== bad inputs"
fails 2 nibble data convert annotations=a.json verbose=0
fails 2 nibble data convert annotations=a.json out=x from=cocoa verbose=0
fails 2 nibble data convert annotations=data out=x verbose=0
fails 2 nibble data convert annotations=a.json out=x pictures=move verbose=0
fails 2 nibble data convert annotations=a.json out=x names=dog,dog verbose=0
fails 3 nibble data convert annotations=a.json out=x names=cow verbose=0
fails 3 nibble data convert annotations=none.json out=x verbose=0
printf '12\nnobody\n' >ids.txt
fails 3 nibble data convert annotations=a.json out=x ids=ids.txt verbose=0
for name in /etc/passwd ../x.jpg a/../../x.jpg ''; do
    printf '{"images": [{"id": 1, "file_name": "%s", "width": 9, "height": 9}], "categories": [{"id": 1, "name": "a"}], "annotations": []}' "$name" >bad.json
    fails 3 nibble data convert annotations=bad.json out=x verbose=0
done
printf '/abs/p.jpg\n0\n' >bad.txt
fails 3 nibble data convert annotations=bad.txt out=x verbose=0
for box in '1,1,NaN,2' '1,1,1e999,2' '1,1,2' '"1",1,2,2'; do
    printf '{"images": [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}], "categories": [{"id": 1, "name": "a"}],
 "annotations": [{"image_id": 1, "category_id": 1, "bbox": [%s]}]}' "$box" >bad.json
    fails 3 nibble data convert annotations=bad.json out=x verbose=0
done
printf '{"images": [{"id": 1, "file_name": "a.jpg"}], "categories": [{"id": 1, "name": "a"}], "annotations": []}' >bad.json
fails 3 nibble data convert annotations=bad.json out=x verbose=0
printf '{"images": [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}, {"id": 2, "file_name": "a.png", "width": 9, "height": 9}], "categories": [{"id": 1, "name": "a"}], "annotations": []}' >bad.json
fails 3 nibble data convert annotations=bad.json out=x verbose=0
head -c 300 a.json >bad.json
fails 3 nibble data convert annotations=bad.json out=x verbose=0
