#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Training speed of nibble beside that of its peer (PyTorch and Brevitas for LPYOLO, Ultralytics for
any other model), on the same pictures.

Short segments of the programs alternate on the same CPUs; the median of each counts. Needs a
release build of nibble and, the first time, PyPI (see README.md). Only the standard library here:
what needs packages runs in a virtual environment of its own.
"""
import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TUNED = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "17179869184",
         "MALLOC_TOP_PAD_": "268435456"}
COMPAT = "compat=quantized-yolov5"
PROGRAMS = ("nibble", "peer", "peer tuned")
DISK_GIB = 8  # what setting up needs for a while


def say(text):
    print(text, file=sys.stderr, flush=True)


def fail(text):
    say(f"train_speed: {text}")
    sys.exit(1)


def read_lines(path):
    with open(path, encoding="utf-8") as file:
        return [line.strip() for line in file if line.strip()]


# ---- the virtual environment ----


def loads(python, module):
    return subprocess.run([python, "-c", f"import {module}"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False).returncode == 0


def peer_python(folder, ultralytics):
    """The interpreter of the environment, which is made when it is not there."""
    python = os.path.join(folder, "bin", "python")
    if not os.path.exists(os.path.join(folder, "ready")):
        make_environment(folder, python)
    if ultralytics and not os.path.exists(os.path.join(folder, "ready-ultralytics")):
        install(python, "requirements-ultralytics.txt")
        subprocess.run([python, "-W", "ignore", "-c", "import torchvision, ultralytics"], check=True,
                       stdout=2)
        open(os.path.join(folder, "ready-ultralytics"), "w", encoding="ascii").close()
    return python


def install(python, requirements):
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                    "--no-deps", "-r", os.path.join(HERE, requirements)], check=True, stdout=2)


def make_environment(folder, python):
    os.makedirs(folder, exist_ok=True)
    if not os.path.exists(python) and shutil.disk_usage(folder).free < DISK_GIB << 30:
        fail(f"{folder}: expected {DISK_GIB} GiB of free disk to set up the peer in")
    say(f"setting up the peer in {folder}; downloads about 2 GB once")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install(python, "requirements.txt")
    if not loads(python, "torch"):
        install(python, "requirements-cuda.txt")
    subprocess.run([python, "-W", "ignore", "-c", "import torch, brevitas.nn, cv2, safetensors, yaml"],
                   check=True, stdout=2)
    open(os.path.join(folder, "ready"), "w", encoding="ascii").close()


# ---- the pictures ----


def synthetic(nibble, folder, imgsz):
    out = os.path.join(folder, "synthetic")
    subprocess.run([nibble, "data", "synth", f"out={out}", "train_images=256", "val_images=4",
                    f"imgsz={imgsz}"], check=True, stdout=2)
    return os.path.join(out, "data.yaml")


FIND_PICTURES = """
import json, os, sys, yaml
path = sys.argv[1]
data = yaml.safe_load(open(path, encoding="utf-8"))
folder = os.path.join(os.path.dirname(os.path.abspath(path)), data.get("path") or "")
found = []
for entry in data["train"] if isinstance(data["train"], list) else [data["train"]]:
    place = os.path.join(folder, entry)
    if os.path.isfile(place):
        found += [os.path.join(os.path.dirname(place), l.strip()) for l in open(place) if l.strip()]
    for base, _, files in os.walk(place):
        found += [os.path.join(base, f) for f in files if f.lower().endswith((".jpg", ".jpeg", ".png"))]
names = data.get("names") or {}
json.dump([sorted(os.path.normpath(p) for p in found), int(data.get("nc") or len(names))], sys.stdout)
"""


def pictures_of(python, data, folder):
    """Lists of the training pictures, read by both programs; how many and how many classes."""
    paths, nc = json.loads(subprocess.run([python, "-c", FIND_PICTURES, data], check=True,
                                          stdout=subprocess.PIPE).stdout)
    if len(paths) < 4:
        fail(f"{data}: expected at least 4 training pictures, found {len(paths)}")
    for name, chosen in (("train", paths), ("val", paths[:4])):
        with open(os.path.join(folder, f"{name}.txt"), "w", encoding="utf-8") as file:
            file.write("".join(f"{path}\n" for path in chosen))
    with open(os.path.join(folder, "data.yaml"), "w", encoding="utf-8") as file:
        json.dump({"path": folder, "train": "train.txt", "val": "val.txt", "nc": nc,
                   "names": [f"c{i}" for i in range(nc)]}, file)
    return len(paths), nc


# ---- one segment ----


def busy_seconds():
    """CPU seconds that all CPUs together have worked."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(t) for t in file.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def run(command, env=None):
    """The JSON object that a program prints; peak memory; CPUs that others used meanwhile."""
    busy, start = busy_seconds(), time.monotonic()
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True,
                                 env={**os.environ, **(env or {})})
        out = child.stdout.read()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            errors.seek(0)
            fail(f"{' '.join(command)}: exit {child.returncode}\n{errors.read()[-2000:]}")
    seconds = time.monotonic() - start
    result = json.loads(out)
    result["peak_rss_mib"] = used.ru_maxrss / 1024
    others = (busy_seconds() - busy - used.ru_utime - used.ru_stime) / seconds
    result["other_cpus"] = max(0.0, others)
    return result


