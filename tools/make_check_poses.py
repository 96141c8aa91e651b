"""
Make ``niki_ros/models/check_poses.npz``: 1,000 poses of real people to measure engines with.

The front end observes them in videos under the BSD-3 licence: Sports2D's demo (a walking person)
and Pose2Sim's balancing trial from four cameras; every frame and its mirror image.

Usage: python tools/make_check_poses.py VIDEO... niki_ros/models/check_poses.npz
"""

import sys

from niki_ros.body.skeleton import MIRROR_29
from niki_ros.common.setting import apply_settings
from niki_ros.common.settings import PipelineConfig
from niki_ros.observers import load_observer
from niki_ros.sources.open import open_source
import numpy as np

COUNT = 1000


def observed(video):
    """Yield joints (29, 3), metres, and sigma (29,) of the first person in every frame."""
    observer = load_observer(apply_settings(PipelineConfig(), {'observer.max_people': 1}))
    with open_source(video) as source:
        for frame in source:
            for seen in observer.observe(frame.image_rgb, None, frame.stamp_ns)[:1]:
                yield seen.joints_m, seen.sigma_200mm
    observer.close()


def main(*videos, out):
    """Write an even choice of the observed poses and their mirror images."""
    found = [pose for video in videos for pose in observed(video)]
    joints, sigma = (np.stack(values) for values in zip(*found))
    mirror = list(MIRROR_29)
    joints = np.concatenate([joints, joints[:, mirror] * [-1, 1, 1]])
    sigma = np.concatenate([sigma, sigma[:, mirror]])
    print(f'{len(found)} poses seen, {len(joints)} with their mirror images')
    chosen = np.linspace(0, len(joints) - 1, min(COUNT, len(joints))).astype(int)
    np.savez_compressed(out, joints_m=joints[chosen].astype(np.float16),
                        sigma=sigma[chosen].astype(np.float16))


if __name__ == '__main__':
    main(*sys.argv[1:-1], out=sys.argv[-1])
