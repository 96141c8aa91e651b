"""Rendering with Anny's bodies; long, because the first load of Anny takes minutes."""

from niki_ros.body.kinematics import forward_kinematics, global_rotmats
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import BackendError
from niki_ros.scene.camera import Camera
from niki_training.cli import data as data_cli
from niki_training.front_end.observe import ClipRecorder
from niki_training.render import furniture, visibility
from niki_training.render.motion import load_rooted_motion
from niki_training.render.opengl import MAIN_ID
from niki_training.render.shards import read_shard, read_shards
import numpy as np
import pytest

pytestmark = pytest.mark.long
SIZE = (640, 480)


def open_renderer(real_motion, frames: int):
    """Return a renderer of clips of the validation subjects, or skip."""
    pytest.importorskip('anny', reason="needs anny: pip install 'niki_training[render]'")
    pytest.importorskip('moderngl', reason="needs moderngl: pip install 'niki_training[render]'")
    from niki_training.render.clips import ClipRenderer
    motion = load_rooted_motion(real_motion / 'cmu_smpl24_30fps_val.npz')
    try:
        return ClipRenderer(motion, open_skeleton(), 'val', seed=7, frame_count=frames, size=SIZE)
    except BackendError as error:
        pytest.skip(str(error))


@pytest.fixture(scope='module')
def renderer(real_motion):
    renderer = open_renderer(real_motion, 8)
    yield renderer
    renderer.close()


def test_the_mesh_turns_about_our_joints(renderer):
    """Anny's own kinematics agrees with ours."""
    rng, miss = np.random.default_rng(0), []
    for seed in range(12):
        body = renderer.plan(seed).people[0]
        rotmat = rotmat_from_rotvec(rng.choice(renderer.motion.rotvec).astype(np.float64))
        joints, _ = forward_kinematics(rotmat, open_skeleton().offsets(body.betas))
        moved, moves = (values[0] for values in body.posed(rotmat[None], np.zeros((1, 3))))
        assert np.abs(moved - joints).max() < 1e-9
        # the vertices around a joint, carried by the drawn matrices, keep the joint in the middle
        at = np.einsum('jab,jb->ja', moves[:, :, :3], body.pivots_m) + moves[:, :, 3]
        assert np.abs(at - joints[:24]).max() < 1e-9
        heads = _anny_heads(renderer.model, body, rotmat)
        miss.append(np.linalg.norm(heads - joints[:24], axis=1))
    miss = 1e3 * np.asarray(miss)
    assert miss.mean() < 5, f'mean {miss.mean():.1f} mm, worst joint {miss.max():.1f} mm'
    # children are at the edge of the shape space
    assert np.median(miss.max(1)) < 12 and miss.max() < 30


def _anny_heads(model, body, rotmat):
    """Return the 24 joints (24, 3) by Anny's own kinematics, relative to the pelvis, our axes."""
    from niki_training.render.anny_body import NIKI_FROM_ANNY
    import torch
    anny, owner = model.anny, model.joint_of_bone
    with torch.no_grad():
        shape = anny.get_phenotype_blendshape_coefficients(**body.phenotype)
        rest = anny.get_rest_model(shape)['rest_bone_poses']
        turned = global_rotmats(rotmat) @ body.t_pose_from_rest
        turned = NIKI_FROM_ANNY.T @ turned @ NIKI_FROM_ANNY
        want = rest.clone()
        want[0, :, :3, :3] = torch.from_numpy(turned[owner]).to(rest) @ rest[0, :, :3, :3]
        want[0, :, :3, 3] = 0
        poses = anny.get_bone_transforms(want, rest, 'world-orient')[1][0]
    heads = poses[model.heads, :3, 3].numpy() @ NIKI_FROM_ANNY.T
    return heads - heads[0]


def test_bodies_are_people_of_all_sizes(renderer):
    bodies = [person for index in range(30) for person in renderer.plan(index).people]
    heights = np.array([body.height_m for body in bodies])
    assert 1.0 < heights.min() < 1.6 and 1.8 < heights.max() < 2.15
    misfits = np.array([body.misfit_m.mean() for body in bodies])
    assert np.median(misfits) < 0.005 and misfits.max() < 0.015
    for body in bodies:
        assert np.abs(body.betas).max() < 10
        area = body.area_m2.sum()
        assert 0.8 < area < 4 and np.allclose(np.linalg.norm(body.normals, axis=1), 1, atol=1e-6)


