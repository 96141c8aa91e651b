"""
Bank of dressed people, poses and surroundings: all that the batch renderer draws from.

A folder of ``bank.json`` and ``.npz`` files of at most 15 MB each, so that it can be moved in
pieces. Reading needs no body model, no garments and no motion.
"""

from dataclasses import dataclass
import hashlib
import json
from pathlib import Path
from typing import Iterable, Iterator

import cv2
from niki_ros.common.errors import InputError
from niki_ros.files.atomic_write import atomic_write, make_folder
from niki_ros.images.pixels import jpeg_from_rgb, rgb_from_jpeg
import numpy as np

from niki_training.files.archives import opened_npz
from niki_training.files.byte_parts import packed_parts, unpacked_parts
from niki_training.files.outputs import write_text
from niki_training.render.batch.person_mesh import PersonMesh

TEXTURE_PX = 256
MAX_FILE_BYTES = 15_000_000
PANORAMA_PX = (1024, 512)  # width and height
_TEXTURE_QUALITY, _PANORAMA_QUALITY = 85, 85
_REMEDY = 'niki-data bank writes one'


@dataclass(frozen=True)
class Person:
    """A dressed person."""

    mesh: PersonMesh
    textures: tuple[np.ndarray, ...]  # (256, 256, 4) uint8 RGBA each; alpha < 128 is a hole


@dataclass(frozen=True)
class Bank:
    """People, poses and surroundings of one split."""

    people: list[Person]
    rotvec: np.ndarray  # (P, 24, 3) float32 poses, radians, y up
    panoramas: list[np.ndarray]  # (512, 1024, 3) uint8 RGB each, equirectangular, up first
    facts: dict  # split, seed, motion, counts and credits


def write_bank(folder: Path, people: Iterable[Person], rotvec, panoramas, facts: dict) -> dict:
    """
    Write a bank; ``people`` are taken one by one.

    :param facts: what :attr:`Bank.facts` will be, with the sha256 of every file added.
    :raises InputError: when ``folder`` has another bank.
    """
    folder = make_folder(folder)
    if (folder / 'bank.json').exists():
        raise InputError(f'{folder} has a bank; give another folder, or remove that one')
    names = list(_write_people(folder, people))
    arrays = {'rotvec': np.asarray(rotvec, np.float16), **packed_parts('panorama', [
        jpeg_from_rgb(picture, _PANORAMA_QUALITY) for picture in panoramas])}
    names.append(_write(folder, 'scenes.npz', arrays))
    facts = {**facts, 'files': {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}}
    write_text(folder / 'bank.json', json.dumps(facts, indent=1) + '\n')
    return facts


def load_bank(folder: Path) -> Bank:
    """Read a bank; an InputError names the file that is missing or not as it was written."""
    folder = Path(folder)
    if not (folder / 'bank.json').is_file():
        raise InputError(f'{folder} has no bank.json; {_REMEDY}')
    try:
        facts = json.loads((folder / 'bank.json').read_text('utf-8'))
        files = dict(facts['files'])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f'{folder / "bank.json"} is damaged; {_REMEDY}') from error
    for name, expected in files.items():
        if not (folder / name).is_file():
            raise InputError(f'{folder} lacks {name}; copy all files of the bank')
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != expected:
            raise InputError(f'{folder / name} is not as it was written; copy it again')
    people = [person for name in files if name.startswith('people-')
              for person in _read_people(folder / name)]
    with opened_npz(folder / 'scenes.npz', 'scenes of a bank', _REMEDY) as z:
        panoramas = [rgb_from_jpeg(data) for data in unpacked_parts(z, 'panorama')]
        return Bank(people, z['rotvec'].astype(np.float32), panoramas, facts)


def facts_of_run(bank: Bank) -> dict:
    """Return what a bank was made of, and a hash of all its files, to be kept with results."""
    files = json.dumps(bank.facts['files'], sort_keys=True).encode()
    return {**{name: value for name, value in bank.facts.items() if name != 'files'},
            'sha256': hashlib.sha256(files).hexdigest()}


def _write_people(folder: Path, people: Iterable[Person]) -> Iterator[str]:
    """Write as many people in a file as surely fit, and yield the names of the files."""
    arrays: dict = {}
    count = number = size = 0
    for person in people:
        own = _person_arrays(person)
        bytes_of_own = sum(array.nbytes for array in own.values())
        if count and size + bytes_of_own > MAX_FILE_BYTES:
            yield _write(folder, f'people-{number:02d}.npz', {**arrays, 'count': np.array(count)})
            arrays, count, size, number = {}, 0, 0, number + 1
        arrays.update({f'{count}/{name}': array for name, array in own.items()})
        count, size = count + 1, size + bytes_of_own
    if not count:
        raise InputError('a bank needs at least one person')
    yield _write(folder, f'people-{number:02d}.npz', {**arrays, 'count': np.array(count)})


def _person_arrays(person: Person) -> dict[str, np.ndarray]:
    rgb = [jpeg_from_rgb(texture[..., :3], _TEXTURE_QUALITY) for texture in person.textures]
    alpha = [b'' if texture[..., 3].min() > 127 else
             cv2.imencode('.png', (texture[..., 3] > 127).astype(np.uint8) * 255)[1].tobytes()
             for texture in person.textures]
    return {**person.mesh.packed(), **packed_parts('texture', rgb), **packed_parts('alpha', alpha)}


def _read_people(path: Path) -> Iterator[Person]:
    with opened_npz(path, 'people of a bank', _REMEDY) as z:
        for number in range(int(z['count'])):
            start = f'{number}/'
            own = {name[len(start):]: z[name] for name in z.files if name.startswith(start)}
            textures = []
            for rgb, alpha in zip(unpacked_parts(own, 'texture'), unpacked_parts(own, 'alpha')):
                opaque = (cv2.imdecode(np.frombuffer(alpha, np.uint8), cv2.IMREAD_GRAYSCALE)
                          if alpha else np.full((TEXTURE_PX, TEXTURE_PX), 255, np.uint8))
                textures.append(np.dstack([rgb_from_jpeg(rgb), opaque]))
            mesh = {name: array for name, array in own.items()
                    if not name.startswith(('texture_', 'alpha_'))}
            yield Person(PersonMesh.from_packed(mesh), tuple(textures))


def _write(folder: Path, name: str, arrays: dict) -> str:
    with atomic_write(folder / name) as part, open(part, 'wb') as file:
        np.savez_compressed(file, **arrays)
    size = (folder / name).stat().st_size
    if size > MAX_FILE_BYTES:
        raise InputError(f'{folder / name} has {size} bytes; at most {MAX_FILE_BYTES} travel: '
                         'give fewer poses')
    return name
