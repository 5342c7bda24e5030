"""Tasks that are given away go to members with room: as many as can to the best ones."""

from __future__ import annotations

from collections import Counter
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from faust._machines.copartition import TaskId
from faust._machines.matching import Giver, match

TASKS = [TaskId("g", number) for number in range(5)]
NAMES = "xyz"

Scene = tuple[list[Giver], dict[TaskId, list[tuple[int, str]]], dict[str, int]]


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Up to five tasks of two givers, and up to three members to which some of them may go."""
    count = draw(st.integers(1, 5))
    at = draw(st.integers(0, count))
    givers = [
        Giver(draw(st.integers(0, len(tasks))), tasks)
        for tasks in (TASKS[:at], TASKS[at:count])
        if tasks
    ]
    choices = {}
    for task in TASKS[:count]:
        names = draw(st.lists(st.sampled_from(NAMES), unique=True))
        found = sorted((draw(st.integers(0, 1)), name) for name in names)
        if found:
            choices[task] = found
    room = {name: draw(st.integers(0, 3)) for name in draw(st.permutations(NAMES))[:2]}
    return givers, choices, room


@settings(max_examples=100, deadline=None)
@given(scenes())
def test_nobody_gives_or_gets_more_than_was_said_and_only_what_was_chosen(scene: Scene) -> None:
    givers, choices, room = scene
    before = dict(room)
    placed = match(givers, choices, room, 2)
    for task, name in placed.items():
        assert name in [each for _, each in choices[task]]
    for giver in givers:
        assert sum(task in placed for task in giver.tasks) <= giver.gives
    got = Counter(placed.values())
    assert all(before[name] == left + got[name] for name, left in room.items())
    assert all(left >= 0 for left in room.values())


@settings(max_examples=60, deadline=None)
@given(scenes())
def test_as_many_as_can_go_to_members_of_their_best_class(scene: Scene) -> None:
    """Where there is one class; where there are two, the second takes nothing from the first."""
    givers, choices, room = scene
    best = {
        task: [(0, name) for kind, name in found if kind == 0] for task, found in choices.items()
    }
    most = most_placed(givers, best, room)
    assert len(match(givers, best, dict(room), 1)) == most
    both = match(givers, choices, dict(room), 2)
    assert sum((0, name) in choices[task] for task, name in both.items()) == most


def most_placed(
    givers: list[Giver], choices: dict[TaskId, list[tuple[int, str]]], room: dict[str, int]
) -> int:
    """Try all ways."""
    tasks = [task for giver in givers for task in giver.tasks]
    most = 0
    for way in product(*[["", *(n for _, n in choices.get(task, ()))] for task in tasks]):
        where = {task: name for task, name in zip(tasks, way, strict=True) if name}
        got = Counter(where.values())
        if all(count <= room.get(name, 0) for name, count in got.items()) and all(
            sum(task in where for task in giver.tasks) <= giver.gives for giver in givers
        ):
            most = max(most, len(where))
    return most
