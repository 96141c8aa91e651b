"""Both renderers of people see the same; long, because Anny loads for minutes at first."""

from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import BackendError
from niki_training.render import scene, visibility
from niki_training.render.anny_body import draw_phenotype
from niki_training.render.batch.bank import Bank
from niki_training.render.batch.device_bank import DeviceBank
from niki_training.render.batch.drawing import draw_scenes
from niki_training.render.batch.random_draws import CropRandom
from niki_training.render.batch.raster import NEAR_M
from niki_training.render.batch.scene_plan import ScenePlanner
from niki_training.render.batch.truth import CropFrame, in_image, uv_of, visible_joints
from niki_training.render.clothing import draw_patterns
from niki_training.render.motion import load_rooted_motion
from niki_training.render.opengl import MAIN_ID
import numpy as np
import pytest
import torch

pytestmark = pytest.mark.long
COUNT, SIZE = 40, 256


@pytest.fixture(scope='module')
def drawn(real_motion):
    """Return bank, plan, and what the batch renderer sees, of people with painted clothes."""
    pytest.importorskip('anny', reason="needs anny: pip install 'niki_training[render]'")
    from niki_training.render.anny_body import AnnyModel
    from niki_training.render.appearance import Appearance
    from niki_training.render.batch.make_bank import painted_person
    model, rng = AnnyModel(open_skeleton()), np.random.default_rng(0)
    appearance, people, outfits = Appearance(model), [], []
    for _ in range(3):
        body = model.body(draw_phenotype(rng))
        outfits.append(appearance.dress(body, rng))
        people.append(painted_person(outfits[-1], model, {
            'pivots_m': body.pivots_m, 't_pose_from_rest': body.t_pose_from_rest,
            'offsets_m': body.offsets_m, 'betas': body.betas, 'height_m': body.height_m,
            'joint_depth_m': visibility.joint_depths(body, outfits[-1]['vertices'])}, rng))
    motion = load_rooted_motion(real_motion / 'cmu_smpl24_30fps_val.npz')
    bank = Bank(people, motion.rotvec[::50], [np.zeros((512, 1024, 3), np.uint8)], {})
    planner = ScenePlanner(bank, 0)
    plan = planner.plan(np.arange(COUNT), CropRandom(0, range(COUNT)))
    device_bank = DeviceBank(bank, 'cpu')
    seen = draw_scenes(device_bank, plan, np.zeros(COUNT, int), SIZE)
    return model, outfits, planner, plan, seen


def _opengl_frames(model, outfits, plan):
    """Yield crop, ids (S, S) and depth (S, S) by the OpenGL renderer."""
    pytest.importorskip('moderngl', reason="needs moderngl: pip install 'niki_training[render]'")
    from niki_training.render.opengl import OpenGLRenderer
    try:
        renderer = OpenGLRenderer(model, SIZE, SIZE)
    except BackendError as error:
        pytest.skip(str(error))
    patterns = draw_patterns(np.random.default_rng(0))
    lights = scene.lights_in_camera(scene.draw_lights(np.random.default_rng(0)), np.eye(3))
    for crop in np.flatnonzero(plan.is_present):
        rows = np.flatnonzero(plan.crop == crop)
        renderer.load([outfits[person] for person in plan.person[rows]], patterns,
                      np.zeros((8, 8, 3), np.uint8))
        corners = plan.furniture[plan.furniture_crop == crop]
        # only OpenGL cuts triangles at the near plane; the others leave them out
        corners = corners[(corners[:, 2].reshape(-1, 3).min(1) > NEAR_M).repeat(3)]
        _, identity, depth_m = renderer.draw(_matrix(plan, crop), lights, plan.bones[rows],
                                             corners)
        yield crop, identity, depth_m
    renderer.close()


def _matrix(plan, crop):
    # the centre of OpenGL's pixel 0 is at 0.5
    focal, middle = SIZE / plan.views.width[crop], SIZE / 2 + 0.5
    return np.array([[focal, 0, middle], [0, focal, middle], [0, 0, 1]])


def test_both_renderers_see_the_same(drawn):
    model, outfits, planner, plan, seen = drawn
    frame = CropFrame(*(torch.as_tensor(values, dtype=torch.float32) for values in (
        plan.views.camera_from_view, plan.views.width, plan.geometry.border)))
    joints = torch.as_tensor(plan.joints_m, dtype=torch.float32)
    uv = uv_of(joints, frame)
    depths = planner.table.joint_depth_m[plan.main]
    inside = in_image(joints, uv, frame)
    visible = visible_joints(joints, uv, inside, seen.surfaces,
                             torch.as_tensor(depths, dtype=torch.float32)).numpy()
    overlaps, agreement, depth_errors = [], [], []
    for crop, identity, depth_m in _opengl_frames(model, outfits, plan):
        own, expected = seen.surfaces.is_own[crop].numpy(), identity == MAIN_ID
        if expected.sum() > 100:
            overlaps.append((own & expected).sum() / (own | expected).sum())
            both = own & expected
            depth_errors.append(np.median(np.abs(
                seen.surfaces.depth_m[crop].numpy()[both] - depth_m[both])))
        pixels = visibility.project(plan.joints_m[crop], _matrix(plan, crop))
        np.testing.assert_allclose(uv[crop] * SIZE + SIZE / 2 + 0.5, pixels, atol=0.01)
        truth = visibility.visible_joints(
            plan.joints_m[crop], _matrix(plan, crop), identity, depth_m, MAIN_ID, depths[crop])
        agreement += list((truth & inside[crop].numpy()) == visible[crop])
    assert len(overlaps) > COUNT / 2, len(overlaps)
    assert min(overlaps) > 0.99, overlaps
    assert max(depth_errors) < 0.003, depth_errors
    assert np.mean(agreement) > 0.99
