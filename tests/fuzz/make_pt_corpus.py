#!/usr/bin/env python3
"""Makes the seed corpus of the reader of torch.save files: small valid ones, and hostile ones.
tests/format/test_pt.c says what must become of each. usage: python3 tests/fuzz/make_pt_corpus.py
(the standard library only: the names that pickles use are stand-ins made here)"""
import collections
import io
import os
import pickle
import struct
import sys
import types
import zipfile

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus", "pt")
os.makedirs(here, exist_ok=True)


def name(module, what, value):
    """Makes `module.what` importable, so that pickle writes that name."""
    parts = module.split(".")
    for i in range(len(parts)):
        path = ".".join(parts[: i + 1])
        sys.modules.setdefault(path, types.ModuleType(path))
    value.__module__, value.__qualname__, value.__name__ = module, what, what
    setattr(sys.modules[module], what, value)
    return value


def cls(module, what):
    return name(module, what, type(what, (), {}))


rebuild = name("torch._utils", "_rebuild_tensor_v2", lambda *a: None)
parameter = name("torch._utils", "_rebuild_parameter", lambda *a: None)
storages = {k: cls("torch", k + "Storage") for k in ("Float", "Half", "BFloat16", "Double", "Long", "Int", "Char", "Byte")}
codes = {"Float": "f", "Half": "e", "Double": "d", "Long": "q", "Int": "i", "Char": "b", "Byte": "B", "BFloat16": "H"}


class Storage:
    def __init__(self, kind, values):
        self.kind, self.n = kind, len(values)
        self.bytes = struct.pack("<%d%s" % (len(values), codes[kind]), *values)


class Tensor:
    def __init__(self, storage, size, stride=None, offset=0):
        self.storage, self.size, self.offset = storage, tuple(size), offset
        self.stride = stride or tuple(self.product(size[i + 1:]) for i in range(len(size)))

    @staticmethod
    def product(values):
        n = 1
        for v in values:
            n *= v
        return n

    def __reduce__(self):
        return rebuild, (self.storage, self.offset, self.size, self.stride, False, collections.OrderedDict())


class Parameter(Tensor):
    def __reduce__(self):
        return parameter, (Tensor(self.storage, self.size, self.stride, self.offset), True, collections.OrderedDict())


class Pickler(pickle.Pickler):
    def __init__(self, f, protocol):
        super().__init__(f, protocol)
        self.keys, self.storages = {}, []

    def persistent_id(self, o):
        if not isinstance(o, Storage):
            return None
        if id(o) not in self.keys:
            self.keys[id(o)] = str(len(self.storages))
            self.storages.append(o)
        return ("storage", storages[o.kind], self.keys[id(o)], "cpu", o.n)


def archive(text, data=(), stem="archive", method=zipfile.ZIP_STORED, more=()):
    f = io.BytesIO()
    with zipfile.ZipFile(f, "w", method) as z:
        for path, content in [("data.pkl", text)] + [("data/%d" % i, b) for i, b in enumerate(data)] + list(more):
            z.writestr(zipfile.ZipInfo(stem + "/" + path, (1980, 1, 1, 0, 0, 0)), content, method)
    return f.getvalue()


def save(o, protocol=2, **options):
    f = io.BytesIO()
    p = Pickler(f, protocol)
    p.dump(o)
    return archive(f.getvalue(), [s.bytes for s in p.storages], **options)


def put(file, data):
    with open(os.path.join(here, file), "wb") as f:
        f.write(data)


def tensor(kind, values, size=None, **options):
    return Tensor(Storage(kind, values), size if size is not None else (len(values),), **options)


# ---- a dict of tensors: every type, strides, sharing ----
shared = Storage("Float", [float(i) for i in range(12)])
state = collections.OrderedDict(
    plain=Tensor(shared, (3, 4)), turned=Tensor(shared, (4, 3), (1, 4)), part=Tensor(shared, (2, 2), (4, 1), 5),
    scalar=tensor("Long", [7], ()), half=tensor("Half", [0.5, -2.0]), brain=tensor("BFloat16", [0x3F80, 0xC000]),
    double=tensor("Double", [0.1]), char=tensor("Char", [-3]), byte=tensor("Byte", [200]), int=tensor("Int", [-70000]),
    none=tensor("Float", [], (0, 3)))
