"""What every backend offers: one protocol, and the checks at its door."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Tuple, Union

from niki_ros.common.errors import InputError
import numpy as np

BACKENDS = ('onnxruntime', 'tensorrt')
PRECISIONS = ('fp32', 'fp16')


@dataclass(frozen=True)
class TensorSpec:
    """Name and shape of an input or output; a dimension that may vary is its name, or -1."""

    name: str
    shape: Tuple[Union[int, str], ...]
    dtype: str = 'float32'

    def fits(self, shape: tuple) -> bool:
        """Tell whether an array of ``shape`` may be given for this tensor."""
        return len(shape) == len(self.shape) and all(
            not isinstance(want, int) or want in (-1, have)
            for want, have in zip(self.shape, shape))


class Engine(Protocol):
    """A loaded graph that runs on one device through one library."""

    inputs: Tuple[TensorSpec, ...]
    outputs: Tuple[TensorSpec, ...]

    def run(self, inputs: dict) -> dict:
        """Return ``{output name: array}`` for ``{input name: float32 array}``."""
        ...

    def describe(self) -> dict:
        """
        Return what really runs.

        ``library``, ``version``, ``device``, ``precision``, ``threads`` of the CPU and
        ``model_sha256`` of the graph; an engine may add more.
        """
        ...

    def close(self) -> None:
        """Free the device memory; the engine cannot run afterwards."""
        ...


def checked_inputs(specs: Tuple[TensorSpec, ...], inputs: dict) -> dict:
    """
    Return ``inputs`` as contiguous arrays of the engine's types.

    :raises InputError: naming the input that is missing, unknown or of another shape.
    """
    names = [spec.name for spec in specs]
    if set(names) != set(inputs):
        missing, unknown = set(names) - set(inputs), set(inputs) - set(names)
        raise InputError(f'the model takes {", ".join(names)}; missing: '
                         f'{sorted(missing) or "none"}, unknown: {sorted(unknown) or "none"}')
    arrays = {}
    for spec in specs:
        array = np.ascontiguousarray(inputs[spec.name], dtype=spec.dtype)
        if not spec.fits(array.shape):
            raise InputError(f'{spec.name} has shape {array.shape}; expected {spec.shape}')
        arrays[spec.name] = array
    return arrays
