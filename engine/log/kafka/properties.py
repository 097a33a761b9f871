"""The properties of the Kafka clients: ours, set explicitly, under those of the user, which pass through untouched."""

import logging
from collections.abc import Mapping
from typing import Final

from confluent_kafka import KafkaException, Producer

from engine.errors import LogError
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

_CONSUMER_ONLY: Final = frozenset({*_CONSUMER, *FOLLOWER, *FETCHER, *MEMBER, "group.instance.id"})
_PRODUCER_ONLY: Final = (
    frozenset({*PRODUCER, "compression.type", "batch.size", "batch.num.messages", "enable.gapless.guarantee"})
    - _COMMON.keys()
)
_NO_TEXT: Final = "it is no Unicode text, or has a zero character"
_LOCATION: Final = "the location gives it"
_CALLED: Final = "it is no text but a function, which the log has of its own"
_POSITIONS: Final = "where reading begins is for the log to say"
_COMMITS: Final = "what is done is for the engine to say"
_DURABLE: Final = "a record counts once all replicas in sync have it, once and in order"
_COOPERATIVE: Final = "partitions move between executors one by one"
_TRANSACTIONS: Final = "the log writes no transactions, and those of others must hold up no reader"
_OURS: Final = {
    "bootstrap.servers": _LOCATION,
    "metadata.broker.list": _LOCATION,
    "group.id": _LOCATION,
    "enable.auto.commit": _COMMITS,
    "auto.commit.enable": _COMMITS,
    "enable.auto.offset.store": _COMMITS,
    "auto.offset.reset": _POSITIONS,
    "enable.partition.eof": _POSITIONS,
    "enable.idempotence": _DURABLE,
    "transactional.id": _TRANSACTIONS,
    "delivery.report.only.error": "the log says itself of which records it must hear",
    "topic.blacklist": "the log needs its topics",
    "logger": _CALLED,
    "on_commit": _CALLED,
    "on_delivery": _CALLED,
    "opaque": _CALLED,
    "default.topic.config": "properties of topics stand beside the others",
}
"""Properties that the location gives, and those whose other values would break a promise, each with the reason."""
_CALLBACK: Final = "_cb"
"""Ends the names of functions that the client calls."""
_FIXED: Final = {
    "acks": (("all", "-1"), _DURABLE),
    "request.required.acks": (("all", "-1"), _DURABLE),
    "queuing.strategy": (("fifo",), _DURABLE),
    "isolation.level": (("read_uncommitted",), _TRANSACTIONS),
    "partition.assignment.strategy": (("cooperative-sticky",), _COOPERATIVE),
    "group.protocol": (("classic",), _COOPERATIVE),
    "group.protocol.type": (("consumer",), _COOPERATIVE),
    "allow.auto.create.topics": (("false",), "a topic that a typing error made would look like an empty log"),
}
"""Properties that have one meaning that will do, the texts that mean it, and the reason."""
_SECRETS: Final = (
    "password",
    "secret",
    "passphrase",
    "private.key",
    "key.pem",
    "token",
    "jaas",
    "sasl.oauthbearer.config",
)
MASK: Final = "********"
_NOBODYS: Final = "runline.no.such.property"
"""Lets the client library give up before it makes a client."""


def merged(base: Mapping[str, Property], brokers: str, given: Mapping[str, str]) -> dict[str, Property]:
    """Return a client's properties: ours, then the user's, without those that are for the other kind of client."""
    foreign = (_CONSUMER_ONLY if "acks" in base else _PRODUCER_ONLY) - base.keys() - _COMMON.keys()
    if "acks" not in base and "auto.offset.reset" not in base:
        foreign = (_CONSUMER_ONLY | _PRODUCER_ONLY) - _COMMON.keys()
    ours = {*_OURS, *_FIXED, *foreign}
    passed = {name: value for name, value in given.items() if name not in ours}
    return {**base, **passed, "bootstrap.servers": brokers}


def check_properties(given: Mapping[str, str]) -> None:
    """Refuse the user's properties that we cannot pass through: another value would break a promise.

    Raises:
        LogError: There are some; the text names each with the reason.
    """
    refused = {name: reason for name in sorted(given) if (reason := _refusal(name, given[name]))}
    if refused:
        found = "; ".join(f"{name if _is_text(name) else repr(name)} ({reason})" for name, reason in refused.items())
        raise LogError(
            f"expected only properties that the log does not set itself, but found {found}.", hint="Leave them out."
        )


def _refusal(name: str, value: str) -> str:
    """Return why a property is not passed through, or an empty text."""
    if not _is_text(name) or not _is_text(value):
        return _NO_TEXT
    if name in _FIXED:
        texts, reason = _FIXED[name]
        return "" if str(value).lower() in texts else f"other than {texts[0]}: {reason}"
    return _OURS.get(name, _CALLED if name.endswith(_CALLBACK) else "")


def masked(given: Mapping[str, str]) -> dict[str, str]:
    """Return properties to show, without what is secret or, as its name is none that the client knows, may be."""
    return {name: MASK if is_secret(name) or not _is_known(name) else value for name, value in given.items()}


def is_secret(name: str) -> bool:
    """Return whether a property's value must not be shown."""
    return any(part in name.lower() for part in _SECRETS)


def _is_known(name: str) -> bool:
    """Ask the client library, which looks at one property after the other, whether it has one of this name."""
    if not _is_text(name):
        return False
    try:
        Producer({name: "", _NOBODYS: ""})
    except KafkaException as exception:
        return bool(exception.args[0].str() != f'No such configuration property: "{name}"')
    except (AttributeError, TypeError, ValueError):
        # A function.
        return False
    return True


def _is_text(value: str) -> bool:
    """Return whether the client library, which dies of what it cannot encode, can take this."""
    try:
        return b"\0" not in str(value).encode()
    except UnicodeEncodeError:
        return False
