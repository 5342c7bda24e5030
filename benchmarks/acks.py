"""What it costs to compute the offset to commit: ``python -m benchmarks.acks``.

With very many events handed out and not acknowledged, finished in any order; the number should not
matter.  Prints microseconds for each of them.
"""

from __future__ import annotations

from random import Random
from time import thread_time

from faust._machines.acks import Acks

__all__ = ["main"]

OUTSTANDING = 600_000
LOOKS = 1_000


def main() -> None:
    """Measure, and print."""
    for outstanding in (600, 60_000, OUTSTANDING):
        acks = Acks(0)
        for offset in range(outstanding):
            acks.handed(offset)
        print(f"{outstanding:>8,} outstanding: {_look(acks):8.3f} us to look", end="")
        order = list(range(outstanding))
        Random(1).shuffle(order)
        began = thread_time()
        slowest = 0.0
        for offset in order:
            acks.done(offset)
            before = thread_time()
            _ = acks.position
            slowest = max(slowest, thread_time() - before)
        each = (thread_time() - began) / outstanding
        print(f", {each * 1e6:.3f} us to finish one and look, the slowest look {slowest * 1e6:.1f}")


def _look(acks: Acks) -> float:
    began = thread_time()
    for _ in range(LOOKS):
        _ = acks.position
    return (thread_time() - began) / LOOKS * 1e6


if __name__ == "__main__":
    main()
