"""Labels stay on the joints when crops and photographs are augmented."""

from drawn_crops import DrawnCrops, posed_joints_m
from niki_ros.body.skeleton import JOINT, MIRROR_29, open_skeleton
from niki_training.look.augmentation import (
    AugmentationNumbers,
    blurred_faces,
    draw_similarity,
    patched,
    Similarity,
    step_generator,
)
from niki_training.look.crop_batches import crop_tensors, moved_crops, RandomOrder, StoredCrops
from niki_training.look.photograph_batches import moved_labels, PhotographBatches
from niki_training.look.photographs import (
    cut_photographs,
    is_held_out,
    read_photographs,
)
from niki_training.networks.swing import bone_axes, swing_twist
import numpy as np
import pytest
import torch


@pytest.fixture(scope='module')
def own():
    return crop_tensors(DrawnCrops(12)[np.arange(12)], 'cpu')


@pytest.fixture(scope='module')
def moved(own):
    move = draw_similarity(12, step_generator(1, 0, 0, 0), shifts=False)
    assert 0 < move.is_mirrored.sum() < 12
    return moved_crops(own, move)


def test_moved_joints_are_those_of_the_moved_rotations(own, moved):
    joints_m = posed_joints_m(moved['rotmat'], own['betas'])
    np.testing.assert_allclose(moved['joints_m'], joints_m, atol=1e-5)
    axes = torch.tensor(bone_axes(open_skeleton().rest_joints_m), dtype=torch.float32)
    np.testing.assert_allclose(moved['twist'], swing_twist(moved['rotmat'], axes)[1], atol=1e-5)
    assert torch.linalg.det(moved['rotmat']).sub(1).abs().max() < 1e-4


def test_moved_positions_are_where_the_image_shows_them():
    """A dot of one colour is found again, by its colour, where its label is."""
    count = 6
    image = torch.zeros(count, 3, 384, 384)
    uv = torch.zeros(count, 1, 2)
    for number in range(count):
        uv[number, 0] = torch.tensor([0.3 - 0.1 * number, 0.05 * number - 0.2])
        column, row = ((uv[number, 0] * 256) + 192 - 0.5).round().long().tolist()
        image[number, :, row - 3:row + 4, column - 3:column + 4] = 1.0
    move = draw_similarity(count, step_generator(3, 0, 0, 0))
    shown = move.images(image, 256)[:, 0]
    points = move.points(uv)[:, 0]
    axis = (torch.arange(256) + 0.5) / 256 - 0.5
    for number in range(count):
        weight = shown[number] / shown[number].sum()
        found = torch.stack([(weight.sum(0) * axis).sum(), (weight.sum(1) * axis).sum()])
        assert (found - points[number]).norm() < 0.006


def test_some_faces_are_blurred_and_nothing_else():
    image = torch.rand(40, 3, 256, 256)
    head, top = torch.tensor([[0.1, 0.0]] * 40), torch.tensor([[0.1, -0.1]] * 40)
    for odds in (0.0, 0.5, 1.0):
        shown = blurred_faces(image, head, top, step_generator(0, 0, 0, 0),
                              numbers=AugmentationNumbers(face_odds=odds))
        changed = (shown != image).any(1)
        assert abs(changed.flatten(1).any(1).float().mean() - odds) < 0.25
        rows, columns = torch.nonzero(changed.any(0), as_tuple=True)
        if odds:
            # a disk about the middle of the head, 0.75 of its length in radius
            assert (rows.min(), rows.max()) == (96, 133)
            assert abs((columns.min() + columns.max()) / 2 - 153.5) < 1
            face = shown[changed.flatten(1).any(1)][:, :, 110:120, 150:157]
            assert face.std() < 0.5 * image.std()


def test_a_part_in_front_hides_the_joints_behind_it(own):
    image, behind = patched(own['image'], own['uv'], step_generator(0, 0, 0, 0))
    assert behind.any() and not behind.all()
    is_changed = (image != own['image']).any(1)
    column, row = ((own['uv'] + 0.5) * 256).long().clamp(0, 255).unbind(-1)
    at = is_changed[torch.arange(12)[:, None], row, column]
    assert (at[behind & own['in_image']]).float().mean() > 0.5
    assert not at[~behind & own['in_image']].any()


