"""``python -m benchmarks``: the table of what the library costs, beside its yardsticks."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import sys

from benchmarks.contenders import FAUST, YARDSTICKS, Contender
from benchmarks.latency import measure_latency
from benchmarks.others import others
from benchmarks.report import Results, format_table, load_baseline, save_baseline
from benchmarks.restore import measure_restore
from benchmarks.session import COMMIT_MS, Session
from benchmarks.works import LATENCY_AT_MOST, RESTORE_AT_LEAST, WORKS, Work
from tools.kafka import KafkaNode, KafkaStartError, KafkaUnavailable
from tools.kafka.node import BENCHMARK_JVM

#: Records a second that no contender reaches here: topics must outlast warm-up and figure.
_FASTEST = 1_600_000


def main() -> int:
    """Measure what the command line asks for; return the exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # As Ctrl-C: everything is ended.
    arguments = _parse()
    contenders = _chosen(arguments)
    try:
        with KafkaNode(jvm=BENCHMARK_JVM) as node:
            failures = asyncio.run(_measure(node.bootstrap, contenders, arguments))
    except (KafkaUnavailable, KafkaStartError) as exc:
        print(exc, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 1 if failures else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [work.name for work in WORKS] + ["restore", "latency"]
    parser.add_argument("--works", nargs="+", choices=names, default=names, metavar="WORK")
    parser.add_argument("--contenders", nargs="+", metavar="NAME", help="only these")
    parser.add_argument("--others", action="store_true", help="also other Python libraries")
    parser.add_argument("--quick", action="store_true", help="one short round, for development")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--save-baseline", action="store_true")
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 3)
    arguments.seconds = arguments.seconds or (5.0 if arguments.quick else 20.0)
    arguments.warm_up = 1_000_000
    return arguments


def _chosen(arguments: argparse.Namespace) -> list[Contender]:
    everyone = [FAUST, *YARDSTICKS, *(others() if arguments.others else ())]
    wanted = set(arguments.contenders or [contender.name for contender in everyone])
    if unknown := wanted - {contender.name for contender in everyone}:
        raise SystemExit(f"unknown contenders: {', '.join(sorted(unknown))}")
    return [contender for contender in everyone if contender.name in wanted]


async def _measure(
    bootstrap: str, contenders: list[Contender], arguments: argparse.Namespace
) -> list[str]:
    records = int(arguments.warm_up + _FASTEST * (arguments.seconds + 1))
    session = Session(bootstrap, records, arguments.warm_up, arguments.seconds)
    works = [work for work in WORKS if work.name in arguments.works]
    results, failures = Results(), list[str]()
    print(f"load {_load()}; {os.cpu_count()} cores; commits every {COMMIT_MS} ms", flush=True)
    for work in works:
        await _rounds(session, work, contenders, arguments.rounds, results, failures)
    print("\n" + format_table(results, works, load_baseline()), flush=True)
    extra = {
        "restore_records_per_second": await _restores(session, contenders, arguments, failures),
        "latency_ms": await _latencies(session, contenders, arguments, failures),
    }
    if arguments.save_baseline:
        save_baseline(results, extra)
    for failure in failures:
        print(f"\nfailed: {failure}", file=sys.stderr)
    return failures


async def _rounds(
    session: Session,
    work: Work,
    contenders: list[Contender],
    rounds: int,
    results: Results,
    failures: list[str],
) -> None:
    await session.source(work.keys)
    for turn in range(1, rounds + 1):
        for contender in contenders:
            if work.kind not in contender.works:
                continue
            try:
                figure = await session.measure(contender, work.kind, work.keys)
            except RuntimeError as exc:
                failures.append(str(exc))
                continue
            results.add(work.name, contender.name, figure.records_per_second)
            print(
                f"{work.title:32} round {turn}  {contender.name:16}"
                f"{figure.records_per_second / 1000:>8,.0f} k/s over {figure.seconds:5.1f} s"
                f"  load {figure.load:.1f}",
                flush=True,
            )


async def _restores(
    session: Session,
    contenders: list[Contender],
    arguments: argparse.Namespace,
    failures: list[str],
) -> dict[str, float]:
    rates: dict[str, float] = {}
    for contender in contenders if "restore" in arguments.works else ():
        if contender.changelog is None:
            continue
        try:
            rounds = [await measure_restore(session, contender) for _ in range(arguments.rounds)]
        except RuntimeError as exc:
            failures.append(str(exc))
            continue
        rates[contender.name] = round(statistics.median(rounds))
        rate = rates[contender.name] / 1000
        least = RESTORE_AT_LEAST / 1000
        print(f"restore into RocksDB  {contender.name:16}{rate:>8,.0f} k/s  (at least {least:.0f})")
    return rates


async def _latencies(
    session: Session,
    contenders: list[Contender],
    arguments: argparse.Namespace,
    failures: list[str],
) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for contender in contenders if "latency" in arguments.works else ():
        if "forward" not in contender.works:
            continue
        try:
            rounds = [
                await measure_latency(session, contender, turn) for turn in range(arguments.rounds)
            ]
        except RuntimeError as exc:
            failures.append(str(exc))
            continue
        p50 = statistics.median(figure.p50 for figure in rounds)
        p99 = statistics.median(figure.p99 for figure in rounds)
        found[contender.name] = {"p50": round(p50, 2), "p99": round(p99, 2)}
        most = "p50 {}, p99 {}".format(*LATENCY_AT_MOST)
        print(f"latency  {contender.name:16} p50 {p50:6.1f} ms, p99 {p99:6.1f} ms  (under: {most})")
    return found


def _load() -> str:
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


if __name__ == "__main__":
    sys.exit(main())
