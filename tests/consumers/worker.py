"""A host that is killed. Usage: worker.py LOG GROUP HEARD: it follows the log and writes down what it hears.

LOG is a directory, which another process writes, or kafka://...; GROUP a directory, or a group's name on Kafka.
"""

import asyncio
import os
import sys
from pathlib import Path

import consumers.host.host
from consumers.host import Delivery, ServiceHost, Start, open_progress
from engine import Run, Trace
from engine.log.embedded import EmbeddedLog
from engine.log.kafka import KafkaLog, parse_location
from engine.log.opening import is_kafka
from engine.log.port import Log


class Writes:
    """Appends one line for each change, in one write: `NAME EVENT RUN TYPE PARTITION`."""

    def __init__(self, name: str, file: int) -> None:
        self._name = name
        self._file = file

    def run_progress(self, run: Run, delivery: Delivery) -> None:
        self._write(run.run_id, delivery)

    async def trace_progress(self, trace: Trace, delivery: Delivery) -> None:
        self._write(trace.run_id, delivery)

    def _write(self, run_id: str, delivery: Delivery) -> None:
        words = (self._name, delivery.event_id, run_id, delivery.event_type, str(delivery.partition))
        os.write(self._file, f"{' '.join(words)}\n".encode())


async def open_reading(location: str) -> Log:
    """Open a log that another process writes."""
    if is_kafka(location):
        return await KafkaLog.open(parse_location(location))
    return await EmbeddedLog.open_reading(location)


async def main(location: str, group: str, heard: Path) -> None:
    """Follow until killed, or until the input ends."""
    # Often, so that most kills come between two records of progress.
    vars(consumers.host.host)["FOLLOW_SAVE_CHANGES"] = 7
    log = await open_reading(location)
    file = os.open(heard, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    services = {name: Writes(name, file) for name in ("first", "second")}
    progress = open_progress(log, group) if is_kafka(location) else open_progress(log, "group", Path(group))
    # Whoever is killed from outside again and again is not to blame a call.
    async with ServiceHost(log, services, progress, start=Start.beginning(), deaths=100):
        print("follows", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await log.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