def test_every_crop_is_drawn_before_any_is_drawn_again():
    order = [RandomOrder(10, seed=3, rank=rank, world=2) for rank in (0, 1)]
    rows = np.concatenate([one.rows(5, step) for step in range(4) for one in order])
    for epoch in range(4):
        assert sorted(rows[10 * epoch:10 * epoch + 10]) == list(range(10))
    assert not np.array_equal(rows[:10], rows[10:20])


def test_a_step_draws_the_same_batch_again():
    crops = [StoredCrops(DrawnCrops(8), 'cpu', seed=1) for _ in range(2)]
    crops[0].batch(4, 0)
    first, second = (one.batch(4, 5) for one in crops)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_mirrored_labels_exchange_sides():
    own = {'keypoints': torch.zeros(1, 17, 3), 'joints': torch.full((1, 29, 3), 0.4)}
    own['keypoints'][0, 9] = torch.tensor([0.2, -0.1, 2.0])  # left wrist, seen
    own['keypoints'][0, 10] = torch.tensor([-0.3, 0.1, 1.0])  # right wrist, hidden
    no = torch.zeros(1)
    labels = moved_labels(own, Similarity(torch.tensor([True]), no, no + 1, torch.zeros(1, 2)))
    left, right = JOINT['left_wrist'], JOINT['right_wrist']
    assert labels['uv'][0, right].tolist() == pytest.approx([-0.2, -0.1])
    assert labels['visible'][0, right] and not labels['visible'][0, left]
    assert labels['weight'][0, left] == 1 and labels['weight'][0, JOINT['head_top']] < 1
    assert MIRROR_29[left] == right


@pytest.fixture(scope='module')
def cut(photographs, tmp_path_factory):
    """Return the crops of a few people, cut from the photographs and read from a file."""
    folder = tmp_path_factory.mktemp('coco')
    (folder / 'images').symlink_to(photographs / 'images')
    with np.load(photographs / 'persons.npz') as z:
        some = {name: z[name][:40] for name in z.files}
    some['licence'] = np.where(np.arange(40) == 0, 1, some['licence'])
    np.savez(folder / 'persons.npz', **some)
    own = cut_photographs(folder, 'lite')
    own.write(folder / 'kept.npz')
    kept = read_photographs(folder / 'kept.npz', 'lite')
    assert kept.jpeg == own.jpeg and np.array_equal(kept.landmarks, own.landmarks)
    return kept


def test_the_teacher_is_near_the_labels_where_it_is_trusted(cut):
    from niki_training.look.photograph_batches import teacher_labels
    joints = teacher_labels(cut)['joints']
    labels = cut.keypoints[:, [13, 14, 7, 8]]
    at = [JOINT[name] for name in ('left_knee', 'right_knee', 'left_elbow', 'right_elbow')]
    seen = (labels[..., 2] == 2) & cut.is_taught[:, None]
    off = np.linalg.norm(joints[:, at, :2] - labels[..., :2], axis=-1)[seen]
    assert len(off) > 10 and np.median(off) < 0.05
    assert (joints[~cut.is_taught][..., 2] == 0).all()


def test_photographs_are_either_trained_on_or_kept_for_evaluation(cut):
    parts = [cut.of_split(held_out) for held_out in (True, False)]
    assert sum(len(part.jpeg) for part in parts) == len(cut.jpeg)
    assert all(len(part.jpeg) for part in parts)
    assert is_held_out('000000000257') == is_held_out('000000000257')


def test_batches_of_photographs_have_the_truth_of_the_losses(cut):
    batch = PhotographBatches(cut, 'cpu', seed=0).batch(6, 0)
    assert batch['image'].shape == (6, 3, 256, 256)
    assert 0 <= batch['image'].min() and batch['image'].max() <= 1
    assert batch['uv'].shape == (6, 29, 2) and (batch['weight'] <= 1).all()
    known = batch['weight'] == 1
    assert known.any() and batch['uv'][known].abs().median() < 0.5
