# SPDX-License-Identifier: Apache-2.0
# COCO: two pictures, worked by hand: of three boxes two are found, one of them by a box that overlaps 0.8.
. "$PRELUDE"
cat >a.json <<'EOF'
{"images": [{"id": 1, "width": 100, "height": 100}, {"id": 2, "width": 100, "height": 100}],
 "categories": [{"id": 7, "name": "thing"}],
 "annotations": [
  {"id": 1, "image_id": 1, "category_id": 7, "bbox": [10, 10, 40, 40], "area": 1600, "iscrowd": 0},
  {"id": 2, "image_id": 1, "category_id": 7, "bbox": [60, 60, 20, 20], "area": 400, "iscrowd": 0},
  {"id": 3, "image_id": 2, "category_id": 7, "bbox": [0, 0, 100, 100], "area": 10000, "iscrowd": 0}]}
EOF
cat >d.json <<'EOF'
[{"image_id": 1, "category_id": 7, "bbox": [10, 10, 40, 40], "score": 0.9},
 {"image_id": 2, "category_id": 7, "bbox": [0, 0, 100, 80], "score": 0.8}]
EOF
run nibble eval annotations=a.json detections=d.json
json images annotations detections coco.AP coco.AP50 coco.AP75 coco.AR100 coco.APs -- \
    nibble eval annotations=a.json detections=d.json

# VOC: a box that covers 5 of 11 rows is wrong at an overlap of 0.5 and right at 0.4.
mkdir labels found
printf 'cat 0 0 10 10\ndog 20 20 10 10\n' >labels/a.txt
printf 'cat 5 5 10 10 difficult\n' >labels/b.txt
printf 'cat 0.9 0 0 10 10\ndog 0.8 20 20 10 4\n' >found/a.txt
run nibble eval protocol=voc annotations=labels detections=found
json voc.map voc.iou voc.per_class.1.name voc.per_class.1.ap voc.per_class.1.found -- \
    nibble eval protocol=voc annotations=labels detections=found iou=0.4
fails 2 nibble eval protocol=voc annotations=labels detections=found iou=0
