# SPDX-License-Identifier: Apache-2.0
"""One peer that runs one network: latency.py starts it and asks for rounds.

usage: latency_peer.py onnxruntime|openvino|ncnn MODEL SIDE THREADS

Reads numbers of runs from standard input, one a line, and answers each with the milliseconds of
these runs. The first line it writes says which version it is. All peers compute in float32 and get
the same picture, as float32 [1, 3, SIDE, SIDE].
"""
import sys
import time

import numpy as np


def onnxruntime_runner(model, x, threads):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return ort.__version__, lambda: session.run(None, {name: x})


def openvino_runner(model, x, threads):
    import openvino as ov

    core = ov.Core()
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
    }
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    tensor = ov.Tensor(x)

    def run():
        request.infer([tensor])
        return [request.get_output_tensor(i).data for i in range(len(request.model_outputs))]

    return ov.__version__, run


def ncnn_runner(model, x, threads):
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    if net.load_param(model + ".param") or net.load_model(model + ".bin"):
        raise SystemExit("ncnn cannot read " + model)
    names = net.input_names(), net.output_names()

    def run():
        with net.create_extractor() as e:
            e.input(names[0][0], ncnn.Mat(x[0]).clone())
            return [np.array(e.extract(name)[1]) for name in names[1]]

    return ncnn.__version__, run


def main():
    peer, model, side, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    x = np.random.default_rng(0).random((1, 3, side, side), np.float32)
    version, run = globals()[peer + "_runner"](model, x, threads)
    shapes = [tuple(np.shape(y)) for y in run()]
    print(version, shapes, flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            start = time.perf_counter()
            run()
            times.append(1e3 * (time.perf_counter() - start))
        print(" ".join(f"{t:.3f}" for t in times), flush=True)


main()
