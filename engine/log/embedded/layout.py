"""How records stand in the store: keys in the order of the log, values that carry their own checksum.

```
records:  topic u8, partition u32, offset u64                 -> crc u32, timestamp i64, key bytes u32,
                                                                 headers bytes u32, key, headers, value
keys:     topic u8, partition u32, key bytes u32, key, offset u64  -> nothing
default:  "log"                                               -> JSON: format, partitions, id
```

Numbers are big-endian, so that the order of bytes is the order of the log. Headers are JSON. The
checksum covers the record's place as well as its bytes, so that a record in the wrong place is found too.
"""

import struct
import zlib
from typing import Final

import orjson

from engine.errors import LogDamagedError
from engine.log.port import TOPICS, LogRecord

RECORDS: Final = "records"
KEYS: Final = "keys"
META: Final = "default"
META_KEY: Final = b"log"
FORMAT: Final = 1
"""The version of this layout."""

_TOPIC_BYTES: Final = {topic: bytes((number,)) for number, topic in enumerate(TOPICS)}
_OFFSET: Final = struct.Struct(">Q")
_HEAD: Final = struct.Struct(">qII")
_CHECKSUM: Final = struct.Struct(">I")
_BODY: Final = _CHECKSUM.size
_TEXTS: Final = _BODY + _HEAD.size


def topic_identity(log_id: bytes, topic: str) -> str:
    """Return a topic's identity: all topics of a log are made with it and go with it."""
    return f"{log_id.hex()}.{topic}"


def place_key(topic: str, partition: int) -> bytes:
    """Return the prefix of a partition's keys in `records`."""
    return _TOPIC_BYTES[topic] + partition.to_bytes(4, "big")


def record_key(place: bytes, offset: int) -> bytes:
    """Return a record's key in `records`."""
    return place + _OFFSET.pack(offset)


def index_prefix(place: bytes, key: bytes) -> bytes:
    """Return the prefix of a key's rows in `keys`; its length stands first, so no key is a prefix of another."""
    return place + len(key).to_bytes(4, "big") + key


def offset_of(stored_key: bytes) -> int:
    """Return the offset at the end of a key of `records` or `keys`."""
    offset: int = _OFFSET.unpack_from(stored_key, len(stored_key) - _OFFSET.size)[0]
    return offset


def encode(stored_key: bytes, timestamp: int, key: bytes, headers: bytes, value: bytes) -> bytes:
    """Return the stored form of a record whose key in `records` is `stored_key`."""
    body = _HEAD.pack(timestamp, len(key), len(headers)) + key + headers + value
    return _CHECKSUM.pack(zlib.crc32(body, zlib.crc32(stored_key))) + body


def decode(stored_key: bytes, stored: bytes, offset: int) -> LogRecord:
    """Return the record.

    Args:
        stored_key: Its key in `records`.
        stored: What `encode` made.
        offset: The offset that is expected here.

    Raises:
        LogDamagedError: It is another record, or not what was written.
    """
    if offset_of(stored_key) != offset:
        raise LogDamagedError(f"expected offset {offset}, but found {offset_of(stored_key)}.")
    body = memoryview(stored)[_BODY:]
    if len(stored) < _TEXTS or zlib.crc32(body, zlib.crc32(stored_key)) != _CHECKSUM.unpack_from(stored)[0]:
        raise LogDamagedError(f"expected the record at offset {offset} as written, but its checksum does not match.")
    timestamp, key_bytes, header_bytes = _HEAD.unpack_from(stored, _BODY)
    headers_at = _TEXTS + key_bytes
    value_at = headers_at + header_bytes
    headers: dict[str, str] = orjson.loads(stored[headers_at:value_at])
    return LogRecord(offset, timestamp, stored[_TEXTS:headers_at].decode(), stored[value_at:], headers)
