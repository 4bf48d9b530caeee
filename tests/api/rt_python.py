# SPDX-License-Identifier: Apache-2.0
"""usage: rt_python.py RT_FOLDER. python/nibble.py finds what `nibble predict engine=int` found."""
import json
import sys
import threading

import numpy

import nibble

RT = sys.argv[1]
MODEL = RT + "/model.safetensors"


def read_ppm(path):
    with open(path, "rb") as file:
        assert file.readline() == b"P6\n"
        width, height = map(int, file.readline().split())
        assert file.readline() == b"255\n"
        return numpy.frombuffer(file.read(), numpy.uint8).reshape(height, width, 3)


def cases():
    with open(RT + "/predictions.json") as file:
        for image in json.load(file)["images"]:
            picture = read_ppm(RT + "/" + image["path"].replace(".png", ".ppm"))
            yield picture, [(d["name"], d["conf"], d["xyxy"]) for d in image["detections"]]


def found(detector, picture):
    return [(detector.names[d["cls"]], float(d["conf"]), [float(v) for v in d["xyxy"]])
            for d in detector.detect(picture)]


def refuses(status, text, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except nibble.NibbleError as error:
        assert error.status == status and text in str(error), (error.status, str(error))
    else:
        raise AssertionError("not refused: " + text)


def compare(detector):
    boxes = 0
    for picture, want in cases():
        assert found(detector, picture) == want
        wide = numpy.zeros((picture.shape[0], picture.shape[1] + 9, 3), numpy.uint8)
        wide[:, 4:-5] = picture
        assert found(detector, wide[:, 4:-5]) == want  # a part of a larger picture
        backwards = numpy.ascontiguousarray(picture[:, :, ::-1])
        assert found(detector, backwards[:, :, ::-1]) == want  # BGR, seen as RGB
        boxes += len(want)
    return boxes


def main():
    with nibble.Detector(MODEL, conf=0.01) as detector:
        assert detector.names == ["circle", "square", "triangle"]
        assert detector.input_shape == (96, 96, 3)
        boxes = compare(detector)
        assert boxes > 20
        picture = next(cases())[0]
        assert len(detector.detect(numpy.zeros((1, 1, 3), numpy.uint8))) >= 0
        detector.set_thresholds(conf=0.9999)
        none = detector.detect(picture)
        assert none.shape == (0,) and none.dtype == nibble.DETECTION
        raw = detector.run(numpy.zeros((96, 96, 3), numpy.uint8))
        assert len(raw) == detector.outputs == 1 and raw[0].shape == (3, 3, 24)
        assert raw[0].dtype == numpy.float32 and numpy.isfinite(raw[0]).all()
        refuses(5, "uint8 [height, width, 3] expected", detector.detect, picture.astype("float32"))
        refuses(5, "uint8 [height, width, 3] expected", detector.detect, picture[:, :, 0])
        refuses(5, "uint8 [96, 96, 3] expected", detector.run, picture)
        refuses(5, "0 to 1 expected", detector.set_thresholds, iou=3)
    refuses(5, "closed", detector.detect, picture)
    detector.close()
    with open(MODEL, "rb") as file:
        compare(nibble.Detector(file.read(), conf=0.01, threads=2, isa="c"))
    only = nibble.Detector(MODEL, conf=0.01, classes=[2])
    assert set(only.detect(picture)["cls"]) <= {2}
    refuses(3, "none.safetensors", nibble.Detector, RT + "/none.safetensors")
    refuses(4, "no quantizers", nibble.Detector, RT + "/float.safetensors")
    refuses(5, "classes[1]: 0 to 2 expected", nibble.Detector, MODEL, classes=[0, 3])

    failed = []

    def work():
        try:
            compare(nibble.Detector(MODEL, conf=0.01, threads=1))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed
    print("nibble %s: %d boxes are those of predict" % (nibble.version(), boxes))


main()
