"""A host one of whose services ends the process. Usage: dying_worker.py LOG GROUP HEARD HOW EVENT...

It follows the log until it has caught up and done what people ask for, and ends in order; at each EVENT its second
service does what HOW says. LOG and GROUP are as for worker.py.
"""

import asyncio
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from consumers.host import Delivery, ServiceHost, Start, open_progress
from consumers.host.store import ProgressStore
from engine.log.opening import is_kafka
from tests.consumers.worker import Writes, open_reading

MEMORY_BYTES = 64 * 1024 * 1024
FIRST, DEADLY, LAST = "first", "deadly", "last"


def end_by_kill() -> None:
    """End as a process does that a signal kills."""
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


def end_for_want_of_memory() -> None:
    """End as the kernel ends the process that has most memory: while it takes more, and without a word."""
    taken: list[bytearray] = []
    while len(taken) < MEMORY_BYTES // 1024**2:
        taken.append(bytearray(1024**2))
    end_by_kill()


def fill_memory() -> None:
    """Take memory until there is no more, under a limit that spares the machine."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 2 * MEMORY_BYTES, most))
    try:
        taken = [bytearray(MEMORY_BYTES)]
        while True:
            taken.append(bytearray(MEMORY_BYTES))
    finally:
        taken.clear()
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


WAYS: dict[str, Callable[[], None]] = {
    "exit": lambda: os._exit(7),
    "kill": end_by_kill,
    "memory": end_for_want_of_memory,
    "limit": fill_memory,
}


class Deadly(Writes):
    """Ends the process at some changes, instead of writing them down."""

    def __init__(self, file: int, end: Callable[[], None], events: frozenset[str]) -> None:
        super().__init__(DEADLY, file)
        self._end = end
        self._events = events
        self._ending = threading.Lock()

    def _write(self, run_id: str, delivery: Delivery) -> None:
        if delivery.event_id in self._events:
            with self._ending:
                self._end()
        super()._write(run_id, delivery)


async def asked(progress: ProgressStore, partitions: int, group: Path) -> bool:
    """Return whether people ask for something that is not done yet."""
    parked = [each for number in range(partitions) for each in await progress.parked(number)]
    return any(each.asked for each in parked) or any(group.glob("requests/*.json"))  # noqa: ASYNC240 - a few files


async def main(location: str, group: str, heard: Path, how: str, events: frozenset[str]) -> None:
    """Follow until everything is dealt with."""
    log = await open_reading(location)
    file = os.open(heard, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    services = {FIRST: Writes(FIRST, file), DEADLY: Deadly(file, WAYS[how], events), LAST: Writes(LAST, file)}
    progress = open_progress(log, group) if is_kafka(location) else open_progress(log, "group", Path(group))
    async with ServiceHost(log, services, progress, start=Start.beginning(), attempts=2, retry_seconds=0.01) as host:
        while {lag.partition for lag in await host.lag()} != set(range(log.partitions)):  # noqa: ASYNC110 - the group decides
            await asyncio.sleep(0.01)
        await host.caught_up()
        while await asked(progress, log.partitions, Path(group)):  # noqa: ASYNC110 - on disk
            await asyncio.sleep(0.01)
    await log.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4], frozenset(sys.argv[5:])))
