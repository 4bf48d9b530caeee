# SPDX-License-Identifier: Apache-2.0
"""Validation of a YOLOv5 checkpoint in NumPy and OpenCV against `nibble val`: the same scores.

usage: val.py NIBBLE TOOL [DATA]. Every step is written anew from what YOLOv5's val.py is documented to do:
reading the .pt (data only, nothing of it is called), rectangular batches, letterbox, network, decoding, NMS with
several classes a box, matching at each IoU level and AP over 101 points. For every yolov5*.pt and every set of
pictures with labels of 80 classes in the data folder, in rectangular and in square batches.
"""
import glob
import json
import os
import pickle
import subprocess
import sys
import tempfile
import zipfile

import cv2
import numpy as np

TOLERANCE = 0.002
CONF, IOU, MAX_DET, MAX_NMS, MAX_WH = 0.001, 0.6, 300, 30000, 7680
STRIDE, IMGSZ, BATCH = 32, 640, 16


# ---- the checkpoint ----

class Anything:
    """Stands for every class of the file; keeps what it is given."""

    def __init__(self, *args):
        self.args = args

    def __setstate__(self, state):
        self.__dict__.update(state if isinstance(state, dict) else {"state": state})


DTYPES = {"HalfStorage": np.float16, "FloatStorage": np.float32, "LongStorage": np.int64,
          "BoolStorage": np.bool_, "DoubleStorage": np.float64}


def rebuild(storage, offset, size, stride, *_):
    item = storage.itemsize
    view = np.lib.stride_tricks.as_strided(storage[offset:], size, [s * item for s in stride])
    return np.array(view, dtype=np.float32 if view.dtype.kind == "f" else view.dtype)


class Reader(pickle.Unpickler):
    def __init__(self, archive):
        self.archive = archive
        self.root = next(n for n in archive.namelist() if n.endswith("/data.pkl"))[:-len("data.pkl")]
        super().__init__(archive.open(self.root + "data.pkl"))

    def find_class(self, module, name):
        if name == "_rebuild_tensor_v2":
            return rebuild
        if name == "_rebuild_parameter":
            return lambda data, *_: data
        if name in DTYPES:
            return DTYPES[name]
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        return type(name, (Anything,), {})

    def persistent_load(self, pid):
        _, dtype, key, _, _ = pid
        return np.frombuffer(self.archive.read(f"{self.root}data/{key}"), dtype)


# ---- the network ----

def part(module, name):
    return module._modules[name]


def sigmoid(x):
    return 1 / (1 + np.exp(-x.clip(-80)))


def conv2d(x, module):
    """x: [channels, height, width]."""
    weight = module._parameters["weight"]
    (kh, kw), (sh, sw), (ph, pw) = module.kernel_size, module.stride, module.padding
    c, h, w = x.shape
    oh, ow = (h + 2 * ph - kh) // sh + 1, (w + 2 * pw - kw) // sw + 1
    x = np.pad(x, ((0, 0), (ph, ph), (pw, pw)))
    out = np.zeros((len(weight), oh * ow), np.float32)
    for i in range(kh):
        for j in range(kw):
            seen = x[:, i:i + sh * (oh - 1) + 1:sh, j:j + sw * (ow - 1) + 1:sw]
            out += weight[:, :, i, j] @ seen.reshape(c, -1)
    bias = module._parameters.get("bias")
    if bias is not None:
        out += bias[:, None]
    return out.reshape(-1, oh, ow)


def conv(x, module):
    x = conv2d(x, part(module, "conv"))
    norm = part(module, "bn")
    scale = norm._parameters["weight"] / np.sqrt(norm._buffers["running_var"] + np.float32(norm.eps))
    x = (x - norm._buffers["running_mean"][:, None, None]) * scale[:, None, None]
    x += norm._parameters["bias"][:, None, None]
    return x * sigmoid(x)


def bottleneck(x, module):
    y = conv(conv(x, part(module, "cv1")), part(module, "cv2"))
    return x + y if module.add else y


