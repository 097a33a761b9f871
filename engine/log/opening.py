"""Opening the log that a location names: a directory of this machine, or brokers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, TypeGuard

from engine.log.embedded import EmbeddedLog
from engine.log.embedded.failures import name_problem
from engine.log.port import Log

KAFKA: Final = "kafka:"
"""Begins the location of a log on Kafka."""
_EXPECTED: Final = "expected a directory or kafka://HOST:PORT,.../PREFIX"


def is_kafka(location: str | Path) -> TypeGuard[str]:
    """Return whether a location names a log on Kafka, well or badly."""
    return isinstance(location, str) and location.startswith(KAFKA)


def location_problem(location: str | Path) -> str:
    """Return what was expected of a location and what was found, or an empty text where there can be a log.

    Whether a location on Kafka is written well is said when it is taken apart.
    """
    if is_kafka(location):
        return ""
    if not str(location):
        return f"{_EXPECTED}, but found an empty text"
    scheme, mark, _ = str(location).partition("://")
    # Whoever does mean a directory of such a name can write it as a path: ./NAME.
    if mark and "/" not in scheme:
        return f"{_EXPECTED}, but found {str(location)!r:.80}"
    return name_problem(Path(location))


async def open_log(
    location: str | Path, durability: Literal["fsync", "process"], kafka_properties: Mapping[str, str]
) -> Log:
    """Open the log at a location for writing.

    Args:
        location: A directory, or `kafka://HOST:PORT,.../PREFIX`.
        durability: Of an embedded log.
        kafka_properties: Properties of librdkafka for all Kafka clients.

    Raises:
        LogLockedError: Another process has the directory open.
        TopicsError: The topics are missing or not as they must be.
        LogError: The log cannot be opened.
    """
    if is_kafka(location):
        # Only here: whoever has no brokers need not wait for their client to load.
        from engine.log.kafka import KafkaLog, parse_location  # noqa: PLC0415

        return await KafkaLog.open(parse_location(location), kafka_properties)
    return await EmbeddedLog.open(location, durability=durability)
