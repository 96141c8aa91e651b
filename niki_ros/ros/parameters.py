"""Parameters of a node from config dataclasses, which have types, ranges and descriptions."""

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

_ROS_PARAMETERS = ('use_sim_time', 'start_type_description_service', 'qos_overrides.')


class NodeParameters:
    """
    The settings of config objects, declared as parameters of a node.

    :param until_active: config objects whose settings may all change while the node is not active.
    :ivar foreign: text about parameters that a shared file gives to every node and that this node
        ignores because it does not have them, or ''.
    :ivar perhaps_misspelled: whether one of them resembles a parameter of this node.
    :raises ConfigError: for an override that is unknown, of the wrong type or out of range.
    """

    def __init__(self, node, *configs, until_active: tuple = ()):
        """Declare the parameters and set values of YAML and command line in ``configs``."""
        self.configs, self._until_active = configs, until_active
        self._owner = {item.name: config for config in configs for item in settings_of(config)}
        overrides = node._parameter_overrides
        self.foreign, self.perhaps_misspelled = '', False
        self._check_unknown(overrides, shared_names(sys.argv, node.get_name()))
        if self.foreign:
            node.get_logger().warning(f'parameter_foreign: {self.foreign}')
        for config in configs:
            for item in settings_of(config):
                self._declare(node, config, item, overrides)

    def validate(self, values: Dict[str, object]) -> SetParametersResult:
        """Return whether a change to these values is valid, with the reason."""
        try:
            for name, value in values.items():
                apply_settings(copy.deepcopy(self._owner[name]), {name: value})
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def owned(self, parameters) -> Dict[str, object]:
        """Return name → value of the parameters that are settings."""
        return {p.name: p.value for p in parameters if p.name in self._owner}

    def not_live(self, values: Dict[str, object]) -> List[str]:
        """Return the names of the values that must not change while the node is active."""
        live = {item.name for config in self.configs for item in settings_of(config) if item.live}
        return [name for name in values if name not in live]

    def of(self, config, values: Dict[str, object]) -> Dict[str, object]:
        return {name: value for name, value in values.items() if self._owner[name] is config}

    def apply(self, values: Dict[str, object]):
        for name, value in values.items():
            apply_settings(self._owner[name], {name: value})

    def _declare(self, node, config, item: Setting, overrides):
        given = overrides.get(item.name)
        if given is not None:
            value = given.value
            # YAML files have 5 for 5.0, and 0 for the name of a camera
            if type(value) is int and type(item.default) in (float, str):
                value = type(item.default)(value)
            elif isinstance(item.default, tuple):
                value = text_list(value)
            if value is not given.value:
                overrides[item.name] = Parameter(item.name, value=value)
            apply_settings(config, {item.name: value})
        default = list(item.default) if isinstance(item.default, tuple) else item.default
        read_only = not item.live and not any(config is one for one in self._until_active)
        node.declare_parameter(item.name, default, make_descriptor(item, read_only))

    def _check_unknown(self, overrides, shared: Dict[str, str]):
        """Refuse unknown parameters of this node; note those that a file gives to every node."""
        notes = []
        for name in overrides:
            if name in self._owner or name.startswith(_ROS_PARAMETERS):
                continue
            # a name such as trackin.keep_s is a misspelling; auto_start can belong to another node
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
            self.foreign = (f'{", ".join(notes)}: given to every node (/**); this node has no '
                            'such parameters and ignores them')


def text_list(value):
    """Return the list of texts for a single word, or for class ids without quotes."""
    if isinstance(value, str) or type(value) is int:
        value = [value]
    if isinstance(value, (list, tuple, array)) and all(type(one) is int for one in value):
        value = [str(one) for one in value]
    return value


def make_descriptor(item: Setting, read_only: bool) -> ParameterDescriptor:
    """Return the description, the range, and whether the parameter may change after the start."""
    unit = f' [{item.unit}]' if item.unit else ''
    when = '' if item.live or read_only else '; not while the node is active'
    descriptor = ParameterDescriptor(
        name=item.name, description=f'{item.help}{unit}{when}', read_only=read_only,
        # choices such as 0 and 90 may be given as numbers
        dynamic_typing=item.choices is not None and any(one.isdigit() for one in item.choices))
    if item.choices:
        quantity = 'one or more of' if isinstance(item.default, tuple) else 'one of'
        descriptor.additional_constraints = f'{quantity}: {", ".join(item.choices)}'
    elif item.pattern:
        descriptor.additional_constraints = item.pattern[1]
    if item.low is not None and isinstance(item.default, float):
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=float(item.low), to_value=float(item.high))]
    elif item.low is not None and isinstance(item.default, int):
        descriptor.integer_range = [IntegerRange(from_value=item.low, to_value=item.high)]
    return descriptor
