"""``niki-data render``: motion to clips with truth, drawn, and looked at by a front end."""

from __future__ import annotations

from pathlib import Path
import sys
import time

import cv2
from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import InputError
from niki_ros.files.atomic_write import atomic_write
from niki_ros.scene.camera import Camera
import numpy as np

from niki_training.common.arguments import positive_int
from niki_training.files.outputs import check_arguments
from niki_training.front_end.observe import OBSERVERS, Onlooker, pairs
from niki_training.render.shards import shard_path, start_run, TRUTH_KEYS, write_shard
from niki_training.render.tars import read_tar, write_tar

SIZE = (640, 480)


def add_arguments(parser) -> None:
    """Add the options of ``niki-data render``."""
    parser.add_argument('motion', type=Path, help='archive, or a store of niki-data prepare')
    parser.add_argument('--out', type=Path, required=True, help='folder of the shards')
    parser.add_argument('--split', default='train', help='train, val or test (train)')
    parser.add_argument('--clips', type=positive_int, default=512, help='how many clips (512)')
    parser.add_argument('--frames', type=positive_int, default=48,
                        help='of a clip, 30 a second (48)')
    parser.add_argument('--per-shard', type=positive_int, default=32,
                        help='clips in a shard (32)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--observe', choices=OBSERVERS,
                        help='let this front end look at once: pairs are stored, no images')
    parser.add_argument('--sheet', type=Path, metavar='PNG',
                        help='draw a contact sheet of the first clips, and nothing else')


def add_observe_arguments(parser) -> None:
    """Add the options of ``niki-data observe``."""
    parser.add_argument('shards', type=Path, nargs='+', help='.tar shards of niki-data render')
    parser.add_argument('--observer', choices=OBSERVERS, default='landmarks')
    parser.add_argument('--out', type=Path, help='folder of the pairs (beside the shards)')


def main(args) -> int:
    """Render what is missing; a killed run goes on where it was."""
    from niki_training.render.clips import Studio
    from niki_training.render.motion import load_rooted_motion
    check_arguments(args, {'--sheet': args.sheet})
    cv2.setNumThreads(1)
    motion = load_rooted_motion(args.motion)
    if args.sheet is None:
        start_run(args.out, {
            'split': args.split, 'seed': args.seed, 'frames': args.frames,
            'motion': motion.digest(), 'per_shard': args.per_shard, 'observer': args.observe})
    studio = Studio(motion, open_skeleton(), args.split, args.seed, args.frames, SIZE)
    try:
        if args.sheet:
            with atomic_write(args.sheet, ('.png',)) as part:
                cv2.imwrite(str(part), contact_sheet(studio)[..., ::-1])
        else:
            _render(studio, args)
    finally:
        studio.close()
    return 0


def _render(studio, args) -> None:
    """Write the shards that are not there yet; whole ones stay."""
    onlooker = Onlooker(args.observe) if args.observe else None
    begun, made = time.monotonic(), 0
    for number in range(-(-args.clips // args.per_shard)):
        path = shard_path(args.out, args.split, number, 'npz' if onlooker else 'tar')
        if path.is_file():
            continue
        clips = range(number * args.per_shard, (number + 1) * args.per_shard)
        if onlooker:
            write_shard(path, [seen_clip(studio, onlooker, index) for index in clips])
        else:
            write_tar(path, (_drawn(studio, index) for index in clips))
        made += args.per_shard * args.frames
        print(f'{path.name}: {made / (time.monotonic() - begun):.1f} frames/s',
              file=sys.stderr, flush=True)
    if onlooker:
        onlooker.close()


class _Recorder:
    """Passes frames on and keeps their truth."""

    def __init__(self, clip, frames):
        self._clip, self._frames = clip, frames
        self._kept = {key: [] for key in TRUTH_KEYS}

    def __iter__(self):
        for frame in self._frames:
            for key in TRUTH_KEYS:
                self._kept[key].append(getattr(frame, key))
            yield frame

    def truth(self) -> dict:
        """Return the truth of the clip, once all frames have been drawn."""
        return {**self._clip.describe(), 'image_size': np.array(SIZE),
                **{key: np.stack(kept) for key, kept in self._kept.items()}}


def _drawn(studio, index: int):
    """Return what :func:`write_tar` wants of one clip."""
    clip = studio.plan(index)
    recorder = _Recorder(clip, studio.frames_of(clip, index))
    return index, recorder, recorder.truth


def seen_clip(studio, onlooker, index: int) -> dict:
    """Return truth and observations of one clip."""
    clip = studio.plan(index)
    recorder = _Recorder(clip, studio.frames_of(clip, index))
    camera = Camera(clip.view.matrix, *studio.size)
    observed = onlooker.look(recorder, camera, len(clip.people))
    return {**recorder.truth(), **pairs(observed)}


def observe_shards(args) -> int:
    """Let a front end look at stored shards; pairs that are there already stay."""
    onlooker = Onlooker(args.observer)
    for path in args.shards:
        if not path.is_file():
            raise InputError(f'{path}: no such file; niki-data render writes shards')
        out = (args.out or path.parent) / f'{path.stem}.npz'
        if out.is_file():
            continue
        out.parent.mkdir(parents=True, exist_ok=True)
        write_shard(out, [_seen_stored(onlooker, *stored) for stored in read_tar(path)])
        print(out.name, file=sys.stderr, flush=True)
    onlooker.close()
    return 0


def _seen_stored(onlooker, truth: dict, frames) -> dict:
    """Return truth and observations of one stored clip."""
    camera = Camera(truth['camera_matrix'], *truth['image_size'].tolist())
    return {**truth, **pairs(onlooker.look(frames, camera, int(truth['people'])))}


def contact_sheet(studio, columns: int = 8, rows: int = 6, width: int = 200) -> np.ndarray:
    """Return the middle frames of the first clips side by side, (H, W, 3) uint8."""
    small = (width, width * SIZE[1] // SIZE[0])
    pictures = []
    for index in range(columns * rows):
        clip = studio.plan(index)
        frames = studio.frames_of(clip, index)
        for _ in range(studio.frames // 2):
            next(frames)
        pictures.append(cv2.resize(next(frames).image_rgb, small, interpolation=cv2.INTER_AREA))
    return np.vstack([np.hstack(pictures[r * columns:(r + 1) * columns]) for r in range(rows)])
