# SPDX-License-Identifier: Apache-2.0
# Exported files: forms and names, what is refused, and that refusals leave nothing behind.
. "$PRELUDE"
echo "== forms"
export_() { json out format opset verified.mismatches verified.values -- nibble export "$@"; }
export_ model=lpyolo-float.yaml out=a.onnx imgsz=96
export_ model=yolov5n.yaml out=a.onnx imgsz=64 opset=13 dynamic=1
export_ model=yolov8n.yaml out=a.onnx imgsz=64 opset=21
export_ model=yolov10n.yaml out=a.onnx imgsz=64 half=1
export_ model=yolov10n.yaml out=a.onnx imgsz=64 raw=1 batch=2
export_ model=yolov10n.yaml out=a.onnx imgsz=64 raw=levels
json opsets inputs outputs metadata.task metadata.imgsz -- nibble inspect model=a.onnx
nibble export model=yolov10n.yaml out=b.onnx imgsz=64 raw=levels verbose=0 >/dev/null
same a.onnx b.onnx "exported twice"
echo "== refused"
fails 4 nibble export model=lpyolo.yaml out=no.onnx
fails 4 nibble export model=yolov5n.yaml out=no.onnx raw=logits
fails 4 nibble export model=yolov5n.yaml out=no.onnx format=tflite
fails 2 nibble export model=yolov5n.yaml out=no.onnx opset=12
fails 2 nibble export model=yolov5n.yaml out=no.onnx raw=maybe
fails 2 nibble export model=yolov5n.yaml out=no.txt
fails 2 nibble export model=yolov5n.yaml out=no.onnx batch=0
fails 2 nibble export out=no.onnx
fails 3 nibble inspect model=no.onnx
for file in no.*; do [ ! -e "$file" ] || echo "$file was left behind"; done
