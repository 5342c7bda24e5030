"""One simulation by seed: several workers, everything that can go wrong, and the oracle.

One run is one world: a broker, some workers, a producer, and chaos for some virtual seconds; then
everything heals, lag must go to zero, and the oracle looks at sink and tables; then the workers
start again on disks of which some are new, and tables must be the same.  The same seed gives the
same trace.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

import faust._records
import faust.streams
from faust.testing.appscenario import AppScenario, Outcome, Sent
from faust.testing.clock import DeadlockError
from faust.testing.plan import Plan
from faust.testing.processes import run_simulated
from faust.testing.report import SEED, Report
from faust.testing.scenario import Scenario
from faust.testing.scenarios import SCENARIOS
from faust.testing.world import World

__all__ = ["Outcome", "Report", "seeds", "simulate"]

#: Virtual seconds after which a run is taken for endless.
TIME_LIMIT = 3_000.0

#: Modules that let the loop run after some busy time: the time is the simulation's own.
_LETTING_GO: tuple[Any, ...] = (faust.streams, faust._records)


def simulate(
    what: Any = None,
    seed: int = 0,
    *,
    events: Sequence[Sent] | int = 250,
    check: Callable[[Outcome], Any] | None = None,
    workers: int | None = None,
    partitions: int | None = None,
    plan: Plan | None = None,
    guarantee: str | None = None,
    trace: bool | None = None,
) -> Report:
    """Run one simulation; the same arguments give the same one.

    Whatever its settings say, the app's topics are on a broker in this process, its tables in
    memory or on a simulated disk, its time is virtual, and it has no web server.

    Arguments:
        what: What runs. An app that stands in a module, or its name (``"shop:app"``): the module is
            imported anew for each worker. Or a function that makes an app. Or one of
            `faust.testing.scenarios`; by default one of those, drawn from the seed.
        seed: Draws all that happens by chance.
        events: What is sent, as (topic, key, value), spread over the time of the plan. For a
            scenario of ours, how many numbered events.
        check: Called with the `Outcome` when everything is handled and committed, and again after
            all workers have started anew; raises, or returns sentences that say what is wrong.
        workers: How many machines there are (default: 1 to 4, drawn).
        partitions: Of the topics in ``events`` (default: 1, 2, 4 or 5, drawn).
        plan: What goes wrong (default: drawn); `Plan.calm()` for nothing.
        guarantee: ``at_least_once`` or ``exactly_once`` (default: drawn from what the scenario
            can do; for your own app, what its settings say).
        trace: Keep the whole trace in the report (default: if ``FAUST_SIMULATION_SEED`` is set).

    Raises:
        ValueError: ``what`` is an app that cannot be made again; there are no events.
        TypeError: an argument is of the wrong type.
    """
    _check_types(seed, check, plan)
    random = Random(seed)
    scenario = _scenario(what, seed, random, events, check, partitions)
    if trace is None:
        trace = SEED in os.environ
    count = events if isinstance(events, int) else 0
    world = World(scenario, seed, random, workers, count, plan, guarantee, trace=trace)
    before = [module.perf_counter for module in _LETTING_GO]
    quiet = logging.getLogger("faust"), logging.getLogger("asyncio")
    levels = [logger.level for logger in quiet]
    if not trace:
        for logger in quiet:
            logger.setLevel(logging.CRITICAL + 1)
    try:
        with tempfile.TemporaryDirectory(prefix="faust-simulation-") as directory:
            run_simulated(
                lambda loop: world.main(loop, directory, _LETTING_GO), seed, time_limit=TIME_LIMIT
            )
    except DeadlockError as exc:
        world.report.findings.append(f"I5 progress: {exc}")
    finally:
        for module, counter in zip(_LETTING_GO, before, strict=True):
            module.perf_counter = counter
        for logger, level in zip(quiet, levels, strict=True):
            logger.setLevel(level)
    return world.report


def _check_types(seed: Any, check: Any, plan: Any) -> None:
    if not isinstance(seed, int):
        raise TypeError(f"simulate(seed) takes a whole number, not {seed!r}")
    if check is not None and not callable(check):
        raise TypeError(f"simulate(check) takes a function of the outcome, not {check!r}")
    if plan is not None and not isinstance(plan, Plan):
        raise TypeError(f"simulate(plan) takes a faust.testing.Plan, not {plan!r}")


def _scenario(
    what: Any,
    seed: int,
    random: Random,
    events: Sequence[Sent] | int,
    check: Callable[[Outcome], Any] | None,
    partitions: int | None,
) -> Scenario:
    drawn = random.choice((1, 2, 4, 5))  # in any case: who names the scenario gets the same run
    if isinstance(what, Scenario):
        return what
    if what is None:
        return SCENARIOS[list(SCENARIOS)[seed % len(SCENARIOS)]](partitions=partitions or drawn)
    if isinstance(events, int) or not events:
        raise ValueError("events=[(topic, key, value), ...] says what is sent to your app")
    return AppScenario(what, events, check, partitions or drawn)


def seeds(count: int, first: int = 0) -> Iterable[int]:
    """Return the seeds of a test: ``count`` of them, or only the one that the environment variable
    ``FAUST_SIMULATION_SEED`` names, to repeat what has failed.

    Raises:
        ValueError: ``count`` is below 1: such a test would try nothing.
    """
    if count < 1:
        raise ValueError(f"seeds(count) must be at least 1, not {count}")
    only = os.environ.get(SEED)
    return range(first, first + count) if only is None else [int(only)]
