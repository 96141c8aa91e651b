"""
AGORA: rendered scenes with many people, of its validation set, whose truth is public.

The rules are those of https://github.com/pixelite1201/agora_evaluation (``docs``): people whose
occlusion is 0 … 90 % and who are ``isValid`` count; bodies are matched by their joints in the
image; 24 joints of SMPL and the body's vertices, about the middle of the hips; F1 of the
detection, and the errors divided by it (NMJE, NMVE). The data frames with joints and vertices are
needed, the ``validation_SMPL`` ones named ``…_withjv.pkl``. The cameras are known by the images'
names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterator, List, Optional

from niki_ros.common.errors import InputError
from niki_ros.scene.camera import Camera
import numpy as np

from niki_training.evaluate.protocols.truth import box_around, Frame, Sequence, Truth
from niki_training.files.archives import reason
from niki_training.files.data_frames import read_frame

WIDTH_PX, HEIGHT_PX = 3840, 2160
"""Of the images that ``gt_joints_2d`` belong to."""
SENSOR_MM = (36.0, 20.25)
_FOCAL_MM = (('hdri', 50.0), ('cam00', 18.0), ('cam01', 18.0), ('cam02', 18.0), ('cam03', 18.0))
_OTHER_FOCAL_MM = 28.0
MOST_HIDDEN = 90
_COLUMNS = ('imgPath', 'gt_joints_2d', 'gt_joints_3d', 'isValid', 'occlusion')


def sequences(folder: Path) -> Iterator[Sequence]:
    """
    Yield the images of each data frame below ``folder``, which has the images below it too.

    :raises InputError: for data frames without joints.
    """
    folder = Path(folder)
    files = sorted(folder.rglob('*withjv*.pkl'))
    if not files:
        raise InputError(f'{folder}: no data frames with joints and vertices (*_withjv.pkl) in '
                         "it; take AGORA's validation_SMPL frames, or add the columns with its "
                         'project_joints')
    pictures = {file.name: file for file in folder.rglob('*.png')}
    for file in files:
        columns = read_frame(file)
        missing = [name for name in _COLUMNS if name not in columns]
        if missing:
            raise InputError(f'{file}: no column {", ".join(missing)}; it has '
                             f'{", ".join(columns)}')
        try:
            frames = [_frame(columns, i, pictures, folder)
                      for i in range(len(columns['imgPath']))]
        except (ValueError, TypeError, IndexError) as error:
            raise InputError(f'{file}: a data frame of another form ({reason(error)})') from error
        yield Sequence(file.stem, frames, video=False)


def _frame(columns: dict, i: int, pictures: dict, folder: Path) -> Frame:
    """Return one image with its people."""
    name = Path(str(columns['imgPath'][i])).name
    small = name.replace('.png', '_1280x720.png')
    file = pictures.get(name) or pictures.get(small) or folder / name
    share = 1280 / WIDTH_PX if '_1280x720' in file.name else 1.0
    people: List[Optional[Truth]] = []
    meshes = columns.get('gt_verts')
    for person, joints in enumerate(columns['gt_joints_3d'][i]):
        joints_px = share * np.asarray(columns['gt_joints_2d'][i][person], float)[:24, :2]
        mesh = None if meshes is None else np.asarray(meshes[i][person], np.float32)
        hidden = float(columns['occlusion'][i][person])
        people.append(Truth(
            np.asarray(joints, float)[:24], joints_px, box_around(joints_px), vertices_m=mesh,
            valid=bool(columns['isValid'][i][person]) and 0 <= hidden <= MOST_HIDDEN))
    return Frame(file, _camera(name), people)


def _camera(name: str) -> Callable[[tuple], Camera]:
    """Return what makes the camera of a scene for an image of (width, height)."""
    focal_mm = next((mm for mark, mm in _FOCAL_MM if mark in name), _OTHER_FOCAL_MM)

    def camera(size) -> Camera:
        width, height = size
        matrix = np.asarray([[focal_mm / SENSOR_MM[0] * width, 0, width / 2],
                             [0, focal_mm / SENSOR_MM[1] * height, height / 2], [0, 0, 1.0]])
        return Camera(matrix, width, height, source='file')
    return camera
