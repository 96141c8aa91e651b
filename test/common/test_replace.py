"""Copies of dataclass objects with other values."""

import dataclasses

from niki_ros.common.replace import replace
from niki_ros.people.person_frame import PersonFrame
import pytest


def test_it_agrees_with_the_standard_library():
    frame = PersonFrame(stamp_ns=1, dt_s=0.1, root_source='depth')
    ours, theirs = replace(frame, unseen_s=2.0), dataclasses.replace(frame, unseen_s=2.0)
    for field in dataclasses.fields(frame):
        value = getattr(ours, field.name)
        assert value is getattr(theirs, field.name) or value == getattr(theirs, field.name)
    assert frame.unseen_s == 0.0 and type(ours) is PersonFrame


def test_an_unknown_field_is_an_error():
    with pytest.raises(TypeError, match='PersonFrame has no field stamp_s'):
        replace(PersonFrame(1, 0.1), stamp_s=1)
