"""How fast views are folded from Kafka, beside a bare consumer that parses every value with orjson, in turns.

Both read the same partition of the same broker from its beginning. The bare consumer has the client's own settings, and
only counts the events; views also check the chain, fold the runs and write RocksDB.
Run with `python -m benchmarks.kafka_projections`; writes JSON to `benchmarks/results/kafka_projections.json`.
"""

import argparse
import asyncio
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.history import copies, make_templates
from benchmarks.report import publish
from engine.broker import start_broker
from engine.cli.collection import collect_seldom
from engine.core.records import fence_record
from engine.log.kafka import KafkaLocation, parse_location
from engine.log.kafka.topics import apply_topics
from engine.log.opening import open_log
from engine.log.port import EVENTS, WORKFLOWS, Record
from projections import Projector

RUNS = 30_000
ROUNDS = 5
SEED = 5
RATIO_MIN = 0.5
AT_ONCE = 500
"""Messages that the bare consumer takes at once."""


async def write(location: KafkaLocation, runs: int) -> int:
    """Write the commits of so many runs; return how many events there are."""
    templates, published = await make_templates()
    producer = Producer({"bootstrap.servers": location.brokers, "linger.ms": 20})
    nonce = secrets.token_hex(8)
    fence = fence_record(nonce, executor="copies", source="/runline", time="2026-01-01T00:00:00Z", checkpoint="none")
    for record in published:
        _produce(producer, location.topic(WORKFLOWS), record)
    _produce(producer, location.topic(EVENTS), fence)
    events = 0
    for _, record in copies(templates, runs, f"0:{nonce}", SEED):
        events += record.headers["types"].count(",") + 1
        _produce(producer, location.topic(EVENTS), record)
    producer.flush()
    return events


def _produce(producer: Producer, topic: str, record: Record) -> None:
    while True:
        try:
            producer.produce(topic, record.value, record.key, partition=0, headers=dict(record.headers))
        except BufferError:
            producer.poll(0.1)
        else:
            return


def bare(location: KafkaLocation, events: int) -> float:
    """Return the seconds that a bare consumer takes until it has counted all events."""
    consumer = Consumer({"bootstrap.servers": location.brokers, "group.id": "bare", "enable.auto.commit": False})
    begin = time.perf_counter()
    consumer.assign([TopicPartition(location.topic(EVENTS), 0, 0)])
    found = 0
    while found < events:
        for message in consumer.consume(AT_ONCE, 1.0):
            found += len(orjson.loads(message.value() or b"{}").get("events", ()))
    seconds = time.perf_counter() - begin
    consumer.close()
    return seconds


async def fold(location: KafkaLocation, views: Path) -> float:
    """Return the seconds that views take until they show everything."""
    collect_seldom()  # as the command line does
    log = await open_log(str(location), "fsync", {})
    begin = time.perf_counter()
    async with Projector(log, views) as projector:
        await projector.caught_up()
        seconds = time.perf_counter() - begin
    await log.close()
    return seconds


def in_process(*words: str) -> float:
    """Do a part in a process of its own and return the seconds it took."""
    command = [sys.executable, "-m", "benchmarks.kafka_projections", "--part", *words]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def measure(brokers: str, runs: int, rounds: int) -> dict[str, object]:
    """Measure both in turns."""
    location = KafkaLocation(brokers, f"bench-{secrets.token_hex(4)}")
    apply_topics(location, {}, 1)
    events = asyncio.run(write(location, runs))
    pairs = []
    with tempfile.TemporaryDirectory(prefix="runline-bench-") as directory:
        for number in range(rounds):
            theirs = in_process("bare", str(location), str(events))
            ours = in_process("fold", str(location), f"{directory}/{number}")
            pairs.append((theirs, ours))
    return {
        "runs": runs,
        "events": events,
        "bare_events_per_s": round(events / statistics.median(theirs for theirs, _ in pairs)),
        "views_events_per_s": round(events / statistics.median(ours for _, ours in pairs)),
        "ratio": round(statistics.median(theirs / ours for theirs, ours in pairs), 3),
        "ratio_least": round(min(theirs / ours for theirs, ours in pairs), 3),
        "ratio_min": RATIO_MIN,
    }


def main() -> bool:
    """Measure; return whether the ratio required was reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--part", nargs="+", help="for the benchmark itself")
    chosen = parser.parse_args()
    match chosen.part:
        case ["bare", location, events]:
            print(bare(parse_location(location), int(events)))
            return True
        case ["fold", location, views]:
            print(asyncio.run(fold(parse_location(location), Path(views))))
            return True
        case _:
            pass
    with start_broker() as broker:
        row = measure(broker.bootstrap, chosen.runs, chosen.rounds)
    publish("kafka_projections", [row])
    return float(str(row["ratio"])) >= RATIO_MIN


if __name__ == "__main__":
    sys.exit(not main())
