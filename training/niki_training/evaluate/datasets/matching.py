"""
Matching of bodies to annotated people, by the rule of AGORA.

Pairs are matched by the mean distance of the 24 joints in the image, nearest first, where the
boxes around the joints overlap (IoU) by at least 0.1; see docs/evaluation_metric.md of
https://github.com/pixelite1201/agora_evaluation. The other benchmarks give a box of each person;
the same rule matches several people in one image there.
"""

from typing import Sequence

from niki_ros.images.boxes import overlap
import numpy as np

MIN_IOU = 0.1


def matched(found_px: Sequence[np.ndarray], true_px: Sequence[np.ndarray]) -> dict[int, int]:
    """
    Return the index of each matched person → the index of the body.

    :param found_px: (24, 2) joints of each body. :param true_px: (24, 2) of each person.
    """
    pairs: list[tuple] = []
    for person, true in enumerate(true_px):
        for body, found in enumerate(found_px):
            if not np.isfinite(found).all():
                continue
            if overlap(_box(found), _box(true)) >= MIN_IOU:
                distance_px = np.linalg.norm(found - true, axis=-1).mean()
                pairs.append((float(distance_px), person, body))
    out: dict[int, int] = {}
    for _, person, body in sorted(pairs):
        if person not in out and body not in out.values():
            out[person] = body
    return out


def _box(points) -> np.ndarray:
    return np.concatenate([points.min(axis=0), points.max(axis=0)])
