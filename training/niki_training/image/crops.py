"""Crops of rendered people with ground truth, and the shards that store them."""

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
FRAME_STEP, CLIP_FRAMES = 8, 4  # four frames, eight apart: neighbours in time look alike
SHARD_CLIPS = 32
_MIN_VISIBLE_PIXELS, _MIN_BOX_PX, _MIN_DEPTH_M = 400, 20, 0.3
KEYS = ('image', 'joints_m', 'rotmat', 'betas', 'uv', 'visible', 'projection', 'crops', 'place',
        'hidden_percent')


def crop_truth(view: CropView, rotmat, joints_m, betas, pixels, visible) -> dict:
    """
    Return the ground truth of one crop in the axes of its view.

    :param rotmat: (24, 3, 3) and ``joints_m`` (29, 3) in metres, both in camera axes.
    :param betas: (10,). :param pixels: (29, 2) joints in the image. :param visible: (29,) bool.
    :return: ``joints_m`` (29, 3) about the pelvis, ``rotmat`` (24, 3, 3), ``betas``, ``uv`` (29,
        2) in sides of the crop from its centre, ``visible``, ``projection`` (3, 3), ``crops``,
        sides of the crop per radian, and ``place`` (3,), uv and log scale of the pelvis.
    """
    turned = np.array(rotmat)
    turned[0] = view.camera_from_view.T @ turned[0]
    uv, log_scale = view.uv_and_log_scale(joints_m[0])
    return {
        'joints_m': (joints_m - joints_m[0]) @ view.camera_from_view, 'rotmat': turned,
        'betas': betas, 'uv': (pixels - view.crop.center_px) / view.crop.side_px,
        'visible': visible, 'projection': view.projection(), 'crops': view.crops,
        'place': np.append(uv, log_scale),
    }


def person_box(pixels, mask, rng, size):
    """
    Return a box (4,) x0, y0, x1, y1 as a detector or tracker gives it.

    Half of the boxes are around the visible pixels, as a detector's; half are around all joints,
    as a tracker's. Their position and size have errors of some percent.

    :param pixels: (29, 2) joints. :param mask: (H, W) bool, visible pixels of the person.
    :param size: (2,) width and height of the image. :return: None = too little is visible.
    """
    rows, columns = np.nonzero(mask)
    if len(rows) < _MIN_VISIBLE_PIXELS:
        return None
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)
    if rng.random() < 0.5 and np.isfinite(pixels).all():
        margin = 0.25 * np.asarray(size)
        low = np.clip(pixels.min(0), -margin, size + margin)
        high = np.clip(pixels.max(0), -margin, size + margin)
        wide = 0.05 * (high - low)
        if ((high - low) > _MIN_BOX_PX).all():
            box = np.concatenate([low - wide, high + wide])
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    middle = middle + rng.normal(size=2) * 0.05 * half.max()
    half = half * np.exp(rng.normal() * 0.08)
    return np.concatenate([middle - half, middle + half])


def thinned(clip, step: int):
    """Return every ``step``-th frame of the clip."""
    view = replace(clip.view, camera_from_world=clip.view.camera_from_world[::step],
                   position_m=clip.view.position_m[::step])
    boxes = [replace(box, velocity_m=box.velocity_m * step) for box in clip.boxes]
    return replace(clip, rotmat=clip.rotmat[:, ::step], root_m=clip.root_m[:, ::step], view=view,
                   boxes=boxes)


def clip_crops(renderer, index: int) -> list:
    """Return the crops of one clip, dictionaries of arrays."""
    clip = thinned(renderer.plan(index), FRAME_STEP)
    rng = np.random.default_rng([renderer.seed, index, 2])
    rotmat, betas = clip.camera_rotmat(), clip.people[0].betas
    camera = Camera(clip.view.matrix, *renderer.size)
    crops = []
    for t, frame in enumerate(renderer.draw(clip, index)):
        box = person_box(frame.keypoints_px, frame.identity == 1, rng, np.asarray(renderer.size))
        if (box is None or frame.joints_m[0, 2] < _MIN_DEPTH_M
                or not np.isfinite(frame.keypoints_px).all()):
            continue
        view = CropView.of(Crop.around(box), camera)
        truth = crop_truth(view, rotmat[t], frame.joints_m, betas, frame.keypoints_px,
                           frame.visible)
        image = view.crop.sample(frame.image_rgb, SIZE_PX)
        crops.append({'image': np.round(image).astype(np.uint8),
                      'hidden_percent': frame.hidden_percent, **truth})
    return crops


def render_crops(motion_path: Path, folder: Path, split: str, clips: int, seed: int = 0) -> None:
    """Render the shards of a split that are missing; each is complete or absent."""
    import cv2
    from niki_ros.body.skeleton import open_skeleton

    from niki_training.render.clips import ClipRenderer
    from niki_training.render.motion import load_rooted_motion
    cv2.setNumThreads(1)
    motion = load_rooted_motion(motion_path)
    start_run(folder, {'split': split, 'seed': seed, 'motion': motion.digest(), 'size': SIZE_PX})
    frames = FRAME_STEP * (CLIP_FRAMES - 1) + 1
    renderer = ClipRenderer(motion, open_skeleton(), split, seed, frames)
    begun = time.process_time()
    for number in range(-(-clips // SHARD_CLIPS)):
        path = shard_path(folder, split, number)
        if path.is_file():
            continue
        crops = [crop for index in range(number * SHARD_CLIPS, (number + 1) * SHARD_CLIPS)
                 for crop in clip_crops(renderer, index)]
        write_shard(path, crops)
        print(f'{path.name}: {len(crops)} crops, {time.process_time() - begun:.0f} s of processor '
              'time', file=sys.stderr, flush=True)
    renderer.close()


def read_crops(folder: Path, split: str, limit: int | None = None) -> dict:
    """Read the shards of a split, at most ``limit`` of them, as arrays (n, …)."""
    paths = sorted(Path(folder).glob(f'{split}-*.npz'))[:limit]
    if not paths:
        raise InputError(f'{folder} has no crops of {split!r} by niki-train kinematic render')
    parts = [read_shard(path) for path in paths]
    missing = [key for key in KEYS if key not in parts[0]]
    if missing:
        raise InputError(f'{paths[0]} lacks {", ".join(missing)} of niki-train kinematic render')
    return {key: np.concatenate([part[key] for part in parts]) for key in KEYS}
