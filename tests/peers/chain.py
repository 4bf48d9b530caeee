# SPDX-License-Identifier: Apache-2.0
"""A published ONNX file trained further, exported again and run by ONNX Runtime: the same score.

usage: chain.py NIBBLE [key=value...]. Takes yolov10n_fp32.onnx and bccd from the data folder (NIBBLE_DATA), trains
(arguments go to nibble train; default: few and small epochs), scores the best weights with `nibble val`, exports them,
runs the export on the same pictures with ONNX Runtime and OpenCV, and scores what that finds with `nibble eval`.
"""
import json
import os
import subprocess
import sys
import tempfile

import cv2
import numpy as np
import onnxruntime

TOLERANCE = 0.001


def nibble(program, *arguments):
    out = subprocess.run([program, *arguments, "progress=off", "--json"], check=True, stdout=subprocess.PIPE)
    return json.loads(out.stdout)


def letterbox(picture, side):
    h0, w0 = picture.shape[:2]
    r = min(side / h0, side / w0)
    w, h = round(w0 * r), round(h0 * r)
    if (w, h) != (w0, h0):
        picture = cv2.resize(picture, (w, h), interpolation=cv2.INTER_LINEAR)
    left, top = round((side - w) / 2 - 0.1), round((side - h) / 2 - 0.1)
    out = np.full((side, side, 3), 114, np.uint8)
    out[top:top + h, left:left + w] = picture
    x = out[..., ::-1].transpose(2, 0, 1).astype(np.float32) / 255
    return np.ascontiguousarray(x)[None], r, left, top


def detect(model, truth, folder, side):
    """COCO result list of an end-to-end detector."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    found = []
    categories = [c["id"] for c in truth["categories"]]
    for image in truth["images"]:
        x, r, left, top = letterbox(cv2.imread(os.path.join(folder, image["file_name"])), side)
        for x1, y1, x2, y2, score, cls in session.run(None, {"images": x})[0][0].tolist():
            corners = np.array([x1 - left, y1 - top, x2 - left, y2 - top]) / r
            corners = corners.clip(0, [image["width"], image["height"]] * 2)
            found.append({"image_id": image["id"], "category_id": categories[int(cls)], "score": score,
                          "bbox": [*corners[:2], *(corners[2:] - corners[:2])]})
    return found


def main():
    program, settings = sys.argv[1], sys.argv[2:] or ["epochs=6", "imgsz=160"]
    data = os.environ.get("NIBBLE_DATA", "../shared/data")
    model, pictures = os.path.join(data, "yolov10n/yolov10n_fp32.onnx"), os.path.join(data, "bccd/bccd.yaml")
    if not os.path.exists(model) or not os.path.exists(pictures):
        print(f"{data} has no yolov10n or bccd: skipped")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        nibble(program, "data", "convert", f"data={pictures}", "from=yolo", "to=coco", f"out={folder}/coco", "pictures=link")
        annotations = f"{folder}/coco/instances.json"
        run = nibble(program, "train", f"model={model}", f"data={pictures}", f"project={folder}", "name=run", "plots=0",
                     *settings)
        best = os.path.join(run["run"], "weights/best.safetensors")
        side = int(dict(s.split("=") for s in settings).get("imgsz", 640))
        own = nibble(program, "val", f"model={best}", f"data={annotations}", f"imgsz={side}", f"project={folder}",
                     "name=val", "plots=0")["coco"]
        nibble(program, "export", f"model={best}", "format=onnx", f"imgsz={side}", f"out={folder}/best.onnx")
        with open(annotations) as f:
            found = detect(f"{folder}/best.onnx", json.load(f), f"{folder}/coco/images", side)
        with open(f"{folder}/found.json", "w") as f:
            json.dump(found, f)
        peer = nibble(program, "eval", f"detections={folder}/found.json", f"annotations={annotations}")["coco"]
    worst = max(abs(own[k] - peer[k]) for k in ("AP", "AP50"))
    print(f"nibble val: AP {own['AP']:.5f} AP50 {own['AP50']:.5f}; ONNX Runtime: AP {peer['AP']:.5f} "
          f"AP50 {peer['AP50']:.5f}; apart by {worst:.5f}, {TOLERANCE} allowed")
    sys.exit(worst > TOLERANCE or own["AP"] <= 0)


main()
