"""The simulation: apps under faults in virtual time, each run drawn from its seed.

::

    def test_totals_are_right_whatever_goes_wrong():
        for seed in seeds(20):
            simulate(app, seed, events=events, check=check).verify()

``python -m faust.testing.simulation --seeds 0:100`` runs a hundred with apps of our own
(`faust.testing.campaign`); ``--seed 7`` one, with its trace.
"""

from __future__ import annotations

import sys

from faust.testing.campaign import main
from faust.testing.trial import Outcome, Report, seeds, simulate

__all__ = ["Outcome", "Report", "main", "seeds", "simulate"]


if __name__ == "__main__":
    sys.exit(main())
