"""A producer that knows nothing of the engine: it puts any bytes on any partition of a log's topics."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, Message, Producer

from engine.log.kafka import KafkaLocation
from engine.log.port import LogRecord, Record

_SECONDS = 20
_BYTES_MAX = 900_000_000


class Foreign:
    """Puts records on the topics of a log, past everything that the engine's own clients refuse.

    Args:
        location: The log.
        compression: `none`, `gzip`, `lz4` or `zstd`.
    """

    def __init__(self, location: KafkaLocation, compression: str = "none") -> None:
        self._location = location
        self._producer = Producer(
            {
                "bootstrap.servers": location.brokers,
                "compression.type": compression,
                "message.max.bytes": _BYTES_MAX,
                "queue.buffering.max.kbytes": 2_000_000,
                "linger.ms": 5_000,
                "queue.buffering.max.messages": 1_000_000,
                "batch.size": _BYTES_MAX,
                "batch.num.messages": 1_000_000,
            }
        )
        self._offsets: list[int] = []
        self._errors: list[KafkaError] = []

    def put(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: str | bytes | None = None,
        headers: Mapping[str, str | bytes] | None = None,
        partition: int = 0,
    ) -> int:
        """Put one record there, wait until it is, and return its offset."""
        return self.put_all(topic, [value], key=key, headers=headers, partition=partition)[0]

    def put_all(
        self,
        topic: str,
        values: list[bytes | None],
        *,
        key: str | bytes | None = None,
        headers: Mapping[str, str | bytes] | None = None,
        partition: int = 0,
    ) -> list[int]:
        """Put records there, together where they fit one batch, and return their offsets."""
        self._offsets.clear()
        for value in values:
            self._producer.produce(
                self._location.topic(topic),
                value,
                key,
                partition,
                on_delivery=self._delivered,
                headers=list((headers or {}).items()),
            )
        assert self._producer.flush(_SECONDS) == 0, "the broker did not answer"
        assert not self._errors, self._errors
        return list(self._offsets)

    def copy(self, topic: str, record: Record | LogRecord, partition: int = 0) -> int:
        """Put a record there as our own clients would."""
        return self.put(topic, record.value, key=record.key, headers=record.headers, partition=partition)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._errors.append(error)
        else:
            offset = message.offset()
            assert offset is not None
            self._offsets.append(offset)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.flush(1)
