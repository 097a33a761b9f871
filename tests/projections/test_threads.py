"""Partitions that are folded in several threads: what one reads and writes back is not lost to another."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from engine.log.port import LogRecord
from tests.projections.counts import COUNTED, WITH_COUNTS
from tests.projections.folding import fold, small_batches
from tests.projections.forging import created, forge, make_runs, run_in
from tests.simulation.log import SimulatedLog

PARTITIONS = 4
RUNS = 300


class ThreadedLog(SimulatedLog):
    """Hands over scanned records in a thread for each scan, as the log on Kafka does in one of its own."""

    async def scan(
        self, topic: str, partition: int, start: int, end: int, take: Callable[[Sequence[LogRecord]], None]
    ) -> None:
        records = self.partition(topic, partition).from_offset(start, end - start)

        def walk() -> None:
            for record in records:
                take([record])

        await asyncio.to_thread(walk)


async def test_counts_that_several_partitions_keep_are_exact_when_they_are_folded_in_threads(
    quick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, threaded = SimulatedLog(PARTITIONS), ThreadedLog(PARTITIONS)
    await make_runs(log, 10)
    for number in range(RUNS):
        forge(log, run_in(number % PARTITIONS, PARTITIONS), [created()])
    threaded._places, threaded._topic_ids = log._places, log._topic_ids
    one_by_one = await fold(log, quick / "one by one", WITH_COUNTS)
    small_batches(monkeypatch, 1)
    together = await fold(threaded, quick / "together", WITH_COUNTS)
    assert {family: together[family] for family in COUNTED} == {family: one_by_one[family] for family in COUNTED}
    assert together == one_by_one
