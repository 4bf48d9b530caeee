# SPDX-License-Identifier: Apache-2.0
# Parameters and multiply-adds of the zoo. Those of LPYOLO as the peer builds it are its own.
. "$PRELUDE"
for bits in w4a4 w8a8 w1a4; do
    json params macs bops weight_bytes -- nibble cost model=lpyolo.yaml quantize=$bits
done
json imgsz params macs layers -- nibble cost model=lpyolo.yaml compat=quantized-yolov5
json imgsz macs -- nibble cost model=lpyolo imgsz=640
json imgsz -- nibble cost model=lpyolo.yaml imgsz=100
nibble cost model=lpyolo.yaml | tail -1
json params macs -- nibble cost model=yolov5n.yaml imgsz=640
json params macs -- nibble cost model=yolov3-tiny.yaml imgsz=640
