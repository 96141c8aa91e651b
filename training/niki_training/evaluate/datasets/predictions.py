"""Predictions of the pipeline on a benchmark, one file per sequence, so that a run is resumed."""


import json
from pathlib import Path
import re
from typing import Callable

from niki_ros.body.body import Body
from niki_ros.common.errors import InputError
from niki_ros.common.setting import apply_settings
from niki_ros.common.settings import PipelineConfig
from niki_ros.files.atomic_write import atomic_write
from niki_ros.images.boxes import overlap
from niki_ros.loading.load_pipeline import load_pipeline
import numpy as np
from tqdm import tqdm

from niki_training.evaluate.datasets.annotations import AnnotatedImage, Sequence
from niki_training.files.archives import opened_npz
from niki_training.files.outputs import write_text

RUN_FILE = 'run.json'
# shapes of the arrays with one row per annotated person; zeros where no body was matched
ARRAYS: dict[str, tuple] = {
    'found': (), 'rotmat': (24, 3, 3), 'rest_m': (29, 3), 'joints_m': (29, 3)}
_MAX_PEOPLE, _MIN_IOU = 32, 0.1


class Predictions(dict):
    """
    Arrays by name: those of ``ARRAYS`` with one row for each annotated person in each image.

    ``row`` (F, P) is the index of the row of a person in an image, -1 without annotation;
    ``strangers`` (F,) counts the bodies of an image that belong to no person that counts.
    """

    def every(self, step: int) -> 'Predictions':
        """Return the predictions of every ``step``-th image."""
        return Predictions(self, row=self['row'][::step], strangers=self['strangers'][::step])


def pipeline_config(solver: str, settings: dict, boxes: str, is_video: bool) -> PipelineConfig:
    """
    Return the settings of the pipeline for a benchmark; ``boxes`` are ``truth`` or ``detector``.

    People whose boxes are given, or who are in one image only, are confirmed at once.
    """
    config = PipelineConfig()
    config.solver.name = solver
    config.observer.max_people = _MAX_PEOPLE
    if boxes == 'truth':
        config.observer.detector = ''
    if boxes == 'truth' or not is_video:
        config.tracking.confirm_frames = 1
    return apply_settings(config, settings)


def start_run(out: Path, facts: dict) -> None:
    """Make the folder of a run, or check that it holds the same run."""
    file = out / RUN_FILE
    if not file.exists():
        if out.is_dir() and any(out.iterdir()):
            raise InputError(f'{out} holds files and no run of this command; give another --out')
        out.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(facts, indent=1) + '\n')
        return
    try:
        before = json.loads(file.read_text('utf-8'))
        if not isinstance(before, dict):
            raise ValueError(f'a {type(before).__name__}')
    except (OSError, ValueError) as error:
        raise InputError(f'{file}: cannot be read ({error}); give another --out') from error
    other = [name for name in facts if before.get(name) != facts[name]]
    if other:
        raise InputError(f'{out} holds a run with another {", ".join(other)}; give another --out')


def file_name(sequence: Sequence) -> str:
    """Return the name of the file of a sequence's predictions."""
    return f'{re.sub("[^A-Za-z0-9_.-]", "_", sequence.name)}.npz'


def predict(sequence: Sequence, folder: Path, config: Callable[[bool], PipelineConfig],
            boxes: str, step: int) -> Predictions:
    """
    Return the predictions of a sequence's file, or new ones of every ``step``-th image.

    :param config: returns the settings for a video (True) or single images.
    """
    file = folder / file_name(sequence)
    if file.exists():
        return read_predictions(file, sequence)
    pipeline = load_pipeline(config(sequence.video))
    try:
        found = _predicted(pipeline, sequence, boxes, step)
    finally:
        pipeline.close()
    with atomic_write(file) as part, open(part, 'wb') as opened:
        np.savez_compressed(opened, **found)
    return found


def read_predictions(file: Path, sequence: Sequence) -> Predictions:
    remedy = 'delete it, and it is made again'
    with opened_npz(file, 'predictions of this command', remedy) as z:
        found = Predictions({name: z[name] for name in (*ARRAYS, 'row', 'strangers')})
    if len(found['row']) != len(sequence.frames):
        raise InputError(f'{file}: {len(found["row"])} images; expected {len(sequence.frames)}; '
                         f'{remedy}')
    return found


def _predicted(pipeline, sequence: Sequence, boxes: str, step: int) -> Predictions:
    images = sequence.frames
    row = np.full((len(images), max(len(one.people) for one in images)), -1, np.int32)
    strangers = np.zeros(len(images), np.int32)
    kept: dict[str, list[np.ndarray]] = {name: [] for name in ARRAYS}
    for index in tqdm(range(0, len(images), step), desc=sequence.name, unit='image', disable=None):
        bodies, camera = _bodies(pipeline, sequence, images[index], index, boxes)
        known = [(p, truth) for p, truth in enumerate(images[index].people) if truth is not None]
        pairs = matched([camera.project(body.joints_m[:24]) for body in bodies],
                        [truth.joints_px for _, truth in known])
        strangers[index] = len(bodies) - sum(known[i][1].valid for i in pairs)
        for i, (person, _) in enumerate(known):
            row[index, person] = len(kept['found'])
            _append(kept, bodies[pairs[i]] if i in pairs else None, pipeline.solver.skeleton)
    arrays = {name: np.asarray(values, np.float32).reshape(-1, *ARRAYS[name])
              for name, values in kept.items()}
    arrays['found'] = arrays['found'].astype(bool)
    return Predictions(arrays, row=row, strangers=strangers)


def _bodies(pipeline, sequence: Sequence, image: AnnotatedImage, index: int, boxes: str):
    """Return the bodies in one image, and its camera."""
    image_rgb = image.image_rgb()
    camera = image.camera((image_rgb.shape[1], image_rgb.shape[0]))
    if not sequence.video:
        pipeline.reset()
    boxes_px = None
    if boxes == 'truth':
        boxes_px = np.asarray([one.box_px for one in image.people if one is not None])
    stamp_ns = round(image.time_s * 1e9) if sequence.video else index + 1
    return pipeline.process(image_rgb, camera, stamp_ns, boxes_px=boxes_px), camera


def _append(kept: dict[str, list[np.ndarray]], body: Body | None, skeleton) -> None:
    row = {name: np.zeros(shape) for name, shape in ARRAYS.items()} if body is None else {
        'found': np.ones(()), 'rotmat': body.rotmat, 'rest_m': skeleton.rest(body.betas),
        'joints_m': body.joints_m}
    for name, value in row.items():
        kept[name].append(value)


def matched(found_px: list[np.ndarray], true_px: list[np.ndarray]) -> dict[int, int]:
    """
    Return person → body, from the joints (24, 2) of each body and of each person in the image.

    The rule is AGORA's (docs/evaluation_metric.md of github.com/pixelite1201/agora_evaluation):
    pairs are matched by the mean distance of their joints, nearest first, where the boxes around
    the joints overlap. It also matches several people in one image of the other benchmarks.
    """
    pairs = [(float(np.linalg.norm(found - true, axis=-1).mean()), person, body)
             for person, true in enumerate(true_px) for body, found in enumerate(found_px)
             if np.isfinite(found).all() and overlap(_box(found), _box(true)) >= _MIN_IOU]
    out: dict[int, int] = {}
    for _, person, body in sorted(pairs):
        if person not in out and body not in out.values():
            out[person] = body
    return out


def _box(points) -> np.ndarray:
    return np.concatenate([points.min(axis=0), points.max(axis=0)])
