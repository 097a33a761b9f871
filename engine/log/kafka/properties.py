"""The properties of the Kafka clients: ours, set explicitly, under those of the user, which pass through untouched."""

import logging
from collections.abc import Mapping
from typing import Final

from engine.limits import (
    KAFKA_FETCH_BYTES_MAX,
    KAFKA_MESSAGE_BYTES_MAX,
    KAFKA_QUEUE_KIBIBYTES_MAX,
    KAFKA_QUEUE_RECORDS_MAX,
    KAFKA_SESSION_SECONDS,
    KAFKA_WRITE_SECONDS_MAX,
)

CLIENT_LOGGER: Final = logging.getLogger("runline.kafka.client")
"""Gets what the client library has to say for itself, unless somebody wants less or more: almost nothing.

It repeats one failure for every attempt to connect; our own loggers say it once, and calls raise it.
"""
CLIENT_LOGGER.setLevel(logging.CRITICAL)

Property = str | int | float | bool

_COMMON: Final[dict[str, Property]] = {
    "client.id": "runline",
    # A topic that a typing error made would look like an empty log.
    "allow.auto.create.topics": False,
    "socket.keepalive.enable": True,
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 1_000,
    "log.connection.close": False,
}
PRODUCER: Final[dict[str, Property]] = {
    **_COMMON,
    "enable.idempotence": True,
    "acks": "all",
    "partitioner": "murmur2_random",
    "linger.ms": 0,
    "max.in.flight": 1,
    "message.timeout.ms": int(KAFKA_WRITE_SECONDS_MAX * 1000),
    "message.max.bytes": KAFKA_MESSAGE_BYTES_MAX,
    "retry.backoff.ms": 20,
    "queue.buffering.max.messages": KAFKA_QUEUE_RECORDS_MAX,
    "queue.buffering.max.kbytes": KAFKA_QUEUE_KIBIBYTES_MAX,
}
_CONSUMER: Final[dict[str, Property]] = {
    **_COMMON,
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    # A position that is gone is an error to be told, never a reason to begin somewhere else.
    "auto.offset.reset": "error",
    # Nobody writes transactions here; a foreign one must not hold up readers.
    "isolation.level": "read_uncommitted",
    "check.crcs": True,
    "fetch.max.bytes": KAFKA_FETCH_BYTES_MAX,
    # Bounds what a compressed batch may unpack to.
    "receive.message.max.bytes": 2 * KAFKA_FETCH_BYTES_MAX,
    "fetch.message.max.bytes": 1024 * 1024,
    "fetch.queue.backoff.ms": 10,
    "fetch.error.backoff.ms": 50,
    "queued.max.messages.kbytes": 16 * 1024,
}
FOLLOWER: Final[dict[str, Property]] = {
    **_CONSUMER,
    "group.id": "runline-followers",
    # A partition that joins waits for the fetch under way, so that must not take long; data ends it at once.
    "fetch.wait.max.ms": 50,
}
"""A consumer that follows partitions; it belongs to no group, though librdkafka wants one to be named."""
FETCHER: Final[dict[str, Property]] = {
    **_CONSUMER,
    "group.id": "runline-fetchers",
    "enable.partition.eof": True,
    "fetch.wait.max.ms": 10,
}
"""A consumer that reads a stretch of a partition."""
MEMBER: Final[dict[str, Property]] = {
    **_CONSUMER,
    "partition.assignment.strategy": "cooperative-sticky",
    "session.timeout.ms": int(KAFKA_SESSION_SECONDS * 1000),
    "heartbeat.interval.ms": 500,
    "max.poll.interval.ms": 60_000,
}
"""A consumer that is a member of the executors' group and reads nothing."""
ADMIN: Final[dict[str, Property]] = {**_COMMON}

_CONSUMER_ONLY: Final = frozenset({*_CONSUMER, *FOLLOWER, *FETCHER, *MEMBER, "group.instance.id", "group.protocol"})
_PRODUCER_ONLY: Final = frozenset({*PRODUCER, "compression.type", "batch.size", "batch.num.messages"}) - _COMMON.keys()
_OURS: Final = frozenset(
    {
        "bootstrap.servers",
        "metadata.broker.list",
        "group.id",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "auto.offset.reset",
        "enable.idempotence",
    }
)
"""Properties that the location gives, and those whose other values would break a promise."""
_SECRETS: Final = ("password", "secret", "token", "ssl.key.pem", "sasl.oauthbearer.config", "jaas")
MASK: Final = "********"


def merged(base: Mapping[str, Property], brokers: str, given: Mapping[str, str]) -> dict[str, Property]:
    """Return a client's properties: ours, then the user's, without those that are for the other kind of client."""
    foreign = (_CONSUMER_ONLY if "acks" in base else _PRODUCER_ONLY) - base.keys() - _COMMON.keys()
    if "acks" not in base and "auto.offset.reset" not in base:
        foreign = (_CONSUMER_ONLY | _PRODUCER_ONLY) - _COMMON.keys()
    passed = {name: value for name, value in given.items() if name not in foreign and name not in _OURS}
    return {**base, **passed, "bootstrap.servers": brokers}


def refused(given: Mapping[str, str]) -> list[str]:
    """Return the user's properties that we cannot pass through: another value would break a promise."""
    return sorted(_OURS & given.keys())


def masked(given: Mapping[str, str]) -> dict[str, str]:
    """Return properties to show, without what is secret."""
    return {name: MASK if is_secret(name) else value for name, value in given.items()}


def is_secret(name: str) -> bool:
    """Return whether a property's value must not be shown."""
    return any(part in name for part in _SECRETS)
