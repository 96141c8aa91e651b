"""
Let one model folder take its graph from another's, where it is a part of it.

``python -m niki_training.export.share_graph PART WHOLE``: niki is the per-frame network inside of
niki-temporal, so its weights are shipped once. The values in the other graph that are the part's
outputs are found by what they are on random inputs.
"""

from __future__ import annotations

import json
from pathlib import Path
import sys

from niki_ros.backends import load_engine
from niki_ros.backends.graph_file import part_of
from niki_ros.backends.half_graph import widened
from niki_ros.common.errors import ModelError
from niki_ros.models.model_folder import (
    GRAPH,
    MANIFEST,
    ModelFolder,
    read_model_folder,
    sha256,
    write_file,
)
import numpy as np
import onnx

LIMIT = 1e-6


def share_graph(part, whole) -> ModelFolder:
    """
    Rewrite the manifest of folder ``part`` and delete its graph; ``whole`` has the same parent.

    :raises ModelError: when an output of the part is no value of the other graph.
    """
    part, whole = read_model_folder(part), read_model_folder(whole)
    if part.path.resolve().parent != whole.path.resolve().parent:
        raise ModelError(f'{whole.path} is not in the same parent folder as {part.path}')
    outputs = same_values(part.load_graph(), whole.load_graph())
    link = {'folder': whole.path.resolve().name, 'outputs': outputs}
    manifest = {}
    for name, value in part.manifest.items():
        manifest[name] = value
        if name == 'kind':
            manifest['part_of'] = link
    manifest['sha256'] = sha256(part_of(whole.load_graph(), outputs))
    write_file(part.path / MANIFEST, (json.dumps(manifest, indent=1) + '\n').encode())
    (part.path / GRAPH).unlink(missing_ok=True)
    return read_model_folder(part.path)


def same_values(part: bytes, whole: bytes) -> dict:
    """Return the name of every output of ``part``: name of the equal value in ``whole``."""
    engine = load_engine(part)
    rng = np.random.default_rng(0)
    inputs = {spec.name: rng.normal(size=(4, *spec.shape[1:])).astype(np.float32)
              for spec in engine.inputs}
    wanted, values = engine.run(inputs), _values(whole, inputs)
    found = {name: next((other for other, value in values.items() if value.shape == answer.shape
                         and np.abs(value - answer).max() <= LIMIT), None)
             for name, answer in wanted.items()}
    missing = [name for name, other in found.items() if other is None]
    if missing:
        raise ModelError(f'outputs {missing} are no values of the other graph')
    return found


def _values(whole: bytes, inputs: dict) -> dict:
    """Return every value of ``whole`` that is computed from ``inputs`` alone."""
    model = onnx.load_from_string(widened(whole))
    known = set(inputs) | {t.name for t in model.graph.initializer}
    names = []
    for node in model.graph.node:
        if known.issuperset(filter(None, node.input)):
            known.update(node.output)
            names += node.output
    stated = {v.name for v in (*model.graph.value_info, *model.graph.output)
              if v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
    outputs = {name: name for name in names if name in stated}
    if not outputs:
        return {}
    engine = load_engine(part_of(model.SerializeToString(), outputs))
    return engine.run({spec.name: inputs[spec.name] for spec in engine.inputs})


if __name__ == '__main__':
    share_graph(*map(Path, sys.argv[1:]))
