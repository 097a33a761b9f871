"""Start a run, wait for its end and print its output, with nothing of Runline: confluent-kafka is all that it needs.

    python examples/start_run.py BROKERS PREFIX WORKFLOW [CONTEXT] [--run RUN] [--timeout SECONDS]

It exits with 0 when the run succeeded, 1 when it did not or was refused, and 2 when it cannot say. Then `--run` asks
again, with the same arguments: a run that has begun is not begun a second time.
"""

import argparse
import hashlib
import json
import secrets
import sys
import time
import uuid
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

ENDS = {"run.succeeded": "Success", "run.failed": "Failed", "run.cancelled": "Cancelled"}
ANSWER_SECONDS = 10.0
LOOK_BACK = 2 * 3_600_000
"""Milliseconds: a run is created within an hour of the time in its id, and brokers' clocks may differ."""


class Record(NamedTuple):
    """A record as this program needs it."""

    topic: str
    offset: int
    key: str
    value: bytes
    headers: dict[str, str]


class Chain:
    """One run's history: tells which commits count, by the rule of the log (docs/architecture.md).

    Args:
        run: The run's id.
        epoch: The epoch in force where reading begins; empty at the beginning of the log.
    """

    def __init__(self, run: str, epoch: str) -> None:
        self._run = run
        self._epoch = epoch
        self._head = "genesis"

    def events(self, record: Record) -> list[dict[str, object]]:
        """Return the events in a record that counts; none for all others."""
        headers = record.headers
        if headers.get("ce_type") == "runline.fence":
            self._epoch = f"{record.offset}:{headers.get('nonce')}"
        if headers.get("ce_type") != "runline.commit" or record.key != self._run:
            return []
        if headers.get("epoch") != self._epoch or headers.get("prev") != self._head:
            return []
        commit = hashlib.sha256(f"{self._head}\n{self._epoch}\n".encode() + record.value).hexdigest()
        if headers.get("ce_id") != commit:
            return []
        self._head = commit
        events: list[dict[str, object]] = json.loads(record.value)["events"]
        return events


