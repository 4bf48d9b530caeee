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

# YOLO: the folders of labels and of detections; the same against a data set and as a result list.
mkdir -p set/images set/labels got
printf '0 0.5 0.5 0.5 0.5\n1 0.2 0.2 0.2 0.2\n' >set/labels/7.txt
printf '0 0.5 0.5 0.4 0.4 0.9\n1 0.8 0.8 0.2 0.2 0.6\n1 0.2 0.2 0.2 0.2 0.5\n' >got/7.txt
printf '0 0.5 0.5 0.1 0.1 0.3\n' >got/8.txt
run nibble eval protocol=yolo annotations=set/labels detections=got verbose=0
json images annotations detections yolo.map50 yolo.map50_95 yolo.per_class.1.map50 -- \
    nibble eval protocol=yolo annotations=set/labels detections=got
cat >set/i.json <<'EOF'
{"images": [{"id": 7, "file_name": "7.jpg", "width": 100, "height": 200}, {"id": 8, "file_name": "8.jpg", "width": 50, "height": 50}],
 "categories": [{"id": 3, "name": "cat"}, {"id": 5, "name": "dog"}],
 "annotations": [{"image_id": 7, "category_id": 3, "bbox": [25, 50, 50, 100]},
  {"image_id": 7, "category_id": 5, "bbox": [10, 20, 20, 40]}, {"image_id": 8, "category_id": 5, "bbox": [0, 0, 9, 9], "iscrowd": 1}]}
EOF
cat >set/d.json <<'EOF'
[{"image_id": 7, "category_id": 3, "bbox": [30, 60, 40, 80], "score": 0.9},
 {"image_id": 7, "category_id": 5, "bbox": [70, 140, 20, 40], "score": 0.6},
 {"image_id": 7, "category_id": 5, "bbox": [10, 20, 20, 40], "score": 0.5},
 {"image_id": 8, "category_id": 3, "bbox": [22.5, 22.5, 5, 5], "score": 0.3}]
EOF
run nibble eval protocol=yolo annotations=set/i.json detections=set/d.json verbose=0
run nibble eval protocol=yolo annotations=set/i.json detections=got verbose=0 | head -3
printf '0 0.5 0.5 0.4 0.4\n' >got/7.txt
fails 3 nibble eval protocol=yolo annotations=set/labels detections=got verbose=0
printf '0 0.5 nan 0.4 0.4 1\n' >got/7.txt
fails 3 nibble eval protocol=yolo annotations=set/labels detections=got verbose=0
printf '2 0.5 0.5 0.4 0.4 1\n' >got/7.txt
fails 3 nibble eval protocol=yolo annotations=set/i.json detections=got verbose=0
printf '0 0.5 0.5 2 0.4\n' >set/labels/7.txt
fails 3 nibble eval protocol=yolo annotations=set/labels detections=got verbose=0
fails 2 nibble eval protocol=yolo annotations=set/labels detections=set/d.json verbose=0