def c3(x, module):
    y = conv(x, part(module, "cv1"))
    for inner in part(module, "m")._modules.values():
        y = bottleneck(y, inner)
    return conv(np.concatenate([y, conv(x, part(module, "cv2"))]), part(module, "cv3"))


def pool5(x):
    _, h, w = x.shape
    x = np.pad(x, ((0, 0), (2, 2), (2, 2)), constant_values=-np.inf)
    return np.max([x[:, i:i + h, j:j + w] for i in range(5) for j in range(5)], 0)


def sppf(x, module):
    ys = [conv(x, part(module, "cv1"))]
    for _ in range(3):
        ys.append(pool5(ys[-1]))
    return conv(np.concatenate(ys), part(module, "cv2"))


def detect(xs, module):
    """[boxes, 5 + classes]: x, y, w, h in pixels of the input."""
    out = []
    for i, x in enumerate(xs):
        y = sigmoid(conv2d(x, part(part(module, "m"), str(i))))
        stride = float(module.stride[i]) if hasattr(module, "stride") else (8., 16., 32.)[i]
        anchors = module._buffers["anchors"][i] * np.float32(stride)
        _, h, w = y.shape
        y = y.reshape(len(anchors), -1, h, w).transpose(0, 2, 3, 1)
        gy, gx = np.mgrid[:h, :w].astype(np.float32)
        xy = (y[..., :2] * 2 - np.float32(.5) + np.stack([gx, gy], -1)) * np.float32(stride)
        wh = (y[..., 2:4] * 2) ** 2 * anchors[:, None, None]
        out.append(np.concatenate([xy, wh, y[..., 4:]], -1).reshape(-1, y.shape[-1]))
    return np.concatenate(out)


def network(model, x):
    kept = []
    for layer in part(model, "model")._modules.values():
        if isinstance(layer.f, int):
            at = x if layer.f == -1 else kept[layer.f]
        else:
            at = [x if j == -1 else kept[j] for j in layer.f]
        kind = type(layer).__name__
        if kind == "Conv":
            x = conv(at, layer)
        elif kind == "C3":
            x = c3(at, layer)
        elif kind == "SPPF":
            x = sppf(at, layer)
        elif kind == "Upsample":
            x = at.repeat(2, 1).repeat(2, 2)
        elif kind == "Concat":
            x = np.concatenate(at)
        elif kind == "Detect":
            x = detect(at, layer)
        else:
            raise ValueError(f"a layer {kind}")
        kept.append(x)
    return x


# ---- pictures ----

def shapes_of_batches(sizes):
    """Order of the pictures and (height, width) for each batch."""
    ratio = np.array([h / w for h, w in sizes])
    order = ratio.argsort(kind="stable")
    shapes = []
    for at in range(0, len(order), BATCH):
        r = ratio[order[at:at + BATCH]]
        share = [r.max(), 1] if r.max() < 1 else [1, 1 / r.min()] if r.min() > 1 else [1, 1]
        shapes.append(np.ceil(np.array(share) * IMGSZ / STRIDE + 0.5).astype(int) * STRIDE)
    return order, shapes


def letterbox(picture, shape):
    h0, w0 = picture.shape[:2]
    r = IMGSZ / max(h0, w0)
    if r != 1:
        size = (min(int(np.ceil(w0 * r)), IMGSZ), min(int(np.ceil(h0 * r)), IMGSZ))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
    h, w = picture.shape[:2]
    r = min(shape[0] / h, shape[1] / w, 1.0)
    unpadded = int(round(w * r)), int(round(h * r))
    dw, dh = (shape[1] - unpadded[0]) / 2, (shape[0] - unpadded[1]) / 2
    if (w, h) != unpadded:
        picture = cv2.resize(picture, unpadded, interpolation=cv2.INTER_LINEAR)
    top, left = int(round(dh - 0.1)), int(round(dw - 0.1))
    out = np.full((*shape, 3), 114, np.uint8)
    out[top:top + unpadded[1], left:left + unpadded[0]] = picture
    x = out[..., ::-1].transpose(2, 0, 1).astype(np.float32) / 255
    return np.ascontiguousarray(x), (h * r / h0, left, top)


