#!/usr/bin/env python3
"""
Images of the documentation from second S of a video: ``python docs/make_pictures.py VIDEO S``.

docs/images/scene.png is the view of config/niki.rviz, drawn by matplotlib because rviz needs a
screen. docs/images/stages.jpg shows the steps of the pipeline.
"""

from pathlib import Path
import sys

import cv2
import matplotlib
from niki_ros import load_pipeline
from niki_ros.body.body import STATUS_NAMES
from niki_ros.body.skeleton import CARRIER_29, PARENTS_29
from niki_ros.images.overlay import confidence_rgb, draw_overlay
from niki_ros.loading.process_source import process_source
from niki_ros.robot_model.urdf import link_names, link_poses, root_quat_xyzw
from niki_ros.sources.open import open_source
import numpy as np
from scipy.spatial.transform import Rotation
import yaml

matplotlib.use('Agg')
from matplotlib import pyplot  # noqa: E402, I100

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / 'docs' / 'images'
BONES = [(parent, joint) for joint, parent in enumerate(PARENTS_29) if parent >= 0]
AXES_RGB = ('#e04040', '#40c040', '#4060ff')


def process_until(video, seconds: float):
    """Return image, camera, bodies, observations and bone offsets at a time of a video."""
    pipeline = load_pipeline()
    with open_source(video) as source:
        for frame in process_source(source, pipeline):
            if frame.stamp_ns >= seconds * 1e9:
                break
    # the front end again on the same image: the pipeline does not return its observations
    observations = pipeline.observer.observe(frame.image_rgb, frame.camera, frame.stamp_ns + 1)
    offsets_m = [pipeline.solver.skeleton.offsets(body.betas) for body in frame.bodies]
    pipeline.close()
    return frame.image_rgb, frame.camera, frame.bodies, observations, offsets_m


def rviz_view(display: dict):
    """Return the eye (3,) and the focus (3,) of rviz's orbit view, metres in the fixed frame."""
    view = display['Visualization Manager']['Views']['Current']
    focus = np.array([view['Focal Point'][axis] for axis in 'XYZ'])
    pitch, yaw = view['Pitch'], view['Yaw']
    away = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
    return focus + view['Distance'] * away, focus


class Eye:
    """Pinhole camera at ``position`` (3,) that looks at ``target`` (3,), in the fixed frame."""

    def __init__(self, position, target, size=(960, 600), focal_px=760.0):
        """Rotate the camera so that the image is upright."""
        forward = (target - position) / np.linalg.norm(target - position)
        right = np.cross([0.0, 1.0, 0.0], forward)
        right /= np.linalg.norm(right)
        self.rotmat = np.stack([right, np.cross(forward, right), forward])
        self.position, self.size, self.focal_px = position, size, focal_px

    def __call__(self, points_m) -> np.ndarray:
        """Return pixels (..., 2) of points (..., 3) in the fixed frame; NaN behind the eye."""
        points_m = (np.asarray(points_m) - self.position) @ self.rotmat.T
        z = np.where(points_m[..., 2:] > 0.1, points_m[..., 2:], np.nan)
        return points_m[..., :2] / z * self.focal_px + np.array(self.size) / 2


def frames_of(body, offsets_m):
    """Return positions (30, 3) and rotations (30, 3, 3) of the TF frames in the camera frame."""
    root_rotmat = Rotation.from_quat(root_quat_xyzw(body.rotmat)).as_matrix()
    links_m, rotmats = link_poses(body.rotmat, offsets_m)
    links_m = np.concatenate([np.zeros((1, 3)), links_m]) @ root_rotmat.T
    return (np.asarray(body.root_m) + links_m,
            root_rotmat @ np.concatenate([np.eye(3)[None], rotmats]))


def scene(bodies, offsets, out: Path):
    """Draw grid, skeletons, joints by confidence and frames as in config/niki.rviz."""
    config = yaml.safe_load((ROOT / 'config' / 'niki.rviz').read_text('utf-8'))
    shown = {item['Name']: item for item in config['Visualization Manager']['Displays']}
    back = [int(part) / 255 for part in
            config['Visualization Manager']['Global Options']['Background Color'].split(';')]
    eye = Eye(*rviz_view(config))
    figure = pyplot.figure(figsize=(9.6, 6.0), dpi=100, facecolor=back)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, eye.size[0]), ylim=(eye.size[1], 0))
    axes.axis('off')
    grid = shown['Grid']
    half = grid['Plane Cell Count'] * grid['Cell Size'] / 2
    centre = np.array([grid['Offset'][axis] for axis in 'XYZ'])
    for at in np.arange(-half, half + 1e-9, grid['Cell Size']):
        for ends in ([[at, 0, -half], [at, 0, half]], [[-half, 0, at], [half, 0, at]]):
            line = eye(np.linspace(*(centre + np.array(ends)), 60))
            axes.plot(*line.T, color='#a0a0a4', linewidth=0.5)
    draw_frames(axes, eye, np.zeros((1, 3)), np.eye(3)[None], 0.3)
    for body, offsets_m in zip(bodies, offsets):
        draw_body(axes, eye, body)
        draw_frames(axes, eye, *frames_of(body, offsets_m), shown['Frames']['Marker Scale'])
        label = eye(body.joints_m[24]) - [0, 14]
        name = link_names('', str(body.id))[0]
        axes.text(*label, name, color='white', ha='center', fontsize=9)
    figure.savefig(out, facecolor=back)


