"""
Render clips of people who move as in a motion archive, with exact ground truth.

An interrupted run is resumed at whole shards.
"""

from pathlib import Path
import sys
import time

import cv2
from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import InputError
from niki_ros.files.atomic_write import atomic_write
from niki_ros.scene.camera import Camera
import numpy as np

from niki_training.common.arguments import add_look_arguments, positive_int
from niki_training.files.outputs import check_arguments, write_text
from niki_training.front_end.observe import ClipRecorder, observation_arrays, OBSERVERS
from niki_training.render.garments.credits import credits_text
from niki_training.render.image_shards import write_image_shard
from niki_training.render.shards import shard_path, start_run, TRUTH_KEYS, write_shard

SIZE_PX = (640, 480)


def add_arguments(parser) -> None:
    parser.add_argument('motion', type=Path, help='archive, or a store of niki-data prepare')
    parser.add_argument('--out', type=Path, required=True, help='folder of the shards')
    parser.add_argument('--split', default='train', help='train, val or test (train)')
    parser.add_argument('--clips', type=positive_int, default=512, help='how many clips (512)')
    parser.add_argument('--frames', type=positive_int, default=48,
                        help='of a clip, 30 a second (48)')
    parser.add_argument('--per-shard', type=positive_int, default=32,
                        help='clips in a shard (32)')
    parser.add_argument('--seed', type=int, default=0)
    add_look_arguments(parser)
    parser.add_argument('--observe', choices=OBSERVERS,
                        help='run this front end: pairs of observation and ground truth are '
                        'stored, no images')
    parser.add_argument('--model', default='', help='of the front end: size of landmarks (full), '
                        'or model folder of look')
    parser.add_argument('--sheet', type=Path, metavar='PNG',
                        help='only draw a contact sheet of the first clips')


def main(args) -> int:
    from niki_training.render.clips import ClipRenderer
    from niki_training.render.motion import load_rooted_motion
    check_arguments(args, {'--sheet': args.sheet})
    if args.model and not args.observe:
        raise InputError('--model is that of the front end: give --observe, too')
    cv2.setNumThreads(1)
    motion = load_rooted_motion(args.motion)
    if args.sheet is None:
        start_run(args.out, {
            'split': args.split, 'seed': args.seed, 'frames': args.frames,
            'motion': motion.digest(), 'per_shard': args.per_shard, 'observer': args.observe,
            **_options(args)})
    renderer = ClipRenderer(motion, open_skeleton(), args.split, args.seed, args.frames, SIZE_PX,
                            args.clothes, args.panoramas)
    try:
        if args.clothes:
            _write_credits(renderer.appearance.wardrobe, args.sheet or args.out / args.split)
        if args.sheet:
            with atomic_write(args.sheet, ('.png',)) as part:
                cv2.imwrite(str(part), contact_sheet(renderer)[..., ::-1])
        else:
            _render(renderer, args)
    finally:
        renderer.close()
    return 0


def _options(args) -> dict:
    """Return the clothes, surroundings and model that a run was made with, if any."""
    options = {'clothes': [folder.name for folder in args.clothes],
               'panoramas': args.panoramas.name if args.panoramas else None, 'model': args.model}
    return {key: value for key, value in options.items() if value}


def _write_credits(wardrobe, beside: Path) -> None:
    """Write the authors of the clothes to a text file beside a picture or the shards."""
    write_text(beside.with_suffix('.credits.txt'),
               credits_text(bound.garment for bound in wardrobe.garments))


def _render(renderer, args) -> None:
    recorder = ClipRecorder(args.observe, args.model) if args.observe else None
    start_s, frame_count = time.monotonic(), 0
    for number in range(-(-args.clips // args.per_shard)):
        path = shard_path(args.out, args.split, number, 'npz' if recorder else 'tar')
        if path.is_file():
            continue
        clips = range(number * args.per_shard, (number + 1) * args.per_shard)
        if recorder:
            write_shard(path, [observed_clip(renderer, recorder, index) for index in clips])
        else:
            write_image_shard(path, (_drawn_clip(renderer, index) for index in clips))
        frame_count += args.per_shard * args.frames
        print(f'{path.name}: {frame_count / (time.monotonic() - start_s):.1f} frames/s',
              file=sys.stderr, flush=True)
    if recorder:
        recorder.close()


class _TruthCollector:
    """Iterates over the frames of a clip and collects their ground truth."""

    def __init__(self, clip, frames):
        self._clip, self._frames = clip, frames
        self._rows = {key: [] for key in TRUTH_KEYS}

    def __iter__(self):
        for frame in self._frames:
            for key in TRUTH_KEYS:
                self._rows[key].append(getattr(frame, key))
            yield frame

    def truth(self) -> dict:
        """Return the ground truth of the clip, after the last frame."""
        return {**self._clip.describe(), 'image_size': np.array(SIZE_PX),
                **{key: np.stack(rows) for key, rows in self._rows.items()}}


def _drawn_clip(renderer, index: int):
    """Return one clip as :func:`write_image_shard` expects it."""
    clip = renderer.plan(index)
    frames = _TruthCollector(clip, renderer.draw(clip, index))
    return index, frames, frames.truth


def observed_clip(renderer, recorder: ClipRecorder, index: int) -> dict:
    """Return ground truth and observations of one clip, arrays by name."""
    clip = renderer.plan(index)
    frames = _TruthCollector(clip, renderer.draw(clip, index))
    observations = recorder.observe(
        frames, Camera(clip.view.matrix, *renderer.size), len(clip.people))
    return {**frames.truth(), **observation_arrays(observations, recorder.observer)}


def contact_sheet(renderer, columns: int = 8, rows: int = 6, width_px: int = 200) -> np.ndarray:
    """Return the middle frames of the first clips side by side, (H, W, 3) uint8 RGB."""
    size_px = (width_px, width_px * SIZE_PX[1] // SIZE_PX[0])
    images = []
    for index in range(columns * rows):
        frames = renderer.draw(renderer.plan(index), index)
        for _ in range(renderer.frame_count // 2):
            next(frames)
        images.append(cv2.resize(next(frames).image_rgb, size_px, interpolation=cv2.INTER_AREA))
    return np.vstack([np.hstack(images[r * columns:(r + 1) * columns]) for r in range(rows)])
