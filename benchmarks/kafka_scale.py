"""Two executor processes over one set of partitions beside one alone, turn by turn: two must not be slower.

Run with `python -m benchmarks.kafka_scale`; writes JSON to `benchmarks/results/kafka_scale.json`.
"""

import asyncio
import secrets
import statistics
import sys
from typing import cast

from benchmarks.kafka_failover import until
from benchmarks.kafka_runs import Round, Side, publish_and_measure_sizes
from benchmarks.report import publish
from engine.broker import start_broker
from engine.log.kafka import KafkaLocation
from engine.log.kafka.topics import apply_topics

CONCURRENCY = (16, 64, 256)
PARTITIONS = 4
TURNS = 5
SECONDS = 2.0


def measure(brokers: str) -> list[dict[str, object]]:
    """Return a row for each concurrency."""
    location = KafkaLocation(brokers, f"scale-{secrets.token_hex(4)}")
    apply_topics(location, {}, PARTITIONS)
    asyncio.run(publish_and_measure_sizes(location))
    first = Side("engine-executor", {"location": str(location)})
    client = Side("engine-client", {"location": str(location)})
    rates: dict[int, dict[int, list[float]]] = {concurrency: {1: [], 2: []} for concurrency in CONCURRENCY}

    def rounds(executors: int) -> None:
        client.ask(max(CONCURRENCY), SECONDS / 2)
        for concurrency in CONCURRENCY:
            rate, _ = cast("Round", client.ask(concurrency, SECONDS))
            rates[concurrency][executors].append(rate)

    for _ in range(TURNS):
        until(first, owned=PARTITIONS, begun=0)
        rounds(1)
        second = Side("engine-executor", {"location": str(location)})
        until(second, owned=PARTITIONS // 2, begun=0)
        until(first, owned=PARTITIONS // 2, begun=0)
        rounds(2)
        second.close()
    client.close()
    first.close()
    return [_row(concurrency, found) for concurrency, found in rates.items()]


def _row(concurrency: int, found: dict[int, list[float]]) -> dict[str, object]:
    ratio = statistics.median(two / one for one, two in zip(found[1], found[2], strict=True))
    return {
        "partitions": PARTITIONS,
        "concurrent_runs": concurrency,
        "one_executor_runs_per_s": round(statistics.median(found[1]), 1),
        "two_executors_runs_per_s": round(statistics.median(found[2]), 1),
        "ratio": round(ratio, 3),
    }


def main() -> bool:
    """Measure; return whether two executors are nowhere slower than one."""
    with start_broker() as broker:
        rows = measure(broker.bootstrap)
    publish("kafka_scale", rows)
    return all(cast("float", row["ratio"]) >= 1 for row in rows)


if __name__ == "__main__":
    sys.exit(not main())
