# SPDX-License-Identifier: Apache-2.0
# Disks that are full and folders that cannot be written: one sentence, exit 1, and the last good
# checkpoint stays as it was.
. "$PRELUDE"
make_data
make_model
echo "file" >file
fails 1 nibble data synth out=file/data imgsz=32 train_images=1 val_images=1 verbose=0
fails 1 train x project=file
fails 1 train x project=/proc/nibble
quiet train a
cp runs/a/weights/last.safetensors kept.safetensors
fails 1 nibble predict model=kept.safetensors source=data/images/val out=file/out verbose=0
echo "== files may not grow beyond 16 KiB"
# the shell counts blocks of 512 bytes
fails 1 sh -c 'ulimit -f 32; exec nibble train resume=runs/a epochs=4 progress=off verbose=0'
same kept.safetensors runs/a/weights/last.safetensors "last"
ls runs/a/weights
find runs -name '*.tmp*'
quiet nibble train resume=runs/a epochs=4 progress=off verbose=0
awk 'END { print NR - 1 " epochs" }' runs/a/results.csv
echo "== standard output that takes nothing"
status=0
nibble cost model=lpyolo.yaml >/dev/full 2>err || status=$?
echo "exit $status: $(cat err)"
echo "== a real disk that is full"
mkdir disk
if mount -t tmpfs -o size=220k nibble-test disk 2>/dev/null; then
    status=0
    train d project=disk epochs=400 save_period=1 >out 2>err || status=$?
    n=$(wc -l <err)
    # shellcheck disable=SC2015
    [ $status = 1 ] && [ "$n" = 1 ] && grep -q 'disk/d.*No space left on device' err || {
        echo "exit $status"
        cat out err
    }
    nibble inspect model=disk/d/weights/last.safetensors >out || echo "last cannot be read"
    umount disk
fi
