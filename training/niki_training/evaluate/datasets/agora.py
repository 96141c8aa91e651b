"""
Reader of AGORA: rendered scenes with many people, the validation set with its public truth.

The rules are those of https://github.com/pixelite1201/agora_evaluation (``docs``): people with
``isValid`` and an occlusion of 0 … 90 % count; bodies are matched by their joints in the image;
errors are of SMPL's 24 joints and of the body's vertices about the middle of the hips, and those
divided by the F1 of the detection (NMJE, NMVE). The data frames need joints and vertices:
``…_withjv.pkl`` of ``validation_SMPL``. The name of an image gives its camera.
"""

from pathlib import Path
from typing import Callable, Iterator

from niki_ros.common.errors import InputError
from niki_ros.scene.camera import Camera
import numpy as np

from niki_training.evaluate.datasets.annotations import (
    AnnotatedImage,
    box_around,
    PersonTruth,
    Sequence,
)
from niki_training.files.archives import reason
from niki_training.files.data_frames import read_frame

_WIDTH_PX, _SMALL_WIDTH_PX = 3840, 1280  # of the images of ``gt_joints_2d``, and a smaller version
_SENSOR_MM = (36.0, 20.25)
_FOCAL_MM = (('hdri', 50.0), ('cam00', 18.0), ('cam01', 18.0), ('cam02', 18.0), ('cam03', 18.0))
_OTHER_FOCAL_MM = 28.0
_MAX_OCCLUSION_PERCENT = 90
_COLUMNS = ('imgPath', 'gt_joints_2d', 'gt_joints_3d', 'isValid', 'occlusion')


def sequences(folder: Path) -> Iterator[Sequence]:
    """Yield the images of each data frame below ``folder``, which also holds the images."""
    folder = Path(folder)
    files = sorted(folder.rglob('*withjv*.pkl'))
    if not files:
        raise InputError(f'{folder}: no data frames with joints and vertices (*_withjv.pkl); take '
                         "AGORA's validation_SMPL, or add the columns with its project_joints")
    images = {file.name: file for file in folder.rglob('*.png')}
    for file in files:
        columns = read_frame(file)
        missing = [name for name in _COLUMNS if name not in columns]
        if missing:
            raise InputError(f'{file}: no column {", ".join(missing)} in {", ".join(columns)}')
        try:
            frames = [_frame(columns, i, images, folder) for i in range(len(columns['imgPath']))]
        except (ValueError, TypeError, IndexError) as error:
            raise InputError(f'{file}: a data frame of another form ({reason(error)})') from error
        yield Sequence(file.stem, frames, video=False)


def _frame(columns: dict, i: int, images: dict, folder: Path) -> AnnotatedImage:
    name = Path(str(columns['imgPath'][i])).name
    small = name.replace('.png', '_1280x720.png')
    file = images.get(name) or images.get(small) or folder / name
    scale = _SMALL_WIDTH_PX / _WIDTH_PX if '_1280x720' in file.name else 1.0
    people: list[PersonTruth | None] = []
    meshes = columns.get('gt_verts')
    for person, joints in enumerate(columns['gt_joints_3d'][i]):
        joints_px = scale * np.asarray(columns['gt_joints_2d'][i][person], float)[:24, :2]
        mesh = None if meshes is None else np.asarray(meshes[i][person], np.float32)
        percent = float(columns['occlusion'][i][person])
        valid = bool(columns['isValid'][i][person]) and 0 <= percent <= _MAX_OCCLUSION_PERCENT
        people.append(PersonTruth(np.asarray(joints, float)[:24], joints_px, box_around(joints_px),
                                  vertices_m=mesh, valid=valid))
    return AnnotatedImage(file, _camera(name), people)


def _camera(name: str) -> Callable[[tuple], Camera]:
    """Return a function from (width, height) to the camera of a scene."""
    focal_mm = next((mm for mark, mm in _FOCAL_MM if mark in name), _OTHER_FOCAL_MM)

    def camera(size) -> Camera:
        (width, height), focal = size, np.divide(focal_mm, _SENSOR_MM) * size
        matrix = [[focal[0], 0, width / 2], [0, focal[1], height / 2], [0, 0, 1.0]]
        return Camera(np.asarray(matrix), width, height, source='file')
    return camera
