"""
The table of parameters in the documentation, generated from the settings.

``python -m niki_ros.ros.parameter_table docs/parameters.md`` replaces the table between the two
comment lines of a file; without an argument the table is printed.
"""

from pathlib import Path
import sys

from niki_ros.common.errors import InputError
from niki_ros.common.setting import Setting, settings_of
from niki_ros.common.settings import PipelineConfig
from niki_ros.ros.settings import NodeConfig

BEGIN = '<!-- begin of the generated table -->'
END = '<!-- end of the generated table -->'


def parameter_table() -> str:
    """Return the table of every parameter of the node, in Markdown."""
    rows = ['| parameter | default | range | meaning |', '|---|---|---|---|']
    for config in (PipelineConfig(), NodeConfig()):
        rows += [_row(item) for item in settings_of(config)]
    return '\n'.join(rows)


def with_table(text: str) -> str:
    """Return ``text`` with the table between its comment lines; raise InputError without them."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f'no place for the table; expected the lines {BEGIN} and {END}')
    return f'{before}{BEGIN}\n{parameter_table()}\n{END}{after}'


def _row(item: Setting) -> str:
    """Return one row; a star marks a setting that may change while the node is active."""
    allowed = '' if item.pattern is None else item.pattern[1]
    if item.choices is not None:
        allowed = ', '.join(f'`{choice}`' for choice in item.choices)
    elif item.low is not None:
        allowed = f'{item.low:g} … {item.high:g}'
    default = str(item.default).lower() if isinstance(item.default, bool) else item.default
    if isinstance(item.default, tuple):
        allowed, default = f'list of {allowed or "texts"}', f'[{", ".join(item.default)}]'
    shown = f'`{default}`' if default != '' else 'empty'
    star = ' \\*' if item.live else ''
    return f'| `{item.name}`{star} | {f"{shown} {item.unit}".strip()} | {allowed} | {item.help} |'


if __name__ == '__main__':
    for name in sys.argv[1:]:
        Path(name).write_text(with_table(Path(name).read_text('utf-8')), 'utf-8')
    if len(sys.argv) == 1:
        print(parameter_table())
