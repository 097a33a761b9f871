"""What an error of the Kafka client means for the log."""

from typing import Final

from confluent_kafka import KafkaError, KafkaException

from engine.errors import LogError
from engine.log.errors import (
    LogDeniedError,
    LogUnreachableError,
    OffsetOutOfRangeError,
    PlaceUnknownError,
    RecordTooLargeError,
)

_UNREACHABLE: Final = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001 - the library's public names of local errors
        KafkaError._TRANSPORT,  # noqa: SLF001 - the same
        KafkaError._DESTROY_BROKER,  # noqa: SLF001 - the same
        KafkaError._RESOLVE,  # noqa: SLF001 - the same
        KafkaError._TIMED_OUT,  # noqa: SLF001 - the same
        KafkaError._MSG_TIMED_OUT,  # noqa: SLF001 - the same
        KafkaError._TIMED_OUT_QUEUE,  # noqa: SLF001 - the same
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.REQUEST_TIMED_OUT,
    }
)
_OUT_OF_RANGE: Final = frozenset(
    {
        KafkaError.OFFSET_OUT_OF_RANGE,
        KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001 - what auto.offset.reset=error makes of it
        KafkaError._LOG_TRUNCATION,  # noqa: SLF001 - the log became shorter after an unclean election
    }
)
_UNKNOWN_PLACE: Final = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - the client's own form of it
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001 - the same
    }
)
_REPLACED: Final = "same group.instance.id"
DENIED: Final = frozenset(
    {
        KafkaError._AUTHENTICATION,  # noqa: SLF001 - the library's public names of local errors
        KafkaError._SSL,  # noqa: SLF001 - the same
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)
MOVED: Final = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
    }
)
"""The partition has another leader than this client knows of: one that asks anew finds it."""
UNREADABLE: Final = frozenset(
    {
        KafkaError._BAD_MSG,  # noqa: SLF001 - the library's public names of local errors
        KafkaError._BAD_COMPRESSION,  # noqa: SLF001 - the same
        KafkaError.INVALID_MSG,
        KafkaError.MSG_SIZE_TOO_LARGE,
    }
)
"""The record batch at one offset cannot be unpacked; what follows can be."""


def from_kafka(error: KafkaError, doing: str, heard: str = "", hint: str = "") -> LogError:
    """Return our error for one of the client's.

    Args:
        error: The client's.
        doing: What was tried, to follow "expected to".
        heard: What was heard besides, in sentences, if anything.
        hint: What to look at when no broker answers, where more is known than that.
    """
    text = f"expected to {doing}, but {error.name()}: {error.str()}."
    if heard:
        text += f" {heard}"
    code = error.code()
    if code in _OUT_OF_RANGE:
        return OffsetOutOfRangeError(text)
    if code in _UNKNOWN_PLACE:
        return PlaceUnknownError(text, hint="`runline topics plan` says what is missing.")
    if code == KafkaError.MSG_SIZE_TOO_LARGE:
        return RecordTooLargeError(text, hint="`runline topics plan` compares the topics' limits with ours.")
    if code in _UNREACHABLE:
        return LogUnreachableError(text, hint=hint or "Are the brokers up, and is the address right?")
    if code in DENIED:
        return LogDeniedError(text, hint="Look at the security properties and at the rights of this user.")
    return LogError(text)


def from_exception(error: KafkaException, doing: str, heard: str = "", hint: str = "") -> LogError:
    """Return our error for an exception of the client; the arguments are those of `from_kafka`."""
    cause = error.args[0] if error.args else None
    if isinstance(cause, KafkaError):
        return from_kafka(cause, doing, heard, hint)
    return LogError(f"expected to {doing}, but {error}.")


def is_fatal(error: KafkaError) -> bool:
    """Return whether the client will do nothing any more."""
    return error.fatal() or error.code() == KafkaError._FATAL  # noqa: SLF001 - the library's public name


def is_replaced(exception: Exception) -> bool:
    """Return whether a member is none any more because another process has its `group.instance.id`.

    The client that finds out says so once; afterwards it says no more than that there was a fatal error, in words.
    """
    cause = exception.args[0] if isinstance(exception, KafkaException) and exception.args else None
    return isinstance(cause, KafkaError) and (cause.code() == KafkaError.FENCED_INSTANCE_ID or _REPLACED in cause.str())


def is_moved(exception: KafkaException) -> bool:
    """Return whether another client would find what this one looked for in the wrong place."""
    return _code(exception) in MOVED


def is_unreachable(exception: KafkaException) -> bool:
    """Return whether no broker answered."""
    return _code(exception) in _UNREACHABLE


def is_place_unknown(exception: KafkaException) -> bool:
    """Return whether the client does not know the partition; it may only not have heard of any yet."""
    return _code(exception) in _UNKNOWN_PLACE


def replicas_refused(exception: KafkaException) -> str | None:
    """Return, as a sentence, why the brokers cannot keep so many replicas; None when this is about something else."""
    if _code(exception) != KafkaError.INVALID_REPLICATION_FACTOR:
        return None
    return str(exception.args[0].str()).rstrip(".") + "."


def _code(exception: KafkaException) -> int | None:
    cause = exception.args[0] if exception.args else None
    return cause.code() if isinstance(cause, KafkaError) else None
