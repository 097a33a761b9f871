"""A soak: twenty thousand runs, followed by five services, of which one is dead, one slow, one throws and two are fine.

The engine runs in one process, the host of the services in another, beside it. Afterwards it is shown for each service
what it saw, compared with the log: every change of every run, in order, none twice; except for what the throwing one
could not deal with, which is parked. Run with `python -m benchmarks.soak`, and `--log kafka` for a broker of its own;
writes `benchmarks/results/soak.json`, or `soak_kafka.json`.
"""

import argparse
import asyncio
import logging
import secrets
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from benchmarks.memory import run_many
from benchmarks.projections import memory_mib
from benchmarks.report import publish
from benchmarks.workload import registry, workflow
from consumers.host import Delivery, Lag, ServiceHost, Start, open_progress
from consumers.host.opening import read_group
from engine import EngineService, Run, Trace
from engine.broker import start_broker
from engine.change import changes_of
from engine.core.view import View
from engine.log.embedded import EmbeddedLog, ReadOnlyLog
from engine.log.kafka import KafkaLocation, KafkaLog, parse_location
from engine.log.kafka.topics import apply_topics
from engine.log.opening import is_kafka
from engine.log.port import EVENTS, Log

RUNS = 20_000
SLOW_SECONDS = 0.0005
THROWS_ON = "0f"
"""The last digits of the ids of runs that the throwing service cannot deal with: one of 256."""
DEADLINE_SECONDS = 600.0
LOOK_SECONDS = 0.5
PAGE = 1_000
PARTITIONS = 4
"""On Kafka."""
GROUP = "soak"


class Seeing:
    """A service that writes down what it sees."""

    def __init__(self) -> None:
        self.seen: dict[str, list[str]] = defaultdict(list)

    async def run_progress(self, run: Run, delivery: Delivery) -> None:
        """See a change of a run."""
        await self.see(run.run_id, delivery)

    async def trace_progress(self, trace: Trace, delivery: Delivery) -> None:
        """See a change of a trace."""
        await self.see(trace.run_id, delivery)

    async def see(self, run_id: str, delivery: Delivery) -> None:
        """Write it down."""
        self.seen[run_id].append(delivery.event_id)


class Dead(Seeing):
    """A service whose first calls never end."""

    async def see(self, run_id: str, delivery: Delivery) -> None:  # noqa: ARG002 - it does not get so far
        """Wait for ever."""
        await asyncio.get_running_loop().create_future()


class Slow(Seeing):
    """A service that takes its time."""

    async def see(self, run_id: str, delivery: Delivery) -> None:
        """Write it down after a while."""
        await asyncio.sleep(SLOW_SECONDS)
        await super().see(run_id, delivery)


class Throwing(Seeing):
    """A service that cannot deal with some runs."""

    async def see(self, run_id: str, delivery: Delivery) -> None:
        """Write it down, or fail."""
        if run_id.endswith(THROWS_ON):
            raise ValueError(f"cannot deal with {run_id}")
        await super().see(run_id, delivery)


async def execute(location: str, runs: int) -> None:
    """Execute so many runs."""
    async with EngineService.open(location, registry(), durability="process") as engine:
        await engine.publish_workflow(workflow())
        print(flush=True)
        await run_many(engine, runs)


async def open_reading(location: str) -> Log:
    """Open the log that the other process writes."""
    if is_kafka(location):
        return await KafkaLog.open(parse_location(location))
    return await EmbeddedLog.open_reading(location)


async def expected(log: Log) -> dict[str, list[str]]:
    """Return the event ids of every run's changes, in order, from the log."""
    found: dict[str, list[str]] = defaultdict(list)
    for partition in range(log.partitions):
        end = (await log.ends(EVENTS, partition)).end
        view = View()
        while view.position < end:
            for record in await log.read(EVENTS, partition, view.position, PAGE):
                accepted = view.fold(record)
                if accepted is not None:
                    found[record.key] += [change.event_id for change in changes_of(accepted)]
    return dict(found)


