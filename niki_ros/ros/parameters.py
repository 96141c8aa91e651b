"""ROS parameters from the core's settings: types, ranges and descriptions are written there."""

from __future__ import annotations

from array import array
import copy
from difflib import get_close_matches
import sys
from typing import Dict, List

from niki_ros.common.errors import ConfigError
from niki_ros.common.setting import apply_settings, Setting, settings_of
from niki_ros.ros.parameter_files import shared_names
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.parameter import Parameter

_INFRASTRUCTURE = ('use_sim_time', 'start_type_description_service', 'qos_overrides.')


class NodeParameters:
    """
    The settings of one or more config objects as parameters of a node.

    :param until_active: those of them whose settings that are not live may be set as long as the
        node is not active.
    :ivar foreign: text about parameters that a shared file gives to every node and that this one
        does not have; they are left out. Empty where there are none.
    :ivar perhaps_misspelled: whether one of them is nearly one of this node's.
    :raises ConfigError: for an override that is unknown, of the wrong type or out of range.
    """

    def __init__(self, node, *configs, until_active: tuple = ()):
        """Declare everything; values from YAML and command line go into ``configs``."""
        self.configs, self._until_active = configs, until_active
        self._owner = {item.name: config for config in configs for item in settings_of(config)}
        overrides = node._parameter_overrides
        self.foreign, self.perhaps_misspelled = '', False
        self._look_at_unknown(overrides, shared_names(sys.argv, node.get_name()))
        if self.foreign:
            node.get_logger().warning(f'parameter_foreign: {self.foreign}')
        for config in configs:
            for item in settings_of(config):
                self._declare(node, config, item, overrides)

    def validate(self, values: Dict[str, object]) -> SetParametersResult:
        """Say whether a change of ``values`` would be taken."""
        try:
            for name, value in values.items():
                apply_settings(copy.deepcopy(self._owner[name]), {name: value})
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def owned(self, parameters) -> Dict[str, object]:
        """Return names and values of those ``parameters`` that are settings."""
        return {p.name: p.value for p in parameters if p.name in self._owner}

    def not_live(self, values: Dict[str, object]) -> List[str]:
        """Return the names of those of the values that do not act while the node is active."""
        live = {item.name for config in self.configs for item in settings_of(config) if item.live}
        return [name for name in values if name not in live]

    def of(self, config, values: Dict[str, object]) -> Dict[str, object]:
        """Return those of the values that belong to one of the config objects."""
        return {name: value for name, value in values.items() if self._owner[name] is config}

    def apply(self, values: Dict[str, object]):
        """Set checked values on their config objects."""
        for name, value in values.items():
            apply_settings(self._owner[name], {name: value})

    def _declare(self, node, config, item: Setting, overrides):
        """Declare one parameter and take its override."""
        given = overrides.get(item.name)
        if given is not None:
            value = given.value
            # in YAML 5 is a natural way to write 5.0, and 0 a camera's name
            if type(value) is int and type(item.default) in (float, str):
                value = type(item.default)(value)
            elif isinstance(item.default, tuple):
                value = texts_of(value)
            if value is not given.value:
                overrides[item.name] = Parameter(item.name, value=value)
            apply_settings(config, {item.name: value})
        default = list(item.default) if isinstance(item.default, tuple) else item.default
        read_only = not item.live and not any(config is one for one in self._until_active)
        node.declare_parameter(item.name, default, descriptor_of(item, read_only))

    def _look_at_unknown(self, overrides, shared: Dict[str, str]):
        """Refuse what is meant for this node and unknown; note what is meant for every node."""
        notes = []
        for name in overrides:
            if name in self._owner or name.startswith(_INFRASTRUCTURE):
                continue
            # no other node has tracking.keep_s but for a letter; auto_start many have
            ours = '.' in name and get_close_matches(name, self._owner, n=1, cutoff=0.9)
            others = name in shared and not ours
            near = get_close_matches(name, self._owner, n=1, cutoff=0.8 if others else 0.6)
            hint = f'did you mean {near[0]!r}?' if near else ''
            if not others:
                raise ConfigError(f'unknown parameter {name!r}; ' + (
                    hint or f'known: {", ".join(sorted(self._owner))}'))
            self.perhaps_misspelled |= bool(near)
            notes.append(f'{name!r}{f" ({hint})" if near else ""} of {shared[name]}')
        if notes:
            self.foreign = (f'{", ".join(notes)}: given to every node (/**), and none of this '
                            "node's parameters; left out")


def texts_of(value):
    """Return the list that was meant by one word alone, or by class ids without quotes."""
    if isinstance(value, str) or type(value) is int:
        value = [value]
    if isinstance(value, (list, tuple, array)) and all(type(one) is int for one in value):
        value = [str(one) for one in value]
    return value


def descriptor_of(item: Setting, read_only: bool) -> ParameterDescriptor:
    """Return the description, the range, and whether it can change after the start."""
    unit = f' [{item.unit}]' if item.unit else ''
    when = '' if item.live or read_only else '; not while the node is active'
    descriptor = ParameterDescriptor(
        name=item.name, description=f'{item.help}{unit}{when}', read_only=read_only,
        # a text among whose choices are numbers is naturally written as a number
        dynamic_typing=item.choices is not None and any(one.isdigit() for one in item.choices))
    if item.choices:
        some = 'one or more of' if isinstance(item.default, tuple) else 'one of'
        descriptor.additional_constraints = f'{some}: {", ".join(item.choices)}'
    elif item.pattern:
        descriptor.additional_constraints = item.pattern[1]
    if item.low is not None and isinstance(item.default, float):
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=float(item.low), to_value=float(item.high))]
    elif item.low is not None and isinstance(item.default, int):
        descriptor.integer_range = [IntegerRange(from_value=item.low, to_value=item.high)]
    return descriptor
