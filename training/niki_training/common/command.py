"""
Command lines with verbs.

A verb is a module with ``add_arguments(parser)`` and ``main(args) -> int``; its docstring is its
help. It is imported when its verb is parsed, so that ``--help`` does not import torch.
"""

import argparse
from importlib import import_module
import sys

from niki_ros.common.errors import NikiError
from niki_ros.common.plain_text import write_plainly

Verbs = dict[str, tuple[str, str]]  # name of each verb → its module and one line of help


class _VerbParser(argparse.ArgumentParser):
    """Parser of one verb, which imports the verb's module when it parses."""

    def __init__(self, *, module: str | None = None, **options):
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **options)
        self._module = module

    def parse_known_args(self, args=None, namespace=None):
        if self._module is not None:    # None: a verb of a verb, which is built already
            verb = import_module(self._module)
            self.description = verb.__doc__
            verb.add_arguments(self)
            self.set_defaults(run_verb=verb.main)
        return super().parse_known_args(args, namespace)


def run_command(prog: str, description: str | None, verbs: Verbs, argv=None,
                default: str | None = None) -> int:
    """
    Run one verb and return its exit code; an error is printed in one line and returns 2.

    :param argv: arguments; None = those of the process. :param default: the verb without a name.
    """
    write_plainly()
    argv = list(sys.argv[1:] if argv is None else argv)
    if default and not {*argv[:1]} & {*verbs, '-h', '--help'}:
        argv.insert(0, default)
    parser = argparse.ArgumentParser(
        prog=prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parsers = parser.add_subparsers(metavar='VERB', required=True, parser_class=_VerbParser)
    for name, (module, text) in verbs.items():
        parsers.add_parser(name, help=text, module=module)
    args = parser.parse_args(argv)
    try:
        return args.run_verb(args)
    except (NikiError, OSError) as error:
        print(f'{prog}: {error}', file=sys.stderr)
        return 2
