"""
Bodies of a bag and two videos, kept and compared bit by bit: for changes that must change nothing.

``python test/golden_replay.py record FOLDER [VIDEO ...]`` before the change, ``compare`` with the
same arguments after it, on the same machine. Without a VIDEO the demonstration's clip is used,
and the calibrated one of ``../shared`` where it is there.
"""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
import subprocess
import sys

import cv2
from niki_ros import load_pipeline
from niki_ros.scene.camera import Camera
from niki_ros.scene.ground import Ground
from niki_ros.sources.open import open_source
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
CALIBRATED = ROOT.parent / 'shared' / 'data' / 'pose2sim' / 'cam01.mp4'
# "auto" chooses the network by how fast the machine is at that moment
MODEL = {'observer.model': 'full'}
WIDTH, BAG_FRAMES, BAG_EVERY = 884, 75, 2


def cases(folder: Path, videos):
    """Yield a name and a function that yields the bodies of each frame."""
    bag = _bag(folder / 'replay_bag', videos[0])
    yield 'bag', lambda: _bodies(bag, {}, {'depth_topic': '/camera/depth'})
    for number, video in enumerate(videos):
        yield f'video{number}', lambda video=video: _bodies(video, {})
    first = videos[0]
    ground = Ground(np.array([0.0, -1.0, 0.0]), 1.5)
    short = {'max_frames': 50}
    yield 'ground', lambda: _bodies(first, {}, short, ground=ground)
    yield 'niki', lambda: _bodies(first, {'solver': 'niki'}, short)
    yield 'analytic', lambda: _bodies(first, {'solver': 'analytic'}, short)
    yield 'rotated', lambda: _bodies(first, {'image_rotation': '90'}, short, turn=True)
    yield 'plain', lambda: _bodies(first, {'smoothing.enabled': False, 'pixels.refine': False,
                                           'lifter.name': '', 'observer.model': 'lite'}, short)


def _bodies(source, settings, options=None, turn=False, **process):
    """Yield the bodies of each frame of a source, as ``niki run`` computes them."""
    pipeline = load_pipeline(**{**MODEL, **settings})
    for frame in open_source(str(source), **(options or {})):
        image = np.rot90(frame.image_rgb).copy() if turn else frame.image_rgb
        depth_m = getattr(frame, 'depth_m', None)
        yield pipeline.process(image, None if turn else frame.camera, frame.stamp_ns,
                               depth_m=depth_m, **process)
    pipeline.close()


def _bag(path: Path, video) -> Path:
    """Write a bag of part of a video: images, a camera with distortion, depth."""
    from bags import header, image, T0, TYPES, write_bag
    if path.exists():
        return path
    capture, messages = cv2.VideoCapture(str(video)), []
    for number in range(BAG_FRAMES * BAG_EVERY):
        bgr = capture.read()[1]
        if number % BAG_EVERY:
            continue
        height = WIDTH * bgr.shape[0] // bgr.shape[1]
        rgb = cv2.resize(bgr, (WIDTH, height))[..., ::-1]
        stamp_ns = T0 + number * 33_333_333
        camera = Camera.from_fov(WIDTH, height, 60.0)
        region = TYPES['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
        messages += [
            ('/camera/camera_info', TYPES['sensor_msgs/msg/CameraInfo'](
                header(stamp_ns), height, WIDTH, 'plumb_bob', np.array([.05, -.02, 0, 0, 0]),
                camera.matrix.ravel(), np.eye(3).ravel(), np.zeros(12), 0, 0, region)),
            ('/camera/depth', _depth(number, stamp_ns, height)),
            ('/camera/image_raw', image(rgb, stamp_ns))]
    return write_bag(path, messages)


def _depth(number: int, stamp_ns: int, height: int):
    """Return a sensor_msgs/Image of a depth that changes slowly, some of it unmeasured."""
    from bags import header, TYPES
    depth = np.full((height // 2, WIDTH // 2), 3200 + 2 * number, np.uint16)
    depth[::5] = 0
    return TYPES['sensor_msgs/msg/Image'](
        header(stamp_ns), *depth.shape, '16UC1', 0, 2 * depth.shape[1],
        depth.view(np.uint8).ravel())


def arrays(frames) -> dict:
    """Return all fields of all bodies as arrays by name, with the number of the frame."""
    rows = [(number, body) for number, bodies in enumerate(frames) for body in bodies]
    out = {'frame': np.array([number for number, _ in rows])}
    for item in fields(rows[0][1]):
        out[item.name] = np.array([getattr(body, item.name) for _, body in rows])
    return out


def main() -> int:
    """Record or compare; exit code 1 where a bit differs."""
    parser = argparse.ArgumentParser(description=__doc__.strip().split('\n')[0])
    parser.add_argument('verb', choices=('record', 'compare'))
    parser.add_argument('folder', type=Path)
    parser.add_argument('video', nargs='*')
    parser.add_argument('--only', metavar='CASE', action='append')
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    videos = args.video or [
        subprocess.run([sys.executable, ROOT / 'tools' / 'demo_clip.py'], check=True, text=True,
                       stdout=subprocess.PIPE).stdout.strip(),
        *([CALIBRATED] if CALIBRATED.is_file() else [])]
    changed = False
    for name, frames in cases(args.folder, videos):
        if args.only and name not in args.only:
            continue
        now, path = arrays(frames()), args.folder / f'{name}.npz'
        if args.verb == 'record':
            np.savez_compressed(path, **now)
            verdict = 'recorded'
        else:
            verdict = difference(dict(np.load(path)), now)
            changed |= verdict != 'the same'
        print(f'{name}: {len(now["frame"])} bodies, {verdict}', flush=True)
    return int(changed)


def difference(before: dict, now: dict) -> str:
    """Return "the same", or what differs and by how much."""
    if set(before) != set(now) or len(before['frame']) != len(now['frame']):
        return f'{len(before["frame"])} bodies before, fields {sorted(set(before) ^ set(now))}'
    texts = []
    for name, old in before.items():
        if old.dtype.kind not in 'fiub':
            texts += [] if np.array_equal(old, now[name]) else [name]
        elif not np.array_equal(old, now[name], equal_nan=old.dtype.kind == 'f'):
            apart = np.abs(old.astype(float) - now[name])
            frames = before['frame'][(apart > 0).reshape(len(apart), -1).any(1)]
            texts.append(f'{name} by up to {np.nanmax(apart):.3g} from frame {frames[:1]}')
    return '; '.join(texts) or 'the same'


if __name__ == '__main__':
    sys.exit(main())
