"""Whether a partition still is what a service has followed; where it is not, the service goes on no further."""

from collections.abc import Collection

from consumers.host.errors import PartitionStoppedError, StopReason
from consumers.host.partial import PartialView
from consumers.host.progress import Seen, seen
from consumers.host.refold import fold_before
from engine.errors import LogDamagedError
from engine.limits import FOLLOW_PARKED_MAX
from engine.log.port import EVENTS, Log, LogRecord


async def check_topic(log: Log, topic_id: str) -> None:
    """Make sure that a log is the one that a group has followed.

    Args:
        log: The log.
        topic_id: The identity of the topic that was followed.

    Raises:
        PartitionStoppedError: It is another one.
        LogError: The log cannot be read now.
    """
    found = await log.topic_id(EVENTS)
    if found != topic_id:
        raise PartitionStoppedError(
            StopReason.TOPIC_RECREATED,
            f"expected the topic {EVENTS} with the identity {topic_id}, which was followed, but found {found}: it was "
            "made again, or the progress is that of another log.",
            hint="Name the log that was followed with --data, or begin anew with --reset.",
        )


async def check_standing(log: Log, partition: int, topic_id: str, offset: int, last: Seen | None) -> None:
    """Make sure that a partition is the one that a service has followed.

    Args:
        log: The log.
        partition: The partition of `events`.
        topic_id: The identity of the topic that was followed.
        offset: From where on it is followed now.
        last: The last record that the service read, or None before any.

    Raises:
        PartitionStoppedError: It is another one, or its records are gone.
        LogError: The log cannot be read now.
    """
    await check_topic(log, topic_id)
    ends = await log.ends(EVENTS, partition)
    if not ends.start <= offset <= ends.end:
        truncated = offset > ends.end
        raise PartitionStoppedError(
            StopReason.LOG_TRUNCATED if truncated else StopReason.PREFIX_LOST,
            f"expected {EVENTS}/{partition} to hold offset {offset}, up to which it was followed, but it holds those "
            f"from {ends.start} to {ends.end}.",
            hint="Begin anew with --reset." if truncated else "Restore the records, or begin anew with --reset.",
        )
    if last is None or last.offset < ends.start:
        return
    records = await log.read(EVENTS, partition, last.offset, 1) if last.offset < ends.end else ()
    if not records or seen(records[0]) != last:
        raise PartitionStoppedError(
            StopReason.HISTORY_DIFFERS,
            f"expected {EVENTS}/{partition} to hold the record at offset {last.offset} that was read, but "
            f"{'another one stands there' if records else 'it ends before that'}: the brokers have lost records.",
            hint="Begin anew with --reset.",
        )


async def fold_standing(log: Log, partition: int, offset: int, workflows: Collection[str]) -> PartialView:
    """Return the fold of everything below an offset.

    Args:
        log: The log.
        partition: The partition of `events`.
        offset: Where the fold ends.
        workflows: Ids of the workflows whose runs are folded; empty for all.

    Raises:
        PartitionStoppedError: The log's beginning is gone and no checkpoint can be used.
        LogError: The log cannot be read now.
    """
    try:
        return await fold_before(log, partition, offset, workflows)
    except LogDamagedError as error:
        if not (await log.ends(EVENTS, partition)).start:
            raise
        raise PartitionStoppedError(StopReason.PREFIX_LOST, error.args[0], hint=error.hint) from error


def check_known(partition: int, view: PartialView, record: LogRecord, why: str) -> None:
    """Make sure that a record which cannot be read is none of a newer version.

    Raises:
        PartitionStoppedError: It is.
    """
    if view.is_from_future(record.key):
        raise PartitionStoppedError(
            StopReason.EVENT_FROM_FUTURE,
            f"expected events that this version knows in {EVENTS}/{partition}, but found {why}.",
            hint="Use the version of Runline that wrote it, or a newer one.",
        )


def too_many_parked(name: str) -> PartitionStoppedError:
    """Return the error of a service that can deal with next to nothing in a partition."""
    return PartitionStoppedError(
        StopReason.TOO_MANY_PARKED,
        f"expected at most {FOLLOW_PARKED_MAX} parked changes of {name}.",
        hint="Mend the service, begin it again, and ask for `runline parked retry`.",
    )
