# SPDX-License-Identifier: Apache-2.0
"""Graphs of ONNX files written anew: ONNX Runtime computes what the files' own test data say.

usage: again.py PEER_EXPORT. The files are those of NIBBLE_DATA/onnx_node_tests: every folder with
model.onnx and test_data_set_0. Written values are float32, whatever they were. Files that are not
imported, or have something that a float file does not carry, are passed over (their number is said).
"""
import glob
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper


def tensors(folder, kind, count):
    result = []
    for i in range(count):
        proto = onnx.TensorProto()
        with open(f"{folder}/test_data_set_0/{kind}_{i}.pb", "rb") as file:
            proto.ParseFromString(file.read())
        result.append(numpy_helper.to_array(proto).astype(np.float32))
    return result


def check(folder, path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    graph = onnx.load(f"{folder}/model.onnx").graph
    constant = {tensor.name for tensor in graph.initializer}
    names = [value.name for value in graph.input if value.name not in constant]
    given = dict(zip(names, tensors(folder, "input", len(names))))
    feed = {value.name: given[value.name] for value in session.get_inputs()}
    for want, got in zip(tensors(folder, "output", len(graph.output)), session.run(None, feed)):
        if want.shape != got.shape or not np.allclose(want, got, 1e-3, 1e-4, equal_nan=True):
            return f"{got.shape}, expected {want.shape}"
    return None


def main(tool):
    data = os.environ.get("NIBBLE_DATA", "../shared/data")
    models = sorted(glob.glob(f"{data}/onnx_node_tests/*/*/model.onnx"))
    if not models:
        print("no onnx_node_tests: skipped")
        sys.exit(77)
    onnxruntime.set_default_logger_severity(4)
    counts = {"good": 0, "passed over": 0, "bad": 0}
    with tempfile.TemporaryDirectory() as scratch:
        for model in models:
            path = f"{scratch}/again.onnx"
            done = subprocess.run([tool, "again", "21", model, path], stderr=subprocess.PIPE)
            if done.returncode:
                counts["passed over"] += 1
                continue
            try:
                wrong = check(os.path.dirname(model), path)
            except Exception as error: # whatever the peers throw is a wrong file
                wrong = str(error).replace("\n", " ")[:200]
            counts["bad" if wrong else "good"] += 1
            if wrong:
                print(model, wrong)
    print(counts)
    sys.exit(counts["bad"] > 0 or counts["good"] < counts["passed over"])


if __name__ == "__main__":
    main(sys.argv[1])