# ---- boxes ----

def ious(a, b):
    left, right = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = (right - left).clip(0).prod(2)
    return inter / ((a[:, 2:] - a[:, :2]).prod(1)[:, None] + (b[:, 2:] - b[:, :2]).prod(1) - inter + 1e-7)


def nms(rows):
    """[n, 6]: x1 y1 x2 y2 conf class, best first."""
    rows = rows[rows[:, 4] > CONF]
    scores = rows[:, 5:] * rows[:, 4:5]
    half = rows[:, 2:4] / 2
    boxes = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], 1)
    i, cls = np.nonzero(scores > CONF)
    conf = scores[i, cls]
    order = (-conf).argsort(kind="stable")[:MAX_NMS]
    boxes, conf, cls = boxes[i][order], conf[order], cls[order]
    moved = boxes + (cls * MAX_WH)[:, None].astype(np.float32)
    kept, alive = [], np.ones(len(conf), bool)
    for k in range(len(conf)):
        if alive[k]:
            kept.append(k)
            if len(kept) == MAX_DET:
                break
            same = np.nonzero(alive & (cls == cls[k]))[0]
            alive[same[ious(moved[k:k + 1], moved[same])[0] > IOU]] = False
    return np.concatenate([boxes[kept], conf[kept, None], cls[kept, None]], 1)


LEVELS = np.linspace(0.5, 0.95, 10)


def right_at(found, labels):
    """[detections, levels]: which are right."""
    right = np.zeros((len(found), len(LEVELS)), bool)
    if not len(found) or not len(labels):
        return right
    iou = ious(labels[:, 1:], found[:, :4])
    same = labels[:, :1] == found[:, 5]
    for t, level in enumerate(LEVELS):
        label, detection = np.nonzero((iou >= level) & same)
        if not len(label):
            continue
        pairs = np.stack([label, detection], 1)[iou[label, detection].argsort()[::-1]]
        pairs = pairs[np.unique(pairs[:, 1], return_index=True)[1]]
        pairs = pairs[np.unique(pairs[:, 0], return_index=True)[1]]
        right[pairs[:, 1], t] = True
    return right


def average_precision(recall, precision):
    recall = np.concatenate([[0.], recall, [1.]])
    precision = np.concatenate([[1.], precision, [0.]])
    precision = np.flip(np.maximum.accumulate(np.flip(precision)))
    x = np.linspace(0, 1, 101)
    return np.trapz(np.interp(x, recall, precision), x)


