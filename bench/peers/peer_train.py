# SPDX-License-Identifier: Apache-2.0
"""Trains the peer for some seconds and prints one JSON object about it."""
import argparse
import copy
import json
import math
import sys
import time

import torch

from peer_data import loader
from peer_loss import Loss
from peer_model import ANCHORS, STRIDE, Lpyolo

LR, FINAL, MOMENTUM, DECAY = 0.01, 0.1, 0.937, 5e-4
WARMUP, WARMUP_MOMENTUM, WARMUP_BIAS_LR = 1000, 0.8, 0.1
NOMINAL_BATCH = 64
EPOCHS = 300
FIRST_STEPS = 3  # not timed


class Ema:
    """The average of everything in the model that is a real number."""

    def __init__(self, model):
        self.average = copy.deepcopy(model).eval()
        self.updates = 0
        for p in self.average.parameters():
            p.requires_grad_(False)

    @torch.no_grad()
    def update(self, model):
        self.updates += 1
        d = 0.9999 * (1 - math.exp(-self.updates / 2000))
        now = model.state_dict()
        for name, value in self.average.state_dict().items():
            if value.dtype.is_floating_point:
                value *= d
                value += (1 - d) * now[name].detach()


def optimizer_of(model, batch):
    """SGD over norms, other weights (with decay), biases; quantizer scales are in none of them."""
    norms, weights, biases = [], [], []
    for module in model.modules():
        if isinstance(getattr(module, "bias", None), torch.nn.Parameter):
            biases.append(module.bias)
        if isinstance(getattr(module, "weight", None), torch.nn.Parameter):
            (norms if isinstance(module, torch.nn.BatchNorm2d) else weights).append(module.weight)
    accumulate = max(round(NOMINAL_BATCH / batch), 1)
    sgd = torch.optim.SGD(norms, lr=LR, momentum=MOMENTUM, nesterov=True)
    sgd.add_param_group({"params": weights, "weight_decay": DECAY * batch * accumulate / NOMINAL_BATCH})
    sgd.add_param_group({"params": biases})
    return sgd


class Training:
    def __init__(self, args, paths):
        bits = None if args.bits == "float" else tuple(int(b) for b in args.bits[1:].split("a"))
        torch.manual_seed(0)
        self.model = Lpyolo(args.nc, bits).train()
        self.ema = Ema(self.model)
        self.sgd = optimizer_of(self.model, args.batch)
        self.loss = Loss(args.nc, ANCHORS, STRIDE, args.imgsz)
        self.batches = loader(paths, args.imgsz, args.batch, args.workers)
        self.batch = args.batch
        self.steps, self.stepped = 0, -1
        self.pictures, self.waited = 0, 0.0
        self.mean = torch.zeros(3)

    def warm_up(self, epoch):
        """The rates of this iteration; how many batches make a step."""
        part = min(self.steps / WARMUP, 1.0)
        lf = (1 - math.cos(epoch * math.pi / EPOCHS)) / 2 * (FINAL - 1) + 1
        for number, group in enumerate(self.sgd.param_groups):
            start = WARMUP_BIAS_LR if number == 2 else 0.0
            group["lr"] = start + part * (LR * lf - start)
            group["momentum"] = WARMUP_MOMENTUM + part * (MOMENTUM - WARMUP_MOMENTUM)
        return max(1, round(1 + part * (NOMINAL_BATCH / self.batch - 1)))

    def step(self, images, targets, epoch):
        accumulate = self.warm_up(epoch)
        images = images.float() / 255.0
        loss, parts = self.loss(self.model(images), targets)
        loss.backward()
        if self.steps - self.stepped >= accumulate:
            self.sgd.step()
            self.sgd.zero_grad()
            self.ema.update(self.model)
            self.stepped = self.steps
        self.mean = (self.mean * self.steps + parts) / (self.steps + 1)
        self.steps += 1
        self.pictures += len(images)

    def run(self, seconds):
        """Trains, and begins to count after the first steps; returns the seconds counted."""
        start = None
        for epoch in range(EPOCHS * 1000):
            asked = time.perf_counter()
            for images, targets in self.batches:
                got = time.perf_counter()
                self.waited += got - asked
                self.step(images, targets, epoch)
                asked = time.perf_counter()
                if self.steps == FIRST_STEPS:
                    start, self.pictures, self.waited = asked, 0, 0.0
                elif start is not None and asked - start >= seconds:
                    return asked - start
        raise RuntimeError("no pictures")

    def worker_pids(self):
        iterator = getattr(self.batches, "_iterator", None)
        return [w.pid for w in getattr(iterator, "_workers", [])]


def kib(path, *keys):
    with open(path, encoding="ascii") as file:
        rows = dict(line.split(":", 1) for line in file if ":" in line)
    return sum(int(rows[key].split()[0]) for key in keys)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("list", help="file with one picture a line")
    p.add_argument("--nc", type=int, required=True)
    p.add_argument("--bits", default="w4a4", help="w4a4, ..., or float")
    p.add_argument("--seconds", type=float, default=15)
    p.add_argument("--imgsz", type=int, default=416)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--workers", type=int, default=2)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    with open(args.list, encoding="utf-8") as file:
        paths = file.read().split("\n")
    training = Training(args, [path for path in paths if path])
    seconds = training.run(args.seconds)
    workers = sum(kib(f"/proc/{pid}/smaps_rollup", "Private_Clean", "Private_Dirty")
                  for pid in training.worker_pids())
    json.dump({"images_per_second": training.pictures / seconds, "pictures": training.pictures,
               "steps": training.steps, "seconds": seconds, "loader_share": training.waited / seconds,
               "peak_mib": kib("/proc/self/status", "VmHWM") / 1024, "workers_mib": workers / 1024,
               "loss": training.mean.tolist(), "torch": torch.__version__}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
