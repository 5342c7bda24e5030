"""How far restoring has come, in numbers and in words."""

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from faust._machines.progress import Restores

INTERVAL = 5.0
KEYS = st.sampled_from("abc")


@dataclass
class Reading:
    """A restore: where it is, and its end."""

    position: int
    end: int


class RestoresAgainstModel(RuleBasedStateMachine):
    """Restores begin, advance and end in any order, also such as are over or never began."""

    def __init__(self) -> None:
        super().__init__()
        self.restores = Restores(INTERVAL)
        self.under_way: dict[str, Reading] = {}
        self.now = self.began = self.reported = 0.0
        self.read = self.done = 0

    @rule(key=KEYS, start=st.integers(0, 50), size=st.integers(0, 50))
    def begin(self, key: str, start: int, size: int) -> None:
        if key not in self.under_way:
            if not self.under_way:
                self.began = self.reported = self.now
                self.read = self.done = 0
            self.restores.begin(key, start, start + size, self.now)
            self.under_way[key] = Reading(start, start + size)

    @rule(key=KEYS, position=st.integers(0, 110))
    def advance(self, key: str, position: int) -> None:
        self.restores.advance(key, position)
        if key in self.under_way:
            reading = self.under_way[key]
            self.read += max(0, position - reading.position)
            reading.position = max(position, reading.position)

    @rule(key=KEYS, restored=st.booleans())
    def end(self, key: str, restored: bool) -> None:
        self.restores.end(key, restored=restored)
        if self.under_way.pop(key, None) is not None:
            self.done += restored

    @rule(seconds=st.integers(1, 4))
    def report(self, seconds: int) -> None:
        self.now += seconds
        report = self.restores.report(self.now)
        due = bool(self.under_way) and self.now - self.reported >= INTERVAL
        assert report == (self.restores.status(self.now) if due else None)
        if due:
            self.reported = self.now

    @invariant()
    def the_wave_is_counted_as_a_whole(self) -> None:
        left = sum(max(0, each.end - each.position) for each in self.under_way.values())
        status = self.restores.status(self.now)
        assert (status.left, status.done) == (left, self.done)
        assert status.total == self.done + len(self.under_way)
        seconds = self.now - self.began
        rate = self.read / seconds if self.under_way and seconds else 0.0
        assert status.rate == rate
        assert status.seconds == (left / rate if left and rate else None)


TestRestoresAgainstModel = RestoresAgainstModel.TestCase
TestRestoresAgainstModel.settings = settings(max_examples=60, stateful_step_count=30)


def test_nothing_is_under_way_at_first() -> None:
    restores = Restores(5.0)
    assert restores.status(10.0) == (0, 0.0, None, 0, 0)
    assert restores.report(10.0) is None


def test_a_wave_of_restores_is_counted_as_one() -> None:
    restores = Restores(5.0)
    restores.begin("a", 0, 1000, 100.0)
    restores.begin("b", 500, 1500, 100.0)
    restores.advance("a", 600)
    restores.advance("a", 400)  # never back
    status = restores.status(102.0)
    assert status == (1400, 300.0, 1400 / 300, 0, 2)
    assert str(status) == (
        "1,400 records left, 0 of 2 partitions restored, 300 records/s, about 5 s left"
    )
    restores.advance("a", 1000)
    restores.end("a", restored=True)
    assert restores.status(104.0)[:1] + restores.status(104.0)[3:] == (1000, 1, 2)


def test_as_long_as_nobody_can_know_how_long_it_takes_nothing_is_said_of_it() -> None:
    restores = Restores(5.0)
    restores.begin("a", 0, 1000, 100.0)
    assert str(restores.status(100.0)) == "1,000 records left, 0 of 1 partitions restored"
    restores.advance("a", 1000)
    done = "0 records left, 0 of 1 partitions restored, 1,000 records/s"
    assert str(restores.status(101.0)) == done


def test_what_was_given_up_does_not_count_as_restored() -> None:
    restores = Restores(5.0)
    restores.begin("a", 0, 1000, 0.0)
    restores.begin("b", 0, 1000, 0.0)
    restores.end("a", restored=False)
    restores.end("a", restored=True)  # it is over already
    restores.advance("a", 500)
    assert restores.status(1.0) == (1000, 0.0, None, 0, 1)


def test_the_next_wave_begins_anew() -> None:
    restores = Restores(5.0)
    restores.begin("a", 0, 1000, 0.0)
    restores.advance("a", 1000)
    restores.end("a", restored=True)
    restores.begin("b", 0, 100, 50.0)
    restores.advance("b", 50)
    assert restores.status(51.0) == (50, 50.0, 1.0, 0, 1)


def test_a_report_is_made_once_in_an_interval() -> None:
    restores = Restores(5.0)
    restores.begin("a", 0, 1000, 0.0)
    assert restores.report(4.9) is None
    restores.advance("a", 500)
    report = restores.report(5.0)
    assert report is not None
    assert report.left == 500
    assert restores.report(9.9) is None
    assert restores.report(10.0) is not None