class Bench:
    def __init__(self, args, python, folder):
        self.args, self.python, self.folder = args, python, folder
        self.n, self.nc = pictures_of(python, args.data, folder)
        self.rate = {}

    def nibble(self, bits, epochs):
        a = self.args
        lpyolo = "lpyolo-float.yaml" if bits == "float" else "lpyolo.yaml"
        model = a.model or lpyolo
        quantize = "none" if bits == "float" else bits
        settings = [] if a.nibble_defaults or a.model else [COMPAT]
        r = run([a.nibble, "train", f"model={model}", f"data={self.folder}/data.yaml",
                 f"imgsz={a.imgsz}", f"batch={a.batch}", f"epochs={epochs}", f"threads={a.threads}",
                 f"workers={a.threads}", f"quantize={quantize}", "plots=0", "progress=off",
                 "verbose=0", "json=1", "save_minutes=0", f"project={self.folder}/runs", "name=run",
                 "exist_ok=1"] + settings + a.settings)
        rows = [line.split(",") for line in read_lines(os.path.join(r["run"], "results.csv"))]
        column = rows[0].index("images_per_second")
        first, last = float(rows[1][column]), float(rows[-1][column])
        counted = self.n * (epochs - 1)  # the first epoch also decodes, as the peer does before
        rate = counted / (epochs * self.n / last - self.n / first) if epochs > 1 else first
        return {"images_per_second": rate, "pictures": counted, "loader_share": r["loader_share"],
                "peak_mib": r["peak_rss_mib"], "workers_mib": 0.0, "other_cpus": r["other_cpus"]}

    def peer(self, bits, env):
        a = self.args
        return run([self.python, "-W", "ignore", os.path.join(HERE, "peer_train.py"),
                    f"{self.folder}/train.txt", "--nc", str(self.nc), "--bits", bits, "--seconds",
                    str(a.seconds), "--imgsz", str(a.imgsz), "--batch", str(a.batch), "--threads",
                    str(a.threads), "--workers", str(a.threads)], env)

    def ultralytics(self, env):
        a = self.args
        return run([self.python, "-W", "ignore", os.path.join(HERE, "ultralytics_train.py"), a.model,
                    f"{self.folder}/data.yaml", "--seconds", str(a.seconds), "--imgsz", str(a.imgsz),
                    "--batch", str(a.batch), "--threads", str(a.threads), "--workers",
                    str(a.threads), "--project", f"{self.folder}/runs"], env)

    def segment(self, program, bits):
        if program != "nibble" and self.args.model:
            return self.ultralytics(TUNED if program == "peer tuned" else {})
        if program != "nibble":
            return self.peer(bits, TUNED if program == "peer tuned" else {})
        if bits not in self.rate:
            self.rate[bits] = self.nibble(bits, 1)["images_per_second"]
        epochs = 1 + max(1, math.ceil(self.args.seconds * self.rate[bits] / self.n))
        return self.nibble(bits, epochs)

    def measure(self, bits):
        segments = {program: [] for program in PROGRAMS}
        for turn in range(self.args.rounds):
            for program in PROGRAMS:
                s = self.segment(program, bits)
                segments[program].append(s)
                say(f"{bits} {turn + 1}/{self.args.rounds} {program:10} "
                    f"{s['images_per_second']:7.1f} pictures/s, others {s['other_cpus']:.1f} CPUs")
        return {program: summary(s) for program, s in segments.items()}


# ---- the table ----


def summary(segments):
    def median(key):
        return statistics.median(s[key] for s in segments)
    return {"images_per_second": median("images_per_second"),
            "lowest": min(s["images_per_second"] for s in segments),
            "highest": max(s["images_per_second"] for s in segments),
            "peak_mib": max(s["peak_mib"] for s in segments),
            "workers_mib": max(s["workers_mib"] for s in segments),
            "loader_share": median("loader_share"), "segments": segments}


