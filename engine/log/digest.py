"""The digest of a record: what tells it from any other that might stand in its place."""

from hashlib import sha256

from engine.log.port import LogRecord


def digest(record: LogRecord) -> str:
    """Return SHA-256 over a record's offset, timestamp, key, id and value, in hex."""
    known = "\n".join((str(record.offset), str(record.timestamp), record.key, record.headers.get("ce_id", "")))
    return sha256(known.encode() + b"\n" + record.value).hexdigest()
