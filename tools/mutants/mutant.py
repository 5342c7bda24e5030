"""What a planted fault is: what is replaced by what, and who must notice."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "ACKING",
    "COMMITTER",
    "COURIER",
    "EFFECTS",
    "LETTERS",
    "MACHINE",
    "OUTBOX",
    "OUTPUTS",
    "OVERLAY",
    "PLANTED",
    "RESTORE",
    "RESTORER",
    "SENDS",
    "SHARING",
    "STREAMS",
    "Mutant",
    "effects",
    "letters",
    "sends",
]

EFFECTS = "tests/unit/engine/test_effects.py"
SENDS = "tests/unit/engine/test_sends_and_commits.py"
LETTERS = "tests/unit/vocabulary/test_dead_letters.py"
RESTORE = "tests/machines/test_restore.py"


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Attributes:
        name: What is wrong with it.
        file: Where it is planted.
        old, new: The text that is replaced, which must be there exactly once, and the fault.
        tests: Tests (pytest arguments) of which one must fail; empty for none.
        scenario: Scenario of the simulation that must have a finding within `seeds`; "" for none.
        seeds: How many seeds are tried.
        guarantee: Under which the scenario runs; "" for any.
        fault: Number of the fault in `PLANTED` that it is a form of; 0 for a hole found later.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = ()
    scenario: str = ""
    seeds: int = 60
    fault: int = 0
    guarantee: str = ""


#: The faults that the oracle must know, whatever else it knows.
PLANTED = {
    1: "a cut inside an event",
    2: "a commit before the changelog is acknowledged",
    3: "positions without the readers' own",
    4: "a restore past the position",
    5: "no undo",
    6: "a commit sent again under a new generation",
    7: "a skipped batch prefix",
    8: "aliased mutable values",
    9: "outputs outside the transaction",
    10: "a watermark that is not restored",
    11: "a stale local store accepted",
    12: "expired offsets taken for a new group",
    13: "a forwarded record counted twice",
    14: "undo by reference",
    15: "an output outside its cut",
    16: "a stale incarnation's write accepted",
    17: "a commit with the same number by another writer taken for one's own",
}


def effects(name: str) -> tuple[str, ...]:
    return (f"{EFFECTS}::{name}",)


def sends(name: str) -> tuple[str, ...]:
    return (f"{SENDS}::{name}",)


def letters(name: str) -> tuple[str, ...]:
    return (f"{LETTERS}::{name}",)


OVERLAY = "faust/stores/overlay.py"
STREAMS = "faust/streams.py"
ACKING = "faust/_acking.py"
COMMITTER = "faust/_engine/committer.py"
RESTORER = "faust/_engine/restorer.py"
OUTBOX = "faust/_engine/outbox.py"
OUTPUTS = "faust/_engine/outputs.py"
COURIER = "faust/_engine/courier.py"
MACHINE = "faust/_machines/restore.py"
SHARING = "faust/tables/sharing.py"
