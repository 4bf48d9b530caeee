# SPDX-License-Identifier: Apache-2.0
"""Runs a trained nibble detector with integers. NumPy in, NumPy out; nothing to compile.

    import nibble
    with nibble.Detector("best.safetensors", conf=0.3) as detector:
        for d in detector.detect(rgb):            # uint8 [height, width, 3]
            print(detector.names[d["cls"]], d["conf"], d["xyxy"])

It loads libnibble_rt.so (or libnibble.so) through ctypes: the one named by `library=` or by the
environment variable NIBBLE_LIBRARY, one beside this file or in ../build, or the system's. Detections
are those of `nibble predict engine=int`, to the bit. A detector serves one thread at a time; several
are independent, and the interpreter's lock is released while they compute.
"""

import ctypes
import ctypes.util
import os
import weakref

import numpy

__all__ = ["DETECTION", "Detector", "NibbleError", "version"]

#: What Detector.detect returns an array of: corners in pixels of the picture, confidence, class.
DETECTION = numpy.dtype([("xyxy", numpy.float32, (4,)), ("conf", numpy.float32), ("cls", numpy.int32)])


class NibbleError(Exception):
    """What the library answered; `status` is its NbStatus: 1 memory, 2 system, 3 bad input,
    4 not supported, 5 wrong use."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class _Error(ctypes.Structure):
    _fields_ = [("message", ctypes.c_char * 512)]


class _Options(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("imgsz", ctypes.c_int), ("threads", ctypes.c_int),
                ("isa", ctypes.c_char_p), ("conf", ctypes.c_double), ("iou", ctypes.c_double),
                ("max_det", ctypes.c_int), ("agnostic", ctypes.c_int),
                ("classes", ctypes.POINTER(ctypes.c_int)), ("n_classes", ctypes.c_size_t)]


class _Info(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("width", ctypes.c_int), ("height", ctypes.c_int),
                ("classes", ctypes.c_int), ("outputs", ctypes.c_int), ("threads", ctypes.c_int),
                ("isa", ctypes.c_char_p), ("bytes", ctypes.c_size_t)]


def _find():
    here = os.path.dirname(os.path.abspath(__file__))
    names = ["libnibble_rt.so", "libnibble_rt.so.0", "libnibble.so", "libnibble.so.0"]
    if os.environ.get("NIBBLE_LIBRARY"):
        return os.environ["NIBBLE_LIBRARY"]
    for folder in (here, os.path.join(here, os.pardir, "build")):
        for name in names:
            if os.path.exists(os.path.join(folder, name)):
                return os.path.join(folder, name)
    return ctypes.util.find_library("nibble_rt") or ctypes.util.find_library("nibble") or names[1]


_loaded = {}


def _load(path):
    path = path or _find()
    if path in _loaded:
        return _loaded[path]
    lib = ctypes.CDLL(path)
    handle, err = ctypes.c_void_p, ctypes.POINTER(_Error)
    for name, result, arguments in (
            ("version", ctypes.c_char_p, []),
            ("detector_open", ctypes.c_int,
             [ctypes.c_char_p, ctypes.POINTER(_Options), ctypes.POINTER(handle), err]),
            ("detector_open_memory", ctypes.c_int,
             [ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(_Options), ctypes.POINTER(handle), err]),
            ("detector_free", None, [handle]),
            ("detector_info", ctypes.c_int, [handle, ctypes.POINTER(_Info), err]),
            ("detector_class_name", ctypes.c_char_p, [handle, ctypes.c_int]),
            ("detector_set_thresholds", ctypes.c_int,
             [handle, ctypes.c_double, ctypes.c_double, err]),
            ("detector_detect", ctypes.c_int,
             [handle, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_size_t,
              ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_size_t), err]),
            ("detector_run", ctypes.c_int, [handle, ctypes.c_void_p, ctypes.c_size_t, err]),
            ("detector_output", ctypes.POINTER(ctypes.c_float),
             [handle, ctypes.c_int, ctypes.POINTER(ctypes.c_int * 3)])):
        function = getattr(lib, "nb_" + name)
        function.restype, function.argtypes = result, arguments
    _loaded[path] = lib
    return lib


def version(library=None):
    """Version of the library, as text."""
    return _load(library).nb_version().decode()


class Detector:
    """A detector from a checkpoint: a path, or the bytes of such a file.

    conf, iou, max_det, agnostic and classes (a list of class numbers) mean what they mean to
    `nibble predict`; None takes the default. imgsz: side of the network's input. threads: that
    compute; None: one per CPU. isa: "c", "avx2", ... caps the instruction set.

    names: of the classes. input_shape: (height, width, 3). isa, threads, bytes: what it uses."""

    def __init__(self, model, *, conf=None, iou=None, max_det=None, agnostic=False, classes=None,
                 imgsz=None, threads=None, isa=None, library=None):
        self._lib = _load(library)
        options = _Options(size=ctypes.sizeof(_Options), imgsz=imgsz or 0, threads=threads or 0,
                           isa=isa.encode() if isa else None, conf=conf or 0.0, iou=iou or 0.0,
                           max_det=max_det or 0, agnostic=int(agnostic))
        if classes is not None:
            options.classes = (ctypes.c_int * max(1, len(classes)))(*classes)
            options.n_classes = len(classes)
        handle = ctypes.c_void_p()
        if isinstance(model, (bytes, bytearray)):
            self._call("detector_open_memory", bytes(model), len(model), ctypes.byref(options),
                       ctypes.byref(handle))
        else:
            self._call("detector_open", os.fsencode(model), ctypes.byref(options),
                       ctypes.byref(handle))
        self._handle = handle
        self._close = weakref.finalize(self, self._lib.nb_detector_free, handle)
        info = _Info(size=ctypes.sizeof(_Info))
        self._call("detector_info", handle, ctypes.byref(info))
        self.input_shape = (info.height, info.width, 3)
        self.outputs = info.outputs
        self.isa, self.threads, self.bytes = info.isa.decode(), info.threads, info.bytes
        self.names = [self._lib.nb_detector_class_name(handle, c).decode("utf-8", "replace")
                      for c in range(info.classes)]

    def _call(self, name, *arguments):
        err = _Error()
        status = getattr(self._lib, "nb_" + name)(*arguments, ctypes.byref(err))
        if status:
            raise NibbleError(status, err.message.decode("utf-8", "replace"))

    def _open_handle(self):
        if not self._close.alive:
            raise NibbleError(5, "the detector is closed")
        return self._handle

    def set_thresholds(self, conf=None, iou=None):
        """Other thresholds from now on; None takes the default."""
        self._call("detector_set_thresholds", self._open_handle(), conf or 0.0, iou or 0.0)

    def detect(self, rgb):
        """Detections in a picture, best first: an array of DETECTION.

        rgb: uint8 [height, width, 3] of any size. Rows may lie apart (a part of a larger picture);
        anything else that is not dense (BGR seen backwards, a transposed view) is copied."""
        handle = self._open_handle()
        rgb = numpy.asarray(rgb)
        if rgb.dtype != numpy.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
            raise NibbleError(5, "the picture: uint8 [height, width, 3] expected, found %s %s"
                              % (rgb.dtype, list(rgb.shape)))
        if rgb.strides[1:] != (3, 1) or rgb.strides[0] < 3 * rgb.shape[1]:
            rgb = numpy.ascontiguousarray(rgb)
        boxes, count = ctypes.c_void_p(), ctypes.c_size_t()
        self._call("detector_detect", handle, rgb.ctypes.data, rgb.shape[1], rgb.shape[0],
                   rgb.strides[0], ctypes.byref(boxes), ctypes.byref(count))
        out = numpy.empty(count.value, DETECTION)
        ctypes.memmove(out.ctypes.data, boxes, out.nbytes)
        return out

    def run(self, picture):
        """Raw outputs for uint8 [height, width, 3] of exactly input_shape: a list of float32
        [rows, columns, channels], not decoded."""
        handle = self._open_handle()
        picture = numpy.ascontiguousarray(picture)
        if picture.dtype != numpy.uint8 or picture.shape != self.input_shape:
            raise NibbleError(5, "the input: uint8 %s expected, found %s %s"
                              % (list(self.input_shape), picture.dtype, list(picture.shape)))
        self._call("detector_run", handle, picture.ctypes.data, picture.nbytes)
        out, dim = [], (ctypes.c_int * 3)()
        for i in range(self.outputs):
            raw = self._lib.nb_detector_output(handle, i, ctypes.byref(dim))
            out.append(numpy.ctypeslib.as_array(raw, tuple(dim)).copy())
        return out

    def close(self):
        """Gives the memory back now; otherwise that happens with the object."""
        self._close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
