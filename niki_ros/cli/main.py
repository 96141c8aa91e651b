"""
Command ``niki``, which runs one verb.

A verb is a module with ``HELP: str``, ``add_arguments(parser)`` and ``main(args) -> int``. Only
the module of the verb in the arguments is imported, so that ``niki --help`` answers at once.
"""

import argparse
from importlib import import_module
import os
import signal
import sys

VERBS = {
    'run': 'turn a video, webcam or folder of images into bodies, without ROS',
    'models': 'list and verify the models',
    'engine': 'build and inspect TensorRT engines',
    'view': 'show the bodies in a video or a bag in the viewer Rerun or in a browser',
    'bench': 'measure the speed on this machine',
    'doctor': 'list what is installed, what is missing and how to install it',
}
"""Name and help of each verb; its module is ``niki_ros.cli.<name>``."""


def main(argv=None) -> int:
    """Run one verb and return the exit code: 0 success, 1 error, 2 usage, 130 interrupted."""
    argv = sys.argv[1:] if argv is None else list(argv)
    # libraries write errors to stderr that our own messages explain; the user's value has priority
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
        # the reader of stdout (head, less) has closed it
        _discard_stdout()
        return 0
    except OSError as error:
        where = f'{error.filename}: ' if error.filename else ''
        print(f'niki: {where}{error.strerror or error}', file=sys.stderr)
        _discard_stdout()
        return 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _discard_stdout():
    """Redirect stdout to /dev/null where it cannot be flushed, so that Python exits silently."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end_on_signals() -> dict:
    """Make SIGTERM and SIGHUP end the verb with its clean-up; return the handlers before."""
    def end(number, _):
        raise SystemExit(128 + number)
    before = {}
    for number in (signal.SIGTERM, signal.SIGHUP):
        # nohup ignores SIGHUP, so that the verb continues without its terminal
        if signal.getsignal(number) is not signal.SIG_IGN:
            try:
                before[number] = signal.signal(number, end)
            except ValueError:  # only the main thread may set handlers
                break
    return before


def _parse(argv) -> argparse.Namespace:
    """Return the arguments of the verb, with its function ``main`` as ``run_verb``."""
    parser = argparse.ArgumentParser(
        prog='niki', description='3D human pose: images to joint rotations, metres and ids.')
    parser.add_argument('--version', action=_Version)
    verbs = parser.add_subparsers(metavar='VERB', required=True)
    chosen = next((word for word in argv if not word.startswith('-')), None)
    for name, text in VERBS.items():
        verb = verbs.add_parser(name, help=text)
        if name == chosen:
            module = import_module(f'niki_ros.cli.{name}')
            verb.description = module.HELP
            module.add_arguments(verb)
            verb.set_defaults(run_verb=module.main)
    return parser.parse_args(argv)


class _Version(argparse.Action):
    """Print the installed version, which is only looked up for this option."""

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
