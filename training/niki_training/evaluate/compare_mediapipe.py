"""
Time the front end against MediaPipe's own runtime, image by image in one process.

The images of a video are put side by side as often as there shall be people. Needs the package
mediapipe and a ``pose_landmarker_*.task`` file, neither of which niki_ros installs.

Usage: python -m niki_training.evaluate.compare_mediapipe VIDEO TASK [--people 1 4] [--frames 150]
[--model full]
"""

from __future__ import annotations

import argparse
import json
from time import perf_counter, process_time

import cv2
from niki_ros.common.setting import apply_settings
from niki_ros.common.settings import PipelineConfig
from niki_ros.observers import load_observer
from niki_ros.sources.open import open_source
import numpy as np

WIDTH, HEIGHT, RATE_HZ = 1280, 720, 30.0
WARM_UP = 20


def images(video: str, people: int, count: int):
    """Yield images (720, 1280, 3) that show the middle of the video's images several times."""
    with open_source(video, max_frames=count) as source:
        for frame in source:
            image = frame.image_rgb
            side = WIDTH // people
            scale = min(HEIGHT / image.shape[0], 1.0)
            small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            left = max((small.shape[1] - side) // 2, 0)
            part = small[:HEIGHT, left:left + side]
            out = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            for index in range(people):
                x = index * side + (side - part.shape[1]) // 2
                out[:part.shape[0], x:x + part.shape[1]] = part
            yield out


def theirs(task: str, people: int):
    """Return a function from image and milliseconds to the number of people; and its closing."""
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision
    landmarker = vision.PoseLandmarker.create_from_options(vision.PoseLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=task), num_poses=people,
        running_mode=vision.RunningMode.VIDEO))

    def look(image, time_ms):
        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)
        return len(landmarker.detect_for_video(picture, time_ms).pose_landmarks)
    return look, landmarker.close


def ours(model: str, people: int):
    """Return the same for the front end of niki_ros."""
    observer = load_observer(apply_settings(PipelineConfig(), {
        'observer.model': model, 'observer.max_people': people}), wait=False)
    return (lambda image, time_ms: len(observer.observe(image, None, time_ms * 1_000_000 + 1)),
            observer.close)


def compare(args, people: int) -> dict:
    """Return medians and their ratio for so many people."""
    sides = {'mediapipe': theirs(args.task, people), 'niki_ros': ours(args.model, people)}
    spent = {name: [] for name in sides}
    cpu = {name: [] for name in sides}
    found = {name: [] for name in sides}
    for index, image in enumerate(images(args.video, people, args.frames)):
        for name, (look, _) in sides.items():
            start, cpu_start = perf_counter(), process_time()
            found[name].append(look(image, round(index * 1e3 / RATE_HZ)))
            spent[name].append(perf_counter() - start)
            cpu[name].append(process_time() - cpu_start)
    for _, close in sides.values():
        close()
    row = {'people': people}
    for name in sides:
        row[f'{name}_ms'] = round(1e3 * float(np.median(spent[name][WARM_UP:])), 2)
        row[f'{name}_cpu_ms'] = round(1e3 * float(np.mean(cpu[name][WARM_UP:])), 2)
        row[f'{name}_found'] = round(float(np.mean(found[name][WARM_UP:])), 2)
    row['ratio'] = round(row['mediapipe_ms'] / row['niki_ros_ms'], 2)
    row['cpu_ratio'] = round(row['mediapipe_cpu_ms'] / row['niki_ros_cpu_ms'], 2)
    return row


def main():
    """Print one JSON object for every number of people."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('video')
    parser.add_argument('task')
    parser.add_argument('--people', type=int, nargs='+', default=[1, 4])
    parser.add_argument('--frames', type=int, default=150)
    parser.add_argument('--model', choices=('lite', 'full', 'heavy'), default='full')
    args = parser.parse_args()
    for people in args.people:
        print(json.dumps(compare(args, people)), flush=True)


if __name__ == '__main__':
    main()
