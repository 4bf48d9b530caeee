# SPDX-License-Identifier: Apache-2.0
# What people type wrong: exit 2 and the nearest right word; 4 for what this build does not have.
. "$PRELUDE"
fails 2 nibble trian model=lpyolo.yaml
fails 2 nibble zzzzzz
fails 4 nibble fpga
fails 2 nibble data convert
fails 2 nibble train epcohs=3
fails 2 nibble train --epcohs 3
fails 2 nibble train epochs=three
fails 2 nibble train epochs=99999999999
fails 2 nibble train lr0=nan
fails 2 nibble train cos_lr=perhaps
fails 2 nibble train --epochs
fails 2 nibble train
fails 2 nibble train model=lpyolo.yaml
fails 2 nibble val model=lpyolo.yaml
fails 2 nibble predict model=lpyolo.yaml
fails 2 nibble eval
fails 2 nibble eval protocol=cocoo
fails 2 nibble eval protocol=yolo
fails 2 nibble data
fails 2 nibble data chekc
fails 2 nibble data synth
fails 2 nibble data split
fails 2 nibble cfg everything
fails 2 nibble cost model=lpyolo.yaml imgsz=7
fails 2 nibble benchmark model=lpyolo.yaml runs=-1
fails 2 nibble cost model=lpyolo.yaml quantize=w9a4
fails 2 nibble cost model=lpyolo.yaml quantize=w4a4:frist
fails 2 nibble cost model=lpyolo.yaml compat=yolov3
make_data
make_model
fails 2 nibble train model=tiny.yaml data=data/data.yaml epochs=0
fails 2 nibble train model=tiny.yaml data=data/data.yaml batch=0
fails 2 nibble train model=tiny.yaml data=data/data.yaml mosaic=2
fails 2 nibble train model=tiny.yaml data=data/data.yaml optimizer=SDG
fails 2 nibble train model=tiny.yaml data=data/data.yaml fraction=0
fails 2 nibble train model=tiny.yaml data=data/data.yaml fraction=1.5
fails 2 nibble train model=tiny.yaml data=data/data.yaml batch=-2
fails 2 nibble train model=tiny.yaml data=data/data.yaml val_period=0
fails 2 nibble train model=tiny.yaml data=data/data.yaml time=-1
for wrong in 'freeze=[0,1' freeze=-1 freeze=0,x freeze=257 'freeze=[256]' 'freeze=[1 2]' 'freeze=[9]'; do
    fails 2 nibble train model=tiny.yaml data=data/data.yaml project=frozen verbose=0 "$wrong"
done
fails 4 nibble train model=tiny.yaml data=data/data.yaml device=cuda:0
fails 2 nibble val model=tiny.yaml data=data/data.yaml split=dev
fails 2 nibble val model=tiny.yaml data=data/data.yaml engine=fast verbose=0
fails 4 nibble val model=tiny.yaml quantize=none data=data/data.yaml engine=int verbose=0
fails 2 nibble val model=tiny.yaml data=data/data.yaml isa=sse9 verbose=0
fails 2 nibble train model=tiny.yaml data=data/data.yaml freeze=6 project=frozen verbose=0
for wrong in batch=-2 batch=-1 workers=-1 cache_mb=-1 cache=dusk conf=2 iou=-1 max_det=0 progress=dots; do
    fails 2 nibble val model=tiny.yaml data=data/data.yaml verbose=0 $wrong
done
[ ! -e runs ] || echo "a run folder was made"
