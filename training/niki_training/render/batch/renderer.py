"""Crops of rendered people with exact truth, whole batches on one device."""

from pathlib import Path

from niki_ros.body.skeleton import open_skeleton
import numpy as np
import torch

from niki_training.networks.swing import bone_axes, swing_twist
from niki_training.render.batch.bank import Bank, load_bank
from niki_training.render.batch.device_bank import DeviceBank, SLOTS
from niki_training.render.batch.drawing import draw_scenes, Drawn
from niki_training.render.batch.image_effects import draw_effects, EffectRunner
from niki_training.render.batch.looks import LookPlanner, Surroundings
from niki_training.render.batch.random_draws import CropRandom
from niki_training.render.batch.scene_plan import ScenePlan, ScenePlanner
from niki_training.render.batch.shading import backgrounds, shaded, Shader
from niki_training.render.batch.truth import (
    CropFrame,
    hidden_percent,
    in_image,
    uv_of,
    visible_joints,
)

SIZE_PX = 256
MAX_HIDDEN_PERCENT = 97.0  # of a person who is present
_SOLID_TINT = np.ones((1, 3))


class BatchRenderer:
    """
    Draws crops of people; a crop depends on the seed and its number only, not on its batch.

    :param bank: a bank or its folder. :param device: such as 'cpu' or 'cuda'.
    :param planner: of the scenes; None = with the standard numbers.
    """

    def __init__(self, bank: Bank | Path, device='cpu', seed: int = 0,
                 planner: ScenePlanner | None = None):
        bank = bank if isinstance(bank, Bank) else load_bank(bank)
        self.device, self.seed = torch.device(device), seed
        self.planner = planner or ScenePlanner(bank, seed)
        self._bank = DeviceBank(bank, self.device)
        self._looks = LookPlanner(bank.panoramas)
        self._effects = EffectRunner(self.device)
        self._axes = torch.as_tensor(bone_axes(open_skeleton().rest_joints_m), dtype=torch.float32)
        self._next = 0

    @torch.no_grad()
    def batch(self, numbers) -> dict:
        """
        Return crops: the next ones for a count, or those with ``numbers`` (N,).

        Tensors on the device: ``image`` (N, 3, 256, 256) RGB 0 … 1; ``uv`` (N, 29, 2) sides of the
        crop from its centre; ``joints_m`` (N, 29, 3) about the pelvis and ``root_m`` (N, 3), axes
        of the view (x right, y down, z forward); ``focal`` (N,) sides of the crop per unit
        tangent; ``rotmat`` (N, 24, 3, 3) local, the root's in the view; ``betas`` (N, 10);
        ``twist`` (N, 23, 2) cosine and sine about the bones of joints 1 … 23; ``visible`` and
        ``in_image`` (N, 29) bool; ``present`` (N,) 1 = the person is there and a little of it
        is seen; ``hidden_percent`` (N,) of the silhouette, by what is in front and beyond the
        borders of image and crop.
        """
        if isinstance(numbers, int):
            numbers = np.arange(self._next, self._next + numbers)
            self._next += len(numbers)
        draw = CropRandom(self.seed, numbers)
        plan = self.planner.plan(numbers, draw)
        behind, lights = self._looks.surroundings(
            plan.geometry.camera_from_world, plan.views.camera_from_view, draw)
        effects = draw_effects(plan.geometry.focal_px * plan.views.width, draw)
        frame = CropFrame(*(self._tensor(values) for values in (
            plan.views.camera_from_view, plan.views.width, plan.geometry.border)))
        drawn = draw_scenes(self._bank, plan, behind.pattern_layer, SIZE_PX)
        shader = Shader(*map(self._tensor, lights))
        image = self._coloured(drawn, self._tensor(self._tints(plan, draw)), shader, behind)
        return {'image': self._effects.apply(image, effects, frame),
                **self._truth(plan, drawn, frame)}

    def _tensor(self, values, dtype=torch.float32) -> torch.Tensor:
        return torch.as_tensor(np.ascontiguousarray(values)).to(self.device, dtype)

    def _tints(self, plan: ScenePlan, draw: CropRandom) -> np.ndarray:
        """Return gains (M * SLOTS + 1, 3) of the colours of people, the last of furniture."""
        tints = np.ones((len(plan.person), SLOTS, 3))
        for place in range(self.planner.places):
            people = np.flatnonzero(plan.place == place)
            crops = plan.crop[people]
            kinds = np.zeros((len(plan.index), SLOTS), int)
            kinds[crops] = self._bank.slot_kind[plan.person[people]]
            tints[people] = self._looks.tints(kinds, draw)[crops]
        return np.concatenate([tints.reshape(-1, 3), _SOLID_TINT])

    def _coloured(self, drawn: Drawn, tints, shader: Shader,
                  behind: Surroundings) -> torch.Tensor:
        """Return images (N, 3, S, S), 0 … 1, before the effects of the camera."""
        image = backgrounds(
            self._bank.panoramas, self._tensor(behind.panorama, torch.int64),
            self._tensor(behind.panorama_from_view), self._tensor(behind.width), SIZE_PX)
        image.view(-1, 3)[drawn.fragments.pixel] = shaded(
            self._bank, drawn.meshes, drawn.fragments, tints, shader, SIZE_PX)
        return image.permute(0, 3, 1, 2).contiguous()

    def _truth(self, plan: ScenePlan, drawn: Drawn, frame: CropFrame) -> dict:
        joints_m, rotmat = self._tensor(plan.joints_m), self._tensor(plan.rotmat)
        present = self._tensor(plan.is_present, torch.bool)
        uv = uv_of(joints_m, frame)
        inside = in_image(joints_m, uv, frame) & present[:, None]
        depth_m = self._tensor(self.planner.table.joint_depth_m[plan.main])
        hidden = torch.full((len(uv),), 100.0, device=self.device)
        main = CropFrame(*(values[present] for values in frame))
        surfaces = type(drawn.surfaces)(*(values[present] for values in drawn.surfaces))
        hidden[present] = hidden_percent(*drawn.main_samples, surfaces, main)
        # on the CPU: the decomposition makes its constants there
        _, twist = swing_twist(rotmat.cpu(), self._axes)
        return {
            'uv': uv, 'joints_m': joints_m - joints_m[:, :1], 'root_m': joints_m[:, 0],
            'focal': 1 / frame.width, 'rotmat': rotmat,
            'betas': self._tensor(self.planner.table.betas[plan.main]),
            'twist': twist.to(self.device), 'in_image': inside,
            'present': (hidden < MAX_HIDDEN_PERCENT).float(),
            'visible': visible_joints(joints_m, uv, inside, drawn.surfaces, depth_m),
            'hidden_percent': hidden}