def smooth(y, share=0.1):
    n = round(len(y) * share * 2) // 2 + 1
    edge = np.ones(n // 2)
    return np.convolve(np.concatenate([edge * y[0], y, edge * y[-1]]), np.ones(n) / n, mode="valid")


def scores(right, conf, cls, labels):
    order = (-conf).argsort(kind="stable")
    right, conf, cls = right[order], conf[order], cls[order]
    x = np.linspace(0, 1, 1000)
    ap, p, r = [], [], []
    for c, n in zip(*np.unique(labels, return_counts=True)):
        mine = cls == c
        if not mine.any():
            ap.append(np.zeros(len(LEVELS)))
            p.append(np.zeros(1000))
            r.append(np.zeros(1000))
            continue
        hits = right[mine].cumsum(0)
        recall = hits / (n + 1e-16)
        precision = hits / np.arange(1, mine.sum() + 1)[:, None]
        r.append(np.interp(-x, -conf[mine], recall[:, 0], left=0))
        p.append(np.interp(-x, -conf[mine], precision[:, 0], left=1))
        ap.append([average_precision(recall[:, t], precision[:, t]) for t in range(len(LEVELS))])
    ap, p, r = np.array(ap), np.array(p), np.array(r)
    best = smooth((2 * p * r / (p + r + 1e-16)).mean(0)).argmax()
    return {"precision": p[:, best].mean(), "recall": r[:, best].mean(), "map50": ap[:, 0].mean(),
            "map50_95": ap.mean()}


# ---- all of it ----

def labels_of(path, w, h):
    rows = np.loadtxt(path, ndmin=2).reshape(-1, 5) if os.path.getsize(path) else np.zeros((0, 5))
    rows = np.unique(rows, axis=0)
    half = rows[:, 3:] / 2
    return np.concatenate([rows[:, :1], (rows[:, 1:3] - half) * (w, h), (rows[:, 1:3] + half) * (w, h)], 1)


def validate(model, pictures, rect):
    read = [cv2.imread(path) for path in pictures]
    order, shapes = shapes_of_batches([p.shape[:2] for p in read])
    if not rect:
        order, shapes = range(len(read)), [(IMGSZ, IMGSZ)] * len(shapes)
    right, conf, cls, all_labels = [], [], [], []
    for place, i in enumerate(order):
        h, w = read[i].shape[:2]
        x, (gain, left, top) = letterbox(read[i], shapes[place // BATCH])
        found = nms(network(model, x))
        found[:, :4] = (found[:, :4] - (left, top, left, top)) / gain
        found[:, :4] = found[:, :4].clip(0, (w, h, w, h))
        labels = labels_of(pictures[i].replace("/images/", "/labels/")[:-4] + ".txt", w, h)
        right.append(right_at(found, labels))
        conf.append(found[:, 4])
        cls.append(found[:, 5])
        all_labels.append(labels[:, 0])
    return scores(*(np.concatenate(part) for part in (right, conf, cls, all_labels)))


def main():
    nibble = sys.argv[1]
    root = sys.argv[3] if len(sys.argv) > 3 else os.environ.get("NIBBLE_DATA", "../shared/data")
    bad, seen = [], 0
    for path in sorted(glob.glob(f"{root}/**/yolov5*.pt", recursive=True)):
        with zipfile.ZipFile(path) as archive:
            checkpoint = Reader(archive).load()
        model = checkpoint.get("ema") or checkpoint["model"]
        for names in sorted(glob.glob(f"{root}/**/names.txt", recursive=True)):
            if sum(1 for _ in open(names)) != 80:
                continue
            for folder in sorted(glob.glob(os.path.dirname(names) + "/val*/images")):
                for rect in (1, 0):
                    seen += 1
                    bad += compare(nibble, path, model, names, folder, rect)
    if not seen:
        print(f"no yolov5*.pt with pictures of 80 classes below {root}: skipped")
        sys.exit(77)
    sys.exit("\n".join(bad) or 0)


def compare(nibble, path, model, names, folder, rect):
    pictures = sorted(glob.glob(folder + "/*.jpg"))
    theirs = validate(model, pictures, rect)
    with tempfile.TemporaryDirectory() as scratch:
        listed = "\n".join(f"  - {json.dumps(line.strip())}" for line in open(names))
        with open(f"{scratch}/data.yaml", "w") as file:
            file.write(f"val: {os.path.abspath(folder)}\nnames:\n{listed}\n")
        out = subprocess.run([nibble, "val", f"model={path}", f"data={scratch}/data.yaml", f"rect={rect}",
                              f"imgsz={IMGSZ}", f"batch={BATCH}", f"conf={CONF}", f"iou={IOU}", "plots=0",
                              "verbose=0", "json=1"], check=True, stdout=subprocess.PIPE)
    ours = json.loads(out.stdout)["metrics"]
    bad = []
    for key, value in theirs.items():
        print(f"{os.path.basename(path)} rect={rect} {key}: {ours[key]:.5f}, the peer's {value:.5f}")
        if not abs(ours[key] - value) <= TOLERANCE:
            bad.append(f"{path} rect={rect}: {key} is {ours[key]:.5f}, expected {value:.5f}")
    return bad


if __name__ == "__main__":
    main()
