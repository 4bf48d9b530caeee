# SPDX-License-Identifier: Apache-2.0
# A finished float model becomes a quantized checkpoint, which scores by itself what ptq said.
. "$PRELUDE"
make_data
make_free_model
quiet nibble train model=free.yaml data=data/data.yaml imgsz=64 batch=4 epochs=3 plots=0 project=runs name=a \
    progress=off verbose=0 threads=1 workers=0
model=runs/a/weights/last.safetensors
ptq() { nibble ptq model=$model calib=data/images/train verbose=0 progress=off "$@"; }
json out quantize imgsz calibration metrics.float.map50 metrics.int.map50 layers activations bytes -- \
    ptq data=data/data.yaml quantize=w8a8 out=q.safetensors threads=1 | sed 's/\(map50\|bytes\).*/\1/'
echo "== the same bytes from more threads"
ptq quantize=w8a8 out=p.safetensors threads=3 >/dev/null
same q.safetensors p.safetensors "checkpoints"
echo "== val gives the score that ptq gave"
nibble ptq model=$model data=data/data.yaml calib=data/images/train quantize=w4a8 out=r.safetensors verbose=0 \
    progress=off | sed -n 's/^int *AP \([0-9.]*\) .*/\1/p' >by_ptq
nibble val model=r.safetensors data=data/data.yaml engine=sim plots=0 verbose=0 | sed -n 's/^AP \([0-9.]*\) .*/\1/p' \
    >by_val
same by_ptq by_val scores
echo "== training goes on from it"
quiet nibble train model=r.safetensors data=data/data.yaml imgsz=64 batch=4 epochs=1 plots=0 project=runs name=b \
    progress=off verbose=0 threads=1 workers=0
echo "trained"
echo "== choices"
for how in method=minmax method=kl round=nearest bias_correction=0; do
    quiet ptq quantize=w4a4 out=s.safetensors $how
done
fails 2 ptq out=s.safetensors method=most
fails 2 ptq out=s.onnx
fails 2 nibble ptq model=$model out=s.safetensors verbose=0
fails 3 ptq out=s.safetensors calib=runs/a/weights
