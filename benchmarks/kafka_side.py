"""One process of the benchmark on Kafka; `benchmarks.kafka_runs` starts it and talks to it line by line, in JSON."""

import asyncio
import os
import sys
import threading
import time

import orjson

from benchmarks.kafka_bare import BareClient, Sizes, execute
from benchmarks.workload import INPUT, registry
from engine import EngineService, RunStatus


def say(answer: object) -> None:
    """Answer one line."""
    sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
    sys.stdout.buffer.flush()


def _ends_with_its_owner() -> None:
    sys.stdin.read()
    os._exit(0)


async def engine_executor(location: str) -> None:
    """Execute runs until standard input ends."""
    async with EngineService.open(location, registry()):
        say("ready")
        await asyncio.to_thread(sys.stdin.read)


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
            asyncio.run(engine_executor(given["location"]))
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
