# SPDX-License-Identifier: Apache-2.0
"""The YOLOv5 loss of a one-level head, vectorised over targets; written from its description."""
import math

import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce

BOX, OBJ, CLS = 0.05, 1.0, 0.5  # gains of the hyperparameter file
BALANCE = 4.0                   # of the first level
ANCHOR_RATIO = 4.0
EPS = 1e-7


def ciou(a, b):
    """Complete IoU of boxes [n, 4] as centre and size."""
    a_lo, a_hi = a[:, :2] - a[:, 2:] / 2, a[:, :2] + a[:, 2:] / 2
    b_lo, b_hi = b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2
    inter = (torch.minimum(a_hi, b_hi) - torch.maximum(a_lo, b_lo)).clamp(0).prod(1)
    wa, ha = a[:, 2], a[:, 3] + EPS
    wb, hb = b[:, 2], b[:, 3] + EPS
    iou = inter / (wa * ha + wb * hb - inter + EPS)
    hull = torch.maximum(a_hi, b_hi) - torch.minimum(a_lo, b_lo)
    apart = ((a[:, :2] - b[:, :2]) ** 2).sum(1) / ((hull ** 2).sum(1) + EPS)
    v = 4 / math.pi ** 2 * (torch.atan(wb / hb) - torch.atan(wa / ha)) ** 2
    with torch.no_grad():
        alpha = v / (v - iou + (1 + EPS))
    return iou - (apart + v * alpha)


class Loss:
    def __init__(self, nc, anchors, stride, imgsz):
        self.nc = nc
        self.anchors = torch.tensor(anchors, dtype=torch.float32) / stride
        self.offsets = torch.tensor([[0, 0], [0.5, 0], [0, 0.5], [-0.5, 0], [0, -0.5]])
        self.box = BOX * 3
        self.obj = OBJ * (imgsz / 640) ** 2 * 3
        self.cls = CLS * nc / 80 * 3

    def assign(self, targets, nx, ny):
        """targets [n, 6]: picture, class, x, y, w, h -> picture, class, anchor, cell, box."""
        size = torch.tensor([nx, ny], dtype=torch.float32)
        xy, wh = targets[:, 2:4] * size, targets[:, 4:6] * size
        ratio = wh[None] / self.anchors[:, None]
        anchor, row = (torch.maximum(ratio, 1 / ratio).amax(2) < ANCHOR_RATIO).nonzero(as_tuple=True)
        xy, wh, rest = xy[row], wh[row], size - xy[row]
        own = torch.ones(len(row), 1, dtype=torch.bool)
        low = (xy % 1 < 0.5) & (xy > 1)
        high = (rest % 1 < 0.5) & (rest > 1)
        which, i = torch.cat([own, low, high], 1).T.nonzero(as_tuple=True)
        cell = (xy[i] - self.offsets[which]).long()
        cell = torch.minimum(cell.clamp(min=0), size.long() - 1)
        picture, label = targets[row[i], :2].long().T
        return picture, label, anchor[i], cell, torch.cat([xy[i] - cell, wh[i]], 1)

    def __call__(self, raw, targets):
        """raw [N, anchors * (5 + nc), ny, nx] -> loss to differentiate, its three detached parts."""
        n, _, ny, nx = raw.shape
        raw = raw.view(n, len(self.anchors), 5 + self.nc, ny, nx).permute(0, 1, 3, 4, 2).contiguous()
        picture, label, anchor, cell, box = self.assign(targets, nx, ny)
        wanted = torch.zeros(raw.shape[:-1])
        box_loss = cls_loss = torch.zeros(())
        if len(picture):
            p = raw[picture, anchor, cell[:, 1], cell[:, 0]]
            xy = p[:, :2].sigmoid() * 2 - 0.5
            wh = (p[:, 2:4].sigmoid() * 2) ** 2 * self.anchors[anchor]
            overlap = ciou(torch.cat([xy, wh], 1), box)
            box_loss = (1 - overlap).mean()
            wanted[picture, anchor, cell[:, 1], cell[:, 0]] = overlap.detach().clamp(0)
            if self.nc > 1:
                one_hot = torch.zeros_like(p[:, 5:])
                one_hot[torch.arange(len(label)), label] = 1.0
                cls_loss = bce(p[:, 5:], one_hot)
        obj_loss = bce(raw[..., 4], wanted) * BALANCE
        parts = torch.stack([self.box * box_loss, self.obj * obj_loss, self.cls * cls_loss])
        return parts.sum() * n, parts.detach()
