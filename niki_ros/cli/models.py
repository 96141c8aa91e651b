"""``niki models``: fetch, list and verify the models of the front end."""

from __future__ import annotations

from niki_ros.core.errors import ModelError
from niki_ros.model_cache import check, fetch, identify, model_path, MODELS, origin

HELP = 'Fetch, list and verify the models of the front end (MediaPipe Pose Landmarker).'


def add_arguments(parser) -> None:
    """Declare the three actions."""
    actions = parser.add_subparsers(dest='action', metavar='ACTION', required=True)
    one = actions.add_parser('fetch', help='download into the cache; later runs work offline')
    one.add_argument('names', nargs='*', metavar='MODEL', help='lite, full (default) or heavy')
    one = actions.add_parser('list', help='every model: size, sha256, where it came from')
    one = actions.add_parser('verify', help='hash the cached models again')
    one.add_argument('names', nargs='*', metavar='MODEL', help='default: all that are cached')


def main(args) -> int:
    """Run one action; 1 when a model is damaged or missing."""
    return {'fetch': _fetch, 'list': _list, 'verify': _verify}[args.action](args)


def _fetch(args) -> int:
    for name in args.names or ['full']:
        path = fetch(name, report=lambda line: print(line, flush=True))
        print(f'{name}: {path} ({check(name)}, {path.stat().st_size / 1e6:.1f} MB)')
    return 0


def _list(args) -> int:
    print(f'{"model":<6} {"MB":>5}  {"sha256":<16}  {"from":<10} file')
    for name, model in MODELS.items():
        path = model_path(name)
        if not path.is_file():
            print(f'{name:<6} {"-":>5}  {"-":<16}  {"-":<10} not cached ({model.about}); '
                  f'niki models fetch {name}')
            continue
        sha256 = identify(path)
        source = origin(name, sha256) or 'DAMAGED'
        size = path.stat().st_size / 1e6
        print(f'{name:<6} {size:5.1f}  {sha256[:16]:<16}  {source:<10} {path}')
    return 0


def _verify(args) -> int:
    names = args.names or [name for name in MODELS if model_path(name).is_file()]
    if not names:
        print('no model is cached; niki models fetch')
    faults = []
    for name in names:
        try:
            print(f'{name}: good, {check(name)}')
        except ModelError as error:
            faults.append(str(error))
    if faults:
        raise ModelError('; '.join(faults))
    return 0
