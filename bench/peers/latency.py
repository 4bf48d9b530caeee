#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Latency of nibble's float engine beside ONNX Runtime, OpenVINO (float32) and ncnn.

All compute the same network up to the raw outputs of its head, from one picture. They take turns,
a few runs each, on the same CPUs; the best and the median of all runs count. A peer that cannot be
set up or cannot read the network is named and left out. Only the standard library here.
"""
import argparse
import glob
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PNNX = "pnnx==20261020"  # makes ncnn's files
PEERS = ("onnxruntime", "openvino", "ncnn")


def say(text):
    print(text, file=sys.stderr, flush=True)


def fail(text):
    say(f"latency: {text}")
    sys.exit(1)


def setup(folder):
    """The virtual environment of the peers, made when it is not there."""
    python = os.path.join(folder, "bin", "python")
    if os.path.exists(os.path.join(folder, "ready")):
        return python
    say(f"setting up the peers in {folder}; downloads about 150 MB once")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(install + ["-r", os.path.join(HERE, "requirements-latency.txt")], check=True,
                   stdout=2)
    # only its program is used, which needs none of the gigabytes that the package lists
    subprocess.run(install + ["--no-deps", PNNX], check=True, stdout=2)
    subprocess.run([python, "-c", "import onnxruntime, openvino, ncnn"], check=True, stdout=2)
    open(os.path.join(folder, "ready"), "w", encoding="ascii").close()
    return python


def network(args, folder):
    """The network as an ONNX file."""
    out = os.path.join(folder, "network.onnx")
    if args.onnx:
        shutil.copy(args.onnx, out)
        return out
    subprocess.run([args.nibble, "export", f"model={args.model}", f"imgsz={args.imgsz}",
                    "format=onnx", "raw=levels", "batch=1", f"out={out}"], check=True, stdout=2)
    if not os.path.exists(out):
        fail(f"{args.nibble} export did not write {out}")
    return out


def for_ncnn(python, onnx, imgsz):
    """pnnx writes NAME.ncnn.param and NAME.ncnn.bin beside the file."""
    found = glob.glob(os.path.join(os.path.dirname(os.path.dirname(python)), "lib", "python3*",
                                   "site-packages", "pnnx", "pnnx"))
    if not found:
        return None
    os.chmod(found[0], 0o755)
    result = subprocess.run([found[0], onnx, f"inputshape=[1,3,{imgsz},{imgsz}]", "fp16=0"],
                            cwd=os.path.dirname(onnx), stdout=subprocess.DEVNULL,
                            stderr=subprocess.STDOUT, check=False)
    out = onnx[: -len(".onnx")] + ".ncnn"
    return out if result.returncode == 0 and os.path.exists(out + ".bin") else None


class Peer:
    """A process that answers each number of runs with their milliseconds."""

    def __init__(self, python, name, model, imgsz, threads, cpus):
        self.name = name
        self.times = []
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
        self.process = subprocess.Popen(
            [python, os.path.join(HERE, "latency_peer.py"), name, model, str(imgsz), str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
            preexec_fn=lambda: os.sched_setaffinity(0, cpus))
        self.version = self.process.stdout.readline().split(" ")[0].strip()

    def measure(self, runs):
        self.process.stdin.write(f"{runs}\n")
        self.process.stdin.flush()
        self.times += [float(t) for t in self.process.stdout.readline().split()]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Nibble:
    """A new process each time: starting is not counted, warming up is done."""

    name = "nibble"

    def __init__(self, args, threads, cpus):
        self.args, self.threads, self.cpus = args, threads, cpus
        self.best, self.medians, self.start_ms, self.rss = [], [], [], 0.0
        self.version = subprocess.run([args.nibble, "--version"], stdout=subprocess.PIPE, text=True,
                                      check=True).stdout.split()[-1]

    def measure(self, runs):
        out = subprocess.run(
            [self.args.nibble, "benchmark", f"model={self.args.model}", "engine=float",
             f"imgsz={self.args.imgsz}", f"threads={self.threads}", f"runs={runs}", "--json"],
            stdout=subprocess.PIPE, check=True, text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, self.cpus)).stdout
        result = json.loads(out)
        self.best.append(result["latency_ms"]["min"])
        self.medians.append(result["latency_ms"]["p50"])
        self.start_ms.append(result["start_ms"])
        self.rss = max(self.rss, result["peak_rss_mb"])

    def close(self):
        pass


def row(entry):
    if isinstance(entry, Nibble):
        return {"name": entry.name, "version": entry.version, "best_ms": min(entry.best),
                "median_ms": statistics.median(entry.medians), "start_ms": min(entry.start_ms)}
    return {"name": entry.name, "version": entry.version, "best_ms": min(entry.times),
            "median_ms": statistics.median(entry.times)}


def measure(args, python, models, threads):
    cpus = sorted(os.sched_getaffinity(0))[:threads]
    if len(cpus) < threads:
        say(f"{threads} threads on {len(cpus)} CPUs")
    entries = [Nibble(args, threads, cpus)]
    for name, model in models.items():
        peer = Peer(python, name, model, args.imgsz, threads, cpus)
        if peer.version:
            entries.append(peer)
        else:
            say(f"{name} cannot run the network and is left out")
    for _ in range(args.rounds):
        for entry in entries:
            entry.measure(args.runs)
            time.sleep(0.1)  # threads that still spin
    for entry in entries:
        entry.close()
    rows = [row(entry) for entry in entries]
    best = min((r["best_ms"] for r in rows[1:]), default=None)
    return {"threads": threads, "rows": rows,
            "ratio_to_best_peer": rows[0]["best_ms"] / best if best else None}


def show(result):
    print(f"\n{result['threads']} thread{'s' if result['threads'] > 1 else ''}")
    print(f"{'':14}{'best ms':>10}{'median ms':>11}{'nibble is':>14}")
    own = result["rows"][0]["best_ms"]
    for r in result["rows"]:
        ratio = f"{own / r['best_ms']:.2f} of it" if r["name"] != "nibble" else ""
        print(f"{r['name']:14}{r['best_ms']:10.2f}{r['median_ms']:11.2f}{ratio:>14}   {r['version']}")


def parse():
    parser = argparse.ArgumentParser(prog="bench/latency.sh", description=__doc__)
    parser.add_argument("--setup", action="store_true", help="only set up the peers")
    parser.add_argument("--venv", default=os.path.join(ROOT, "build", "latency-peers"))
    parser.add_argument("--nibble", default=os.path.join(ROOT, "build", "nibble"))
    parser.add_argument("--model", default="yolov10n.yaml", help="what nibble runs")
    parser.add_argument("--onnx", help="the same network for the peers; else nibble exports it")
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--threads", default="1,2", help="numbers of threads, with commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=10, help="of each in a round")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


def main():
    args = parse()
    python = setup(args.venv)
    if args.setup:
        return
    with tempfile.TemporaryDirectory() as folder:
        onnx = network(args, folder)
        models = {name: onnx for name in args.peers.split(",") if name}
        if "ncnn" in models:
            models["ncnn"] = for_ncnn(python, onnx, args.imgsz)
            if not models["ncnn"]:
                say("pnnx cannot read the network: ncnn is left out")
                del models["ncnn"]
        results = [measure(args, python, models, int(t)) for t in args.threads.split(",")]
    if args.json:
        print(json.dumps({"model": args.model, "imgsz": args.imgsz, "results": results}, indent=1))
        return
    for result in results:
        show(result)
        nibble = result["rows"][0]
        print(f"nibble: first result {nibble['start_ms']:.0f} ms after it started")


main()
