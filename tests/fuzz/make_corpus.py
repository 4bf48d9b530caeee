#!/usr/bin/env python3
"""Makes the seed corpora of the format readers: small valid files and damaged ones.
usage: python3 tests/fuzz/make_corpus.py   (numpy, pillow)"""
import io
import json
import os
import struct

import numpy as np
from PIL import Image

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def put(reader, name, data):
    os.makedirs(os.path.join(here, reader), exist_ok=True)
    with open(os.path.join(here, reader, name), "wb") as f:
        f.write(data)


def npy(a):
    f = io.BytesIO()
    np.save(f, a)
    return f.getvalue()


def safetensors(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def picture(image, kind, **options):
    f = io.BytesIO()
    image.save(f, kind, **options)
    return f.getvalue()


# npy
a = np.arange(6, dtype=np.float32).reshape(2, 3)
good = npy(a)
put("npy", "f4", good)
put("npy", "i8_scalar", npy(np.int64(7)))
put("npy", "u1_empty", npy(np.zeros((0, 3), np.uint8)))
put("npy", "f2_fortran", npy(np.asfortranarray(a.astype(np.float16))))
put("npy", "bool", npy(a > 2))
put("npy", "big_endian", npy(a.astype(">f4")))
put("npy", "record", npy(np.zeros(2, [("x", "<f4"), ("y", "<i2")])))
put("npy", "version2", b"\x93NUMPY\2\0" + struct.pack("<I", len(good) - 10 - 24) + good[10:])
put("npy", "cut_data", good[:-3])
put("npy", "cut_header", good[:40])
put("npy", "rank9", good.replace(b"(2, 3), ", b"(1,)*9, ", 1))
put("npy", "overflow", good.replace(b"(2, 3), }     ", b"(4294967296, 4294967296), }", 1))

# safetensors
entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
put("safetensors", "two", safetensors({"__metadata__": {"format": "pt"}, "a": entry,
                                       "b": {"dtype": "I8", "shape": [3], "data_offsets": [8, 11]}}, bytes(range(11))))
put("safetensors", "narrow_first", safetensors({"b": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
                                                "a": {"dtype": "F64", "shape": [], "data_offsets": [1, 9]}}, bytes(9)))
put("safetensors", "empty", safetensors({}))
put("safetensors", "no_elements", safetensors({"a": {"dtype": "F16", "shape": [0, 4], "data_offsets": [0, 0]}}))
put("safetensors", "gap", safetensors({"a": dict(entry, data_offsets=[1, 9])}, bytes(9)))
put("safetensors", "overlap", safetensors({"a": entry, "b": dict(entry, data_offsets=[4, 12])}, bytes(12)))
put("safetensors", "duplicate", safetensors(b'{"a":%s,"a":%s}' % ((json.dumps(entry).encode(),) * 2), bytes(8)))
put("safetensors", "wraps", safetensors({"a": dict(entry, shape=[1 << 62, 4])}, bytes(8)))
put("safetensors", "negative", safetensors({"a": dict(entry, shape=[-1])}, bytes(8)))
put("safetensors", "long_header", struct.pack("<Q", 1 << 40) + b"{}")
put("safetensors", "metadata_number", safetensors({"__metadata__": {"a": 1}}))

# json
put("json", "object", b'{"a": [1, -2.5e-3, true, null, "\\u00e9\\n"], "b": {"c": {}}}')
put("json", "reals", b"[0.1, 1e308, 5e-324, 9007199254740993, -0.0]")
put("json", "duplicate", b'{"a": 1, "a": 2}')
put("json", "nan", b"[NaN]")
put("json", "huge", b"[1e999]")
put("json", "deep", b"[" * 60 + b"]" * 60)
put("json", "cut", b'{"a": [1, 2')
put("json", "surrogate", b'["\\ud83d\\ude00", "\\ud83d"]')

# yaml
put("yaml", "model", b"nc: 1\nanchors: 3\nbackbone:\n  # [from, number, module, args]\n"
    b"  [[-1, 1, Conv, [64, 6, 2, 2]],\n   [-1, 3, C3, [128]]]\n")
put("yaml", "data", b"path: ../faces\ntrain: images/train\nval: [a, b]\nnames:\n  0: face\n  1: 'no'\n")
put("yaml", "scalars", b"[1, -0x1F, 010, 0b1, 1_000, 1:30, 1.5, 1e-2, .inf, -.INF, .nan, 1:30.5, yes, Off, ~, null, '']\n")
put("yaml", "alias", b"a: &x [1, &y {b: 2}]\nc: *x\nd: *y\n")
put("yaml", "laughs", b"a: &a [1,1,1,1]\n" + b"".join(
    b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 4)) for c in range(98, 112)))