put("state", save(state))
put("state_protocol4", save(state, protocol=4))
put("state_deflated", save({"state_dict": state, "epoch": 3}, method=zipfile.ZIP_DEFLATED))
put("averaged_first", save({"model_state_dict": {"w": tensor("Float", [1.0])}, "ema_state_dict": {"w": tensor("Float", [2.0])}}))

# ---- a module: one level, two anchors, one class ----
Module = {w: cls(m, w) for m, w in (("models.yolo", "Model"), ("models.yolo", "Detect"), ("models.common", "Conv"),
                                    ("torch.nn.modules.container", "Sequential"), ("torch.nn.modules.container", "ModuleList"),
                                    ("torch.nn.modules.conv", "Conv2d"), ("torch.nn.modules.batchnorm", "BatchNorm2d"),
                                    ("torch.nn.modules.activation", "SiLU"), ("torch.nn.modules.activation", "Hardswish"))}


def module(what, parameters=(), buffers=(), children=(), **attributes):
    m = Module[what]()
    m.__dict__.update(training=False, _parameters=collections.OrderedDict(parameters), _buffers=collections.OrderedDict(buffers),
                      _non_persistent_buffers_set=set(), _modules=collections.OrderedDict(children), **attributes)
    return m


def halves(n, start):
    return [((i * 7 + start) % 13 - 6) / 16 for i in range(n)]


def model(act="SiLU", eps=1e-3, stride=2.0, head="Detect", names=("face",), anchors=True):
    conv = module("Conv2d", [("weight", Parameter(Storage("Half", halves(216, 1)), (8, 3, 3, 3))), ("bias", None)])
    norm = module("BatchNorm2d", [("weight", tensor("Half", [1.0] * 8)), ("bias", tensor("Half", halves(8, 2)))],
                  [("running_mean", tensor("Half", halves(8, 3))), ("running_var", tensor("Half", [1.5] * 8)),
                   ("num_batches_tracked", tensor("Long", [9], ()))], eps=eps, momentum=0.03)
    out = module("Conv2d", [("weight", tensor("Half", halves(96, 4), (12, 8, 1, 1))), ("bias", tensor("Half", halves(12, 5)))])
    detect = module("Detect", (), [("anchors", tensor("Half", [5.0, 6.5, 8.0, 15.0], (1, 2, 2)))],
                    [("m", module("ModuleList", (), (), [("0", out)]))], stride=tensor("Half", [stride]), nc=1)
    yaml = {"nc": 1, "depth_multiple": 1.0, "width_multiple": 1.0, "anchors": [[10, 13, 16, 30]],
            "backbone": [[-1, 1, "Conv", [8, 3, 2]]], "head": [[[0], 1, head, ["nc", "anchors"]]], "ch": 3}
    if not anchors:
        del yaml["anchors"]
    body = module("Sequential", (), (), [("0", module("Conv", (), (), [("conv", conv), ("bn", norm), ("act", module(act))])), ("1", detect)])
    return module("Model", (), (), [("model", body)], yaml=yaml, yaml_file="tiny.yaml", names=names if isinstance(names, dict) else list(names), nc=1,
                  stride=tensor("Float", [stride]))


put("module", save({"epoch": -1, "model": model(), "ema": None, "date": "2022-02-08"}))
put("module_ema", save({"model": None, "ema": model(names=("mask",)), "train_args": {"imgsz": 320}}))
put("module_names_dict", save({"model": model(names={0: "x"})}, protocol=4))
put("module_hardswish", save({"model": model(act="Hardswish")}))
put("module_epsilon", save({"model": model(eps=1e-5)}))
put("module_stride", save({"model": model(stride=4.0)}))
put("module_unknown", save({"model": model(head="Segment")}))
put("module_no_anchors", save({"model": model(anchors=False)}))