def draw_body(axes, eye, body):
    """Draw bones and joints in the colours of the markers, by confidence."""
    pixels = eye(body.joints_m)
    colours = [np.array(confidence_rgb(body.confidence[joint])) / 255 for joint in CARRIER_29]
    for parent, joint in BONES:
        axes.plot(*pixels[[parent, joint]].T, color=colours[joint], linewidth=2.5,
                  solid_capstyle='round')
    axes.scatter(*pixels.T, s=16, color=colours, zorder=3)


def draw_frames(axes, eye, positions_m, rotmats, length_m):
    """Draw the three axes of every frame."""
    for position, rotmat in zip(positions_m, rotmats):
        for axis, colour in enumerate(AXES_RGB):
            ends = eye([position, position + length_m * 0.6 * rotmat[:, axis]])
            axes.plot(*ends.T, color=colour, linewidth=0.9)


def cropped(image, box, margin=0.25):
    """Return the part of an image around a box x0, y0, x1, y1, and its upper left corner (2,)."""
    x0, y0, x1, y1 = box
    grow = margin * (y1 - y0)
    middle = (x0 + x1) / 2
    wide = max(x1 - x0, 0.6 * (y1 - y0)) / 2 + grow
    left, top = max(0, int(middle - wide)), max(0, int(y0 - grow))
    return image[top:int(y1 + grow), left:int(middle + wide)], np.array([left, top])


def stages(image, camera, bodies, observations, out: Path):
    """Draw observation, solution, position and confidence of a person."""
    body = max(bodies, key=lambda one: one.confidence.mean())
    observation = min(observations, key=lambda one: np.nanmean(np.linalg.norm(
        one.keypoints_px - body.keypoints_px, axis=1)))
    figure, axes = pyplot.subplots(1, 4, figsize=(13.6, 4.4), dpi=100, layout='constrained')
    part, corner = cropped(image, observation.box_px)
    axes[0].imshow(part)
    axes[0].scatter(*(observation.keypoints_px - corner).T, s=8 + 120 * observation.sigma_200mm,
                    facecolors='none', edgecolors='#ffd000', linewidths=1.3)
    axes[0].set_title('observe: 29 joints\ncircle = expected error')
    draw_solved(axes[1], body, observation)
    draw_placed(axes[2], bodies, camera)
    axes[3].imshow(cropped(draw_overlay(image, bodies, camera), observation.box_px)[0])
    axes[3].set_title('confidence: blue = certain\norange, dashed = predicted')
    for one in (axes[0], axes[3]):
        one.axis('off')
    figure.savefig(out, pil_kwargs={'quality': 88})


def draw_solved(axes, body, observation):
    """Draw the joints of the front end and of the solved body from the side."""
    solved = body.joints_m - body.root_m
    for joints, style in ((observation.joints_m, {'color': '#999999', 'linestyle': ':'}),
                          (solved, {'color': '#2070b4'})):
        for parent, joint in BONES:
            axes.plot(joints[[parent, joint], 2], -joints[[parent, joint], 1], **style)
    axes.set_aspect('equal')
    axes.set_xlabel('away from the camera [m]')
    axes.set_title('solve: from the side\ngrey = front end, blue = NIKI')


def draw_placed(axes, bodies, camera):
    """Draw the positions of people from above, with the field of view of the camera."""
    half = camera.width / 2 / camera.matrix[0, 0]
    far = max(body.root_m[2] for body in bodies) + 1.0
    axes.plot([-half * far, 0, half * far], [far, 0, far], color='#999999')
    for body in bodies:
        axes.scatter(*body.joints_m[:, [0, 2]].T, s=6, color='#2070b4')
        axes.annotate(f'#{body.id}: {np.linalg.norm(body.root_m):.1f} m', body.root_m[[0, 2]],
                      xytext=(8, 4), textcoords='offset points', fontsize=9)
    axes.set_aspect('equal')
    axes.set_ylabel('away from the camera [m]')
    axes.set_title('place: from above, in metres')


def main(video, seconds):
    """Write both images."""
    image, camera, bodies, observations, offsets = process_until(video, seconds)
    for body in bodies:
        print(body.id, [STATUS_NAMES[one] for one in np.unique(body.status)])
    IMAGES.mkdir(exist_ok=True)
    scene(bodies, offsets, IMAGES / 'scene.png')
    stages(image, camera, bodies, observations, IMAGES / 'stages.jpg')
    for name in ('scene.png', 'stages.jpg'):
        print(name, (IMAGES / name).stat().st_size, cv2.imread(str(IMAGES / name)).shape)


if __name__ == '__main__':
    main(sys.argv[1], float(sys.argv[2]))
