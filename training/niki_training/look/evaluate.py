r"""
Measure networks that look at people, each alone, on the same crops.

    niki-evaluate look runs/look landmarks-full landmarks-heavy --video POSE2SIM \
        --passer-by MOTION --photographs coco_people --crops crops --plot look.png --json look.json

A model is a run of niki-train look, a checkpoint, a model folder of kind look, or landmarks-lite,
-full or -heavy: the untouched landmark network, whose joints are means of its landmarks.
"""

import json
from pathlib import Path
from typing import Callable, NamedTuple

from niki_ros.backends import load_folder_engine
from niki_ros.common.errors import ConfigError
from niki_ros.models.model_folder import read_model_folder
from niki_ros.models.model_store import LANDMARK_SIZES
from niki_ros.observers.look_network import KIND, MAKER, OUTPUTS
import numpy as np
import torch
from tqdm import tqdm

from niki_training.common.arguments import positive_int
from niki_training.files.outputs import check_arguments, write_text
from niki_training.look.checkpoint import network_of, read_checkpoint
from niki_training.look.network import LookConfig, LookNet
from niki_training.look.photographs import read_photographs
from niki_training.look.report import draw_report, text_report
from niki_training.look.scores import (
    photograph_scores,
    predict,
    predict_of_both,
    reliability,
    rendered_scores,
    video_scores,
)
from niki_training.look.video_crops import read_video_crops
from niki_training.render.batch.crop_shards import read_crops

_LANDMARKS = {f'landmarks-{size}': size for size in LANDMARK_SIZES}
_PHOTOGRAPH_TEACHER = 'full'  # all networks see the crops of this one
_CHUNK = 256  # rendered crops in memory


def add_arguments(parser) -> None:
    parser.add_argument('models', nargs='+', metavar='MODEL')
    parser.add_argument('--video', type=Path, help='Pose2Sim folder, or a file of --keep')
    parser.add_argument('--passer-by', type=Path, metavar='MOTION',
                        help='also with a rendered person who walks past in front')
    parser.add_argument('--runs', type=int, choices=(1, 2), default=1,
                        help='2: the mean of the outputs for crops and their mirror images (1)')
    parser.add_argument('--keep', type=Path, help='write the crops of the video there (.npz)')
    parser.add_argument('--photographs', type=Path,
                        help='folder like coco_people; people kept for evaluation are measured')
    parser.add_argument('--crops', type=Path, help='folder of niki-data crops')
    parser.add_argument('--split', default='val', help='of --crops (val)')
    parser.add_argument('--limit', type=positive_int, default=2000,
                        help='rendered crops at most (2000)')
    parser.add_argument('--threads', type=positive_int, default=1, help='CPU threads (1)')
    parser.add_argument('--json', type=Path, help='write the report there')
    parser.add_argument('--plot', type=Path, help='draw the report there (.png, .svg or .pdf)')


def main(args) -> int:
    check_arguments(args, {'--json': args.json, '--plot': args.plot, '--keep': args.keep})
    torch.set_num_threads(args.threads)
    report = measure(args)
    if args.json:
        write_text(args.json, json.dumps(report, indent=1) + '\n')
    if args.plot:
        draw_report(report, args.plot)
    print(text_report(report))
    return 0


def measure(args) -> dict:
    """Return model → part (video, rendered, photographs, reliability) → scores."""
    if not (args.video or args.photographs or args.crops):
        raise ConfigError('nothing to measure on: give --video, --photographs or --crops')
    looks = predict_of_both if args.runs == 2 else predict
    nets = {_name(model): load_looker(model, args.threads) for model in args.models}
    report: dict = {name: {} for name in nets}
    if args.video:
        _measure_video(nets, args, looks, report)
    if args.photographs:
        people = read_photographs(args.photographs, _PHOTOGRAPH_TEACHER).of_split(True)
        for name, net in nets.items():
            report[name]['photographs'] = photograph_scores(looks(net, people.crops()), people)
    if args.crops:
        _measure_rendered(nets, args, looks, report)
    return report


def _measure_video(nets: dict, args, looks: Callable, report: dict) -> None:
    video = read_video_crops(args.video, args.passer_by)
    if args.keep:
        video.write(args.keep)
    plain = np.isin(video.kind, ('followed', 'exact'))
    for name, net in nets.items():
        found = looks(net, video.crops())
        report[name]['video'] = video_scores(found, video)
        report[name]['reliability'] = reliability(
            {key: value[plain] for key, value in found.items()},
            video.thinned(1, ('followed', 'exact')))


def _measure_rendered(nets: dict, args, looks: Callable, report: dict) -> None:
    crops = read_crops([args.crops], args.split)
    count = min(len(crops), args.limit)
    truth: dict = {}
    found: dict = {name: {} for name in nets}
    for first in tqdm(range(0, count, _CHUNK), desc='rendered crops', disable=None):
        rows = crops[np.arange(first, min(first + _CHUNK, count))]
        image = rows.pop('image')
        _append(truth, rows)
        for name, net in nets.items():
            _append(found[name], looks(net, image))
    truth = {key: np.concatenate(parts) for key, parts in truth.items()}
    for name in nets:
        whole = {key: np.concatenate(parts) for key, parts in found[name].items()}
        report[name]['rendered'] = rendered_scores(whole, truth)


def _append(table: dict, rows: dict) -> None:
    for key, value in rows.items():
        table.setdefault(key, []).append(value)


def load_looker(model: str, threads: int = 1):
    """Return a callable from images (N, 3, 256, 256) to the outputs that are scored."""
    path = Path(model)
    if model in _LANDMARKS and not path.exists():
        # before training it returns what the landmark network says, at the peaks
        return _eval(LookNet(LookConfig(size=_LANDMARKS[model], head='direct joint',
                                        lifts=False)))
    if (path / 'manifest.json').is_file():
        return EngineLooker(path, threads)
    record = read_checkpoint(path)
    return _eval(network_of(record, path))


def _eval(net: LookNet) -> LookNet:
    return net.eval().to(memory_format=torch.channels_last)


class Looks(NamedTuple):
    """Outputs of a model folder, as those of the same name of ``LookOutput``."""

    uv: torch.Tensor
    uv_sigma: torch.Tensor
    joints_m: torch.Tensor
    joints_sigma_m: torch.Tensor
    visible: torch.Tensor  # logit
    present: torch.Tensor  # logit


class EngineLooker:
    """Runs the graph of a model folder of kind ``look``."""

    def __init__(self, folder: Path, threads: int = 1):
        model = read_model_folder(folder)
        model.check_kind(KIND, MAKER)
        self._engine = load_folder_engine(model, OUTPUTS, threads=threads)

    def __call__(self, image) -> Looks:
        """Return the outputs for images (N, 3, 256, 256), RGB 0 … 1."""
        out = {name: torch.from_numpy(np.asarray(value)) for name, value in
               self._engine.run({'image': image.contiguous().numpy()}).items()}
        return Looks(out['uv'], out['uv_sigma'], out['joints'], out['joints_sigma'],
                     torch.logit(out['visible'], 1e-6), torch.logit(out['present'][:, 0], 1e-6))


def _name(model: str) -> str:
    """Return the name of a model in the report: the end of its path."""
    path = Path(model)
    return path.parent.name if path.name == 'last.json' else path.name or model
