"""Observations at a distance that the person cannot have reached."""

from niki_ros.people.stages.gate_distance import GateDistance

DT = 1 / 30


def test_another_distance_is_accepted_when_it_lasts():
    stage = GateDistance()
    assert stage.accepts(3.0, 0.0) and stage.accepts(3.1, DT)
    refused = [stage.accepts(6.0, DT) for _ in range(34)]
    assert not any(refused[:25]) and all(refused[-3:])
    assert stage.accepts(3.2, DT), 'and the way back is open'


def test_a_person_who_walks_away_is_accepted():
    stage = GateDistance()
    assert all(stage.accepts(2.0 + 2.0 * DT * i, DT) for i in range(90))
