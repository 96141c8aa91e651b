"""
Make MediaPipe's ``.task`` file out of the two networks it holds.

The Tasks API wants a zip of two TFLite models, each with metadata that says how pixels are
normalised. The networks in MediaPipe's own packages lack that metadata, so it is added here.
A TFLite model is a FlatBuffer: tables that point forward to their children with relative offsets.
A new root table put *before* the untouched old bytes can therefore point at the old children, and
no schema or generated code is needed. Formats: FlatBuffers internals documentation; TFLite's
``schema.fbs`` (Model) and ``metadata_schema.fbs`` (ModelMetadata). The same input gives the same
bytes everywhere, so that the result can be checked by its sha256.
"""

from __future__ import annotations

from dataclasses import dataclass
import io
import struct
from typing import List, Tuple, Union
import zipfile

from niki_ros.core.errors import ModelError

ALIGNMENT = 64
"""The old bytes move by a multiple of this, which keeps the alignment of their weights."""

_VERSION, _BUFFERS, _METADATA = 0, 4, 6  # fields of TFLite's Model; 0 is the one scalar
_MODEL_FIELDS = 8
_IMAGE_PROPERTIES, _NORMALIZATION, _RGB = 2, 1, 1  # union members and colour space


@dataclass
class Table:
    """A FlatBuffer table: field number → ('B' or 'I', value), or a child."""

    fields: dict


@dataclass
class Vector:
    """A vector of children, or of scalars where ``code`` is a struct code such as ``f``."""

    items: list
    code: str = ''


@dataclass
class Blob:
    """Bytes with their length in front: a string (``text``), or data aligned to 16."""

    data: bytes
    text: bool = False


@dataclass
class Old:
    """A position in the bytes that will follow."""

    position: int


Node = Union[Table, Vector, Blob, Old]


class _Writer:
    """Lays nodes out parents first, so that every offset points forward."""

    def __init__(self, identifier: bytes):
        """Begin with room for the root's offset."""
        self.data = bytearray(4) + identifier
        self.to_old: List[Tuple[int, int]] = []

    def finish(self, root: Node, old: bytes = b'') -> bytes:
        """Write ``root`` and what it holds, then ``old``."""
        queue = [(0, root)]
        while queue:
            place, node = queue.pop(0)
            if isinstance(node, Old):
                self.to_old.append((place, node.position))
                continue
            position, children = self._write(node)
            struct.pack_into('<I', self.data, place, position - place)
            queue += children
        self._pad(ALIGNMENT if old else 4)
        for place, position in self.to_old:
            struct.pack_into('<I', self.data, place, len(self.data) + position - place)
        return bytes(self.data) + old

    def _pad(self, alignment: int, ahead: int = 0):
        """Fill up until the position after ``ahead`` more bytes is aligned."""
        self.data += bytes(-(len(self.data) + ahead) % alignment)

    def _write(self, node: Union[Table, Vector, Blob]):
        """Append one node; return its position and (place, child) for what it points at."""
        if isinstance(node, Blob):
            self._pad(4 if node.text else 16, ahead=4)
            position = len(self.data)
            self.data += struct.pack('<I', len(node.data)) + node.data + bytes(int(node.text))
            return position, []
        if isinstance(node, Vector):
            return self._write_vector(node)
        return self._write_table(node)

    def _write_vector(self, node: Vector):
        self._pad(4)
        position = len(self.data)
        self.data += struct.pack('<I', len(node.items))
        if node.code:
            self.data += struct.pack(f'<{len(node.items)}{node.code}', *node.items)
            return position, []
        self.data += bytes(4 * len(node.items))
        return position, [(position + 4 + 4 * i, item) for i, item in enumerate(node.items)]

    def _write_table(self, node: Table):
        """Vtable (its size, the table's size, each field's offset), then the table; 4 a field."""
        slots = [0] * (max(node.fields) + 1)
        for index, field in enumerate(sorted(node.fields)):
            slots[field] = 4 + 4 * index
        self._pad(4)
        vtable = len(self.data)
        self.data += struct.pack(f'<{2 + len(slots)}H', 4 + 2 * len(slots),
                                 4 + 4 * len(node.fields), *slots)
        self._pad(4)
        position = len(self.data)
        self.data += struct.pack('<i', position - vtable) + bytes(4 * len(node.fields))
        children = []
        for field, value in node.fields.items():
            place = position + slots[field]
            if isinstance(value, tuple):
                struct.pack_into('<' + value[0], self.data, place, value[1])
            else:
                children.append((place, value))
        return position, children


