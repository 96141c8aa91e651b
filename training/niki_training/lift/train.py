"""Train the lifter on motion capture; a run that is there is resumed."""

import math
from pathlib import Path
import sys
import time

from niki_ros.body.keypoints import JOINT_OF_KEYPOINT
from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import InputError
import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from niki_training.common.arguments import positive_int
from niki_training.data.store import licence_of, UNKNOWN
from niki_training.lift.data import LiftBatches
from niki_training.lift.export import load_lifter
from niki_training.lift.network import lift_loss, LiftNet
from niki_training.lift.rendered import MixedBatches, RenderedWindows
from niki_training.render.motion import load_rooted_motion

LEARNING_RATE = 1.2e-3
_WARM_UP_STEPS, _AVERAGE_DECAY = 100, 0.997
_SAVE_PERIOD_S = 120.0
_LIMB_JOINTS = JOINT_OF_KEYPOINT[:12]


def mean_error_mm(net, batches, count: int, seed: int = 1) -> float:
    """Return the mean error of the twelve limb joints about the pelvis on ``count`` batches."""
    rng, total = np.random.default_rng(seed), 0.0
    with torch.no_grad():
        for _ in range(count):
            batch = batches.draw(rng)
            found = net(*batch.windows, batch.heading)
            off = (found.joints_m - batch.joints_m)[:, _LIMB_JOINTS].norm(dim=-1)
            total += 1e3 * float(off.mean()) / count
    return total


class LiftTrainer:
    """
    Trains for a given time or number of steps; the learning rate falls towards the end.

    :param folder: of the checkpoints; a run that is there is resumed.
    :param start_from: checkpoint or model folder with the first weights.
    :param rate: highest learning rate.
    :param steps: 0 = no limit. :param licence: of the motion, kept in checkpoints.
    """

    def __init__(self, batches: LiftBatches | MixedBatches, folder: Path, minutes: float,
                 width: int = 640, blocks: int = 3, seed: int = 0, start_from: Path | None = None,
                 rate: float = LEARNING_RATE, steps: int = 0, licence: str = UNKNOWN):
        torch.manual_seed(seed)
        self.batches, self.folder, self.seconds = batches, Path(folder), minutes * 60
        self.net, self.average = LiftNet(width, blocks), LiftNet(width, blocks)
        self.average.load_state_dict(self.net.state_dict())
        self.rate, self.steps, self.licence = rate, steps, licence
        if start_from is not None:
            self.net.load_state_dict(load_lifter(start_from).state_dict())
            self.average.load_state_dict(self.net.state_dict())
        self.optimizer = torch.optim.AdamW(self.net.parameters(), rate, weight_decay=1e-3)
        self.step, self.passed_s = 0, 0.0
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.folder / 'last.pt').exists():
            self._resume()
        self.rng = np.random.default_rng([seed, self.step])

    def run(self, val: LiftBatches | None = None) -> None:
        begin, saved = time.monotonic() - self.passed_s, self.passed_s
        bar = tqdm(total=round(self.seconds), initial=round(self.passed_s), unit='s', disable=None)
        while self.done < 1.0:
            value = self._train_step()
            self.passed_s = time.monotonic() - begin
            bar.update(round(self.passed_s) - bar.n)
            bar.set_postfix(step=self.step, loss=f'{value:.3f}', refresh=False)
            if self.passed_s - saved > _SAVE_PERIOD_S or self.done >= 1.0:
                saved = self.passed_s
                self.save()
                if val is not None:
                    error = mean_error_mm(self.average, val, 4)
                    tqdm.write(f'step {self.step}: {error:.1f} mm on val')
        bar.close()

    @property
    def done(self) -> float:
        """Return the completed share of the run, 0 … 1."""
        by_steps = self.step / self.steps if self.steps else 0.0
        return min(1.0, max(self.passed_s / self.seconds, by_steps))

    def _train_step(self) -> float:
        batch = self.batches.draw(self.rng)
        rate = self.rate * min(1.0, (self.step + 1) / _WARM_UP_STEPS) * (0.51 + 0.5 * math.cos(
            math.pi * self.done))
        for group in self.optimizer.param_groups:
            group['lr'] = rate
        value = lift_loss(self.net(*batch.windows, batch.heading), batch.joints_m, batch.twist)
        self.optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        keep = min(_AVERAGE_DECAY, self.step / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.net.parameters()),
                                 1 - keep)
        return float(value.detach())

    def save(self) -> None:
        state = {'kind': 'lift', 'net': self.net.state_dict(), 'step': self.step,
                 'average': self.average.state_dict(), 'optimizer': self.optimizer.state_dict(),
                 'passed_s': self.passed_s, 'width': self.net.width, 'blocks': self.net.blocks,
                 'licence': self.licence}
        torch.save(state, self.folder / 'new.pt')
        (self.folder / 'new.pt').replace(self.folder / 'last.pt')

    def _resume(self) -> None:
        state = torch.load(self.folder / 'last.pt', weights_only=True)
        if (state['width'], state['blocks']) != (self.net.width, self.net.blocks):
            raise InputError(f'{self.folder}/last.pt is of a network of another size; give the '
                             'same --width and --blocks, or another folder')
        self.net.load_state_dict(state['net'])
        self.average.load_state_dict(state['average'])
        self.optimizer.load_state_dict(state['optimizer'])
        self.step, self.passed_s = state['step'], state['passed_s']


