"""The network that looks at one person in a crop: BlazePose, and its trunk with new heads."""

from dataclasses import dataclass
from typing import NamedTuple, Optional

from niki_ros.body.observation import SIGMA_UNIT_M
from niki_ros.common.errors import ConfigError
from niki_ros.models.model_store import find_model, LANDMARK_SIZES
from niki_ros.observers.landmark_observation import SIGMA_VISIBLE
import torch
from torch import nn
import torch.nn.functional as F

from niki_training.look.keypoint_lift import CropKeypoints, KeypointChoice, KeypointLift
from niki_training.look.landmarks import FEATURES, JointsOfLandmarks, LandmarkNet, OLD_OUTPUTS
from niki_training.look.pose import PoseLayer
from niki_training.look.starts import joint_frame_map
from niki_training.look.trunk import Trunk

HEADS = ('direct joint', 'direct parameter', 'kinematic')
_FINE_SIDE_PX = 8  # side of the maps that the heads see besides the last ones
_JOINTS, _BODY, _BETAS, _TWISTS = 29, 24, 10, 23
_OLD = 'old.'  # begin of the names of what the landmark network returns


@dataclass(frozen=True)
class LookConfig:
    """Settings of one network; part of its checkpoint."""

    size: str = 'full'  # of the trunk, one of ``LANDMARK_SIZES``
    head: str = 'kinematic'  # one of ``HEADS``
    width: int = 768  # of the two hidden layers
    error_width: int = 256  # of the hidden layer of the expected errors
    lifts: bool = True  # whether the pose follows from keypoints, by the lifter's layers
    trainable_from: str = ''  # tensor of the trunk up to which it stays frozen


@dataclass(frozen=True)
class ScaleNumbers:
    """
    Scales of what the hidden layers add to the start.

    A step of an optimiser at a rate of 1e-3 then changes each output by a small part of its usual
    error, and not by as much as the whole body.
    """

    uv: float = 0.05  # sides of the crop
    joints_m: float = 0.1
    vectors: float = 0.2  # bones over their length
    logits: float = 1.0  # of visibility and presence
    betas: float = 0.5
    twist: float = 0.3


@dataclass(frozen=True)
class ErrorNumbers:
    """Numbers of the expected errors; each is a mean absolute error per coordinate."""

    min_joint_m: float = 0.003  # lower limits: smaller errors are not known
    min_uv: float = 0.002  # half a pixel of a crop of 256 px
    start_uv: float = 0.012  # before training, of a joint that is seen
    hidden_uv: float = 0.15  # and of a hidden one
    depth_ratio: float = 1.5  # before training, error in depth over the mean of all coordinates
    across_ratio: float = 0.75  # and across
    seen_logit: float = 2.94  # visibility of 0.95, above which a joint is seen
    max_log_change: float = 3.0  # limits of what is learned
    mean_over_deviation: float = 0.8  # mean absolute error over standard deviation of a Gaussian


class LookOutput(NamedTuple):
    """Outputs for N crops; axes of the view: x right, y down, z forward."""

    uv: torch.Tensor  # (N, 29, 2) joints in the crop, sides from its centre
    uv_sigma: torch.Tensor  # (N, 29) mean absolute error per coordinate, sides
    joints_m: torch.Tensor  # (N, 29, 3) about the pelvis
    joints_sigma_m: torch.Tensor  # (N, 29, 2) mean absolute error per coordinate: across, in depth
    rot6d: Optional[torch.Tensor]  # (N, 24, 6) local rotations; None for 'direct joint'
    betas: Optional[torch.Tensor]  # (N, 10); None for 'direct joint'
    visible: torch.Tensor  # (N, 29) logit: in the image, nothing but the own body in front
    twist: torch.Tensor  # (N, 23, 2) cosine and sine of the twist of joints 1 … 23
    guess_m: torch.Tensor  # (N, 29, 3) joints about the pelvis before keypoints are lifted
    present: torch.Tensor  # (N,) logit: this crop is of a person
    landmarks: torch.Tensor  # (N, 195) outputs of the landmark network
    world: torch.Tensor  # (N, 117)
    flag: torch.Tensor  # (N, 1)
    peaks: torch.Tensor  # (N, 99)


class PoseOutput(NamedTuple):
    """The pose of N people, as of :class:`LookOutput`."""

    joints_m: torch.Tensor
    rot6d: Optional[torch.Tensor]
    betas: Optional[torch.Tensor]
    twist: torch.Tensor


