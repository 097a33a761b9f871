"""The bare baseline on Kafka: a command and four commits, each appended and read back; one thread, no engine.

Two processes: one plays the executor, the other starts runs and waits for their ends. Both poll, and drain what came.
"""

import hashlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import orjson
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from benchmarks.workload import INPUT, step
from engine.call import Call
from engine.context import ContextObject
from engine.log.partitioner import partition_of
from engine.ports import SystemClock, SystemIds
from engine.registry import Registry

GENESIS = "genesis"
STEPS = ("first", "second", "third")
DRAIN = 500


class Sizes(NamedTuple):
    """Bytes of the engine's records: key, headers and value together."""

    command: int
    commits: tuple[int, int, int, int]


class BareKafka:
    """One producer and one consumer, as the bare protocol uses them."""

    def __init__(self, brokers: str, prefix: str, partitions: int, topics: Sequence[str]) -> None:
        self.partitions = partitions
        self._prefix = prefix
        self._producer = Producer(
            {
                "bootstrap.servers": brokers,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 0,
                "max.in.flight": 1,
                "delivery.report.only.error": True,
            }
        )
        self._consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "group.id": f"{prefix}-bare",
                "enable.auto.commit": False,
                "auto.offset.reset": "latest",
                "isolation.level": "read_uncommitted",
            }
        )
        places = [TopicPartition(f"{prefix}.{topic}", number) for topic in topics for number in range(partitions)]
        for place in places:
            place.offset = self._consumer.get_watermark_offsets(place)[1]
        self._consumer.assign(places)

    def append(self, topic: str, run_id: str, value: bytes, headers: dict[str, str]) -> None:
        """Send one record to the partition of its run."""
        self._producer.produce(
            f"{self._prefix}.{topic}",
            value,
            run_id,
            partition_of(run_id, self.partitions),
            headers=list(headers.items()),
            on_delivery=_delivered,
        )

    def records(self, seconds: float) -> Iterator[Message]:
        """Give out what has come, waiting so long for the first."""
        self._producer.poll(0)
        first = self._consumer.poll(seconds)
        if first is not None:
            for message in [first, *self._consumer.consume(DRAIN, 0)]:
                assert message.error() is None, message.error()
                yield message


def _delivered(error: KafkaError | None, message: Message) -> None:
    assert error is None, (error, message.topic())


def _padded(content: dict[str, object], size: int) -> bytes:
    value = orjson.dumps(content)
    return orjson.dumps(content | {"pad": "x" * max(0, size - len(value) - 9)})


def _call(context: ContextObject, number: int, registry: Registry) -> None:
    name = STEPS[number]
    call = Call(
        run_id="r",
        workflow_id="w",
        node_id=name,
        trace_id="t",
        attempt=1,
        idempotency_key="t",
        registry=registry,
    )
    try:
        step(context, call).send(None)
    except StopIteration:
        return
    raise AssertionError("the step waits for nothing")


def execute(brokers: str, prefix: str, partitions: int, sizes: Sizes, ready: Callable[[], None]) -> None:
    """Play the executor until standard input ends with the process that started this one."""
    kafka = BareKafka(brokers, prefix, partitions, ("commands", "events"))
    registry = Registry()
    heads: dict[str, tuple[str, int, ContextObject]] = {}
    ready()

    def commit(run_id: str, prev: str, number: int) -> None:
        value = _padded({"run": run_id, "step": number}, sizes.commits[number] - 150)
        identity = hashlib.sha256(prev.encode() + value).hexdigest()
        kafka.append("events", run_id, value, {"id": identity, "prev": prev})

    while True:
        for message in kafka.records(0.5):
            raw, value = message.key(), message.value()
            assert raw is not None
            assert value is not None
            run_id = raw.decode()
            content = orjson.loads(value)
            if str(message.topic()).endswith("commands"):
                heads[run_id] = (GENESIS, 0, ContextObject(content["context"]))
                commit(run_id, GENESIS, 0)
                continue
            if run_id not in heads:
                continue
            headers = dict(message.headers() or [])
            prev, number, context = heads[run_id]
            identity = hashlib.sha256(prev.encode() + value).hexdigest()
            assert headers["id"] == identity.encode()
            if number == len(STEPS):
                del heads[run_id]
                continue
            _call(context, number, registry)
            heads[run_id] = (identity, number + 1, context)
            commit(run_id, identity, number + 1)


class BareClient:
    """Starts runs and waits for their ends."""

    def __init__(self, brokers: str, prefix: str, partitions: int, sizes: Sizes) -> None:
        self._kafka = BareKafka(brokers, prefix, partitions, ("events",))
        self._ids = SystemIds(SystemClock())
        self._sizes = sizes

    def round(self, concurrency: int, seconds: float) -> tuple[float, list[float]]:
        """Keep so many runs going until the time is up; return runs per second and latencies in milliseconds."""
        waiting: dict[str, float] = {}
        latencies: list[float] = []

        def start() -> None:
            run_id = self._ids.run_id()
            value = _padded({"run": run_id, "context": INPUT}, self._sizes.command - 60)
            waiting[run_id] = time.perf_counter()
            self._kafka.append("commands", run_id, value, {})

        begin = time.perf_counter()
        for _ in range(concurrency):
            start()
        while waiting:
            for message in self._kafka.records(1.0):
                key, value = message.key(), message.value()
                assert key is not None
                assert value is not None
                if orjson.loads(value)["step"] == len(STEPS) and (run_id := key.decode()) in waiting:
                    now = time.perf_counter()
                    latencies.append((now - waiting.pop(run_id)) * 1000)
                    if now - begin < seconds:
                        start()
        return len(latencies) / (time.perf_counter() - begin), latencies

    def append_and_read_back(self, count: int) -> list[float]:
        """Return how long one record takes to come back, in milliseconds, one after the other."""
        times: list[float] = []
        value = _padded({"step": -1}, self._sizes.commits[1] - 150)
        for _ in range(count):
            begin = time.perf_counter()
            self._kafka.append("events", "scratch", value, {})
            while not list(self._kafka.records(1.0)):
                pass
            times.append((time.perf_counter() - begin) * 1000)
        return times


if __name__ == "__main__":
    sys.exit("This is started by benchmarks.kafka_runs.")
