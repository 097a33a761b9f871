"""Opening an embedded log: finding it, checking it against what it promised, and refusing what is not whole."""

import logging
import secrets
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from engine.errors import LogError
from engine.log.embedded.acknowledged import FILE, Acknowledged, Promises, read_promises
from engine.log.embedded.failures import damaged, from_store, from_system, name_problem
from engine.log.embedded.layout import FORMAT, KEYS, META, META_KEY, RECORDS
from engine.log.embedded.lock import DirectoryLock
from engine.log.embedded.partition import Partition
from engine.log.embedded.records import StoredRecords
from engine.log.place import PARTITIONED, check_partitions, places
from engine.store.errors import StoreError
from engine.store.port import Store
from engine.store.private import make_private
from engine.store.rocks import RocksStore
from engine.store.write_ahead import WRITE_AHEAD, write_ahead_logs

STORE: Final = "store"
"""The folder of the store inside the log's directory."""
FAMILIES: Final = (META, RECORDS, KEYS)
_logger: Final = logging.getLogger("runline.log")


class Opened(NamedTuple):
    """A log that is whole and open for writing."""

    log_id: bytes
    lock: DirectoryLock
    store: RocksStore
    records: StoredRecords
    acknowledged: Acknowledged
    partitions: list[Partition]


def open_log(directory: Path, partitions: int) -> Opened:
    """Open a log for writing; make it where there is none.

    Args:
        directory: Its directory.
        partitions: The number of partitions of `commands` and of `events`.

    Raises:
        LogLockedError: It is open for writing already.
        LogDamagedError: It is not what was written; nothing was changed.
        LogError: It has another number of partitions or a newer format, no log can be in a directory of this name, or
            the operating system refuses.
    """
    check_partitions(partitions)
    if problem := name_problem(directory):
        raise LogError(f"{problem}.")
    try:
        make_private(directory)
    except OSError as error:
        raise from_system(error, directory) from error
    lock = DirectoryLock(directory)
    try:
        promises = read_promises(directory)
        if promises is None:
            log_id, store, ends = _created(directory, partitions)
        else:
            log_id, store, ends = _found(directory, partitions, promises)
        try:
            acknowledged = Acknowledged(directory, log_id, ends)
        except LogError:
            store.close()
            raise
    except StoreError as error:
        lock.release()
        raise from_store(error, directory) from error
    except BaseException:
        lock.release()
        raise
    opened = Opened(log_id, lock, store, StoredRecords(store, directory), acknowledged, partitions_of_log(partitions))
    for partition, end in zip(opened.partitions, ends, strict=True):
        partition.end = partition.following = end
    return opened


def partitions_of_log(partitions: int) -> list[Partition]:
    """Return all partitions of a log, in its order."""
    return [Partition(topic, number, index) for index, (topic, number) in enumerate(places(partitions))]


def partitions_promised(promises: Promises) -> int:
    """Return the number of partitions of `commands` and of `events` of the log that made these promises."""
    single, partitioned = len(places(1)) - len(PARTITIONED), len(PARTITIONED)
    return (len(promises.ends) - single) // partitioned


def check_identity(store: Store, directory: Path, promises: Promises) -> None:
    """Refuse a store that is not the one of the promises.

    Raises:
        LogDamagedError: It is another log's, or says nothing about itself.
        LogError: It has a newer format.
    """
    stored = store.get(META, META_KEY)
    if stored is None:
        raise damaged(directory, "expected its format and id in the store, but found nothing.")
    try:
        found = orjson.loads(stored)
        version, log_id, partitions = found["format"], bytes.fromhex(found["id"]), found["partitions"]
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(directory, f"what the store says about itself cannot be read: {error!r}.") from error
    if version != FORMAT:
        raise LogError(
            f"expected the log {directory} in format {FORMAT}, but it has format {version}.",
            hint="Use the version of runline that wrote it, or a newer one.",
        )
    if log_id != promises.log_id or len(places(partitions)) != len(promises.ends):
        raise damaged(directory, f"the store belongs to log {log_id.hex()}, but {FILE} to {promises.log_id.hex()}.")


def _created(directory: Path, partitions: int) -> tuple[bytes, RocksStore, list[int]]:
    """Make a log; one whose making was cut short counts as none."""
    folder = directory / STORE
    if list(folder.glob("*.sst")) and not (folder / "CURRENT").exists():
        raise damaged(directory, f"there are records, but the files {FILE} and {STORE}/CURRENT are missing.")
    log_id = secrets.token_bytes(16)
    about = {"format": FORMAT, "partitions": partitions, "id": log_id.hex()}
    store = RocksStore.open(folder, FAMILIES)
    try:
        _check_empty(store, directory)
        batch = store.batch()
        batch.put(META, META_KEY, orjson.dumps(about))
        store.write(batch)
        store.flush()
    except BaseException:
        store.close()
        raise
    return log_id, store, [0] * len(places(partitions))


def _check_empty(store: Store, directory: Path) -> None:
    if store.scan(RECORDS, b"", None, limit=1):
        raise damaged(directory, f"there are records, but the file {FILE} is missing.")


def _found(directory: Path, partitions: int, promises: Promises) -> tuple[bytes, RocksStore, list[int]]:
    """Open a log that is there, after looking at it without touching it: recovery drops what it cannot read."""
    found = partitions_promised(promises)
    if found != partitions:
        raise LogError(
            f"expected the log {directory} to have {partitions} partitions, but it has {found}.",
            hint="The number of partitions is fixed when a log is made: open it with that number.",
        )
    folder = directory / STORE
    lost_tail = not promises.same_boot
    unflushed = sum(file.stat().st_size for file in folder.glob(WRITE_AHEAD))
    store = RocksStore.inspect(folder, FAMILIES, lost_tail=lost_tail)
    try:
        check_identity(store, directory, promises)
        ends = _checked_ends(directory, store, promises, unflushed)
    finally:
        store.close()
    return promises.log_id, RocksStore.open(folder, FAMILIES, create=False, lost_tail=lost_tail), ends


def _checked_ends(directory: Path, store: Store, promises: Promises, unflushed: int) -> list[int]:
    """Return where the partitions end, after a look at everything that recovery could have lost.

    Args:
        directory: The log's directory.
        store: Its store.
        promises: Where its partitions must at least end.
        unflushed: Bytes of write-ahead log, which is where something may be missing in between.
    """
    records = StoredRecords(store, directory)
    partitions = partitions_of_log(partitions_promised(promises))
    ends = []
    lost = 0
    for partition, promise in zip(partitions, promises.ends, strict=True):
        end = records.end(partition)
        promised = promise.written if promises.same_boot else promise.synced
        if end < promised:
            # Whatever tables lack, RocksDB itself notices.
            raise records.damaged(
                partition,
                f"expected records up to offset {promised - 1}, found {_last(end)}; "
                f"the last ones stand in {write_ahead_logs(directory / STORE)}.",
            )
        lost += max(0, promise.written - end)
        records.check_tail(partition, end, unflushed)
        ends.append(end)
    if lost:
        _logger.warning(
            "log %s: %d records that were written but not made durable are lost: the machine was restarted, and the "
            "log was written with durability 'process'",
            directory,
            lost,
        )
    return ends


def _last(end: int) -> str:
    return f"them up to offset {end - 1}" if end else "none"
