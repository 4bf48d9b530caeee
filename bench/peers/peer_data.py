# SPDX-License-Identifier: Apache-2.0
"""Pictures in memory; mosaic, affine warp, colour, flip, as YOLOv5's loader does them with OpenCV."""
import os
import random

import cv2
import numpy as np
import torch

TRANSLATE, SCALE, FLIP = 0.1, 0.5, 0.5
HSV = (0.015, 0.7, 0.4)
GREY = (114, 114, 114)


def label_path(picture):
    head, tail = picture.rsplit(f"{os.sep}images{os.sep}", 1)
    return os.path.splitext(os.path.join(head, "labels", tail))[0] + ".txt"


def read_labels(picture):
    path = label_path(picture)
    if not os.path.exists(path):
        return np.zeros((0, 5), np.float32)
    rows = [line.split() for line in open(path, encoding="ascii") if line.strip()]
    return np.array(rows, np.float32).reshape(-1, 5)


class Pictures(torch.utils.data.Dataset):
    def __init__(self, paths, imgsz):
        self.side = imgsz
        self.images, self.labels = [], []
        for path in paths:
            image = cv2.imread(path)
            height, width = image.shape[:2]
            ratio = imgsz / max(height, width)
            if ratio != 1:
                image = cv2.resize(image, (int(width * ratio), int(height * ratio)),
                                   interpolation=cv2.INTER_LINEAR)
            self.images.append(image)
            self.labels.append(read_labels(path))

    def __len__(self):
        return len(self.images)

    def mosaic(self, index):
        """Four pictures around a random centre of a canvas of twice the side; labels in pixels."""
        s = self.side
        xc, yc = (int(random.uniform(s / 2, 3 * s / 2)) for _ in range(2))
        chosen = [index] + random.choices(range(len(self)), k=3)
        random.shuffle(chosen)
        canvas = np.full((2 * s, 2 * s, 3), 114, np.uint8)
        all_labels = []
        for quarter, i in enumerate(chosen):
            image = self.images[i]
            h, w = image.shape[:2]
            left = xc - w if quarter % 2 == 0 else xc
            top = yc - h if quarter < 2 else yc
            x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + w, 2 * s), min(top + h, 2 * s)
            canvas[y1:y2, x1:x2] = image[y1 - top:y2 - top, x1 - left:x2 - left]
            labels = self.labels[i]
            boxes = np.empty_like(labels)
            boxes[:, 0] = labels[:, 0]
            boxes[:, 1] = w * (labels[:, 1] - labels[:, 3] / 2) + left
            boxes[:, 2] = h * (labels[:, 2] - labels[:, 4] / 2) + top
            boxes[:, 3] = w * (labels[:, 1] + labels[:, 3] / 2) + left
            boxes[:, 4] = h * (labels[:, 2] + labels[:, 4] / 2) + top
            all_labels.append(boxes)
        labels = np.concatenate(all_labels)
        np.clip(labels[:, 1:], 0, 2 * s, out=labels[:, 1:])
        return canvas, labels

    def warp(self, canvas, labels):
        """Random scale and shift of the canvas to one side; boxes that became too small go."""
        s = self.side
        centre, shift = np.eye(3), np.eye(3)
        centre[:2, 2] = -s  # half of the canvas
        scale = random.uniform(1 - SCALE, 1 + SCALE)
        turn = np.eye(3)
        turn[:2] = cv2.getRotationMatrix2D((0, 0), 0.0, scale)
        shift[:2, 2] = [random.uniform(0.5 - TRANSLATE, 0.5 + TRANSLATE) * s for _ in range(2)]
        m = shift @ turn @ centre
        image = cv2.warpAffine(canvas, m[:2], dsize=(s, s), borderValue=GREY)
        if not len(labels):
            return image, labels
        corners = np.ones((len(labels) * 4, 3))
        corners[:, :2] = labels[:, [1, 2, 3, 4, 1, 4, 3, 2]].reshape(-1, 2)
        corners = (corners @ m.T)[:, :2].reshape(-1, 4, 2)
        boxes = np.concatenate([corners.min(1), corners.max(1)], 1).clip(0, s)
        before = (labels[:, 3] - labels[:, 1]) * (labels[:, 4] - labels[:, 2]) * scale * scale
        w, h = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
        aspect = np.maximum(w / (h + 1e-16), h / (w + 1e-16))
        keep = (w > 2) & (h > 2) & (w * h / (before + 1e-16) > 0.1) & (aspect < 20)
        return image, np.concatenate([labels[keep, :1], boxes[keep]], 1)

    @staticmethod
    def colour(image):
        gain = 1 + np.random.uniform(-1, 1, 3) * HSV
        x = np.arange(256)
        tables = ((x * gain[0]) % 180, np.clip(x * gain[1], 0, 255), np.clip(x * gain[2], 0, 255))
        planes = cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2HSV))
        planes = [cv2.LUT(p, t.astype(np.uint8)) for p, t in zip(planes, tables)]
        cv2.cvtColor(cv2.merge(planes), cv2.COLOR_HSV2BGR, dst=image)

    def __getitem__(self, index):
        s = self.side
        image, labels = self.warp(*self.mosaic(index))
        self.colour(image)
        rows = torch.zeros(len(labels), 6)
        if len(labels):
            corners = labels[:, 1:].clip(0, s - 1e-3) / s
            rows[:, 1] = torch.from_numpy(labels[:, 0])
            rows[:, 2:4] = torch.from_numpy((corners[:, :2] + corners[:, 2:]) / 2)
            rows[:, 4:6] = torch.from_numpy(corners[:, 2:] - corners[:, :2])
        if random.random() < FLIP:
            image = np.fliplr(image)
            rows[:, 2] = 1 - rows[:, 2]
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[::-1])), rows


def collate(items):
    for i, (_, rows) in enumerate(items):
        rows[:, 0] = i
    return torch.stack([image for image, _ in items]), torch.cat([rows for _, rows in items])


def seed_worker(number):
    random.seed(number)
    np.random.seed(number)
    cv2.setNumThreads(0)


def loader(paths, imgsz, batch, workers):
    """Epoch after epoch in the same order, as the peer runs on one device; workers: processes."""
    seed_worker(0)
    return torch.utils.data.DataLoader(Pictures(paths, imgsz), batch_size=batch, num_workers=workers,
                                       collate_fn=collate, worker_init_fn=seed_worker,
                                       persistent_workers=workers > 0)
