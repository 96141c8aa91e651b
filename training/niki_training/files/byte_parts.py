"""Files inside an archive of arrays: their bytes one after another, and where each begins."""

import numpy as np


def packed_parts(name: str, parts: list[bytes]) -> dict[str, np.ndarray]:
    """Return the arrays ``NAME_bytes`` and ``NAME_at`` for :func:`unpacked_parts`."""
    return {f'{name}_bytes': np.frombuffer(b''.join(parts), np.uint8),
            f'{name}_at': np.cumsum([0, *map(len, parts)])}


def unpacked_parts(arrays, name: str) -> list[bytes]:
    """Return the parts of the arrays that :func:`packed_parts` made."""
    data, at = arrays[f'{name}_bytes'].tobytes(), arrays[f'{name}_at']
    return [data[first:end] for first, end in zip(at, at[1:])]
