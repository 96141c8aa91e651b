"""
Settings: dataclass fields with description, unit and range.

ROS parameters, command-line options and the table in the documentation are derived from them. The
public name of a setting is dotted, such as ``smoothing.min_cutoff_hz``.
"""

from dataclasses import field, fields, is_dataclass
import re
from typing import Any, Iterator, NamedTuple
import unicodedata

from niki_ros.common.errors import ConfigError


def setting(default, help, unit='', low=None, high=None, choices=None, live=False,  # noqa: A002
            pattern=None):
    """
    Declare one setting; a tuple as default = a list, of ``choices`` where there are some.

    :param live: may change while the node runs.
    :param pattern: a regular expression that a text must match, and the same in words.
    """
    return field(default=default, metadata={
        'help': help, 'unit': unit, 'low': low, 'high': high, 'choices': choices, 'live': live,
        'pattern': pattern})


class Setting(NamedTuple):
    """One setting of a config object, by its dotted name."""

    name: str
    default: Any
    help: str  # noqa: A003
    unit: str
    low: Any
    high: Any
    choices: Any
    live: bool
    pattern: Any = None


def settings_of(config) -> Iterator[Setting]:
    """Yield every :class:`Setting` of a config object; the defaults are its present values."""
    for item in fields(config):
        value = getattr(config, item.name)
        if is_dataclass(value):
            for inner in settings_of(value):
                yield inner._replace(name=f'{item.name}.{inner.name}')
        else:
            yield Setting(item.name, value, **item.metadata)


def apply_settings(config, values: dict):
    """Set dotted ``values`` on ``config`` and return it; a ConfigError names the setting."""
    known = {item.name: item for item in settings_of(config)}
    for name, value in values.items():
        if name not in known:
            raise ConfigError(f'unknown setting {name!r}; known: {", ".join(sorted(known))}')
        *path, last = name.split('.')
        target = config
        for part in path:
            target = getattr(target, part)
        setattr(target, last, _checked(known[name], value))
    return config


def _checked(item: Setting, value):
    """Return ``value`` in the type of the default, or raise :class:`ConfigError`."""
    wanted = type(item.default)
    if wanted is tuple:
        return _checked_list(item, value)
    if wanted is float and type(value) is int:
        value = float(value)
    if wanted is str and type(value) is int and item.choices is not None:
        value = str(value)  # a choice that looks like a number
    if type(value) is not wanted and item.choices is None:
        raise ConfigError(f'{item.name} is {value!r}; expected a value of type {wanted.__name__}')
    if item.choices is not None and value not in item.choices:
        raise ConfigError(f'{item.name} is {value!r}; expected one of {", ".join(item.choices)}')
    if wanted is str and any(unicodedata.category(one) == 'Cc' for one in value):
        raise ConfigError(f'{item.name} is {value!r}; expected a text without control characters')
    if item.pattern is not None and not re.fullmatch(item.pattern[0], value):
        raise ConfigError(f'{item.name} is {value!r}; expected {item.pattern[1]}')
    too_low = item.low is not None and not value >= item.low
    too_high = item.high is not None and not value <= item.high
    if too_low or too_high:
        raise ConfigError(f'{item.name} is {value}; expected {item.low} … {item.high} {item.unit}')
    return value


def _checked_list(item: Setting, value) -> tuple:
    """Return a tuple in the order of the choices; a single text is a list of one."""
    given = (value,) if isinstance(value, str) else value
    words = isinstance(given, (list, tuple)) and all(isinstance(one, str) for one in given)
    if item.choices is None and words:
        return tuple(given)
    if item.choices is None:
        raise ConfigError(f'{item.name} is {value!r}; expected a list of texts')
    if not words or not given or set(given) - set(item.choices):
        raise ConfigError(f'{item.name} is {value!r}; expected a list of one or more of '
                          f'{", ".join(item.choices)}')
    return tuple(choice for choice in item.choices if choice in given)
