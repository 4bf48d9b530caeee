# SPDX-License-Identifier: Apache-2.0
"""LPYOLO in PyTorch and Brevitas, as quantized-yolov5 trains it; written from its description.

Fifteen layers numbered as in models/lpyolo.yaml, so that parameters carry the same names here and in
nibble's checkpoints. Weights: per output channel, narrow signed, scale from the largest magnitude of
the channel at every forward. Activations: unsigned, one clip of 6 kept as log2, no gradient step.
"""
import torch
from brevitas.nn import QuantConv2d, QuantReLU
from brevitas.inject.enum import RestrictValueType
from brevitas.quant import Int8WeightPerChannelFloat, Uint8ActPerTensorFloatMaxInit
from torch import nn

ANCHORS = ((10, 14), (23, 27), (37, 58))  # pixels
STRIDE = 32
CLIP = 6.0
# channels and kernel of a convolution; None: a pool of 2 by 2
LAYERS = ((8, 3), None, (8, 3), None, (16, 3), None, (32, 3), None, (56, 3), None, (104, 3),
          (208, 3), (56, 1), (104, 3))


class WeightQuant(Int8WeightPerChannelFloat):
    scaling_min_val = 2e-16


class ActQuant(Uint8ActPerTensorFloatMaxInit):
    restrict_scaling_type = RestrictValueType.LOG_FP
    scaling_min_val = 2e-16
    max_val = CLIP


def conv(c1, c2, k, bits):
    if bits is None:
        return nn.Conv2d(c1, c2, k, padding=k // 2, bias=False)
    return QuantConv2d(c1, c2, k, padding=k // 2, bias=False, weight_quant=WeightQuant,
                       weight_bit_width=bits)


class Block(nn.Module):
    """Convolution, batch norm, ReLU; bits: (weights, activations) or None for floats."""

    def __init__(self, c1, c2, k, bits):
        super().__init__()
        self.conv = conv(c1, c2, k, bits and bits[0])
        self.bn = nn.BatchNorm2d(c2, eps=1e-3, momentum=0.03)
        self.bn.running_var.fill_(0.9)  # a start pass over a black picture leaves this
        self.act = nn.ReLU(inplace=True) if bits is None else QuantReLU(
            act_quant=ActQuant, bit_width=bits[1], return_quant_tensor=True)

    def forward(self, x):
        return self.act(self.bn(self.conv(x)))


class Head(nn.Module):
    def __init__(self, c1, c2, bits):
        super().__init__()
        self.conv = conv(c1, c2, 3, bits)

    def forward(self, x):
        return self.conv(x)


class Lpyolo(nn.Module):
    """Pictures [N, 3, H, W] in 0 to 1 -> raw outputs [N, 3 * (5 + nc), H / 32, W / 32].

    bits: (weights, activations), with 8-bit weights in the first and the last layer; None: floats.
    """

    def __init__(self, nc, bits):
        super().__init__()
        layers = []
        channels = 3
        for number, layer in enumerate(LAYERS):
            if layer is None:
                layers.append(nn.MaxPool2d(2, 2))
                continue
            own = bits and (8 if number == 0 else bits[0], bits[1])
            layers.append(Block(channels, layer[0], layer[1], own))
            channels = layer[0]
        layers.append(Head(channels, len(ANCHORS) * (5 + nc), bits and 8))
        self.model = nn.ModuleList(layers)
        if bits is not None:
            self.half().float()  # the peer's trainer does this once: the clip becomes 6.0040563

    def forward(self, x):
        for layer in self.model:
            x = layer(x)
        return x


def nibble_name(name):
    """The name in nibble's checkpoints of an entry of state_dict(); None: not kept there."""
    if name.endswith("num_batches_tracked"):
        return None
    return name.replace(".act.act_quant.fused_activation_quant_proxy.tensor_quant.scaling_impl.value",
                        ".act_quant.value")


def load_nibble(model, path):
    """Fills the model from a checkpoint of nibble's; every parameter must be there."""
    from safetensors.torch import load_file
    stored = load_file(path)
    for name, value in model.state_dict().items():
        key = nibble_name(name)
        if key is not None:
            with torch.no_grad():
                value.copy_(stored[key].reshape(value.shape))


def save_nibble(model, path, like):
    """Writes a checkpoint for nibble: the one at `like` with this model's values."""
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file
    stored = load_file(like)
    for name, value in model.state_dict().items():
        key = nibble_name(name)
        if key is not None:
            stored[key] = value.detach().reshape(stored[key].shape).contiguous()
    with safe_open(like, "pt") as file:
        save_file(stored, path, metadata=file.metadata())