def image_metadata(mean: float, std: float) -> bytes:
    """Return TFLite metadata: one RGB image goes in, normalised as (pixel - mean) / std."""
    content = Table({0: ('B', _IMAGE_PROPERTIES), 1: Table({0: ('B', _RGB)})})
    normalize = Table({0: Vector([mean], 'f'), 1: Vector([std], 'f')})
    units = Vector([Table({0: ('B', _NORMALIZATION), 1: normalize})])
    tensor = Table({0: Blob(b'image', text=True), 3: content, 4: units})
    subgraph = Table({2: Vector([tensor])})
    root = Table({3: Vector([subgraph]), 7: Blob(b'1.0.0', text=True)})
    return _Writer(b'M001').finish(root)


def _read_root(model: bytes) -> dict:
    """Return the fields of a TFLite model's root: number → ``Old``, or the version's tuple."""
    if model[4:8] != b'TFL3':
        raise ModelError(f'not a TFLite model: it begins with {model[:8]!r}')
    root = struct.unpack_from('<I', model, 0)[0]
    vtable = root - struct.unpack_from('<i', model, root)[0]
    count = (struct.unpack_from('<H', model, vtable)[0] - 4) // 2
    fields = {}
    for field, offset in enumerate(struct.unpack_from(f'<{count}H', model, vtable + 4)):
        if offset and field < _MODEL_FIELDS:
            value = struct.unpack_from('<I', model, root + offset)[0]
            fields[field] = (('I', value) if field == _VERSION
                             else Old(root + offset + value))
    return fields


def _old_items(model: bytes, vector: Old) -> list:
    """Return a vector of children as ``Old`` nodes."""
    start = vector.position
    count = struct.unpack_from('<I', model, start)[0]
    offsets = struct.unpack_from(f'<{count}I', model, start + 4)
    return [Old(start + 4 + 4 * i + offset) for i, offset in enumerate(offsets)]


def add_metadata(model: bytes, metadata: bytes) -> bytes:
    """Return a TFLite model that carries ``metadata``; the old bytes stay as they are."""
    fields = _read_root(model)
    buffers = _old_items(model, fields[_BUFFERS])
    entries = _old_items(model, fields[_METADATA]) if _METADATA in fields else []
    entry = Table({0: Blob(b'TFLITE_METADATA', text=True), 1: ('I', len(buffers))})
    fields[_BUFFERS] = Vector(buffers + [Table({0: Blob(metadata)})])
    fields[_METADATA] = Vector(entries + [entry])
    return _Writer(b'TFL3').finish(Table(fields), model)


def pack(members: dict) -> bytes:
    """Return a zip of name → bytes, stored, each file's data aligned, without dates."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o644 << 16  # the same on every system
            header = out.tell() + 30 + len(name)
            # An extra field is an id, a length and its bytes; 0xD935 is Android's for alignment.
            fill = -(header + 4) % ALIGNMENT
            info.extra = struct.pack('<HH', 0xD935, fill) + bytes(fill)
            archive.writestr(info, data)
    return out.getvalue()


def assemble(detector: bytes, landmarks: bytes) -> bytes:
    """
    Return the ``.task`` bytes of a pose landmarker.

    The detector was trained on pixels in -1 … 1, the landmark network on 0 … 1.
    """
    return pack({
        'pose_detector.tflite': add_metadata(detector, image_metadata(127.5, 127.5)),
        'pose_landmarks_detector.tflite': add_metadata(landmarks, image_metadata(0.0, 255.0)),
    })
