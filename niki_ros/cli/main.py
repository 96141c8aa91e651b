"""
The command ``niki``.

A verb is a module with ``HELP: str``, ``add_arguments(parser)`` and ``main(args) -> int``. Only
argparse is imported before the verb is known, so that ``niki --help`` answers at once.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from importlib.util import find_spec
import os
import signal
import sys

VERBS = {
    'run': 'a video, webcam or folder of images to bodies, without ROS',
    'models': 'fetch, list and verify the models',
    'engine': 'build and inspect TensorRT engines',
    'view': 'bodies of a video or a bag in the viewer Rerun, or in a browser',
    'bench': 'measure the speed on this machine',
    'doctor': 'what is installed, what is missing, how to mend it',
}
"""Name and help of each verb; its module is ``niki_ros.cli.<name>``, listed where it exists."""


def main(argv=None) -> int:
    """Run one verb and return the exit code: 0, 1 error, 2 usage, 130 interrupted."""
    argv = sys.argv[1:] if argv is None else list(argv)
    # libraries write to stderr what our own errors say better; the user's value wins
    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
    os.environ.setdefault('OPENCV_LOG_LEVEL', 'ERROR')
    from niki_ros.common.plain_text import write_plainly
    write_plainly()
    args = _parse(argv)
    from niki_ros.common.errors import NikiError
    before = _end_on_signals()
    try:
        code = args.run_verb(args)
        sys.stdout.flush()
        return code
    except NikiError as error:
        print(f'niki: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('niki: interrupted', file=sys.stderr)
        return 130
    except BrokenPipeError:
        # the reader (head, less) has seen enough
        _drop_stdout()
        return 0
    except OSError as error:
        where = f'{error.filename}: ' if error.filename else ''
        print(f'niki: {where}{error.strerror or error}', file=sys.stderr)
        _drop_stdout()
        return 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _drop_stdout():
    """Keep Python from complaining at exit about what it cannot write."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end_on_signals() -> dict:
    """Let SIGTERM and a closed terminal end the verb as Ctrl-C does: no half file, no child."""
    def end(number, _):
        raise SystemExit(128 + number)
    before = {}
    for number in (signal.SIGTERM, signal.SIGHUP):
        # who starts it with nohup wants it to go on
        if signal.getsignal(number) is not signal.SIG_IGN:
            try:
                before[number] = signal.signal(number, end)
            except ValueError:  # not the main thread, which alone may set handlers
                break
    return before


def _parse(argv) -> argparse.Namespace:
    """Return the arguments; only the module of the verb that was asked for is imported."""
    parser = argparse.ArgumentParser(
        prog='niki', description='3D human pose: images to joint rotations, metres and ids.')
    parser.add_argument('--version', action=_Version)
    verbs = parser.add_subparsers(metavar='VERB', required=True)
    asked = next((word for word in argv if not word.startswith('-')), None)
    for name, text in VERBS.items():
        module = f'niki_ros.cli.{name}'
        if find_spec(module) is None:
            continue
        verb = verbs.add_parser(name, help=text, description=f'{text[0].upper()}{text[1:]}.')
        if name == asked:
            code = import_module(module)
            verb.description = code.HELP
            code.add_arguments(verb)
            verb.set_defaults(run_verb=code.main)
    return parser.parse_args(argv)


class _Version(argparse.Action):
    """Print the installed version, looked up only when asked for."""

    def __init__(self, option_strings, dest):
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help='print the version')

    def __call__(self, parser, *_):
        from importlib.metadata import PackageNotFoundError, version
        try:
            print(f'niki_ros {version("niki_ros")}')
        except PackageNotFoundError:
            print('niki_ros (not installed)')
        parser.exit()


if __name__ == '__main__':
    sys.exit(main())