def test_truth_falls_on_the_person(renderer):
    on = total = 0
    for index in range(24):
        clip = renderer.plan(index)
        for frame in renderer.draw(clip, index):
            pixels = frame.keypoints_px[:24][frame.visible[:24]].astype(int)
            on += (frame.identity[pixels[:, 1], pixels[:, 0]] == MAIN_ID).sum()
            total += len(pixels)
            assert not frame.visible[~visibility.is_inside(frame.keypoints_px, SIZE)].any()
            if frame.hidden_percent > 99.5:
                assert frame.visible.sum() <= 3
    assert total > 1000 and on / total > 0.97


def test_a_wall_hides_what_is_behind_it(renderer):
    index = next(i for i in range(40) if renderer.plan(i).kind == 'clean'
                 and len(renderer.plan(i).people) == 1)
    clip = renderer.plan(index)
    clip.boxes = []
    before = next(renderer.draw(clip, index))
    assert before.hidden_percent < 3
    view, pelvis = clip.view, clip.root_m[0, 0]
    place, ahead = view.position_m[0], view.camera_from_world[0, 2]
    right = view.camera_from_world[0, 0]
    distance = 0.6 * (pelvis - place) @ ahead
    middle = before.joints_m[0] / before.joints_m[0, 2] * distance
    wall = place + view.camera_from_world[0].T @ middle + right * 5
    yaw = np.arctan2(-right[2], right[0])
    clip.boxes = [furniture.Box(wall, np.array([5, 9, 0.01]), yaw, np.ones(3) * 0.5, 0)]
    after = next(renderer.draw(clip, index))
    edge = before.keypoints_px[0, 0]
    behind = before.keypoints_px[:, 0] > edge + 25
    clear = before.keypoints_px[:, 0] < edge - 25
    assert behind.any() and clear.any()
    assert not after.visible[behind].any()
    assert (after.visible[clear] == before.visible[clear]).all()
    whole = (before.identity == MAIN_ID).sum()
    share = 100 * (1 - (after.identity == MAIN_ID).sum() / whole)
    assert abs(after.hidden_percent - before.hidden_percent - share) < 8


def _render(real_motion, out, *more):
    assert data_cli.main([
        'render', str(real_motion / 'cmu_smpl24_30fps_val.npz'), '--out', str(out), '--split',
        'val', '--clips', '4', '--per-shard', '2', '--frames', '4', '--seed', '2', *more]) == 0


def test_a_run_can_be_taken_up_and_images_are_seen_later(renderer, real_motion, tmp_path):
    _render(real_motion, tmp_path / 'a')
    shards = sorted((tmp_path / 'a').glob('*.tar'))
    assert [path.name for path in shards] == ['val-00000.tar', 'val-00001.tar']
    first, second = (path.read_bytes() for path in shards)
    # killed in the second shard
    shards[1].unlink()
    shards[1].with_suffix('.part').write_bytes(second[:5000])
    _render(real_motion, tmp_path / 'a')
    assert shards[0].read_bytes() == first and shards[1].read_bytes() == second
    _render(real_motion, tmp_path / 'b', '--observe', 'landmarks')
    assert data_cli.main(['observe', *map(str, shards), '--out', str(tmp_path / 'c')]) == 0
    streamed, later = read_shards(tmp_path / 'b', 'val'), read_shards(tmp_path / 'c', 'val')
    assert streamed.keys() == later.keys()
    for key in ('joints_m', 'rotmat', 'visible', 'hidden_percent', 'betas'):
        assert (streamed[key] == later[key]).all()
    both = streamed['obs_found'] & later['obs_found']
    apart = np.abs(streamed['obs_keypoints_px'] - later['obs_keypoints_px'])[both]
    assert both.sum() >= 4 and np.median(apart) < 3
    clip = read_shard(tmp_path / 'b' / 'val-00000.npz')
    joints, _ = forward_kinematics(
        clip['rotmat'], open_skeleton().offsets(clip['betas'])[:, None])
    assert np.abs(joints - (clip['joints_m'] - clip['joints_m'][:, :, :1])).max() < 1e-5


def test_the_front_end_finds_the_people(real_motion):
    """Clips are as long as those of ``niki-data render``: some people are found late."""
    recorder, renderer, found, size = ClipRecorder(), open_renderer(real_motion, 48), [], []
    for index in range(60):
        clip = renderer.plan(index)
        if clip.kind != 'clean':
            continue
        frames = list(renderer.draw(clip, index))
        seen = recorder.observe(frames, Camera(clip.view.matrix, *SIZE), len(clip.people))
        for frame, one in zip(frames, seen):
            if frame.hidden_percent < 1:
                found.append(one is not None)
                size.append(np.ptp(frame.keypoints_px, axis=0).max())
    recorder.close()
    renderer.close()
    large = np.array(size) >= 150
    share = np.array(found)[large].mean()
    assert large.sum() > 500 and share > 0.9, f'{share:.3f} of {large.sum()} frames'
