"""
Reader of annotations in HybrIK's form, one JSON with ``images`` and ``annotations``.

Human3.6M has ``thetas``, 3DPW ``smpl_param``, MPI-INF-3DHP only joints, ``keypoints_cam``. Frames
of one video and person with a constant step are one piece.
"""

from collections import Counter
import json
import re

from niki_ros.body.rotations import rotmat_from_rotvec, rotvec_from_rotmat
from niki_ros.body.skeleton import JOINTS_29, open_skeleton
from niki_ros.common.errors import InputError
from niki_ros.solvers.analytic import local_rotations
import numpy as np

from niki_training.data.augmentation import CAMERA_FROM_UPRIGHT
from niki_training.data.frame_rate import at_30_fps
from niki_training.data.motion import Motion
from niki_training.files.archives import reason

VIDEO_FPS = {'h36m': 50.0, '3dhp': 25.0, 'hybrik': 30.0}  # 30 of 3DPW; some videos of 3DHP: 50
_MIN_RATE_HZ = 5.0  # frames further apart are single poses: interpolation would invent motion
_FRAME = re.compile(r'^(?P<video>.*?)[_/]?(?:image|img|frame)?_?(?P<number>\d+)\.\w+$')
HP3D_28 = (
    'spine3', 'spine4', 'spine2', 'spine', 'pelvis', 'neck', 'head', 'head_top',
    'left_clavicle', 'left_shoulder', 'left_elbow', 'left_wrist', 'left_hand',
    'right_clavicle', 'right_shoulder', 'right_elbow', 'right_wrist', 'right_hand',
    'left_hip', 'left_knee', 'left_ankle', 'left_foot', 'left_toe',
    'right_hip', 'right_knee', 'right_ankle', 'right_foot', 'right_toe')
_OTHER_NAMES = {'spine1': 'spine', 'collar': 'clavicle', 'big_toe': 'toe'}
_TRUNK_SIGMA = 0.15  # sigma of the trunk's joints; their places in the body are not those of SMPL


def read_hybrik(path, video_fps: float = VIDEO_FPS['hybrik']) -> Motion:
    """Read pieces of motion, or single poses without names of videos; ``video_fps`` of a video."""
    rows = rows_of(path)
    rotvec = _rotvec(path, rows)
    rotvec[:, 0] = rotvec_from_rotmat(CAMERA_FROM_UPRIGHT @ rotmat_from_rotvec(rotvec[:, 0]))
    pieces, names = [], []
    for (subject, video), frames in videos_of(rows).items():
        for start, part, rate_hz in _runs(sorted(frames), video_fps):
            resampled = at_30_fps(rotvec[part], rate_hz)
            pieces.append(resampled.astype(np.float32))
            names.append(f'{subject}/{video}-{start}')
    return Motion(np.concatenate(pieces), np.asarray([len(p) for p in pieces]), np.asarray(names))


def rows_of(path) -> list:
    """Return the annotations, each with the fields of its image."""
    try:
        with open(path, encoding='utf-8-sig') as file:
            found = json.load(file)
        rows, images = found['annotations'], found.get('images', [])
        by_id = {image.get('id'): image for image in images}
        if not all(row.get('image_id') in by_id for row in rows):
            by_id = {}
        if images and not by_id and len(images) != len(rows):
            raise ValueError(f'{len(images)} images and {len(rows)} annotations')
        pairs = [(by_id[row['image_id']] if by_id else images[i] if images else {}, row)
                 for i, row in enumerate(rows)]
        rows = [{**image, **row} for image, row in pairs]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: not annotations in HybrIK's form, with thetas, smpl_param or "
                         f'keypoints_cam ({reason(error)})') from error
    if not rows:
        raise InputError(f'{path}: it has no annotations')
    return rows


def _rotvec(path, rows: list) -> np.ndarray:
    """Return the rotation vectors (F, 24, 3) of the annotations in camera axes."""
    try:
        if 'keypoints_cam' in rows[0] and not {'thetas', 'theta', 'smpl_param'} & set(rows[0]):
            return rotvec_of_hp3d(np.asarray([row['keypoints_cam'] for row in rows], float))
        out = []
        for row in rows:
            theta = np.asarray(row['smpl_param']['pose'] if 'smpl_param' in row else
                               row['thetas' if 'thetas' in row else 'theta'], float)
            out.append(theta.reshape(24, 3) if theta.size == 72
                       else rotvec_from_rotmat(theta.reshape(24, 3, 3)))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f'{path}: every annotation needs thetas of 72 or 216 numbers, smpl_param '
                         f'with a pose, or 28 keypoints_cam ({reason(error)})') from error
    return np.stack(out)


