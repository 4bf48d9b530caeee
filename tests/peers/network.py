# SPDX-License-Identifier: Apache-2.0
"""LPYOLO with the same weights in nibble and in PyTorch with Brevitas: the same raw outputs.

usage: network.py NIBBLE PEER_OUTPUTS. nibble trains for an epoch on drawn pictures; the peer reads
the checkpoint with the safetensors package, spreads the batch norms so that every layer has
something to say, and writes a checkpoint that nibble reads.

Where a value lies within float rounding of the middle between two codes, both may round it their way
and both be right; so pictures are drawn until one has no such value in any layer.
"""
import subprocess
import sys
import tempfile

import numpy as np
import torch

import peer_model

SIDE, CLASSES = 64, 3
TIE = 2e-5        # in codes; float32 sums of a layer are good to about 1e-6
TOLERANCE = 1e-4  # of the largest output
WIDTHS = {"w4a4": (4, 4), "w2a4": (2, 4), "w3a5": (3, 5), "w8a3": (8, 3), "none": None}


def train(nibble, folder, quantize):
    model = "lpyolo-float.yaml" if quantize == "none" else "lpyolo.yaml"
    subprocess.run([nibble, "train", f"model={model}", f"quantize={quantize}",
                    f"data={folder}/data/data.yaml", f"imgsz={SIDE}", "batch=4", "epochs=1", "plots=0",
                    "threads=1", "compat=quantized-yolov5", "ema_tau=1", f"project={folder}",
                    f"name={quantize}", "progress=off", "verbose=0", "json=1"],
                   check=True, stdout=subprocess.DEVNULL)
    return f"{folder}/{quantize}/weights/best.safetensors"


def picture(seed):
    """Smooth and noisy at once, so that every layer sees something."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 256, (SIDE // 8, SIDE // 8, 3)).repeat(8, 0).repeat(8, 1)
    return np.clip(blocks + random.normal(0, 20, blocks.shape), 0, 255).astype(np.uint8)


def spread(model):
    """Batch norms of strong and weak, also negative channels, with the statistics of a batch."""
    random = torch.Generator().manual_seed(1)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
        with torch.no_grad():
            norm.weight.uniform_(-1, 3, generator=random)
            norm.bias.uniform_(-0.5, 2, generator=random)
    batch = np.stack([picture(seed) for seed in range(1000, 1008)]).transpose(0, 3, 1, 2)
    with torch.no_grad():
        model.train()(torch.from_numpy(batch.copy()).float() / 255)


class Ties:
    """The smallest distance of an activation to the middle between two codes, in codes."""

    def __init__(self, model):
        self.nearest = float("inf")
        for layer in model.model:
            act = getattr(layer, "act", None)
            if hasattr(act, "act_quant"):
                act.register_forward_pre_hook(self.look)

    def look(self, act, inputs):
        codes = inputs[0] / act.act_quant.scale()
        codes = codes[(codes > 0) & (codes < 2 ** act.act_quant.bit_width())]
        if len(codes):
            self.nearest = min(self.nearest, float((codes % 1 - 0.5).abs().min()))


def outputs_of_peer(model, rgb):
    x = torch.from_numpy(rgb.transpose(2, 0, 1).copy())[None].float() / 255
    with torch.no_grad():
        return model(x)[0].permute(1, 2, 0).numpy()


def compare(nibble, tool, folder, quantize):
    path = train(nibble, folder, quantize)
    model = peer_model.Lpyolo(CLASSES, WIDTHS[quantize])
    peer_model.load_nibble(model, path)
    spread(model)
    peer_model.save_nibble(model.eval(), f"{folder}/spread.safetensors", path)
    ties = Ties(model)
    for seed in range(100):
        rgb = picture(seed)
        ties.nearest = float("inf")
        theirs = outputs_of_peer(model, rgb)
        if ties.nearest > TIE:
            break
    else:
        return f"{quantize}: no picture of 100 without a tie"
    np.save(f"{folder}/picture.npy", rgb)
    subprocess.run([tool, f"{folder}/spread.safetensors", f"{folder}/picture.npy",
                    f"{folder}/out.npy"], check=True)
    ours = np.load(f"{folder}/out.npy")
    if ours.shape != theirs.shape:
        return f"{quantize}: outputs {ours.shape}, the peer's {theirs.shape}"
    worst = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
    print(f"{quantize}: {ours.size} outputs, largest difference {worst:.1e} of the largest, "
          f"picture {seed}, spread {theirs.std():.3g}")
    if theirs.std() < 0.1:
        return f"{quantize}: the outputs say nothing, they spread by {theirs.std():.3g}"
    return None if worst <= TOLERANCE else f"{quantize}: {worst:.3g} apart, at most {TOLERANCE}"


def main():
    nibble, tool = sys.argv[1:3]
    parameters = sum(p.numel() for p in peer_model.Lpyolo(1, (4, 4)).parameters())
    bad = [] if parameters == 351889 else [f"{parameters} parameters, expected 351889"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([nibble, "data", "synth", f"out={folder}/data", "train_images=32",
                        "val_images=4", f"imgsz={SIDE}"], check=True, stdout=subprocess.DEVNULL)
        bad += [text for text in (compare(nibble, tool, folder, q) for q in WIDTHS) if text]
    sys.exit("\n".join(bad) or 0)


if __name__ == "__main__":
    main()
