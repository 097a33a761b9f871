"""A place in the log: topic, partition and offset, checked the same way by every adapter."""

from typing import Final

from engine.errors import LogError
from engine.limits import PARTITIONS_MAX, RECORD_BYTES_MAX
from engine.log.errors import OffsetOutOfRangeError, PlaceUnknownError, RecordTooLargeError
from engine.log.port import COMMANDS, EVENTS, TOPICS, Ends, Record

PARTITIONED: Final = frozenset((COMMANDS, EVENTS))
"""The topics with as many partitions as the log; the others have one."""


def partitions_of(topic: str, partitions: int) -> int:
    """Return how many partitions a topic has in a log with this number of partitions."""
    return partitions if topic in PARTITIONED else 1


def places(partitions: int) -> list[tuple[str, int]]:
    """Return every topic and partition of a log with this number of partitions, in the order of `TOPICS`."""
    return [(topic, partition) for topic in TOPICS for partition in range(partitions_of(topic, partitions))]


def check_partitions(partitions: int) -> None:
    """Refuse a number of partitions that no log can have.

    Raises:
        LogError: It is not between 1 and `PARTITIONS_MAX`.
    """
    if not 1 <= partitions <= PARTITIONS_MAX:
        raise LogError(f"expected between 1 and {PARTITIONS_MAX} partitions, but found {partitions}.")


def place_unknown(topic: str, partition: int, partitions: int) -> PlaceUnknownError:
    """Return the error for a topic or partition that a log with this number of partitions does not have."""
    if topic not in TOPICS:
        return PlaceUnknownError(f"expected one of the topics {', '.join(TOPICS)}, but found {topic!r}.")
    last = partitions_of(topic, partitions) - 1
    return PlaceUnknownError(f"expected a partition of topic {topic} between 0 and {last}, but found {partition}.")


def check_offset(topic: str, partition: int, offset: int, ends: Ends) -> None:
    """Refuse to read from an offset that the partition does not hold and will not hold next.

    Raises:
        OffsetOutOfRangeError: It is before the start or behind the end.
    """
    if not ends.start <= offset <= ends.end:
        raise OffsetOutOfRangeError(
            f"expected an offset of topic {topic}, partition {partition}, between {ends.start} and {ends.end}, "
            f"but found {offset}."
        )


def record_bytes(record: Record) -> int:
    """Return the bytes of a record: key, headers and value.

    Raises:
        LogError: The key or a header is no valid text.
    """
    try:
        texts = len(record.key.encode())
        for name, text in record.headers.items():
            texts += len(name.encode()) + len(text.encode())
    except UnicodeEncodeError as error:
        raise LogError(f"expected the record's key and headers to be valid Unicode text, but {error}.") from error
    return texts + len(record.value)


def check_record(topic: str, record: Record) -> None:
    """Refuse a record that is too large.

    Raises:
        RecordTooLargeError: It has more than `RECORD_BYTES_MAX` bytes.
        LogError: The key or a header is no valid text.
    """
    size = record_bytes(record)
    if size > RECORD_BYTES_MAX:
        raise RecordTooLargeError(
            f"expected a record of at most {RECORD_BYTES_MAX} bytes (key, headers and value) for topic {topic}, "
            f"but the one with key {record.key[:80]!r} has {size}."
        )