def add_arguments(parser) -> None:
    parser.add_argument('--data', type=Path, required=True, help='motion archive with root (.npz)')
    parser.add_argument('--val', type=Path, help='motion of other people, to show progress')
    parser.add_argument('--out', type=Path, required=True,
                        help='folder; a run that is there is resumed')
    parser.add_argument('--from', dest='start_from', type=Path,
                        help='checkpoint or model folder of the same size with the first weights')
    parser.add_argument('--rate', type=float, default=LEARNING_RATE, help='highest learning rate')
    parser.add_argument('--minutes', type=float, default=30.0)
    parser.add_argument('--steps', type=int, default=0, help='number of steps at most')
    parser.add_argument('--width', type=int, default=640)
    parser.add_argument('--blocks', type=int, default=3)
    parser.add_argument('--pieces', type=int, default=64, help='pieces of motion in a batch')
    parser.add_argument('--rendered', type=Path, nargs='+', default=[], metavar='DIR',
                        help='folders of niki-data render --observe landmarks, split train: '
                        'windows of them are added to each batch')
    parser.add_argument('--rendered-windows', type=positive_int, default=256,
                        help='how many of them in a batch')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--without', choices=('real-noise',), help='train without a part, to see '
                        'what it brings: the measured errors of a front end (exact keypoints)')
    parser.add_argument('--threads', type=positive_int, default=2, help='CPU threads (default 2)')


def main(args) -> int:
    torch.set_num_threads(args.threads)
    skeleton, motion = open_skeleton(), load_rooted_motion(args.data)
    if not motion.root_m.any():
        print(f'niki-train lift: {args.data} has no path of the pelvis; people stay in '
              'place, and the lifter does not learn to follow people who walk', file=sys.stderr)
    simulated = LiftBatches(motion, skeleton, args.pieces, errors=args.without != 'real-noise')
    batches: LiftBatches | MixedBatches = simulated
    if args.rendered:
        batches = MixedBatches(simulated, RenderedWindows(args.rendered, 'train', skeleton,
                                                          args.seed), args.rendered_windows)
    val = LiftBatches(load_rooted_motion(args.val), skeleton, args.pieces) if args.val else None
    trainer = LiftTrainer(batches, args.out, args.minutes, args.width, args.blocks, args.seed,
                          args.start_from, args.rate, args.steps, licence_of(args.data))
    trainer.run(val)
    return 0
