"""The verb ``niki models``: list and verify the models that ship."""

import json

from niki_ros.common.errors import ModelError
from niki_ros.models.model_folder import ModelFolder
from niki_ros.models.model_store import find_model, shipped_folders, shipped_names

HELP = 'List and verify the models that ship with the package; nothing is ever downloaded.'


def add_arguments(parser) -> None:
    """Add the two actions."""
    actions = parser.add_subparsers(dest='action', metavar='list|verify', required=True)
    one = actions.add_parser('list', help='every model: kind, size, sha256, licence, origin')
    one.add_argument('--json', action='store_true')
    one = actions.add_parser('verify', help='compare the sha256 of every graph; exit 1 if one is '
                             'damaged')
    one.add_argument('names', nargs='*', metavar='MODEL', help='default: all that ship')


def main(args) -> int:
    """Run one action; 1 when a model is damaged or missing."""
    return {'list': _list, 'verify': _verify}[args.action](args)


def _list(args) -> int:
    rows = list(map(_row, shipped_folders()))
    if args.json:
        print(json.dumps(rows, indent=1))
        return 0
    print(f'{"model":<16} {"kind":<10} {"MB":>5}  {"sha256":<16}  {"licence":<11} origin')
    for row in rows:
        print(f'{row["name"]:<16} {row["kind"]:<10} {row["bytes"] / 1e6:5.1f}  '
              f'{row["sha256"][:16]:<16}  {row["license"]:<11} {row["origin"]}')
    print(f'{"together":<27} {sum(row["bytes"] for row in rows) / 1e6:5.1f}')
    return 0


def _row(folder: ModelFolder) -> dict:
    manifest = folder.manifest
    return {'name': folder.name, 'kind': manifest['kind'],
            'bytes': sum(file.stat().st_size for file in folder.path.iterdir()),
            'sha256': manifest['sha256'], 'license': manifest.get('license', 'not stated'),
            'origin': _origin(manifest), 'path': str(folder.path)}


def _origin(manifest: dict) -> str:
    origin, base = manifest.get('origin', {}), manifest.get('delta', {}).get('base')
    if origin:
        return ', '.join(str(origin[key]) for key in ('project', 'author', 'package')
                         if key in origin)
    shared = f', weights shared with {base}' if base else ''
    return f'trained by this project{shared}'


def _verify(args) -> int:
    faults = []
    for name in args.names or shipped_names():
        try:
            folder = _find(name)
            for precision in folder.precisions:
                folder.load_graph(precision)
            print(f'{name}: good')
        except ModelError as error:
            faults.append(f'{name}: {error}')
    if faults:
        raise ModelError('; '.join(faults))
    return 0


def _find(name: str) -> ModelFolder:
    if name not in shipped_names():
        raise ModelError(f'no model of that name ships; known: {", ".join(shipped_names())}')
    return find_model(name)
