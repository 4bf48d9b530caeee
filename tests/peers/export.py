# SPDX-License-Identifier: Apache-2.0
"""Exported files in ONNX Runtime: onnx.checker accepts them and outputs are those of the model.

usage: export.py NIBBLE PEER_EXPORT MODEL. Weights, norms and biases of the model are drawn (of a
.pt they are its own); every form of its head, opsets 13, 17 and 21, one and three pictures, fixed
and free batch, float16.
"""
import ast
import json
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime

SIDE = 256
TOLERANCE = 1e-4  # of 1 + |expected|
HALF = 5e-3       # the same for float16: weights and values with 11 bits


def matches(expected, found, tolerance):
    return np.abs(expected - found) <= tolerance * (1 + np.abs(expected))


def rows_match(expected, found, tolerance):
    """Detections as sets: equal scores may stand in either order, and take each other's last place."""
    free = list(range(len(found)))
    missed = 0
    for row in expected:
        fits = [i for i in free if row[5] == found[i][5] and matches(row[:5], found[i][:5], tolerance).all()]
        if fits:
            free.remove(fits[0])
        elif not matches(expected[-1][4], row[4], tolerance):
            missed += 1
    return missed


def outputs(path, pictures):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (image,) = session.get_inputs()
    assert image.name == "images", image.name
    names = [output.name for output in session.get_outputs()]
    assert names == [f"output{i}" for i in range(len(names))], names
    real = np.float16 if "float16" in image.type else np.float32
    x = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)).astype(np.float32) / 255
    return image.shape, [y.astype(np.float32) for y in session.run(None, {"images": x.astype(real)})]


class Case:
    def __init__(self, nibble, tool, model, folder):
        self.nibble, self.tool, self.model, self.folder = nibble, tool, model, folder
        self.bad = 0

    def expected(self, form, pictures):
        subprocess.run([self.tool, "outputs", self.model, pictures, form, self.folder], check=True)
        n = 0
        result = []
        while n < (3 if form == "levels" else 1):
            result.append(np.load(f"{self.folder}/output{n}.npy"))
            n += 1
        return result

    def check(self, form, count, **settings):
        path, pictures = f"{self.folder}/model.onnx", f"{self.folder}/pictures.npy"
        subprocess.run([self.tool, "pictures", "5", str(count), str(SIDE), pictures], check=True)
        line = [self.nibble, "export", f"model={self.model}", f"out={path}", f"imgsz={SIDE}", "json=1",
                "verbose=0", f"raw={'0' if form == 'detect' else form}"]
        done = subprocess.run(line + [f"{k}={v}" for k, v in settings.items()], stdout=subprocess.PIPE)
        report = json.loads(done.stdout)
        if done.returncode or report["verified"]["mismatches"] or not report["verified"]["values"]:
            self.fail(form, settings, f"exit {done.returncode}, {report.get('verified')}")
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        self.check_metadata(model, settings)
        shape, found = outputs(path, np.load(pictures))
        half = settings.get("half", 0)
        detections = found[0].shape[-1] == 6 and form == "detect" and found[0].ndim == 3
        worst = 0
        for want, got in zip(self.expected(form, pictures), found):
            if want.shape != got.shape:
                self.fail(form, settings, f"{got.shape}, expected {want.shape}")
            elif detections and not half:
                worst = max(rows_match(a, b, TOLERANCE) for a, b in zip(want, got))
                if worst:
                    self.fail(form, settings, f"{worst} detections differ")
            elif detections: # float16: other cells may win, with scores as good
                worst = float(np.abs(want[..., 4] - got[..., 4]).max())
                if not worst < HALF:
                    self.fail(form, settings, f"scores off by {worst:.2g}")
            else:
                worst = float((np.abs(want - got) / (1 + np.abs(want))).max())
                if not worst < (HALF if half else TOLERANCE):
                    self.fail(form, settings, f"off by {worst:.2g}")
        print(form, settings, shape, [list(y.shape) for y in found], f"off by {worst:.2g}, spread",
              f"{found[0].std():.3g}")

    def check_metadata(self, model, settings):
        data = {p.key: p.value for p in model.metadata_props}
        assert model.opset_import[0].version == settings.get("opset", 17)
        assert data["task"] == "detect" and int(data["stride"]) in (32, 64)
        assert ast.literal_eval(data["imgsz"]) == [SIDE, SIDE]
        assert isinstance(ast.literal_eval(data["names"]), dict)
        assert ast.literal_eval(data["args"])["opset"] == settings.get("opset", 17)

    def fail(self, form, settings, what):
        print("WRONG:", form, settings, what)
        self.bad += 1


def main(nibble, tool, model):
    with tempfile.TemporaryDirectory() as folder:
        if model.endswith(".yaml"):
            subprocess.run([tool, "random", model, "3", f"{folder}/model.safetensors"], check=True)
            model = f"{folder}/model.safetensors"
        case = Case(nibble, tool, model, folder)
        for opset in (13, 17, 21):
            case.check("detect", 1, opset=opset)
        case.check("detect", 3, batch=3)
        case.check("detect", 1, dynamic=1)
        case.check("detect", 3, dynamic=1, opset=13)
        case.check("levels", 1, opset=13)
        case.check("levels", 3, dynamic=1, half=1)
        case.check("detect", 1, half=1, opset=13)
        if "yolov5" not in sys.argv[3]:
            case.check("boxes", 1, opset=13)
            case.check("boxes", 3, dynamic=1, half=1)
            case.check("logits", 3, dynamic=1)
        sys.exit(1 if case.bad else 0)


if __name__ == "__main__":
    main(*sys.argv[1:4])
