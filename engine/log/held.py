"""What a record takes of the memory of whoever holds it."""

from engine.log.port import LogRecord


def held_bytes(record: LogRecord) -> int:
    """Return about how many bytes a record holds: those of its value, and the characters of its key and headers.

    Programs that know nothing of limits may put as much into the key and the headers as into the value.
    """
    headers = record.headers
    return len(record.value) + len(record.key) + sum(map(len, headers)) + sum(map(len, headers.values()))
