# SPDX-License-Identifier: Apache-2.0
"""Trains a model with Ultralytics for some seconds and prints one JSON object about it."""
import argparse
import contextlib
import json
import os
import sys
import time

FIRST_STEPS = 3  # not timed


class Done(Exception):
    """The time is over."""


class Clock:
    """Counts training steps; the time between them is the loader's as far as its batch is late."""

    def __init__(self, seconds, batch):
        self.limit, self.batch = seconds, batch
        self.steps, self.start, self.ended, self.waited = 0, 0.0, 0.0, 0.0
        self.workers_kib = 0

    def batch_start(self, _):
        if self.start:
            self.waited += time.monotonic() - self.ended

    def batch_end(self, trainer):
        now = self.ended = time.monotonic()
        self.steps += 1
        if self.steps == FIRST_STEPS:
            self.start, self.waited = now, 0.0
        if self.start and now - self.start >= self.limit:
            workers = getattr(getattr(trainer.train_loader, "iterator", None), "_workers", [])
            self.workers_kib = sum(kib(f"/proc/{worker.pid}/smaps_rollup", "Private_Clean",
                                       "Private_Dirty") for worker in workers)
            raise Done

    def result(self):
        seconds = self.ended - self.start
        pictures = (self.steps - FIRST_STEPS) * self.batch
        return {"images_per_second": pictures / seconds, "pictures": pictures,
                "loader_share": self.waited / seconds,
                "peak_mib": kib("/proc/self/status", "VmHWM") / 1024,
                "workers_mib": self.workers_kib / 1024}


def kib(path, *keys):
    with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
        return sum(int(line.split()[1]) for line in file if line.split(":")[0] in keys)
    return 0


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("model")
    p.add_argument("data")
    p.add_argument("--seconds", type=float, required=True)
    p.add_argument("--imgsz", type=int, required=True)
    p.add_argument("--batch", type=int, required=True)
    p.add_argument("--threads", type=int, required=True)
    p.add_argument("--workers", type=int, required=True)
    p.add_argument("--project", required=True)
    args = p.parse_args()
    os.environ.setdefault("YOLO_OFFLINE", "1")
    clock = Clock(args.seconds, args.batch)
    with contextlib.redirect_stdout(sys.stderr):
        import torch
        from ultralytics import YOLO, settings
        settings.update({"sync": False})
        torch.set_num_threads(args.threads)
        model = YOLO(args.model)
        model.add_callback("on_train_start", lambda _: torch.set_num_threads(args.threads))
        model.add_callback("on_train_batch_start", clock.batch_start)
        model.add_callback("on_train_batch_end", clock.batch_end)
        with contextlib.suppress(Done):
            model.train(data=args.data, imgsz=args.imgsz, batch=args.batch, epochs=1000,
                        workers=args.workers, device="cpu", cache="ram", val=False, save=False,
                        plots=False, pretrained=False, project=args.project, name="peer",
                        exist_ok=True)
    json.dump(clock.result(), sys.stdout)


if __name__ == "__main__":
    main()