put("yaml", "blocks", b"a: |\n  x\n  y\nb: >-\n  z\n  w\n? c\n: d\n")
put("yaml", "duplicate", b"a: 1\nb: 2\na: 3\n")
put("yaml", "tag", b"a: !!python/object/apply:os.system [ls]\nb: !!str 1\n")
put("yaml", "recursive", b"&x [*x]\n")
put("yaml", "merge", b"a: &x {b: 1}\nc: {<<: *x}\n")
put("yaml", "unclosed", b"a: [1, {b: 'c\n")
put("yaml", "utf16", "a: \u00e9\n".encode("utf-16"))

# images
base = Image.fromarray(np.random.RandomState(0).randint(0, 256, (5, 7, 3)).astype(np.uint8))
exif = Image.Exif()
exif[0x0112] = 6
jpeg = picture(base, "JPEG", quality=30, exif=exif)
png = picture(base, "PNG", exif=exif)
put("image", "exif.jpg", jpeg)
put("image", "progressive.jpg", picture(base, "JPEG", quality=30, progressive=True))
put("image", "grey.jpg", picture(base.convert("L"), "JPEG", quality=30))
put("image", "cmyk.jpg", picture(base.convert("CMYK"), "JPEG", quality=30))
put("image", "cut.jpg", jpeg[:-20])
put("image", "headless.jpg", jpeg[:100])
put("image", "exif.png", png)
put("image", "palette.png", picture(base.quantize(4), "PNG", transparency=0))
put("image", "grey_alpha.png", picture(base.convert("LA"), "PNG"))
put("image", "grey16.png", picture(Image.fromarray(np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000), "PNG"))
put("image", "cut.png", png[:-30])
put("image", "large.png", png[:16] + struct.pack(">II", 1 << 20, 1 << 20) + png[24:])
put("image", "bad_crc.png", png[:29] + b"\0\0\0\0" + png[33:])

# COCO data sets and result lists
box = [1, 2.5, 30, 40]
dataset = {"images": [{"id": 7, "width": 64, "height": 48, "file_name": "a.jpg"}, {"id": 3}],
           "categories": [{"id": 1, "name": "a"}, {"id": 90, "name": "b"}],
           "annotations": [{"image_id": 7, "category_id": 1, "bbox": box, "area": 900.5, "iscrowd": 0},
                           {"image_id": 7, "category_id": 1, "bbox": [0, 0, 99, 99], "iscrowd": 1},
                           {"image_id": 3.0, "category_id": 90, "bbox": [0, 0, 100, 200], "area": 20000}]}
results = [{"image_id": 7, "category_id": 1, "bbox": box, "score": 0.9},
           {"image_id": 7, "category_id": 1, "bbox": [2, 2, 30, 41], "score": 0.9},
           {"image_id": 3, "category_id": 90, "bbox": [0.1, 0, 100, 190], "score": 1e-3}]
text, found = json.dumps(dataset).encode(), json.dumps(results).encode()
put("coco", "set", text)
put("coco", "results", found)
put("coco", "both", text + b"\0" + found)
put("coco", "empty_list", b"[ ]")
put("coco", "stranger", text + b"\0" + found.replace(b"\"image_id\": 3", b"\"image_id\": 4"))
put("coco", "twice", text.replace(b"\"id\": 3", b"\"id\": 7"))
put("coco", "three_numbers", found.replace(b", 41]", b"]"))
put("coco", "huge_box", text.replace(b"99, 99", b"1e200, 1e200"))
put("coco", "cut", found[:-20])
put("coco", "no_comma", found.replace(b"}, {", b"} {"))
