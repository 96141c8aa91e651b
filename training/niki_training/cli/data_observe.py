"""Run a front end on the images of rendered shards and store pairs with the ground truth."""

from pathlib import Path
import sys

from niki_ros.common.errors import InputError
from niki_ros.scene.camera import Camera

from niki_training.front_end.observe import ClipRecorder, observation_arrays, OBSERVERS
from niki_training.render.image_shards import read_image_shard
from niki_training.render.shards import write_shard


def add_arguments(parser) -> None:
    parser.add_argument('shards', type=Path, nargs='+', help='.tar shards of niki-data render')
    parser.add_argument('--observer', choices=OBSERVERS, default='landmarks')
    parser.add_argument('--model', default='', help='size of landmarks (full), or model folder of '
                        'look')
    parser.add_argument('--out', type=Path, help='folder of the pairs (that of the shards)')


def main(args) -> int:
    recorder = ClipRecorder(args.observer, args.model)
    for path in args.shards:
        if not path.is_file():
            raise InputError(f'{path}: no such file; niki-data render writes shards')
        out = (args.out or path.parent) / f'{path.stem}.npz'
        if out.is_file():
            continue
        out.parent.mkdir(parents=True, exist_ok=True)
        write_shard(out, [_observed_stored_clip(recorder, *clip)
                          for clip in read_image_shard(path)])
        print(out.name, file=sys.stderr, flush=True)
    recorder.close()
    return 0


def _observed_stored_clip(recorder: ClipRecorder, truth: dict, frames) -> dict:
    camera = Camera(truth['camera_matrix'], *truth['image_size'].tolist())
    observations = recorder.observe(frames, camera, int(truth['people']))
    return {**truth, **observation_arrays(observations, recorder.observer)}