class Topics:
    """The topics of a log, read by position and without a group.

    Args:
        brokers: `host:port`, separated by commas.
        prefix: Begins the topics' names.
    """

    def __init__(self, brokers: str, prefix: str) -> None:
        self.events, self.rejections = f"{prefix}.events", f"{prefix}.rejections"
        # The client wants a group's name even where it joins none.
        settings = {"group.id": "none", "enable.auto.commit": False, "auto.offset.reset": "error"}
        settings["reconnect.backoff.ms"] = 1000  # the client prints a line each time
        settings["fetch.wait.max.ms"] = 50  # reading at another place waits for the fetch that is under way
        self._consumer = Consumer({"bootstrap.servers": brokers, **settings})

    def positions(self, topic: str, milliseconds: int = OFFSET_END) -> list[int]:
        """Return each partition's first offset of this time or later; its end when there is none yet."""
        found = self._consumer.list_topics(topic, ANSWER_SECONDS).topics[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        asked = [TopicPartition(topic, partition, milliseconds) for partition in sorted(found.partitions)]
        offsets = [each.offset for each in self._consumer.offsets_for_times(asked, ANSWER_SECONDS)]
        if milliseconds == OFFSET_END:
            return offsets
        return [end if each == OFFSET_END else each for each, end in zip(offsets, self.positions(topic), strict=True)]

    def begin(self, partition: int, position: int) -> tuple[int, str]:
        """Return an offset of `events` at or before the position, and the epoch in force there.

        The record before the position names a checkpoint, whose parts say both. What else stands in the checkpoint
        does not matter to a run that began after it.
        """
        if position > 0:
            named = self._one(partition, position - 1).headers.get("checkpoint", "none")
            if named.isdecimal():
                part = self._one(partition, int(named)).headers
                return int(part["start"]), part["epoch"]
        return 0, ""

    def read(self, *places: TopicPartition, until: float) -> Iterator[Record]:
        """Yield what stands in partitions from offsets on, and what comes, until a time of the monotonic clock."""
        self._consumer.assign(list(places))
        while (left := until - time.monotonic()) > 0:
            message = self._consumer.poll(left)
            if message is not None:
                yield record_of(message)

    def _one(self, partition: int, offset: int) -> Record:
        until = time.monotonic() + ANSWER_SECONDS
        for record in self.read(TopicPartition(self.events, partition, offset), until=until):
            return record
        raise TimeoutError(f"expected a record at offset {offset} of {self.events}/{partition}")


def record_of(message: Message) -> Record:
    """Return what was read; anything may stand in a topic that others write too."""
    if (error := message.error()) is not None:
        raise KafkaException(error)
    headers = {name: text(value) for name, value in dict(message.headers() or ()).items()}
    return Record(message.topic() or "", message.offset() or 0, text(message.key()), message.value() or b"", headers)


def text(data: str | bytes | None) -> str:
    """Return a key or a header's value as text, whatever bytes it has."""
    return data.decode(errors="replace") if isinstance(data, bytes) else data or ""


def new_run_id() -> str:
    """Return a UUID of version 7: the time in milliseconds, then chance."""
    milliseconds, chance = time.time_ns() // 1_000_000, secrets.randbits(74)
    number = milliseconds << 80 | 0x7 << 76 | (chance >> 62) << 64 | 0b10 << 62 | chance & (1 << 62) - 1
    return str(uuid.UUID(int=number))


def send(brokers: str, topic: str, command: dict[str, object]) -> int:
    """Put a command on its topic, and return the partition: the run's own, by the partitioner of Java's client."""
    producer = Producer({"bootstrap.servers": brokers, "partitioner": "murmur2_random", "enable.idempotence": True})
    delivered: list[int] = []

    def report(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            raise KafkaException(error)
        delivered.append(message.partition() or 0)

    producer.produce(topic, json.dumps(command).encode(), str(command["run"]), on_delivery=report)
    producer.flush()
    return delivered[0]


def start(arguments: argparse.Namespace) -> int:
    """Send the command and follow the run; return the exit code."""
    run = arguments.run or new_run_id()
    command = {"format": 1, "type": "run.start", "id": f"start-{secrets.token_hex(8)}", "run": run}
    command |= {"workflow": arguments.workflow, "context": arguments.context}
    topics = Topics(arguments.brokers, arguments.prefix)
    # Taken before the command is sent: everything that it causes stands behind.
    since = int(run[:8] + run[9:13], 16) - LOOK_BACK if arguments.run else OFFSET_END
    positions, refused_from = topics.positions(topics.events, since), topics.positions(topics.rejections)
    partition = send(arguments.brokers, f"{arguments.prefix}.commands", command)
    offset, epoch = topics.begin(partition, positions[partition])
    print(f"run {run}, read from offset {offset} of partition {partition}", file=sys.stderr)
    chain = Chain(run, epoch)
    places = TopicPartition(topics.events, partition, offset), TopicPartition(topics.rejections, 0, refused_from[0])
    for record in topics.read(*places, until=time.monotonic() + arguments.timeout):
        if record.topic == topics.rejections:
            if record.headers.get("causationid") == command["id"]:
                print(f"refused: {record.headers['code']}: {record.headers['reason']}", file=sys.stderr)
                return 1
            continue
        for event in chain.events(record):
            if (status := ENDS.get(str(event["type"]))) is not None:
                return show(status, event)
    print(f"expected the end of the run within {arguments.timeout:g} s; ask again with --run {run}", file=sys.stderr)
    return 2


def show(status: str, event: dict[str, object]) -> int:
    """Print the event that a run ended with, and return the exit code."""
    print(json.dumps(event["output"], ensure_ascii=False))
    if status != "Success":
        print(f"{status}: {json.dumps(event.get('error', event.get('reason')), ensure_ascii=False)}", file=sys.stderr)
    return 0 if status == "Success" else 1


def main() -> NoReturn:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description="Start a run, wait for its end and print its output.")
    parser.add_argument("brokers", help="host:port, separated by commas")
    parser.add_argument("prefix", help="begins the topics' names")
    parser.add_argument("workflow", help="the id of a published workflow")
    parser.add_argument("context", nargs="?", type=json.loads, default={}, help="the initial context, as JSON")
    parser.add_argument("--run", help="the id of a run that was sent before")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds")
    try:
        sys.exit(start(parser.parse_args()))
    except (KafkaException, TimeoutError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