def print_table(result):
    print(f"{result['model'] or 'LPYOLO'}, {result['pictures']} pictures, {result['imgsz']} pixels, batch {result['batch']}, "
          f"{result['threads']} threads on CPUs {result['cpus']} ({result['cpu']})")
    print(f"{'bits':6} {'program':11} {'pictures/s':>10} {'lowest':>8} {'highest':>8} "
          f"{'nibble is':>10} {'peak MiB':>9} {'loaders MiB':>12} {'waits':>6}")
    for bits, programs in result["results"].items():
        for program, s in programs.items():
            times = programs["nibble"]["images_per_second"] / s["images_per_second"]
            print(f"{bits:6} {program:11} {s['images_per_second']:10.1f} {s['lowest']:8.1f} "
                  f"{s['highest']:8.1f} {'' if program == 'nibble' else f'{times:9.2f}x':>10} "
                  f"{s['peak_mib']:9.0f} {s['workers_mib']:12.0f} {s['loader_share']:6.1%}")
    print("median of the segments; waits: share of the time without a batch to train on; loaders: "
          "processes of the peer")
    if result["other_cpus"] > 0.1:
        print(f"NOT ALONE: other programs used {result['other_cpus']:.1f} CPUs meanwhile")


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else os.uname().machine


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("settings", nargs="*", metavar="key=value",
                   help="data=YAML (default: NIBBLE_DATA's bccd, else drawn pictures);\n"
                        "anything else goes to nibble train")
    p.add_argument("--model", help="a model both have, in float beside Ultralytics: yolov10n.yaml,\n"
                                   "yolov8n.yaml, ... [LPYOLO beside PyTorch and Brevitas]")
    p.add_argument("--bits", help="what to train [w4a4,float; of a --model: float]")
    p.add_argument("--seconds", type=float, default=15, help="of a segment [15]")
    p.add_argument("--rounds", type=int, default=3, help="segments of each program [3]")
    p.add_argument("--threads", type=int, default=2, help="also loader threads or processes [2]")
    p.add_argument("--imgsz", type=int, help="[416; of a --model: 640]")
    p.add_argument("--batch", type=int, help="[16; of a --model: 8]")
    p.add_argument("--nibble-defaults", action="store_true",
                   help=f"train as nibble does by itself, not with {COMPAT}")
    p.add_argument("--nibble", default=os.path.join(ROOT, "build", "nibble"), help="the program")
    p.add_argument("--venv", help="folder of the peer [peers/, beside the program]")
    p.add_argument("--setup", action="store_true", help="only set up the peer")
    p.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    args = p.parse_args()
    args.bits = args.bits or ("float" if args.model else "w4a4,float")
    args.imgsz = args.imgsz or (640 if args.model else 416)
    args.batch = args.batch or (8 if args.model else 16)
    args.nibble = os.path.abspath(args.nibble)
    args.venv = os.path.abspath(args.venv or os.path.join(os.path.dirname(args.nibble), "peers"))
    args.data = next((s[5:] for s in args.settings if s.startswith("data=")), None)
    args.settings = [s for s in args.settings if not s.startswith("data=")]
    if args.data is None and os.environ.get("NIBBLE_DATA"):
        args.data = os.path.join(os.environ["NIBBLE_DATA"], "bccd", "bccd.yaml")
    return args


def main():
    args = arguments()
    if not args.setup and not os.access(args.nibble, os.X_OK):
        fail(f"{args.nibble}: no such program; ./bootstrap build makes it, --nibble names another")
    if args.model and args.bits != "float":
        fail(f"--bits {args.bits}: expected float, Ultralytics trains nothing else")
    python = peer_python(args.venv, args.model is not None)
    if args.setup:
        return
    cpus = sorted(os.sched_getaffinity(0))[:args.threads]
    os.sched_setaffinity(0, cpus)  # every program inherits it
    with tempfile.TemporaryDirectory(prefix="train_speed_") as folder:
        if args.data is None:
            args.data = synthetic(args.nibble, folder, args.imgsz)
        bench = Bench(args, python, folder)
        results = {bits: bench.measure(bits) for bits in args.bits.split(",")}
    segments = [s for r in results.values() for p in r.values() for s in p["segments"]]
    result = {"schema": 1, "data": args.data, "model": args.model, "pictures": bench.n,
              "nc": bench.nc,
              "imgsz": args.imgsz, "batch": args.batch, "threads": args.threads, "cpus": cpus,
              "cpu": cpu_name(), "load_average": os.getloadavg(),
              "nibble_settings": args.settings if args.nibble_defaults or args.model else
              [COMPAT] + args.settings,
              "other_cpus": statistics.mean(s["other_cpus"] for s in segments), "results": results}
    if args.json:
        json.dump(result, sys.stdout, indent=1)
        print()
    else:
        print_table(result)


if __name__ == "__main__":
    main()
