#!/usr/bin/env python3
"""Makes the seed corpus of the ONNX reader by hand: small valid models and damaged ones.
usage: python3 tests/fuzz/make_onnx_corpus.py"""
import os
import struct

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus", "onnx")


def varint(n):
    n &= (1 << 64) - 1
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def num(field, n):
    return varint(field << 3) + varint(n)


def sub(field, body):
    body = body.encode() if isinstance(body, str) else body
    return varint(field << 3 | 2) + varint(len(body)) + body


def value(name, dims, kind=1):
    shape = b"".join(sub(1, num(1, d) if isinstance(d, int) else sub(2, d)) for d in dims)
    return sub(1, name) + sub(2, sub(1, num(1, kind) + sub(2, shape)))


def node(op, ins, outs, attrs=(), domain=""):
    return (b"".join(sub(1, i) for i in ins) + b"".join(sub(2, o) for o in outs) + sub(3, op + "_0")
            + sub(4, op) + b"".join(sub(5, a) for a in attrs) + (sub(7, domain) if domain else b""))


def ints(name, values):
    return sub(1, name) + b"".join(num(8, v) for v in values) + num(20, 7)


def packed(name, values):
    return sub(1, name) + sub(8, b"".join(varint(v) for v in values)) + num(20, 7)


def raw(name, kind, dims, data):
    return b"".join(num(1, d) for d in dims) + num(2, kind) + sub(8, name) + sub(9, data)


def model(graph, opset=17, extra=b""):
    return num(1, 8) + sub(2, "hand") + sub(7, graph) + sub(8, num(2, opset)) + extra


def put(name, data):
    os.makedirs(here, exist_ok=True)
    with open(os.path.join(here, name), "wb") as f:
        f.write(data)


weights = raw("w", 1, [2, 1, 1, 1], struct.pack("<2f", 1.5, -2.0))
conv = (sub(1, node("Conv", ["x", "w"], ["y"], [ints("strides", [1, 1]), packed("pads", [0] * 4)]))
        + sub(2, "g") + sub(5, weights) + sub(11, value("x", ["N", 1, 2, 2]))
        + sub(12, value("y", ["N", 2, 2, 2])))
good = model(conv, extra=sub(14, sub(1, "names") + sub(2, "{0: 'a'}")))
put("conv", good)
put("cut", good[:len(good) // 2])
put("short_raw", model(conv.replace(b"\x4a\x08", b"\x4a\x04")))
typed = (num(1, 3) + num(2, 7) + sub(7, varint(1) + varint(-1) + varint(9)) + sub(8, "t"))
put("typed", model(sub(2, "g") + sub(5, typed) + sub(5, num(1, 3) + num(2, 22) + num(5, 0x21) + num(5, 3)
                                                 + sub(8, "int4"))))
put("wrong_count", model(sub(2, "g") + sub(5, num(1, 4) + num(2, 7) + num(7, 1) + sub(8, "t"))))
put("rank9", model(sub(2, "g") + sub(5, raw("t", 1, [1] * 9, b"\0" * 4))))
put("huge", model(sub(2, "g") + sub(5, raw("t", 1, [1 << 40, 1 << 40], b""))))
put("negative", model(sub(2, "g") + sub(5, raw("t", 1, [-1], b""))))
put("outside", model(sub(2, "g") + sub(5, num(1, 1) + num(2, 1) + sub(8, "t") + num(14, 1)
                                       + sub(13, sub(1, "location") + sub(2, "../../../etc/passwd")))))
put("type99", model(sub(2, "g") + sub(5, raw("t", 99, [1], b"\0"))))
put("wire", model(num(1, 5)))
put("group", model(varint(1 << 3 | 3)))
put("empty", b"")
put("text", b"this is not a model\n")
put("strings", model(sub(2, "g") + sub(5, num(1, 2) + num(2, 8) + sub(6, "a\0b") + sub(6, "") + sub(8, "s"))))
deep = b""
for _ in range(200):
    deep = sub(1, node("If", ["c"], ["y"], [sub(1, "then_branch") + sub(6, deep + sub(2, "g")) + num(20, 5)]))
put("deep", model(deep + sub(2, "g")))
put("annotated", model(conv + sub(14, sub(1, "w") + sub(2, sub(1, "finn_datatype") + sub(2, "INT2")))))
