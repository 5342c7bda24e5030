"""Which worker processes are started, when they are started again, and how it ends: by hand."""

from __future__ import annotations

import signal

from faust.cli.fleet import LONGEST_PAUSE, RAN_WELL, Fleet


class Fake:
    """A process that ends when the test says so."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.status: int | None = None
        self.signals: list[int] = []

    def poll(self) -> int | None:
        return self.status

    def send_signal(self, number: int) -> None:
        self.signals.append(number)


class World:
    """A fleet of fakes, and what it told."""

    def __init__(self, size: int, *, reloading: bool = False) -> None:
        self.started: list[tuple[int, Fake]] = []
        self.told: list[str] = []
        self.fleet = Fleet(self._spawn, size, tell=self.told.append, reloading=reloading)
        self.fleet.look(0.0)

    def _spawn(self, index: int) -> Fake:
        made = Fake(100 + len(self.started))
        self.started.append((index, made))
        return made

    def __getitem__(self, number: int) -> Fake:
        return self.started[number][1]


def test_one_that_dies_is_started_again_after_a_pause() -> None:
    world = World(2)
    assert [index for index, _ in world.started] == [0, 1]
    world[1].status = -9
    world.fleet.look(10.0)
    assert world.told == ["Worker 1 (process 101) was killed by SIGKILL: started again in 0.5 s"]
    world.fleet.look(10.4)
    assert len(world.started) == 2
    world.fleet.look(10.5)
    assert [index for index, _ in world.started] == [0, 1, 1]
    assert world[0].signals == []


def test_pauses_grow_and_one_that_ran_well_begins_anew() -> None:
    world = World(1)
    now, pauses = 0.0, []
    for _ in range(8):
        world.started[-1][1].status = 1
        world.fleet.look(now)
        pauses.append(float(world.told[-1].split("again in ")[1].split()[0]))
        now += pauses[-1]
        world.fleet.look(now)
    assert pauses == [0.5, 1, 2, 4, 8, 16, LONGEST_PAUSE, LONGEST_PAUSE]
    world.started[-1][1].status = 1
    world.fleet.look(now + RAN_WELL)
    assert world.told[-1].endswith("ended with status 1: started again in 0.5 s")


def test_wrong_use_stops_all_for_it_would_not_help_to_start_again() -> None:
    world = World(2)
    world[0].status = 2
    world.fleet.look(1.0)
    assert world[1].signals == [signal.SIGTERM]
    assert not world.fleet.over
    world[1].status = 0
    world.fleet.look(2.0)
    assert world.fleet.over
    assert world.fleet.status == 2


def test_signals_are_handed_on_and_the_whole_ends_with_the_last() -> None:
    world = World(2)
    world.fleet.send(signal.SIGUSR1)
    assert not world.fleet.over
    world.fleet.send(signal.SIGINT)
    world.fleet.send(signal.SIGINT)
    assert world[0].signals == world[1].signals == [signal.SIGUSR1, signal.SIGINT, signal.SIGINT]
    world[0].status = 0
    world.fleet.look(1.0)
    assert not world.fleet.over
    world[1].status = 0
    world.fleet.look(2.0)
    assert (world.fleet.over, world.fleet.status) == (True, 0)
    assert len(world.started) == 2


def test_a_worker_that_does_not_end_well_makes_the_status_1() -> None:
    world = World(2)
    world.fleet.send(signal.SIGTERM)
    world[0].status, world[1].status = -9, 0
    world.fleet.look(1.0)
    assert (world.fleet.over, world.fleet.status) == (True, 1)
    assert world.told == ["Worker 0 (process 100) was killed by SIGKILL"]


def test_stopping_while_one_waits_to_be_started_again_does_not_start_it() -> None:
    world = World(1)
    world[0].status = 1
    world.fleet.look(0.0)
    world.fleet.send(signal.SIGTERM)
    world.fleet.look(100.0)
    assert world.fleet.over
    assert len(world.started) == 1


def test_on_a_change_all_end_before_any_starts() -> None:
    world = World(2, reloading=True)
    world.fleet.restart()
    assert world[0].signals == world[1].signals == [signal.SIGTERM]
    world[0].status = 0
    world.fleet.look(1.0)
    assert len(world.started) == 2
    world[1].status = 1
    world.fleet.look(2.0)
    assert len(world.started) == 4
    assert world.told == []


def test_one_that_fails_waits_for_a_change_while_reloading() -> None:
    world = World(1, reloading=True)
    world[0].status = 2
    world.fleet.look(1.0)
    world.fleet.look(1000.0)
    assert len(world.started) == 1
    assert world.told == [
        "Worker 0 (process 100) ended with status 2: waiting for the source to change"
    ]
    world.fleet.restart()
    world.fleet.look(1001.0)
    assert len(world.started) == 2


def test_a_signal_that_comes_while_one_is_being_started_reaches_it() -> None:
    made: list[Fake] = []

    def spawn(index: int) -> Fake:
        made.append(Fake(100 + index))
        if index == 1:
            fleet.send(signal.SIGTERM)  # as a handler does, between any two steps
        return made[-1]

    fleet = Fleet(spawn, 3, tell=lambda text: None)
    fleet.look(0.0)
    assert [process.signals for process in made] == [[signal.SIGTERM]] * len(made)
    for process in made:
        process.status = -signal.SIGTERM  # it had no handlers yet, and nothing to lose
    fleet.look(1.0)
    assert (fleet.over, fleet.status) == (True, 0)
