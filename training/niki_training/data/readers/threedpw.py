"""Reader of 3DPW: one pickle per sequence, of which no code is run."""

from niki_ros.common.errors import InputError
import numpy as np

from niki_training.data.motion import join_motions, Motion
from niki_training.data.readers.amass import from_body_poses
from niki_training.files.archives import reason
from niki_training.files.pickles import restricted_load

OCCLUDED = ('courtyard_backpack', 'courtyard_basketball', 'courtyard_bodyScannerMotions',
            'courtyard_box', 'courtyard_golf', 'courtyard_jacket', 'courtyard_laceShoe',
            'downtown_stairs', 'flat_guitar', 'flat_packBags', 'outdoors_climbing',
            'outdoors_crosscountry', 'outdoors_fencing', 'outdoors_freestyle', 'outdoors_golf',
            'outdoors_parcours', 'outdoors_slalom')
# of 3DPW-OCC in all splits, without the number at the end of their names: objects hide the person
# (Zhang et al., "Object-Occluded Human Shape and Pose Estimation from a Single Color Image", 2020)


def read_3dpw(path) -> Motion:
    """Read ``poses`` of every person, a list of (T, 72) rotation vectors at 30 fps, y up."""
    data = restricted_load(path)
    if not isinstance(data, dict) or 'poses' not in data:
        raise InputError(f'{path}: no "poses" in it; expected a 3DPW sequence file')
    try:
        found = [np.asarray(poses, dtype=np.float64) for poses in data['poses']]
    except (TypeError, ValueError) as error:
        raise InputError(f'{path}: "poses" is no list of arrays, one per person '
                         f'({reason(error)})') from error
    people = []
    for i, poses in enumerate(found):
        if poses.ndim != 2 or poses.shape[1] != 72 or not len(poses):
            raise InputError(f'{path}: poses[{i}] has shape {poses.shape}; expected (T, 72)')
        people.append(from_body_poses(poses, 30.0, f'{path.stem}/{i}'))
    if not people:
        raise InputError(f'{path}: it has no person')
    return join_motions(people)


def is_occluded(path) -> bool:
    return path.stem.rpartition('_')[0] in OCCLUDED
