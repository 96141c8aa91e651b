"""Base of sets of crops whose pictures are compressed, and their files."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TypeVar

from niki_ros.files.atomic_write import atomic_write
import numpy as np

from niki_training.files.archives import opened_npz
from niki_training.files.byte_parts import packed_parts, unpacked_parts

Crops = TypeVar('Crops', bound='JpegCrops')


@dataclass(frozen=True)
class JpegCrops:
    """N crops; the fields of a subclass are arrays (N, …), and texts that hold for all crops."""

    jpeg: list[bytes]  # pictures

    def rows(self: Crops, rows) -> Crops:
        """Return the crops with these numbers (n,)."""
        arrays = {name: value[rows] for name, value in self._others().items()
                  if isinstance(value, np.ndarray)}
        return replace(self, jpeg=[self.jpeg[row] for row in rows], **arrays)

    def write(self, path: Path) -> None:
        """Write one file, with which a machine without the sources of the crops works."""
        with atomic_write(path, ('.npz',)) as part:
            np.savez(part, **packed_parts('jpeg', self.jpeg), **self._others())

    @classmethod
    def read(cls: type[Crops], path: Path, kind: str, remedy: str) -> Crops:
        """Return the crops of a file of :meth:`write`; texts as of ``opened_npz``."""
        with opened_npz(path, kind, remedy) as z:
            others = {field.name: z[field.name] for field in fields(cls) if field.name != 'jpeg'}
            return cls(unpacked_parts(z, 'jpeg'), **{
                name: value if value.ndim else str(value) for name, value in others.items()})

    def _others(self) -> dict:
        return {field.name: getattr(self, field.name) for field in fields(self)
                if field.name != 'jpeg'}
