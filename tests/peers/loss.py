# SPDX-License-Identifier: Apache-2.0
"""The loss of bench/peers against numbers that quantized-yolov5 itself gave."""
import sys

import torch

from peer_loss import Loss
from peer_model import ANCHORS

TARGETS = ((0, 0, .5, .5, .1, .15), (0, 0, .2, .7, .05, .06), (1, 0, .96, .03, .3, .4),
           (1, 0, .31, .33, .02, .02), (1, 0, .5, .5, .9, .9))
LOSS, PARTS, MATCHES = 8.7075424, (0.1685807, 4.1851907, 0.0), 19
GRADIENTS = (0.0096297, 0.0136189, 0.0065371, 0.0058328, 0.1756532, 0.0)


def main():
    k = torch.arange(2 * 3 * 13 * 13 * 6, dtype=torch.float64)
    raw = (1.5 * torch.sin(0.37 * k)).float().view(2, 3, 13, 13, 6).permute(0, 1, 4, 2, 3)
    raw = raw.reshape(2, 18, 13, 13).requires_grad_()
    targets = torch.tensor(TARGETS)
    loss = Loss(1, ANCHORS, 32, 416)
    total, parts = loss(raw, targets)
    total.backward()
    norms = raw.grad.view(2, 3, 6, -1).permute(2, 0, 1, 3).reshape(6, -1).norm(dim=1)
    matches = len(loss.assign(targets, 13, 13)[0])
    found = [total.item(), *parts.tolist(), *norms.tolist(), matches]
    wanted = [LOSS, *PARTS, *GRADIENTS, MATCHES]
    print("found", found)
    sys.exit(any(abs(a - b) > 2e-6 * max(1.0, abs(b)) for a, b in zip(found, wanted)) and
             f"expected {wanted}")


if __name__ == "__main__":
    main()
