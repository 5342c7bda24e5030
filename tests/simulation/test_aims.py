"""What is run next, so that workers crash at every point often enough."""

from __future__ import annotations

from faust.testing.aims import Aims
from faust.testing.crashpoints import CrashPoint
from faust.testing.report import Report

COMMON = CrashPoint("committer", "run", "await self.commit(...)")
RARE = CrashPoint("exactlyonce", "_abort", "await transaction.abort()")
NEVER = CrashPoint("engine", "stop", "await nothing")
POINTS = [COMMON, RARE, NEVER]


def hit(*points: CrashPoint, scenario: str = "counting", guarantee: str = "x") -> Report:
    report = Report(1, scenario, guarantee=guarantee)
    report.points.update(points)
    return report


def test_what_was_hit_often_enough_is_not_aimed_at_any_more() -> None:
    aims = Aims(POINTS, 2)
    aims.add(hit(COMMON))
    assert aims.next(1).points == 0b111
    aims.add(hit(COMMON, RARE))
    assert aims.needy() == [RARE, NEVER]
    assert aims.next(1).points == 0b110


def test_a_point_that_nobody_reaches_is_not_aimed_at_and_a_hit_there_is_told() -> None:
    aims = Aims(POINTS, 2, [str(NEVER)])
    assert aims.next(1).points == 0b011
    assert aims.wrongly_listed() == []
    aims.add(hit(NEVER))
    assert aims.wrongly_listed() == [NEVER]


def test_what_has_hit_a_point_is_run_again_as_long_as_it_needs_hits() -> None:
    aims = Aims(POINTS[:2], 2)
    aims.add(hit(COMMON, COMMON))
    aims.add(hit(RARE, scenario="drawing"))
    told = [aims.next(seed) for seed in range(100)]
    assert 50 < sum(aim.scenario == "drawing" and aim.guarantee == "x" for aim in told) < 100
    assert not any(aim.scenario == "counting" for aim in told)


def test_the_same_reports_give_the_same_aims() -> None:
    one, other = Aims(POINTS, 2), Aims(POINTS, 2)
    for aims in (one, other):
        aims.add(hit(RARE, scenario="closing"))
        aims.add(hit(RARE, scenario="drawing"))
    assert [one.next(seed) for seed in range(50)] == [other.next(seed) for seed in range(50)]
