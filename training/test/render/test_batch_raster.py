"""Coverage of triangles, and the geometry of crops; needs no body model."""

from niki_ros.body.skeleton import open_skeleton
from niki_ros.images.pixels import rgb_of_view
from niki_ros.scene.camera import Camera
from niki_ros.scene.person_view import PersonView, view_of_body
from niki_training.render.batch import crop_views
from niki_training.render.batch.image_effects import EffectRunner, Effects
from niki_training.render.batch.random_draws import CropRandom
from niki_training.render.batch.raster import rasterized, Triangles
from niki_training.render.batch.truth import CropFrame
import numpy as np
import pytest
import torch

SIZE = 64


def _triangles(corners, image, two_sided=False):
    count = len(corners)
    return Triangles(torch.as_tensor(corners), torch.as_tensor(image),
                     torch.full((count,), two_sided), torch.zeros(count, dtype=torch.bool))


def _soup(count, rng):
    """Return triangles of all sizes that face the camera: points (V, 2), depth (V,), corners."""
    centre = rng.uniform(-10, SIZE + 10, (count, 1, 2))
    points = centre + rng.normal(size=(count, 3, 2)) * rng.uniform(0.3, 30, (count, 1, 1))
    a, b, c = points.swapaxes(0, 1)
    area = np.cross(np.pad(b - a, ((0, 0), (0, 1))), np.pad(c - a, ((0, 0), (0, 1))))[:, 2]
    points[area > 0] = points[area > 0][:, ::-1]
    depth = rng.uniform(1, 4, (count, 3))
    return (torch.as_tensor(points.reshape(-1, 2), dtype=torch.float32),
            torch.as_tensor(depth.ravel(), dtype=torch.float32),
            np.arange(3 * count).reshape(-1, 3))