def rotvec_of_hp3d(keypoints) -> np.ndarray:
    """
    Return rotation vectors (F, 24, 3), radians, of joints (F, 28, 3) in camera axes, any unit.

    The bones get the directions between the joints. Twists are not in the data and stay 0, except
    at pelvis and chest. Another number of joints is a ValueError.
    """
    keypoints = np.asarray(keypoints, dtype=np.float64)
    if keypoints.shape[1:] != (28, 3):
        raise ValueError(f'keypoints_cam of shape {keypoints.shape[1:]}; expected the 28 joints '
                         'of the training annotations')
    joints = np.stack([_joint(keypoints, name) for name in JOINTS_29], axis=1)
    sigma = [_TRUNK_SIGMA if name.startswith(('spine', 'neck')) else 0.0 for name in JOINTS_29]
    offsets = np.broadcast_to(open_skeleton().offsets(), joints.shape)
    return rotvec_from_rotmat(local_rotations(
        joints - joints[:, :1], np.broadcast_to(np.asarray(sigma), joints.shape[:2]), offsets))


def _joint(keypoints, name: str) -> np.ndarray:
    """Return one joint of the skeleton (F, 3); fingers continue the line from wrist to hand."""
    side, _, part = name.partition('_')
    if part == 'middle_finger':
        return 2 * _joint(keypoints, f'{side}_hand') - _joint(keypoints, f'{side}_wrist')
    for ours, theirs in _OTHER_NAMES.items():
        name = name.replace(ours, theirs)
    return keypoints[:, HP3D_28.index(name)]


def videos_of(rows: list) -> dict:
    """Return (subject, video and person) → list of frame number and row."""
    places: dict = {}
    videos: dict = {}
    for i, row in enumerate(rows):
        named = _FRAME.match(f'{row.get("sequence", "")}/{row.get("file_name", "")}')
        if named is None:   # an image without a name or number is a single frame
            videos[str(row.get('image_id', i)), str(i)] = [(0, i)]
        else:
            places.setdefault(named['video'].strip('/'), []).append((int(named['number']), i))
    for place, numbered in places.items():
        people = _people([number for number, _ in numbered], [rows[i] for _, i in numbered])
        for person, frame in zip(people, numbered):
            videos.setdefault((_subject(place), f'{_label(place)}-{person}'), []).append(frame)
    return videos


def _people(numbers: list, rows: list) -> list:
    """Return the person of each annotation: by id, by betas, or by the order in the images."""
    ids = [row.get('person_id', row.get('track_id')) for row in rows]
    shapes = [str(row.get('betas', dict(row.get('smpl_param') or {}).get('shape')))
              for row in rows]
    most = max(Counter(numbers).values())
    known = {shape: person for person, shape in enumerate(dict.fromkeys(shapes))}
    # betas of a fit that change from frame to frame do not tell people apart
    by_shape = most > 1 and len(known) == most and len(set(zip(numbers, shapes))) == len(rows)
    order: Counter = Counter()
    out = []
    for number, shape, person in zip(numbers, shapes, ids):
        if person is None:
            person = known[shape] if by_shape else order[number]
        order[number] += 1
        out.append(person)
    return out


def _label(place: str) -> str:
    """Return a short name of a video; images often repeat the name of their folder."""
    parts = place.split('/')
    return '-'.join(parts[1:] if len(parts) > 1 and parts[1].startswith(parts[0]) else parts)


def _subject(video: str) -> str:
    """Return the subject of a video of Human3.6M or MPI-INF-3DHP, else the video itself."""
    found = re.search(r'(?:^|/)(?:(s_\d+)_act_|(T?S\d+)(?:[/_]|$))', video)
    return found[1] or found[2] if found else video.replace('/', '-')


def _runs(frames: list, video_fps: float):
    """Yield runs of frames with a constant step: first number, rows, frames per second."""
    numbers = np.asarray([number for number, _ in frames])
    steps = np.diff(numbers)
    step = int(np.median(steps[steps > 0])) if (steps > 0).any() else 0
    rate_hz = video_fps / step if step else 0.0
    together = (steps == step) if rate_hz >= _MIN_RATE_HZ else np.zeros(len(steps), dtype=bool)
    for run in np.split(np.arange(len(frames)), np.flatnonzero(~together) + 1):
        yield int(numbers[run[0]]), [frames[k][1] for k in run], rate_hz or 30.0
