"""
Store the graph of a model folder as a delta to the graph of another folder.

The network for one frame, niki, is a part of niki-temporal, and so its weights ship once.
"""

from __future__ import annotations

from pathlib import Path

from niki_ros.common.errors import ModelError
from niki_ros.models.model_folder import (
    GRAPH,
    ModelFolder,
    read_model_folder,
    write_file,
    write_manifest,
)

from niki_training.export.graph_delta import make_delta

DELTA = 'model.delta.npz'
_MAX_DELTA_RATIO = 0.2
"""Size of a delta over that of its graph: a graph without common weights has 0.9."""


def add_arguments(parser) -> None:
    """Add the options of ``niki-export share``."""
    parser.add_argument('part', type=Path, metavar='PART', help='model folder that is rewritten')
    parser.add_argument('whole', type=Path, metavar='WHOLE',
                        help='model folder with the same weights, in the same parent folder')


def main(args) -> int:
    """Rewrite the folder PART and print the size of its delta."""
    folder = share_graph(args.part, args.whole)
    size = (folder.path / DELTA).stat().st_size
    print(f'{folder.path}: {size / 1e3:.1f} kB, the weights are those of {args.whole}')
    return 0


def share_graph(part: Path, whole: Path) -> ModelFolder:
    """
    Replace ``model.onnx`` of ``part`` by a delta to the graph of ``whole``; its bytes stay.

    :raises ModelError: when the folders have different parents, or few weights in common.
    """
    folder, base = read_model_folder(part), read_model_folder(whole)
    if folder.path.resolve().parent != base.path.resolve().parent:
        raise ModelError(f'{whole} is not in the same parent folder as {part}')
    graph = folder.load_graph().data
    delta = make_delta(base.load_graph().data, graph)
    if len(delta) > _MAX_DELTA_RATIO * len(graph):
        raise ModelError(f'{part} and {whole} have few weights in common: the delta would have '
                         f'{len(delta)} bytes, the graph has {len(graph)}')
    write_file(folder.path / DELTA, delta)
    link = {'file': DELTA, 'base': base.path.resolve().name}
    shared = write_manifest(folder.path, {**folder.manifest, 'delta': link})
    (folder.path / GRAPH).unlink(missing_ok=True)
    return shared