# ---- a module without anchors: YOLOv10's layers, one level, two classes, scale "n" of two ----
for what in ("DetectionModel", "YOLOv10DetectionModel"):
    Module[what] = cls("ultralytics.nn.tasks", what)
for what in ("C2fCIB", "SCDown", "v10Detect", "RepVGGDW", "CIB", "Part"):
    Module[what] = cls("ultralytics.nn.modules.block", what)


def block(c1, c2, k, groups=1, act="SiLU"):
    if act not in Module:
        Module[act] = cls("torch.nn.modules.linear", act)
    n = c2 * (c1 // groups) * k * k
    conv = module("Conv2d", [("weight", Parameter(Storage("Half", halves(n, n)), (c2, c1 // groups, k, k))), ("bias", None)])
    norm = module("BatchNorm2d", [("weight", tensor("Half", [1.0] * c2)), ("bias", tensor("Half", halves(c2, k)))],
                  [("running_mean", tensor("Half", halves(c2, 3))), ("running_var", tensor("Half", [1.5] * c2)),
                   ("num_batches_tracked", tensor("Long", [9], ()))], eps=eps_of_ours, momentum=0.03)
    return module("Conv", (), (), [("conv", conv), ("bn", norm), ("act", module(act))])


def logits(c1, c2):
    return module("Conv2d", [("weight", tensor("Half", halves(c1 * c2, c2), (c2, c1, 1, 1))), ("bias", tensor("Half", halves(c2, 5)))])


def inside(*children, what="Sequential"):
    return module(what, (), (), [(str(i), c) for i, c in enumerate(children)])


def free_branches(c, bins, nc):
    box = inside(inside(block(c, 16, 3), block(16, 16, 3), logits(16, 4 * bins)), what="ModuleList")
    cls_ = inside(inside(inside(block(c, c, 3, c), block(c, c, 1)), inside(block(c, c, 3, c), block(c, c, 1)), logits(c, nc)), what="ModuleList")
    return box, cls_


eps_of_ours = 1e-3


def model10(bins=(0.0, 1.0), what="YOLOv10DetectionModel"):
    c, nc = 8, 2  # min(16, 12) * 0.5, to a multiple of 8
    down = module("SCDown", (), (), [("cv1", block(c, c, 1)), ("cv2", block(c, c, 3, c, "Identity"))])
    large = module("RepVGGDW", (), (), [("conv", block(8, 8, 7, 8, "Identity")), ("conv1", block(8, 8, 3, 8, "Identity")), ("act", module("SiLU"))])
    cib = module("CIB", (), (), [("cv1", inside(block(4, 4, 3, 4), block(4, 8, 1), large, block(8, 4, 1), block(4, 4, 3, 4)))])
    c2f = module("C2fCIB", (), (), [("cv1", block(c, c, 1)), ("cv2", block(12, c, 1)), ("m", inside(cib, what="ModuleList"))])
    many, one = free_branches(c, 2, nc), free_branches(c, 2, nc)
    fixed = module("Part", (), (), [("conv", module("Conv2d", [("weight", tensor("Half", list(bins), (1, len(bins), 1, 1))), ("bias", None)]))])
    head = module("v10Detect", (), (), [("cv2", many[0]), ("cv3", many[1]), ("dfl", fixed), ("one2one_cv2", one[0]), ("one2one_cv3", one[1])],
                  stride=tensor("Half", [4.0]), nc=nc)
    yaml = {"nc": nc, "scales": {"s": [1.0, 1.0, 99], "n": [0.33, 0.5, 12]}, "reg_max": 2,
            "backbone": [[-1, 1, "Conv", [16, 3, 2]], [-1, 1, "SCDown", [16, 3, 2]]],
            "head": [[-1, 3, "C2fCIB", [16, True, True]], [[2], 1, "v10Detect", ["nc"]]],
            "scale": "n", "yaml_file": "small10n.yaml", "ch": 3}
    body = inside(block(3, c, 3), down, c2f, head)
    return module(what, (), (), [("model", body)], yaml=yaml, names={0: "a", 1: "b"}, nc=nc, stride=tensor("Float", [4.0]))


put("module10", save({"epoch": -1, "model": None, "ema": model10(), "train_args": {"imgsz": 640}}))
put("module10_bins", save({"model": model10(bins=(0.0, 2.0), what="DetectionModel")}))

# ---- hostile: pickles ----
P = b"\x80\x02"


def text(s):
    return b"X" + struct.pack("<I", len(s)) + s.encode()


def glob(module, what):
    return b"c%s\n%s\n" % (module.encode(), what.encode())


FLOAT = glob("torch", "FloatStorage")
REBUILD = glob("torch._utils", "_rebuild_tensor_v2")


def storage(kind=FLOAT, key="0", n=b"K\x02"):
    return b"(" + text("storage") + kind + text(key) + text("cpu") + n + b"tQ"


def view(size, stride, offset=b"K\0", what=None):
    return P + b"}" + text("w") + REBUILD + b"(" + (what or storage()) + offset + size + stride + b"\x89)tRs."


hostile = {
    "call_system": P + glob("posix", "system") + text("touch /tmp/x") + b"\x85R.",
    "call_eval": P + glob("__builtin__", "eval") + text("1") + b"\x85R.",
    "call_getattr": b"\x80\x04" + b"\x8c\x08builtins\x8c\x07getattr\x93)R.",
    "call_record": P + glob("models.yolo", "Model") + b")R.",
    "call_tensor_class": P + glob("numpy", "ndarray") + b")R.",
    "object_of_function": P + glob("torch._utils", "_rebuild_tensor_v2") + b")\x81.",
    "object_of_subprocess": P + glob("subprocess", "Popen") + b")\x81.",
    "call_of_value": P + b"K\x01)R.",
    "inst": P + b"(" + b"ios\nsystem\n.",
    "obj": P + b"(" + glob("torch", "Size") + b"o.",
    "newobj_ex": b"\x80\x04" + glob("models.yolo", "Model") + b")}\x92.",
    "extension": P + b"\x82\x01.",
    "persid_text": P + b"Pstorage\n.",
    "protocol0": b"(lp0\nI1\na.",
    "protocol9": b"\x80\x09N.",
    "memo_bomb": P + b"Nr\xff\xff\xff\x7f.",
    "memo_unset": P + b"h\x05.",
    "huge_text": P + b"X\xff\xff\xff\xff",
    "huge_text8": b"\x80\x04\x8d" + b"\xff" * 8 + b".",
    "cut_text": P + b"X\x10\0\0\0abc",
    "no_stop": P + b"N",
    "two_values": P + b"NN.",
    "empty_stack": P + b"\x86.",
    "below_mark": P + b"N(\x85.",
    "no_mark": P + b"Nt.",
    "odd_pairs": P + b"}(Nu.",
    "append_to_dict": P + b"}Na.",
    "attributes_of_list": P + b"]}b.",
    "twice_built": P + glob("models.yolo", "Model") + b")\x81}b}b.",
    "zero_byte": P + b"X\x01\0\0\0\0.",
    "self_list": P + b"]q\x00h\x00a.",
    "self_module": P + glob("models.yolo", "Model") + b")\x81q\x00}" + text("_modules") + b"}" + text("a") + b"h\x00ssb.",
    "long_integer": P + b"\x8a\x09" + b"\x01" * 9 + b".",
    "storage_of_function": P + b"(" + text("storage") + REBUILD + text("0") + text("cpu") + b"K\x02tQ.",
    "storage_huge": P + storage(n=b"\x8a\x08" + b"\xff" * 7 + b"\x7f") + b".",
    "storage_negative": P + storage(n=b"J\xff\xff\xff\xff") + b".",
    "storage_missing": view(b"K\x02\x85", b"K\x01\x85", what=storage(key="9")),
    "storage_elsewhere": view(b"K\x02\x85", b"K\x01\x85", what=storage(key="../data.pkl")),
    "storage_short": view(b"K\x03\x85", b"K\x01\x85", what=storage(n=b"K\x03")),
    "view_outside": view(b"K\x02\x85", b"K\x02\x85"),
    "view_offset": view(b"K\x02\x85", b"K\x01\x85", b"K\x01"),
    "view_repeats": view(b"J\0\0\0\x40\x85", b"K\0\x85"),
    "view_overflow": view(b"\x8a\x08" + b"\xff" * 7 + b"\x7fK\x02\x86", b"K\x01K\x01\x86"),
    "view_negative": view(b"J\xff\xff\xff\xff\x85", b"K\x01\x85"),
    "view_rank9": view(b"(" + b"K\x01" * 9 + b"t", b"(" + b"K\x01" * 9 + b"t"),
    "view_far_stride": view(b"K\x01\x85", b"\x8a\x08" + b"\xff" * 7 + b"\x7f\x85"),
    "no_model": P + b"}(" + text("epoch") + b"K\x01" + text("names") + b"]u.",
    "number": P + b"K\x01.",
}
# modules that contain one another: 2^40 paths through 40 objects
deep = P + glob("models.yolo", "Model") + b")\x81q\x00"
deep += b"}" + text("_modules") + b"}sb"
for i in range(1, 30):
    deep += glob("models.yolo", "Model") + b")\x81q" + bytes([i]) + b"}" + text("_modules") + b"}(" + text("a") + b"h" + bytes([i - 1])
    deep += text("b") + b"h" + bytes([i - 1]) + b"usb"
hostile["module_laughs"] = P + b"(" + deep[2:] + b"t" + b"0" + b"h\x1d."
for file, code in hostile.items():
    put("hostile_" + file, archive(code, [struct.pack("<2f", 1, 2)]))

# ---- pickles alone, which the fuzz target puts into an archive: it sees through no checksum ----
def bare(o, protocol=2):
    data = save(o, protocol)
    with zipfile.ZipFile(io.BytesIO(data)) as z:
        return z.read("archive/data.pkl")


one = Storage("Float", [0.0] * 16)
put("pickle_state", bare({"state_dict": {"a": Tensor(one, (4, 4)), "b": Tensor(one, (2, 3), (1, 5), 1), "n": 3}}))
put("pickle_state4", bare({"ema": {"a": Tensor(one, (16,))}, "t": (1, 2, 3, 4), "s": {5, 6}, "y": b"bytes", "f": 0.5}, 4))
put("pickle_module", bare({"model": model(), "ema": None}))
put("pickle_view", hostile["view_outside"])
put("pickle_nothing_marked", P + b"(t.")
put("pickle_persid", hostile["storage_missing"])

# ---- hostile: archives ----
good = save(state)
put("zip_cut", good[:-40])
put("zip_half", good[: len(good) // 2])
put("zip_no_pickle", archive(b"", stem="a").replace(b"data.pkl", b"data.txt"))
put("zip_bad_crc", good.replace(struct.pack("<12f", *range(12)), struct.pack("<12f", *range(1, 13))))
end = good.rindex(b"PK\5\6")
put("zip_many", good[: end + 8] + b"\xff\xff\xff\xff" + good[end + 12:])
at = good.rindex(b"archive/data/0") - 46  # its line of the directory
put("zip_long_entry", good[: at + 20] + struct.pack("<II", 1 << 30, 1 << 30) + good[at + 28:])
put("zip_far_header", good[: at + 42] + struct.pack("<I", 1 << 30) + good[at + 46:])
put("zip_method", good[: at + 10] + b"\x0c\0" + good[at + 12:])
put("zip_encrypted", good[: at + 8] + b"\x01\0" + good[at + 10:])
squeezed = save(state, method=zipfile.ZIP_DEFLATED)
at = squeezed.rindex(b"archive/data/0") - 46
put("zip_bomb", squeezed[: at + 24] + struct.pack("<I", 0x7FFFFFFF) + squeezed[at + 28:])
put("zip_bad_deflate", squeezed[:60] + b"\xff" * 8 + squeezed[68:])
put("zip_big_endian", save(state, more=[("byteorder", b"big")]))
put("old_format", P + b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.")
put("text", b"version https://git-lfs.github.com/spec/v1\n")
put("nothing", b"")
