"""The same people seen by a pinhole and by a fisheye that looks past them: the same bodies."""

import cv2
from niki_ros import load_pipeline
from niki_ros.scene.camera import Camera
import numpy as np
import pytest
from scenes import CAM01, clip_images, measured_clip

FISHEYE = Camera(np.array([[420.0, 0, 640], [0, 420, 400], [0, 0, 1]]), 1280, 800,
                 np.array([0.05, -0.01, 0.0, 0.0]), 'equidistant')
STEP_NS = 16_000_000


def fisheye_image(image, fisheye_from_pinhole):
    grid = np.stack(np.meshgrid(np.arange(1280.0), np.arange(800.0)), axis=-1)
    pixels = CAM01.project(FISHEYE.rays(grid) @ fisheye_from_pinhole)
    return cv2.remap(image, np.nan_to_num(pixels, nan=-1e4).astype(np.float32), None,
                     cv2.INTER_LINEAR)


def last_body(images, camera, box):
    """Return the body in the last image; ``box`` says where the person is in the first one."""
    pipeline = load_pipeline(**{'observer.detector': ''})
    for i, image in enumerate(images):
        (body,) = pipeline.process(image, camera, i * STEP_NS + 1,
                                   boxes_px=[box] if i == 0 else None)
    pipeline.close()
    return body


@pytest.mark.parametrize('degrees', [0, 35])
def test_a_fisheye_gives_the_body_that_a_pinhole_gives(degrees):
    images = clip_images(measured_clip('cam04.mp4'), 8)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
    straight = last_body(images, CAM01, [230, 420, 800, 1450])
    corners = np.array([[-0.5, -0.9, 3.0], [0.4, 0.9, 3.0]])
    low, high = FISHEYE.project(corners @ turn.T)
    bent = last_body([fisheye_image(image, turn) for image in images], FISHEYE,
                     [*np.minimum(low, high), *np.maximum(low, high)])
    root_m = bent.root_m @ turn
    assert np.linalg.norm(root_m - straight.root_m) < 0.03 * np.linalg.norm(straight.root_m)
    apart_m = np.linalg.norm((bent.joints_m - bent.root_m) @ turn
                             - (straight.joints_m - straight.root_m), axis=1)
    assert apart_m.mean() < 0.03