def _by_hand(points, depth, corners):
    """Return the depth (S, S) of the nearest triangle by testing every pixel, inf for none."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(float)
    nearest = np.full((SIZE, SIZE), np.inf)
    for index in corners:
        (a, b, c), z = points[index].astype(float), depth[index].astype(float)
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        second = ((x - a[0]) * (c[1] - a[1]) - (y - a[1]) * (c[0] - a[0])) / area
        third = ((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])) / area
        first = 1 - second - third
        inside = (first >= 0) & (second >= 0) & (third >= 0)
        at = 1 / (first / z[0] + second / z[1] + third / z[2])
        nearest = np.where(inside & (at < nearest), at, nearest)
    return nearest


def test_every_pixel_shows_the_nearest_triangle():
    points, depth, corners = _soup(150, np.random.default_rng(0))
    fragments = rasterized(points, depth, _triangles(corners, np.zeros(150, int)), 1, SIZE)
    seen = np.full(SIZE**2, np.inf)
    seen[fragments.pixel] = fragments.depth_m
    expected = _by_hand(points.numpy(), depth.numpy(), corners)
    same = np.isclose(seen.reshape(SIZE, SIZE), expected, rtol=1e-4)
    same |= np.isinf(seen.reshape(SIZE, SIZE)) & np.isinf(expected)
    assert same.mean() > 0.999
    assert torch.allclose(fragments.weights.sum(1), torch.ones(len(fragments.pixel)), atol=1e-4)


def test_a_closed_surface_has_no_holes_and_backs_are_not_seen():
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(np.linspace(-3, SIZE + 3, 20), np.linspace(-3, SIZE + 3, 20)), -1)
    grid[1:-1, 1:-1] += rng.uniform(-1, 1, (18, 18, 2))
    index = np.arange(400).reshape(20, 20)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    corners = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, c, b), (a, d, c))])
    points = torch.as_tensor(grid.reshape(-1, 2), dtype=torch.float32)
    image = np.zeros(len(corners), int)
    full = rasterized(points, torch.ones(400), _triangles(corners, image), 1, SIZE)
    assert len(full.pixel) == SIZE**2
    back = _triangles(corners[:, ::-1].copy(), image)
    assert len(rasterized(points, torch.ones(400), back, 1, SIZE).pixel) == 0
    both = back._replace(two_sided=torch.ones(len(corners), dtype=torch.bool))
    assert len(rasterized(points, torch.ones(400), both, 1, SIZE).pixel) == SIZE**2
    # nearer than the near plane
    assert len(rasterized(points, torch.full((400,), 0.05), both, 1, SIZE).pixel) == 0


def test_holes_of_textures_show_what_is_behind():
    points = torch.tensor([[-99.0, -99], [-99, 400], [400, -99]] * 2)
    depth = torch.tensor([1.0, 1, 1, 2, 2, 2])
    triangles = _triangles([[0, 1, 2], [3, 4, 5]], [0, 0])._replace(
        has_holes=torch.tensor([True, False]))
    seen = rasterized(points, depth, triangles, 1, SIZE, lambda index, weights: weights[:, 2] < .3)
    assert {0, 1} == set(seen.triangle.tolist()) and len(seen.pixel) == SIZE**2
    is_hole = seen.weights[:, 2] >= 0.3
    assert (seen.triangle[is_hole] == 1).all() and (seen.triangle[~is_hole] == 0).all()


def test_images_of_a_batch_do_not_mix():
    rng = np.random.default_rng(2)
    points, depth, corners = _soup(60, rng)
    image = rng.integers(0, 3, 60)
    together = rasterized(points, depth, _triangles(corners, image), 3, SIZE)
    for number in range(3):
        own = corners[image == number]
        alone = rasterized(points, depth, _triangles(own, np.zeros(len(own), int)), 1, SIZE)
        here = together.pixel // SIZE**2 == number
        assert (together.pixel[here] - number * SIZE**2).equal(alone.pixel)
        assert together.depth_m[here].equal(alone.depth_m)


def test_views_are_those_of_the_front_end():
    rng = np.random.default_rng(3)
    joints = open_skeleton().rest_joints_m * (1, -1, -1) + rng.normal(size=(8, 1, 3)) * .5 + (
        0, 0, 3)
    views = crop_views.views_of_bodies(joints)
    camera = Camera(np.array([[300.0, 0, 320], [0, 300, 240], [0, 0, 1]]), 640, 480)
    for row, body in enumerate(joints):
        middle = body[[1, 2]].mean(0)
        upright = PersonView.towards(middle, 1.0).camera_from_view
        flat = crop_views.tangents(body @ upright)
        up = flat[[16, 17]].mean(0)
        top = upright @ np.append(up / np.linalg.norm(up) * np.linalg.norm(flat, axis=1).max(), 1)
        expected = view_of_body(middle, top, crop_views.MARGIN, 0.01)
        np.testing.assert_allclose(views.camera_from_view[row], expected.camera_from_view,
                                   atol=1e-9)
        assert views.width[row] == pytest.approx(expected.width)
        low, high = crop_views.tangents(body).min(0), crop_views.tangents(body).max(0)
        box = np.concatenate([low, high]) * 300 + (320, 240, 320, 240)
        around = PersonView.around(box, camera, crop_views.MARGIN)
        of_box = crop_views.views_of_boxes(low[None], high[None])
        np.testing.assert_allclose(of_box.camera_from_view[0], around.camera_from_view, atol=1e-9)
        assert of_box.width[0] == pytest.approx(around.width)


def test_errors_of_following_stay_within_reason():
    count = 400
    joints = np.tile(open_skeleton().rest_joints_m * (1, -1, -1) + (0.3, 0, 3), (count, 1, 1))
    border = np.tile([-1.0, -1, 1, 1], (count, 1))
    views = crop_views.followed_views(joints, border, CropRandom(0, range(count)))
    exact = crop_views.views_of_bodies(joints)
    ratio = views.width / exact.width
    assert 0.6 < np.median(ratio) < 1.1 and 0.2 < ratio.min() and ratio.max() < 4
    uv = views.uv(views.from_camera(joints))
    assert (np.abs(uv) < 0.5).all(-1).mean() > 0.9
    assert np.abs(uv[:, 0]).max() < 0.6 and len(np.unique(ratio)) == count


def test_beyond_the_image_its_border_is_repeated_as_in_the_front_end():
    rng = np.random.default_rng(4)
    camera = Camera(np.array([[60.0, 0, 40], [0, 60, 30], [0, 0, 1]]), 80, 60)
    picture = np.repeat(np.repeat(rng.integers(0, 255, (6, 8, 3)), 10, 0), 10, 1).astype(np.uint8)
    view = PersonView.towards(np.array([-0.45, 0.2, 1.0]), 0.8, 0.5)
    expected = rgb_of_view(picture, view, 256, camera).astype(float)
    border = np.array([[-40, -30, 39, 29]]) / 60
    frame = CropFrame(*(torch.as_tensor(values, dtype=torch.float32) for values in (
        view.camera_from_view[None], np.array([view.width]), border)))
    # what a renderer would draw without borders: other colours outside of the image
    large = Camera(np.array([[60.0, 0, 140], [0, 60, 130], [0, 0, 1]]), 280, 260)
    around = np.full((260, 280, 3), 255, np.uint8)
    around[100:160, 100:180] = picture
    drawn = rgb_of_view(around, view, 256, large)
    still = Effects(np.eye(9)[4][:, None] * np.eye(9)[4][None] + np.zeros((1, 9, 9)),
                    np.array([9]), np.eye(4)[None, :3], np.ones(1), np.zeros(1),
                    np.zeros((1, 2), int), np.zeros(1))
    image = torch.as_tensor(drawn).permute(2, 0, 1)[None].float() / 255
    out = EffectRunner('cpu').apply(image.contiguous(), still, frame)[0].permute(1, 2, 0) * 255
    assert np.abs(drawn - expected).mean() > 10
    assert (np.abs(out.numpy() - expected) < 12).mean() > 0.93
