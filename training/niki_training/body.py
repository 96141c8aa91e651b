"""Skeletons to train on: the open one, or a user's own."""

from __future__ import annotations

import json
from pathlib import Path

from niki_ros.core.errors import ModelError
from niki_ros.core.skeleton import open_skeleton, Skeleton


def load_skeleton(path: Path | None = None) -> Skeleton:
    """Return the open skeleton, or the one in a JSON file of ``niki-data body``."""
    if path is None:
        return open_skeleton()
    try:
        return Skeleton.from_dict(json.loads(Path(path).read_text('utf-8')))
    except (OSError, ValueError) as error:
        raise ModelError(f'{path}: cannot read the skeleton ({error})') from error