async def soak(location: str, runs: int) -> list[dict[str, object]]:
    """Follow while another process executes; return what each service saw."""
    command = [sys.executable, "-m", "benchmarks.soak", "--execute", location, "--runs", str(runs)]
    engine = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert engine.stdout is not None
    await engine.stdout.readline()
    services: dict[str, Seeing] = {
        "fine": Seeing(),
        "dead": Dead(),
        "slow": Slow(),
        "throwing": Throwing(),
        "fine-too": Seeing(),
    }
    log = await open_reading(location)
    group = None if is_kafka(location) else Path(location) / "followers" / GROUP
    begin = time.monotonic()
    async with ServiceHost(log, services, open_progress(log, GROUP, group), start=Start.beginning()) as host:
        await engine.communicate()
        executed = time.monotonic() - begin
        lags = await until_done(host, log, begin + DEADLINE_SECONDS)
        seconds = time.monotonic() - begin
    _, parked = await read_group(log, GROUP, group)
    wanted = await expected(log)
    await log.close()
    print(f"{len(wanted)} runs executed in {executed:.0f} s, all services but the dead one done after {seconds:.0f} s")
    print(f"highest memory of the host: {memory_mib('VmHWM'):.0f} MiB")
    return [
        row(name, service, wanted, [each.event_id for each in parked if each.service == name], lags[name])
        for name, service in services.items()
    ]


async def until_done(host: ServiceHost, log: Log, deadline: float) -> dict[str, list[Lag]]:
    """Wait until all services but the dead one are done; return how far each is behind in each partition."""
    while True:
        if isinstance(log, ReadOnlyLog):
            await log.refresh()
        lags: dict[str, list[Lag]] = defaultdict(list)
        for lag in await host.lag():
            lags[lag.service].append(lag)
        alive = [lag for name, found in lags.items() for lag in found if name != "dead"]
        done = len(alive) == log.partitions * (len(lags) - 1) and bool(alive)
        if (done and not any(lag.behind or lag.open for lag in alive)) or time.monotonic() > deadline:
            return lags
        # The dead service never catches up, so the end cannot be waited for.
        await asyncio.sleep(LOOK_SECONDS)


def row(
    name: str, service: Seeing, wanted: dict[str, list[str]], parked: list[str], lags: list[Lag]
) -> dict[str, object]:
    """Say what a service saw, beside what there was to see."""
    in_order = sum(service.seen.get(run_id) == ids for run_id, ids in wanted.items())
    cut = sum(
        ids[: len(service.seen.get(run_id, []))] == service.seen.get(run_id, []) for run_id, ids in wanted.items()
    )
    behind = sum(lag.behind for lag in lags)
    held = [run_id for run_id in wanted if run_id.endswith(THROWS_ON)] if isinstance(service, Throwing) else []
    if isinstance(service, Dead):
        good = not service.seen and behind > 0
    else:
        good = in_order == len(wanted) - len(held) and {wanted[run_id][0] for run_id in held} == set(parked)
    return {
        "service": name,
        "runs": len(wanted),
        "changes": sum(map(len, wanted.values())),
        "changes_seen": sum(map(len, service.seen.values())),
        "runs_seen_whole_in_order": in_order,
        "runs_seen_wrong": len(wanted) - cut,
        "parked": len(parked),
        "records_behind": behind,
        "good": good and cut == len(wanted),
    }


def main() -> bool:
    """Soak; return whether every service saw what it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--log", choices=("embedded", "kafka"), default="embedded")
    parser.add_argument("--execute", help="for the soak itself")
    chosen = parser.parse_args()
    if chosen.execute:
        asyncio.run(execute(chosen.execute, chosen.runs))
        return True
    logging.getLogger("runline").setLevel(logging.CRITICAL)
    if chosen.log == "kafka":
        with start_broker() as cluster:
            location = KafkaLocation(cluster.bootstrap, f"soak-{secrets.token_hex(4)}")
            apply_topics(location, {}, PARTITIONS)
            rows = asyncio.run(soak(str(location), chosen.runs))
        publish("soak_kafka", rows)
    else:
        with tempfile.TemporaryDirectory(prefix="runline-bench-") as directory:
            rows = asyncio.run(soak(f"{directory}/log", chosen.runs))
        publish("soak", rows)
    return all(row["good"] for row in rows)


if __name__ == "__main__":
    sys.exit(not main())
