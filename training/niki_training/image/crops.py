"""Crops of people with their truth: drawn by ``niki_training.render``, kept in shards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import sys
import time

from niki_ros.common.errors import InputError
from niki_ros.observers.crop import Crop
from niki_ros.observers.crop_view import CropView
from niki_ros.scene.camera import Camera
import numpy as np

from niki_training.render.shards import read_shard, shard_path, start_run, write_shard

SIZE_PX = 128
STEP, FRAMES = 8, 4
"""Of a clip every eighth frame is drawn, four in all: neighbours in time look alike."""
CLIPS = 32
KEYS = ('image', 'joints_m', 'rotmat', 'betas', 'uv', 'visible', 'projection', 'crops', 'place',
        'hidden_percent')


def crop_truth(view: CropView, rotmat, joints_m, betas, pixels, visible) -> dict:
    """
    Return the truth of one crop in the axes of its view.

    :param rotmat: (24, 3, 3) camera axes. :param joints_m: (29, 3) camera axes.
    :param pixels: (29, 2) in the image. :param visible: (29,) bool.
    :return: joints (29, 3) relative to the pelvis, rotations, uv (29, 2), the pelvis' place
        (3,) uv and log scale, the view's projection and scale.
    """
    turned = np.array(rotmat)
    turned[0] = view.camera_from_view.T @ turned[0]
    uv, log_scale = view.place_of(joints_m[0])
    return {
        'joints_m': (joints_m - joints_m[0]) @ view.camera_from_view, 'rotmat': turned,
        'betas': betas, 'uv': (pixels - view.crop.center_px) / view.crop.side_px,
        'visible': visible, 'projection': view.projection(), 'crops': view.crops,
        'place': np.append(uv, log_scale),
    }


def person_box(pixels, mask, rng, size):
    """
    Return a box as a detector or a follower gives it, or None where nobody is to be seen.

    Half of them hold what can be seen, as a detector's; half all joints, as a follower's; both
    shifted and of another size by some percent.

    :param pixels: (29, 2). :param mask: (H, W) bool. :param size: width, height.
    """
    rows, columns = np.nonzero(mask)
    if len(rows) < 400:
        return None
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)
    if rng.random() < 0.5 and np.isfinite(pixels).all():
        margin = 0.25 * np.asarray(size)
        low = np.clip(pixels.min(0), -margin, size + margin)
        high = np.clip(pixels.max(0), -margin, size + margin)
        wide = 0.05 * (high - low)
        if ((high - low) > 20).all():
            box = np.concatenate([low - wide, high + wide])
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    middle = middle + rng.normal(size=2) * 0.05 * half.max()
    half = half * np.exp(rng.normal() * 0.08)
    return np.concatenate([middle - half, middle + half])


def thinned(clip, step: int):
    """Return the clip with every ``step``-th frame only."""
    view = replace(clip.view, camera_from_world=clip.view.camera_from_world[::step],
                   position_m=clip.view.position_m[::step])
    boxes = [replace(box, velocity_m=box.velocity_m * step) for box in clip.boxes]
    return replace(clip, rotmat=clip.rotmat[:, ::step], root_m=clip.root_m[:, ::step], view=view,
                   boxes=boxes)


def clip_crops(renderer, index: int) -> list:
    """Return the crops of one clip as dictionaries of arrays."""
    clip = thinned(renderer.plan(index), STEP)
    rng = np.random.default_rng([renderer.seed, index, 2])
    rotmat, betas = clip.camera_rotmat(), clip.people[0].betas
    camera = Camera(clip.view.matrix, *renderer.size)
    crops = []
    for t, frame in enumerate(renderer.draw(clip, index)):
        box = person_box(frame.keypoints_px, frame.identity == 1, rng, np.asarray(renderer.size))
        if box is None or frame.joints_m[0, 2] < 0.3 or not np.isfinite(frame.keypoints_px).all():
            continue
        view = CropView.of(Crop.around(box), camera)
        truth = crop_truth(view, rotmat[t], frame.joints_m, betas, frame.keypoints_px,
                           frame.visible)
        image = view.crop.sample(frame.image_rgb, SIZE_PX)
        crops.append({'image': np.round(image).astype(np.uint8),
                      'hidden_percent': frame.hidden_percent, **truth})
    return crops


def render_crops(motion_path: Path, folder: Path, split: str, clips: int, seed: int = 0) -> None:
    """Draw what is missing of the shards of a split; each is written whole or not at all."""
    import cv2
    from niki_ros.body.skeleton import open_skeleton

    from niki_training.render.clips import ClipRenderer
    from niki_training.render.motion import load_rooted_motion
    cv2.setNumThreads(1)
    motion = load_rooted_motion(motion_path)
    start_run(folder, {'split': split, 'seed': seed, 'motion': motion.digest(), 'size': SIZE_PX})
    renderer = ClipRenderer(motion, open_skeleton(), split, seed, STEP * (FRAMES - 1) + 1)
    begun = time.process_time()
    for number in range(-(-clips // CLIPS)):
        path = shard_path(folder, split, number)
        if path.is_file():
            continue
        crops = [crop for index in range(number * CLIPS, (number + 1) * CLIPS)
                 for crop in clip_crops(renderer, index)]
        write_shard(path, crops)
        print(f'{path.name}: {len(crops)} crops, {time.process_time() - begun:.0f} s of processor '
              'time', file=sys.stderr, flush=True)
    renderer.close()


def read_crops(folder: Path, split: str, limit: int | None = None) -> dict:
    """
    Read the shards of a split that are there, arrays (n, …).

    :raises InputError: where there are none.
    """
    paths = sorted(Path(folder).glob(f'{split}-*.npz'))[:limit]
    if not paths:
        raise InputError(f'{folder} has no crops of {split!r}; niki-train kinematic render makes '
                         'them')
    parts = [read_shard(path) for path in paths]
    missing = [key for key in KEYS if key not in parts[0]]
    if missing:
        raise InputError(f'{paths[0]} lacks {", ".join(missing)}: these are no crops of '
                         'niki-train kinematic render')
    return {key: np.concatenate([part[key] for part in parts]) for key in KEYS}
