"""Measure which channels of a landmark network are never active, and list them in a file."""

from pathlib import Path
import sys
from typing import Iterator

import cv2
from niki_ros.benchmarks.check_images import check_images, crops
import numpy as np

from niki_training.common.arguments import positive_int
from niki_training.export.weight_storage import with_fp32_storage
from niki_training.files.outputs import check_arguments
from niki_training.importers import blazepose, graph_tools, inactive_channels
from niki_training.importers.arguments import set_threads

_BATCH = 2  # all layers of a block are outputs: 20 MB for each image


def add_arguments(parser) -> None:
    parser.add_argument('file', metavar='FILE', type=Path,
                        help='pose_landmark_lite, _full or _heavy.tflite')
    parser.add_argument('--images', metavar='FOLDER', required=True,
                        help='JPEG or PNG photographs of people: several hundred people')
    parser.add_argument('--out', metavar='FILE', type=Path, required=True,
                        help='JSON in which the channels of this network are listed or replaced; '
                        f'the importer reads {inactive_channels.LISTED.name} beside it')
    parser.add_argument('--variants', type=positive_int, default=8,
                        help='turned, zoomed and recoloured copies of each person (8)')
    parser.add_argument('--threads', type=positive_int, default=2, help='CPU threads (default 2)')


def main(args) -> int:
    set_threads(args)
    check_arguments(args, {'--out': args.out})
    inactive_channels.read_channels(args.out, '')  # refuse a file of another kind at once
    data, name = graph_tools.checked_bytes(args.file, blazepose.VARIANTS, blazepose.PACKAGE)
    graph = with_fp32_storage(blazepose.landmark_graph(data, ''))  # '' = nothing is cut off
    people = crops(check_images(args.images), blazepose.SIZE_PX)
    batches = _batches(people, args.variants)
    found = inactive_channels.inactive_channels(
        graph, inactive_channels.channel_ranges(graph, batches))
    found = {layer: flags for layer, flags in found.items() if flags.any()}
    inactive_channels.write_channels(args.out, name, found)
    print(f'{args.out}: {name}, {sum(flags.sum() for flags in found.values())} channels in '
          f'{len(found)} layers, measured on {(1 + args.variants) * len(people)} crops')
    return 0


def varied(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """
    Return an image (3, h, w), RGB 0 … 1, in another place, turn, size, colour and sharpness.

    The changes go beyond those of any camera: what is inactive here is so in use.
    """
    height, width = image.shape[1:]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-180, 180),
                                   np.exp(rng.uniform(-0.7, 0.7)))
    turn[:, 2] += rng.uniform(-0.15, 0.15, 2) * (width, height)
    border = (cv2.BORDER_CONSTANT, cv2.BORDER_REFLECT)[rng.integers(2)]
    changed = cv2.warpAffine(image.transpose(1, 2, 0), turn, (width, height), borderMode=border)
    if rng.random() < 0.3:
        changed = cv2.GaussianBlur(changed, (0, 0), rng.uniform(1, 6))
    changed = changed + rng.normal(0, rng.uniform(0, 0.1), changed.shape)
    changed = changed * rng.uniform(0.4, 1.6, 3) + rng.uniform(-0.2, 0.2)
    return np.clip(changed, 0, 1).astype(np.float32).transpose(2, 0, 1)


def _batches(people: np.ndarray, variants: int) -> Iterator[np.ndarray]:
    """Yield the people, their variants, and as many images of noise as there are people."""
    rng = np.random.default_rng(0)
    for round_number in range(variants + 1):
        print(f'  round {round_number + 1} of {variants + 1}', file=sys.stderr, flush=True)
        for start in range(0, len(people), _BATCH):
            batch = people[start:start + _BATCH]
            yield np.stack([varied(image, rng) for image in batch]) if round_number else batch
    for _ in range(0, len(people), _BATCH):
        yield rng.random((_BATCH, *people.shape[1:]), np.float32)
