# SPDX-License-Identifier: Apache-2.0
# nibble data: draw, check, count, divide.
. "$PRELUDE"
run nibble data synth out=data imgsz=64 train_images=6 val_images=3 seed=5 verbose=0
find data | sort
cat data/data.yaml | sed '/^#/d'
nibble data synth out=again imgsz=64 train_images=6 val_images=3 seed=5 verbose=0 threads=1 >/dev/null
diff -r data again && echo "drawn twice: the same"
nibble data synth out=other imgsz=64 train_images=6 val_images=3 seed=6 verbose=0 >/dev/null
cmp -s data/images/train/000000.jpg other/images/train/000000.jpg && echo "another seed: the same picture"
nibble data synth out=png imgsz=64 train_images=1 val_images=1 quality=0 verbose=0
ls png/images/train
fails 2 nibble data synth out=x imgsz=64 train_images=0 verbose=0
fails 2 nibble data synth out=x imgsz=64 quality=101 verbose=0
echo "== check"
run nibble data check data/data.yaml verbose=0
cp data/images/train/000001.jpg data/images/val/000007.jpg
cp data/labels/train/000001.txt data/labels/val/000007.txt
: >data/labels/train/000002.txt
rm data/labels/train/000003.txt
cat data/labels/train/000004.txt data/labels/train/000004.txt >twice
mv twice data/labels/train/000004.txt
run nibble data check data=data/data.yaml verbose=0
echo "0 0.5 0.5 0.1 0.1 0.1" >data/labels/train/000005.txt
run nibble data check data=data/data.yaml verbose=0
echo "== stats"
run nibble data stats data=data/data.yaml verbose=0
echo "== split"
run nibble data split data=data verbose=0 seed=3 fractions=0.5,0.3,0.2
cat data/autosplit_*.txt | sort | head -3
json images counts.train counts.val counts.test -- nibble data split images=data/images/train fractions=1
ls data/images
fails 2 nibble data split images=data/images fractions=1,2,3,4
fails 2 nibble data split images=data/images fractions=-1,2
fails 3 nibble data split images=data/labels
