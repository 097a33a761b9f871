"""A producer that knows nothing of the engine: it puts any bytes on any partition of a log's topics."""

import ctypes
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import confluent_kafka
from confluent_kafka import KafkaError, Message, Producer

from engine.log.kafka import KafkaLocation
from engine.log.port import LogRecord, Record

_SECONDS = 90
_BYTES_MAX = 900_000_000
_COPY = 2
"""Tells the library to copy the value."""


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

    def put_with_header(self, topic: str, value: bytes, name: bytes) -> None:
        """Put a record with a header whose name is any bytes there, as the client library allows in C."""
        library = ctypes.CDLL(str(_library()))
        for function in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_headers_new"):
            getattr(library, function).restype = ctypes.c_void_p
        settings, problem = ctypes.c_void_p(library.rd_kafka_conf_new()), ctypes.create_string_buffer(512)
        library.rd_kafka_conf_set(settings, b"bootstrap.servers", self._location.brokers.encode(), problem, 512)
        producer = ctypes.c_void_p(library.rd_kafka_new(0, settings, problem, 512))
        headers = ctypes.c_void_p(library.rd_kafka_headers_new(1))
        library.rd_kafka_header_add(headers, name, ctypes.c_ssize_t(len(name)), b"x", ctypes.c_ssize_t(1))
        of_topic, of_partition, of_value, of_flags, of_headers, end = map(ctypes.c_int, (1, 3, 4, 7, 10, 0))
        library.rd_kafka_producev(
            producer,
            *(of_topic, self._location.topic(topic).encode()),
            *(of_partition, ctypes.c_int32(0)),
            *(of_value, value, ctypes.c_size_t(len(value))),
            *(of_flags, ctypes.c_int(_COPY)),
            *(of_headers, headers),
            end,
        )
        assert library.rd_kafka_flush(producer, _SECONDS * 1000) == 0, "the broker did not answer"
        library.rd_kafka_destroy(producer)

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


def _library() -> Path:
    """Return the client library in C that the Python package brings along."""
    package = Path(confluent_kafka.__file__).parent
    places = (package.parent / "confluent_kafka.libs", package / ".dylibs")
    (found,) = (path for place in places for path in place.glob("librdkafka*"))
    return found
