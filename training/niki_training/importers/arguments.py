"""Arguments and output that all verbs of ``niki-import`` share."""

from pathlib import Path

from niki_ros.models.model_folder import GRAPH, ModelFolder
import torch

from niki_training.common.arguments import positive_int


def add_import_arguments(parser, file_help: str) -> None:
    parser.add_argument('file', metavar='FILE', type=Path, help=file_help)
    parser.add_argument('--out', metavar='MODEL', type=Path, required=True,
                        help='model folder to write')
    parser.add_argument('--threads', type=positive_int, default=2, help='CPU threads (default 2)')


def set_threads(args) -> None:
    torch.set_num_threads(args.threads)


def print_folder(folder: ModelFolder) -> None:
    """Print name and size of a model, and the parts of the file that are not used."""
    size_mb = (folder.path / GRAPH).stat().st_size / 1e6
    print(f'{folder.path}: {folder.manifest["name"]}, {size_mb:.1f} MB')
    for part in folder.manifest.get('left_out', ()):
        print(f'  left out: {part}')
