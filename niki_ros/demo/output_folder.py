"""Preparation of the output folder of the demonstration, without loss of the user's files."""

from pathlib import Path
from typing import Optional

from niki_ros.common.errors import InputError
from niki_ros.files.atomic_write import make_folder
from niki_ros.files.file_kinds import name_for_opencv
from niki_ros.files.output_paths import check_outputs
from niki_ros.sources.open import source_files

OVERLAY, IMAGE, BAG = 'overlay.mp4', 'skeleton.png', 'bag'
BAG_MARK = 'niki_ros demo'
"""Text in the metadata.yaml of every bag of the demonstration."""
_BAG_FILES = {'metadata.yaml', 'bag.mcap'}


def prepare_output_folder(folder: Path, video, camera: Optional[str] = None) -> None:
    """
    Create the folder, and check that only files of an earlier demonstration are replaced.

    :param video: the source that is read. :param camera: the calibration file that is read.
    :raises InputError: when an input or another file would be replaced.
    """
    name_for_opencv(folder)
    make_folder(folder)
    inputs = source_files(video)
    check_outputs({'the overlay': folder / OVERLAY, 'the image': folder / IMAGE},
                  [*inputs, camera])
    bag = folder / BAG
    if bag.exists() or bag.is_symlink():
        if not _is_demo_bag(bag) or any(bag.resolve() in file.resolve().parents
                                        for file in inputs):
            raise InputError(f'{bag} exists, is not the bag of an earlier demonstration and would '
                             'be replaced; choose another folder (make demo OUT=…)')
        return
    # the bag is written first, so a folder without it is not one of the demonstration
    for name in (OVERLAY, IMAGE):
        if (folder / name).is_file():
            raise InputError(f'{folder / name} exists without the bag of an earlier demonstration '
                             'and would be replaced; choose another folder (make demo OUT=…)')


def _is_demo_bag(bag: Path) -> bool:
    """Return whether a folder holds a bag of the demonstration and nothing else."""
    metadata = bag / 'metadata.yaml'
    text = metadata.read_text('utf-8') if metadata.is_file() else ''
    # older bags have no mark, but are written by rosbags and have the topics
    marked = BAG_MARK in text or all(
        part in text for part in ('ros_distro: rosbags', '/tf', '/image/compressed'))
    return marked and not bag.is_symlink() and {one.name for one in bag.iterdir()} <= _BAG_FILES
