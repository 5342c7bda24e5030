"""``python -m tools.kafka [fetch|run]``: fetch the jars, or run one node until Ctrl-C."""

from __future__ import annotations

import signal
import sys

from tools.kafka.errors import KafkaStartError, KafkaUnavailable
from tools.kafka.jars import kafka_libs
from tools.kafka.node import KafkaNode


def main(arguments: list[str]) -> int:
    """Do what the first argument says (``run`` by default) and return the exit status."""
    action = arguments[0] if arguments else "run"
    try:
        if action == "fetch":
            print(kafka_libs())
        elif action == "run":
            _run()
        else:
            print(__doc__, file=sys.stderr)
            return 2
    except (KafkaUnavailable, KafkaStartError) as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


def _run() -> None:
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with KafkaNode(extra_properties={"auto.create.topics.enable": "true"}) as node:
        print(f"{node.url}  (Ctrl-C ends it and removes its data)", flush=True)
        signal.sigwait(signals)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
