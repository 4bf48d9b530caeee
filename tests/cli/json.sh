# SPDX-License-Identifier: Apache-2.0
# json=1: exactly one object on stdout, with the promised keys.
. "$PRELUDE"
make_data
make_model
echo "== train"
json verb run epochs best.weights best.engine best.metrics best.metrics.per_class last -- train a epochs=1
best=runs/a/weights/best.safetensors
nibble train --help >/dev/null
echo "== val"
json verb images metrics metrics.per_class coco speed_ms engine -- nibble val model=$best data=data/data.yaml \
    plots=0
echo "== predict"
json verb images images.0.path images.0.width images.0.height images.0.detections -- nibble predict model=$best \
    source=data/images/val/000000.jpg save=0 conf=0.999
echo "== parity"
json verb images representations representations.0.name representations.0.mismatches \
    representations.1.name representations.1.mismatches -- nibble parity model=$best source=data/images/val
echo "== inspect"
json verb tensors nodes params macs classes -- nibble inspect model=$best
echo "== cost"
json verb params macs bops weight_bytes layers -- nibble cost model=$best
echo "== benchmark"
for engine in float sim int; do
    json verb engine latency_ms.min latency_ms.p50 latency_ms.p95 images_per_second threads isa peak_rss_mb \
        start_ms layers layers.0.name layers.0.ms runs batch -- \
        nibble benchmark model=$best engine=$engine runs=3 threads=1 isa=c | sed 's/ [0-9]*\.[0-9].*$/ N/'
done
echo "== data"
json verb images labels problems counts.corrupt -- nibble data check data/data.yaml
json verb images labels problems splits splits.0.per_class -- nibble data stats data/data.yaml
json verb images labels problems data -- nibble data synth out=more imgsz=32 train_images=2 val_images=1
json verb images problems counts -- nibble data split data=data
echo "== cfg, doctor"
json verb settings -- nibble cfg settings | sed 's/{.*/{}/'
json verb models.0 -- nibble cfg models
json verb version isa cpus -- nibble doctor | sed 's/\(version\|isa\|cpus\) .*/\1/'
echo "== a check that fell short still answers"
echo "9 0.5 0.5 0.1 0.1" >data/labels/train/000000.txt
json verb images labels problems problems.0.kind problems.0.line -- nibble data check data/data.yaml
echo "== nothing when it fails"
fails 2 nibble cost --json
