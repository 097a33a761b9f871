"""One process of the benchmark on Kafka; `benchmarks.kafka_runs` starts it and talks to it line by line, in JSON."""

import asyncio
import logging
import os
import sys
import threading
import time

import orjson

from benchmarks.kafka_bare import BareClient, Sizes, execute
from benchmarks.workload import INPUT, registry
from engine import Call, ContextObject, EngineService, RunStatus

HELD_MAX = 1_000
"""Nodes that one process runs at once: those that wait for ever, and others."""


def say(answer: object) -> None:
    """Answer one line."""
    sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
    sys.stdout.buffer.flush()


def _ends_with_its_owner() -> None:
    sys.stdin.read()
    os._exit(0)


async def engine_executor(location: str, kafka_properties: dict[str, str]) -> None:
    """Execute runs until standard input ends; answer each line with what this process has seen.

    The partitions it owns, the attempts of the function that waits for ever, and when the last of these was begun and
    the last partition assigned, in seconds since 1970.
    """
    functions, assigned = registry(), LastAssignment()
    logging.getLogger("runline.executor").addHandler(assigned)
    logging.getLogger("runline.executor").setLevel(logging.INFO)
    begun: list[float] = []

    @functions.node("hold")
    async def hold(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - a node function's signature
        begun.append(time.time())
        await call.wait_cancelled()

    async with EngineService.open(
        location, functions, kafka_properties=kafka_properties, nodes_running_max=HELD_MAX
    ) as service:
        say("ready")
        while await asyncio.to_thread(sys.stdin.readline):
            executor = service._executor  # noqa: SLF001 - the benchmark looks at what only the executor knows
            assert executor is not None
            say([list(executor.owned), len(begun), max(begun, default=0.0), assigned.time])


class LastAssignment(logging.Handler):
    """Remembers when the group last gave this process partitions.

    Attributes:
        time: When, in seconds since 1970.
    """

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Look at a log record."""
        if record.getMessage().startswith("Taking over partitions"):
            self.time = record.created


async def hold_open(location: str, count: int) -> None:
    """Start runs that wait for ever."""
    async with EngineService.open(location) as service:

        async def start() -> None:
            run_id = await service.create_workflow_run("holds")
            await service.start_workflow_run_and_notify(run_id)

        await asyncio.gather(*(start() for _ in range(count)))


async def engine_client(location: str) -> None:
    """Start runs and wait for them, as each line says."""
    async with EngineService.open(location) as service:
        say("ready")
        while line := await asyncio.to_thread(sys.stdin.readline):
            concurrency, seconds = orjson.loads(line)
            latencies: list[float] = []
            begin = time.perf_counter()
            end = begin + seconds

            async def caller(end: float = end, latencies: list[float] = latencies) -> None:
                while (started := time.perf_counter()) < end:
                    run = await service.run_workflow("three_steps", INPUT)
                    assert run.run_status is RunStatus.SUCCESS
                    latencies.append((time.perf_counter() - started) * 1000)

            await asyncio.gather(*(caller() for _ in range(concurrency)))
            say([len(latencies) / (time.perf_counter() - begin), latencies])


def bare_client(brokers: str, prefix: str, partitions: int, sizes: Sizes) -> None:
    """Start bare runs and wait for them, as each line says; a concurrency of 0 measures append and read back."""
    client = BareClient(brokers, prefix, partitions, sizes)
    say("ready")
    while line := sys.stdin.readline():
        concurrency, seconds = orjson.loads(line)
        say(client.round(concurrency, seconds) if concurrency else client.append_and_read_back(int(seconds)))


def main(kind: str, argument: str) -> None:
    """Play one part."""
    given = orjson.loads(argument)
    match kind:
        case "engine-executor":
            asyncio.run(engine_executor(given["location"], given.get("properties", {})))
        case "engine-client":
            asyncio.run(engine_client(given["location"]))
        case _:
            sizes = Sizes(given["sizes"][0], tuple(given["sizes"][1:]))
            brokers, prefix, partitions = given["brokers"], given["prefix"], given["partitions"]
            if kind == "bare-client":
                bare_client(brokers, prefix, partitions, sizes)
            else:
                threading.Thread(target=_ends_with_its_owner, daemon=True).start()
                execute(brokers, prefix, partitions, sizes, lambda: say("ready"))


if __name__ == "__main__":
    main(*sys.argv[1:])