class LookNet(nn.Module):
    """
    BlazePose, and a second trunk like its own with new heads.

    ``direct joint`` regresses the joints. ``direct parameter`` and ``kinematic`` regress rotations
    and betas, and the joints follow through the kinematic layer; they differ in their losses.
    Positions, joints, visibility and presence are those of BlazePose, which stays as it is, and
    what the hidden layers add: nothing before training. With ``lifts`` these joints are a guess,
    and the pose follows from it and the positions in the crop by the lifter's layers.
    """

    def __init__(self, config: LookConfig = LookConfig(), scales: ScaleNumbers = ScaleNumbers()):
        super().__init__()
        _check(config)
        self.config = config
        # not a part of the checkpoint: it is what ships
        self._landmarks = (LandmarkNet(config.size),)
        whole = self.landmarks.trunk
        self._last = whole.convolution_of('landmarks')[1]
        self._fine = whole.last_of_side(_FINE_SIDE_PX)
        self.trunk = Trunk(find_model(f'landmarks-{config.size}'), (self._last, self._fine),
                           config.trainable_from)
        self.old = JointsOfLandmarks(self.direct)
        main = _JOINTS * 3 if self.direct else _BODY * 6
        self._widths = (_JOINTS * 2, main, _JOINTS, 1, 0 if self.direct else _BETAS, _TWISTS * 2)
        values = (scales.uv, scales.joints_m if self.direct else scales.vectors, scales.logits,
                  scales.logits, scales.betas, scales.twist)
        scale = torch.cat([torch.full((n,), value) for n, value in zip(self._widths, values)])
        self.register_buffer('scale', scale, persistent=False)
        channels, side, _ = self.trunk.shapes[self._last]
        features = (channels + self.trunk.shapes[self._fine][0]) * side**2 + FEATURES
        self.hidden = nn.Sequential(nn.Linear(features, config.width), nn.SiLU(),
                                    nn.Linear(config.width, config.width), nn.SiLU())
        self.out = nn.Linear(config.width, sum(self._widths))
        self.dropout = nn.Dropout(0.0)  # changed by the training
        self.pose = PoseLayer()
        self.lift: Optional[KeypointLift] = None
        if config.lifts:
            frames = None if self.direct else _flat_frames()
            self.keypoints, self.lift = KeypointChoice(), KeypointLift(frames, config.width)
            features += self.lift.last.in_features
        self.errors = ErrorHead(features, config.error_width)
        self._initialise()

    @property
    def direct(self) -> bool:
        """Whether the joints are regressed without the kinematic layer."""
        return self.config.head == 'direct joint'

    @property
    def landmarks(self) -> LandmarkNet:
        """The landmark network."""
        return self._landmarks[0]

    @property
    def crossing(self) -> tuple:
        """Names of the tensors that :meth:`lower` returns."""
        return (*self.trunk.crossing, *(_OLD + name for name in OLD_OUTPUTS))

    def _apply(self, fn, recurse=True):
        self.landmarks._apply(fn, recurse)
        return super()._apply(fn, recurse)

    def forward(self, image) -> LookOutput:
        """Return the outputs for crops (N, 3, 256, 256), RGB 0 … 1."""
        return self.forward_upper(self.lower(image))

    def lower(self, image) -> dict:
        """Return what the frozen layers and the landmark network say, ``crossing`` by name."""
        old = {_OLD + name: value for name, value in self.landmarks(image).items()}
        return {**self.trunk.lower(image), **old}

    def forward_upper(self, crossing: dict) -> LookOutput:
        """Return the outputs for what :meth:`lower` returned for the crops."""
        old = {name: crossing[_OLD + name].float() for name in OLD_OUTPUTS}
        maps = self.trunk.upper({name: crossing[name] for name in self.trunk.crossing})
        maps = {name: value.float() for name, value in maps.items()}
        if torch.is_autocast_enabled(maps[self._last].device.type):
            # the heads are small, and their errors would be errors of the joints
            with torch.autocast(maps[self._last].device.type, enabled=False):
                return self._heads(maps, old)
        return self._heads(maps, old)

    def lift_keypoints(self, keypoints: CropKeypoints) -> PoseOutput:
        """Return the poses of keypoints without an image."""
        return self._lifted(keypoints)[0]

    def _heads(self, maps: dict, old: dict) -> LookOutput:
        """Return the outputs for maps of the trunk and outputs of the landmark network."""
        flat = maps[self._last].flatten(1)
        side = self.trunk.shapes[self._last][1]
        fine = F.avg_pool2d(maps[self._fine], _FINE_SIDE_PX // side).flatten(1)
        start = self.old(old)
        features = self.dropout(torch.cat([flat, fine, start.features], dim=1))
        hidden = self.dropout(self.hidden(features))
        learned = (self.scale * self.out(hidden)).split(self._widths, dim=1)
        uv = start.uv + learned[0].unflatten(1, (_JOINTS, 2))
        visible, present = start.visible + learned[2], start.present + learned[3]
        guess = pose = self._pose_output(start.main + learned[1], *learned[4:])
        if self.lift is not None:
            pose, state = self._lifted(self.keypoints(uv, visible, guess.joints_m, start), hidden,
                                       learned[4])
            features = torch.cat([features, state], dim=1)
        uv_sigma, joints_sigma_m = self.errors(features.detach(), visible.detach())
        return LookOutput(
            uv, uv_sigma, pose.joints_m, joints_sigma_m, pose.rot6d, pose.betas, visible,
            pose.twist, guess.joints_m, present[:, 0], *old.values())

    def _lifted(self, keypoints: CropKeypoints, hidden=None, betas=0.0) -> tuple:
        """Return the poses of keypoints, and the state (N, W) behind them; betas are added."""
        assert self.lift is not None, 'the network lifts no keypoints'
        lifted = self.lift(keypoints, hidden)
        return self._pose_output(lifted.main, lifted.betas + betas, lifted.twist), lifted.state

    def _pose_output(self, main, betas, twist) -> PoseOutput:
        """Return the pose of the main output (N, 87 or 144), betas and twist (N, 46)."""
        twist = twist.unflatten(1, (_TWISTS, 2))
        if self.direct:
            joints_m = main.unflatten(1, (_JOINTS, 3))
            return PoseOutput(joints_m - joints_m[:, :1], None, None, twist)
        rot6d, joints_m = self.pose(main.unflatten(1, (_BODY, 2, 3)), betas)
        return PoseOutput(joints_m, rot6d, betas, twist)

    def _initialise(self) -> None:
        """Let the hidden layers add nothing, and no twist."""
        with torch.no_grad():
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)
            # cosine of no twist
            self.out.bias[-2 * _TWISTS::2] = 1.0 / self.scale[-2 * _TWISTS::2]


