"""What may go wrong in a simulation, and how often: drawn from a seed, or given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from faust.testing.crashpoints import CrashPoint
from faust.testing.network import Weather

__all__ = ["FAULTS", "Plan"]

#: Every fault, and how likely it is among the others where all may happen.
FAULTS = {
    "ambush": 4.0, "kill": 2.0, "freeze": 1.0, "cut_off": 1.0, "leave": 1.5, "join": 1.5,
    "storm": 1.0, "jump": 0.5, "disk": 0.5, "away": 0.7, "coordinator": 0.7, "forget": 0.5,
    "compact": 0.7, "truncate": 0.5, "lock": 0.4, "grow": 0.2, "everybody": 0.3,
}  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What may go wrong.

    Attributes:
        seconds: How long it does (virtual seconds).
        pause: Mean seconds between two faults.
        weights: Fault -> how likely it is among the others. See `faust.testing.chaos.Chaos`.
        weather: The network meanwhile.
        gentle: Workers come and go in an orderly way and nothing else happens: no event may be
            handled twice.
        target: Number of the crash point that ambushes begin with.
        focus: Crash at some of these, again and again; all of them, if it is empty.
    """

    seconds: float = 30.0
    pause: float = 3.0
    weights: dict[str, float] = field(default_factory=dict)
    weather: Weather = field(default_factory=Weather)
    gentle: bool = False
    target: int = 0
    focus: tuple[CrashPoint, ...] = ()

    @classmethod
    def calm(cls, seconds: float = 10.0) -> Plan:
        """Return a plan without any fault."""
        return cls(seconds=seconds, weights={"join": 1.0}, gentle=True)

    @classmethod
    def focused(cls, points: Sequence[CrashPoint], seed: int) -> Plan:
        """Return a plan that crashes at some points as often as anybody comes there.

        Most are stormy.  In some workers live long enough for what is done now and then only; in
        some they are told to stop again and again, while nobody answers.
        """
        if seed % 6 == 5:
            return cls._patient(points, seed)
        if seed % 6 == 2:
            return cls._leaving(points)
        weights = {
            "ambush": 9.0, "nudge": 4.0, "leave": 1.0, "join": 2.0, "kill": 0.3, "freeze": 0.5,
            "disk": 0.4, "compact": 0.3, "truncate": 0.3, "lock": 0.5, "coordinator": 0.4,
            "forget": 0.5, "cut_off": 0.3, "storm": 0.3, "jump": 0.6, "away": 0.2,
        }  # fmt: skip
        weather = Weather(
            latency=0.02, slow=0.05, slow_latency=1.0 + 2.0 * (seed % 3), lost=0.03,
            unanswered=0.04, lost_sends=0.003 * (seed % 2),
        )  # fmt: skip
        return cls(seconds=240.0, pause=0.7, weights=weights, weather=weather, focus=tuple(points))

    @classmethod
    def _patient(cls, points: Sequence[CrashPoint], seed: int) -> Plan:
        """Return one in which hardly anything happens but for the crashes.

        In half of them most of what is begun meets something that is under way.
        """
        # No clock jumps: events are so rare that windows would close by it.
        weights = {"ambush": 6.0, "join": 1.0, "leave": 0.1}
        weather = Weather(latency=0.1, slow=0.1, slow_latency=1.0)
        if seed % 12 == 5:
            weather = Weather(latency=0.4, slow=0.3, slow_latency=1.5)
        return cls(seconds=700.0, pause=2.0, weights=weights, weather=weather, focus=tuple(points))

    @classmethod
    def _leaving(cls, points: Sequence[CrashPoint]) -> Plan:
        """Return one in which workers stop and cannot say so, with something under way."""
        weights = {"ambush": 6.0, "strand": 4.0, "leave": 1.0, "join": 1.0}
        weather = Weather(latency=0.02, slow=0.1, slow_latency=3.0, unanswered=0.02)
        return cls(seconds=400.0, pause=1.5, weights=weights, weather=weather, focus=tuple(points))

    @classmethod
    def draw(cls, random: Random, seed: int) -> Plan:
        """Draw one: some seeds see everything, some one kind of fault only, some almost none."""
        weather = Weather(
            latency=random.choice((0.0, 0.003, 0.02)),
            slow=random.choice((0.0, 0.02, 0.1)),
            slow_latency=random.choice((0.3, 1.0, 3.0)),
            lost=random.choice((0.0, 0.0, 0.02)),
            unanswered=random.choice((0.0, 0.0, 0.02)),
            lost_sends=random.choice((0.0, 0.0, 0.002)),
        )
        kind = random.random()
        if kind < 0.1:
            calm = Weather(latency=weather.latency)
            return cls(weights={"leave": 1.0, "join": 1.0}, weather=calm, gentle=True)
        if kind < 0.35:
            return cls(
                pause=1.0,
                weights={
                    "ambush": 7.0, "storm": 1.0, "leave": 0.7, "join": 1.0, "cut_off": 0.3,
                    "freeze": 0.4, "coordinator": 0.2, "forget": 0.2,
                },
                weather=replace(
                    weather, latency=0.02, lost=0.03, unanswered=0.03, lost_sends=0.003
                ),
                target=seed * 4,
            )  # fmt: skip
        weights = FAULTS
        if kind < 0.55:
            name = random.choice(list(FAULTS))
            weights = {name: 1.0, "join": 0.3}
        return cls(
            pause=random.choice((1.5, 3.0, 5.0)),
            weights=weights,
            weather=weather,
            target=seed * 4,
        )
