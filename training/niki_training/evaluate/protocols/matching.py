"""
Which body is whom, as AGORA matches them.

Pairs are taken by the mean distance of the 24 joints in the image, nearest first, where the boxes
around the joints overlap (IoU) by at least 0.1; see docs/evaluation_metric.md of
https://github.com/pixelite1201/agora_evaluation. The other benchmarks say who is meant by a box;
with several people in the image the same rule tells whose body it is.
"""

from __future__ import annotations

from typing import Dict, List, Sequence

from niki_ros.images.boxes import overlap
import numpy as np

LEAST_OVERLAP = 0.1


def matched(found_px: Sequence[np.ndarray], true_px: Sequence[np.ndarray]) -> Dict[int, int]:
    """
    Return person → body.

    :param found_px: of each body (24, 2). :param true_px: of each person (24, 2).
    """
    pairs: List[tuple] = []
    for person, true in enumerate(true_px):
        for body, found in enumerate(found_px):
            if not np.isfinite(found).all():
                continue
            if overlap(_box(found), _box(true)) >= LEAST_OVERLAP:
                apart = np.linalg.norm(found - true, axis=-1).mean()
                pairs.append((float(apart), person, body))
    out: Dict[int, int] = {}
    for _, person, body in sorted(pairs):
        if person not in out and body not in out.values():
            out[person] = body
    return out


def _box(points) -> np.ndarray:
    return np.concatenate([points.min(axis=0), points.max(axis=0)])