class ErrorHead(nn.Module):
    """
    Expected errors of positions and joints, by detached features.

    Before training they depend on the visibility as those of the landmark network do, see
    :func:`niki_ros.observers.landmark_observation.joint_sigma`; then by what is learned.
    """

    def __init__(self, features: int, width: int, numbers: ErrorNumbers = ErrorNumbers()):
        super().__init__()
        self.numbers = numbers
        self.layers = nn.Sequential(nn.Linear(features, width), nn.SiLU(),
                                    nn.Linear(width, _JOINTS * 3))
        nn.init.zeros_(self.layers[2].weight)
        nn.init.zeros_(self.layers[2].bias)
        seen_m = torch.tensor(SIGMA_VISIBLE, dtype=torch.float32)
        seen_m = seen_m * SIGMA_UNIT_M * numbers.mean_over_deviation
        hidden_m = torch.full((_JOINTS,), SIGMA_UNIT_M * numbers.mean_over_deviation)
        ratios = numbers.across_ratio, numbers.depth_ratio
        seen = [torch.full((_JOINTS,), numbers.start_uv), *(seen_m * ratio for ratio in ratios)]
        hidden = [torch.full((_JOINTS,), numbers.hidden_uv),
                  *(hidden_m * ratio for ratio in ratios)]
        for name, value in (('seen_log', seen), ('hidden_log', hidden)):
            self.register_buffer(name, torch.stack(value, dim=-1).log(), persistent=False)

    def forward(self, features, visible):
        """
        Return uv_sigma (N, 29), sides, and joints_sigma_m (N, 29, 2), metres.

        :param features: (N, F) detached. :param visible: (N, 29) logits, detached.
        """
        numbers = self.numbers
        seen = (visible / numbers.seen_logit).clamp(0.0, 1.0)[..., None]
        start = self.hidden_log + seen * (self.seen_log - self.hidden_log)
        limit = numbers.max_log_change
        change = self.layers(features).unflatten(1, (_JOINTS, 3)).clamp(-limit, limit)
        error = torch.exp(start + change)
        return numbers.min_uv + error[..., 0], numbers.min_joint_m + error[..., 1:]


def _flat_frames() -> torch.Tensor:
    """Return the map (144, 87) from joints to the vectors of the pose layer."""
    frames = torch.tensor(joint_frame_map(), dtype=torch.float32)
    return torch.einsum('jvl,cd->jvcld', frames, torch.eye(3)).reshape(_BODY * 6, _JOINTS * 3)


def _check(config: LookConfig) -> None:
    if config.head not in HEADS:
        raise ConfigError(f'head is {config.head!r}; expected one of {", ".join(HEADS)}')
    if config.size not in LANDMARK_SIZES:
        raise ConfigError(f'size is {config.size!r}; expected one of {", ".join(LANDMARK_SIZES)}')
    if min(config.width, config.error_width) < 1:
        raise ConfigError(f'width is {config.width} and error_width {config.error_width}; '
                          'expected at least 1')
