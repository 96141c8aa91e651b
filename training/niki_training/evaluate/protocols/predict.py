"""The pipeline on the images of a benchmark, one file for each sequence, so that it can go on."""

from __future__ import annotations

import json
from pathlib import Path
import re
from typing import Callable, Dict, List

from niki_ros.common.errors import InputError
from niki_ros.common.setting import apply_settings
from niki_ros.common.settings import PipelineConfig
from niki_ros.files.atomic_write import atomic_write
from niki_ros.loading.pipeline import load_pipeline
import numpy as np
from tqdm import tqdm

from niki_training.evaluate.protocols.matching import matched
from niki_training.evaluate.protocols.truth import Frame, Sequence
from niki_training.files.archives import opened_npz
from niki_training.files.outputs import write_text

RUN = 'run.json'
ARRAYS = {'found': (), 'rotmat': (24, 3, 3), 'rest_m': (29, 3), 'joints_m': (29, 3)}
"""What is kept of every person of the truth; zeros where no body was theirs."""
_MOST_PEOPLE = 32


class Predictions(dict):
    """
    Arrays by name: those of ``ARRAYS`` with a row for each person and image, ``strangers`` (F,).

    ``strangers`` counts the bodies of an image that are nobody's. ``row`` (F, P) is the index of a
    person's row in the others, -1 where the truth says nothing.
    """


def settings_for(solver: str, settings: Dict, boxes: str, video: bool) -> PipelineConfig:
    """
    Return the settings of a pipeline for a benchmark.

    People who are told by boxes, or are in one image only, are believed at once.
    """
    config = PipelineConfig()
    config.solver.name = solver
    config.observer.max_people = _MOST_PEOPLE
    if boxes == 'truth':
        config.observer.detector = ''
    if boxes == 'truth' or not video:
        config.tracking.confirm_frames = 1
    return apply_settings(config, settings)


def begin(out: Path, facts: dict) -> None:
    """
    Make the folder of a run, or see that it is of this run.

    :raises InputError: when it holds another one.
    """
    file = out / RUN
    if not file.exists():
        if out.is_dir() and any(out.iterdir()):
            raise InputError(f'{out} is not empty and has no {RUN}: it is no run of this command; '
                             'give another --out')
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


def run(sequence: Sequence, out: Path, config: Callable[[bool], PipelineConfig], boxes: str,
        every: int) -> Predictions:
    """Return the predictions of a sequence: those on the disk, or made now."""
    file = out / file_name(sequence)
    if file.exists():
        return read(file, sequence)
    pipeline = load_pipeline(config(sequence.video))
    try:
        found = _predicted(pipeline, sequence, boxes, every)
    finally:
        pipeline.close()
    with atomic_write(file) as part, open(part, 'wb') as opened:
        np.savez_compressed(opened, **found)
    return found


def read(file: Path, sequence: Sequence) -> Predictions:
    """
    Read the predictions of a sequence.

    :raises InputError: when they are damaged, or of other images.
    """
    remedy = 'delete it, and it is made again'
    with opened_npz(file, 'predictions of this command', remedy) as z:
        found = Predictions({name: z[name] for name in (*ARRAYS, 'row', 'strangers')})
    if len(found['row']) != len(sequence.frames):
        raise InputError(f'{file}: of {len(found["row"])} images, and {sequence.name} has '
                         f'{len(sequence.frames)}; {remedy}')
    return found


def _predicted(pipeline, sequence: Sequence, boxes: str, every: int) -> Predictions:
    """Run the pipeline on every image of a sequence."""
    frames = sequence.frames
    rows = np.full((len(frames), max(len(f.people) for f in frames)), -1, np.int32)
    kept: Dict[str, List[np.ndarray]] = {name: [] for name in ARRAYS}
    strangers = np.zeros(len(frames), np.int32)
    for index in tqdm(range(0, len(frames), every), desc=sequence.name, unit='image',
                      disable=None):
        frame = frames[index]
        bodies, camera = _bodies(pipeline, sequence, frame, index, boxes)
        known = [p for p, truth in enumerate(frame.people) if truth is not None]
        pairs = matched([camera.project(body.joints_m[:24]) for body in bodies],
                        [frame.people[p].joints_px for p in known])
        strangers[index] = len(bodies) - sum(frame.people[known[i]].valid for i in pairs)
        for i, person in enumerate(known):
            rows[index, person] = len(kept['found'])
            body = bodies[pairs[i]] if i in pairs else None
            _keep(kept, body, pipeline.solver.skeleton)
    arrays = {name: np.asarray(values, np.float32).reshape(-1, *ARRAYS[name])
              for name, values in kept.items()}
    arrays['found'] = arrays['found'].astype(bool)
    return Predictions(arrays, row=rows, strangers=strangers)


def _bodies(pipeline, sequence, frame: Frame, index: int, boxes: str):
    """Return the bodies in one image, and its camera."""
    image = frame.image_rgb()
    camera = frame.camera((image.shape[1], image.shape[0]))
    if not sequence.video:
        pipeline.reset()
    given = None
    if boxes == 'truth':
        given = np.asarray([one.box_px for one in frame.people if one is not None])
    stamp_ns = round(frame.time_s * 1e9) if sequence.video else index + 1
    return pipeline.process(image, camera, stamp_ns, boxes_px=given), camera


def _keep(kept: dict, body, skeleton) -> None:
    """Add one person's row."""
    kept['found'].append(np.asarray(body is not None))
    for name, shape in ARRAYS.items():
        if body is None and name != 'found':
            kept[name].append(np.zeros(shape))
    if body is not None:
        kept['rotmat'].append(body.rotmat)
        kept['rest_m'].append(skeleton.rest(body.betas))
        kept['joints_m'].append(body.joints_m)
