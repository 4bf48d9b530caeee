# SPDX-License-Identifier: Apache-2.0
# A score, the files beside it, and the same score from these files.
. "$PRELUDE"
make_data
make_model
quiet train a epochs=40
val() { nibble val model=runs/a/weights/best.safetensors data=data/data.yaml threads=1 verbose=0 project=runs "$@"; }
json images coco.AP speed_ms.inference -- val plots=0 | cut -d' ' -f1
val name=files plots=1 save_json=1 save_txt=1 save_conf=1 >out
find runs/files -type f | sort
echo "== the detection file gives the same twelve numbers"
# the labels as COCO annotations: pictures of 64 pixels, ids as in the file names
awk -v S=64 '
    BEGIN { printf "{\"categories\":[{\"id\":0,\"name\":\"a\"},{\"id\":1,\"name\":\"b\"},{\"id\":2,\"name\":\"c\"}],\"annotations\":[" }
    { n = FILENAME; sub(/.*\//, "", n); sub(/.txt/, "", n)
      w = $4 * S; h = $5 * S
      printf "%s{\"id\":%d,\"image_id\":%d,\"category_id\":%d,\"iscrowd\":0,\"area\":%.12g,\"bbox\":[%.12g,%.12g,%.12g,%.12g]}",
             (NR > 1 ? "," : ""), NR, n, $1, w * h, $2 * S - w / 2, $3 * S - h / 2, w, h }
    END { printf "],\"images\":["
          for (i = 0; i < 8; i++) printf "%s{\"id\":%d}", (i ? "," : ""), i
          printf "]}\n" }' data/labels/val/*.txt >truth.json
grep '^AP\|^AR' out >by_val
nibble eval detections=runs/files/predictions.json annotations=truth.json | grep '^AP\|^AR' >by_eval
same by_val by_eval numbers
awk '{ split($2, ap, " "); if ($2 + 0 <= 0) print "AP is not above 0: " $0; exit }' by_val
echo "== label files hold what was found"
lines=$(cat runs/files/labels/*.txt | wc -l)
[ "$lines" = "$(grep -o image_id runs/files/predictions.json | wc -l)" ] && echo "as many boxes"
awk 'NF != 6 || $6 <= 0 || $6 > 1 { print "bad row: " $0 }' runs/files/labels/*.txt
echo "== names that are no numbers"
mkdir -p odd/images/val odd/labels/val
cp data/images/val/000001.jpg 'odd/images/val/a "b".jpg'
printf 'path: .\ntrain: images/val\nval: images/val\nnc: 3\nnames: [a, b, c]\n' >odd/odd.yaml
nibble val model=runs/a/weights/best.safetensors data=odd/odd.yaml verbose=0 project=runs name=odd plots=0 \
    save_json=1 conf=0.00001 max_det=1 >/dev/null
grep -o "\"image_id\":.*,\"category" runs/odd/predictions.json
echo "== engines agree"
for engine in sim int; do
    val plots=0 engine=$engine | grep -v '^ms' >$engine
done
same sim int scores
fails 2 val engine=fast
