"""The store on RocksDB. The only module that imports rocksdict.

rocksdict's `items`, `keys` and `values` end quietly at a damaged block; only an iterator's `status` raises. So
iterators are the only way to scan here, and none outlives its call: they pin files and memory, and an object that is
still alive keeps the directory locked.
"""

import math
import os
import shutil
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    Checkpoint,
    ColumnFamily,
    DbClosedError,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
)

from engine.errors import ClosedError
from engine.limits import STORE_CACHE_BYTES, STORE_FILES_OPEN_MAX, STORE_MEMORY_BYTES, STORE_WAL_BYTES
from engine.store.errors import StoreDamagedError, StoreError, StoreFullError, StoreLockedError
from engine.store.manifest import check_manifest
from engine.store.port import Batch, Row
from engine.store.private import make_private
from engine.store.scratch import make_scratch
from engine.store.write_ahead import with_file

Mode = Literal["writing", "following", "inspecting"]
"""What a store is opened for: writing; reading beside the writer; reading it as it stands, without a change."""
_APPENDED: Final = "MANIFEST-"
_LOGS: Final = ".log"
"""Begins, and ends, the names of the files that a writer appends to."""
_Written = Mapping[str, int]
"""The bytes of the files that a writer appends to, by name."""
_CATCH_UPS_MAX: Final = 100
"""How often who reads beside a writer looks again because files were replaced meanwhile; twice is rare."""
_DEFAULT: Final = "default"
"""The family that every RocksDB database has."""
_BLOCK_BYTES: Final = 16 * 1024
_BLOOM_BITS: Final = 10
_LOG_FILES: Final = 4
_LOG_FILE_BYTES: Final = 1024 * 1024
_LOCKED: Final = ("lock hold by current process", "Resource temporarily unavailable", "No locks available")
_LIBRARYS_OWN: Final = "rocksdict-config.json"
"""The file in which rocksdict keeps how a store was opened; it writes it anew whenever one is opened."""
_FULL: Final = ("No space left on device", "File too large", "Disk quota exceeded", "SpaceLimit")
_REFUSED: Final = ("Permission denied", "Read-only file system", "Operation not permitted", "Too many open files")
_CORRUPT: Final = "Corruption"
_DAMAGED: Final = (_CORRUPT, "No such file or directory", "does not exist", "Invalid argument", "Not implemented")

_shared_cache: Final[list[Cache]] = []
_shared_cache_lock: Final = threading.Lock()


class RocksBatch:
    """Puts and deletes for one `RocksStore.write`."""

    def __init__(self, families: dict[str, ColumnFamily]) -> None:
        self._families = families
        self.operations = WriteBatch(raw_mode=True)

    def put(self, family: str, key: bytes, value: bytes) -> None:
        """Set the value of a key."""
        self.operations.put(key, value, self._families[family])

    def delete(self, family: str, key: bytes) -> None:
        """Remove a key; it need not be there."""
        self.operations.delete(key, self._families[family])


class RocksStore:
    """A store in one directory, written by one process.

    Use `open` or `open_reading`.
    """

    def __init__(
        self, directory: Path, families: Sequence[str], *, mode: Mode, lost_tail: bool = False, together: bool = False
    ) -> None:
        self._directory = directory
        self._wanted = tuple(families)
        self._mode = mode
        self._lost_tail = lost_tail
        self._together = together
        self._scratch: Path | None = None
        self._linked = False
        self._seen: _Written = {}
        self._database: Rdict | None = None
        self._families: dict[str, Rdict] = {}
        self._handles: dict[str, ColumnFamily] = {}

    @classmethod
    def open(
        cls,
        directory: Path,
        families: Sequence[str],
        *,
        create: bool = True,
        lost_tail: bool = False,
        together: bool = False,
    ) -> "RocksStore":
        """Open a store for reading and writing.

        Args:
            directory: Where it is or will be.
            families: The families that are used; missing ones are made.
            create: Whether to make the store where there is none; otherwise a missing one counts as damaged.
            lost_tail: Whether to go back silently to the last moment that is whole, as after power loss; otherwise
                only a write that was cut short at the very end is dropped, and anything else is damage.
            together: Whether all families go from memory into tables together. Then a write-ahead log that is missing,
                or ends early, takes the store back to a moment that was; otherwise one family may be ahead of others.

        Raises:
            StoreLockedError: It is open for writing already.
            StoreDamagedError: Its files are not what was written.
            StoreError: The operating system refuses.
        """
        store = cls(directory, families, mode="writing", lost_tail=lost_tail, together=together)
        if create:
            try:
                make_private(directory)
            except OSError as error:
                raise _translated(error, directory) from error
        store._connect(create=create)
        return store

    @classmethod
    def open_reading(cls, directory: Path, families: Sequence[str]) -> "RocksStore":
        """Open a store for reading beside the process that writes it; `refresh` shows what it wrote since.

        Raises:
            StoreDamagedError: There is no store, or its files are not what was written.
            StoreError: The operating system refuses.
        """
        store = cls(directory, families, mode="following")
        store._connect(create=False)
        return store

    @classmethod
    def inspect(cls, directory: Path, families: Sequence[str], *, lost_tail: bool = False) -> "RocksStore":
        """Open a store as it is now, for reading, and change nothing of its contents, not even to recover.

        Raises:
            StoreDamagedError: There is no store, or its files are not what was written.
            StoreError: The operating system refuses.
        """
        store = cls(directory, families, mode="inspecting", lost_tail=lost_tail)
        store._connect(create=False)
        return store

    @property
    def directory(self) -> Path:
        """Where the store is."""
        return self._directory

    def get(self, family: str, key: bytes) -> bytes | None:
        """Return the value of a key, or None."""
        try:
            value: bytes | None = self._families[family].get(key)
        except Exception as error:
            raise self._failure(error) from error
        return value

    def scan(
        self,
        family: str,
        start: bytes,
        end: bytes | None,
        *,
        limit: int,
        bytes_max: int | None = None,
        reverse: bool = False,
    ) -> list[Row]:
        """Return rows with start <= key < end in order of their keys, all of them checked against damage."""
        options = ReadOptions()
        if end is not None:
            options.set_iterate_upper_bound(end)
        room: float = math.inf if bytes_max is None else bytes_max
        rows: list[Row] = []
        try:
            iterator = self._families[family].iter(options)
            try:
                if reverse:
                    iterator.seek_to_last()
                else:
                    iterator.seek(start)
                while len(rows) < limit and room > 0 and iterator.valid():
                    key, value = iterator.key(), iterator.value()
                    # rocksdict 0.3.29 takes a lower bound and does not keep to it.
                    if key < start:
                        break
                    rows.append((key, value))
                    room -= len(value)
                    if reverse:
                        iterator.prev()
                    else:
                        iterator.next()
                iterator.status()
            finally:
                # A traceback keeps this frame, and with it the iterator, which would keep the directory locked.
                del iterator
        except Exception as error:
            raise self._failure(error) from error
        return rows

    def batch(self) -> RocksBatch:
        """Return an empty batch."""
        return RocksBatch(self._handles)

    def write(self, batch: Batch) -> None:
        """Apply a batch, all of it or nothing; it survives the death of the process, and after `flush` power loss."""
        assert isinstance(batch, RocksBatch), "a batch belongs to the store that made it"
        try:
            self._opened().write(batch.operations)
        except Exception as error:
            raise self._failure(error) from error

    def flush(self) -> None:
        """Make everything written so far survive power loss."""
        try:
            self._opened().flush_wal(True)
        except Exception as error:
            raise self._failure(error) from error

    def refresh(self) -> None:
        """See what the writer wrote since, in a store opened for reading beside it; nothing to do in others."""
        # What lies where nobody writes stays as it is.
        if self._mode == "following" and not self._linked:
            database = self._opened()
            # Looked at first, so that what is written meanwhile is seen the next time.
            written = _written(self._directory)
            if not written or written != self._seen:
                self._catch_up(database, written)

    def _catch_up(self, database: Rdict, written: _Written) -> None:
        """Take over what the writer's files have, none of which was replaced meanwhile.

        RocksDB reads the list of tables first, and the write-ahead logs then. Where the writer puts a log's rows into
        a table in between and removes the log, they are in neither.
        """
        for _ in range(_CATCH_UPS_MAX):
            before = written
            try:
                database.try_catch_up_with_primary()
            except Exception as error:
                raise self._failure(error, reads_logs=True) from error
            written = _written(self._directory)
            if _has_all(before, written):
                self._seen = before
                return
        raise StoreError(f"the store {self._directory} cannot be read: its writer replaces its files all the time.")

    def checkpoint(self, directory: Path) -> None:
        """Put a copy of the store as it is now into a new directory; files are shared where the disk allows it."""
        try:
            Checkpoint(self._opened()).create_checkpoint(str(directory))
        except Exception as error:
            raise self._failure(error) from error

    def reopen(self) -> None:
        """Close and open again, which is how RocksDB gets over a failed write.

        Raises:
            StoreError: It cannot be opened now; this may be tried again.
        """
        with suppress(StoreError):
            self.close()
        self._connect(create=False)

    def close(self) -> None:
        """Make everything written survive power loss, and let go of the directory. Closing twice is allowed."""
        database, self._database = self._database, None
        families, self._families = self._families, {}
        self._handles.clear()
        failure: StoreError | None = None
        if database is not None:
            closings = [*(family.close for family in families.values()), database.close]
            if self._mode == "writing":
                closings.insert(0, lambda: database.flush_wal(True))
            for closing in closings:
                try:
                    closing()
                except Exception as error:  # noqa: BLE001 rocksdict raises plain Exception; the rest must be closed
                    failure = failure or _translated(error, self._directory)
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None
        if failure is not None:
            raise failure

    def _connect(self, *, create: bool) -> None:
        options = _database_options(create=create, mode=self._mode, lost_tail=self._lost_tail)
        options.set_atomic_flush(self._together)
        try:
            exists = (self._directory / "CURRENT").exists()
            check_manifest(self._directory)
            path = str(self._place())
            there = set(Rdict.list_cf(path, options) if exists else ())
            self._require_kin(there)
            names = {_DEFAULT, *self._wanted, *there}
            self._database = Rdict(
                path,
                options,
                column_families={name: _family_options() for name in sorted(names)},
                access_type=self._access(),
            )
            for name in self._wanted:
                self._families[name] = self._database.get_column_family(name)
                self._handles[name] = self._database.get_column_family_handle(name)
        except StoreError:
            with suppress(StoreError):
                self.close()
            raise
        except Exception as error:
            with suppress(StoreError):
                self.close()
            raise _translated(error, self._directory, reads_logs=True) from error
        self._seen = {}
        try:
            self.refresh()
        except StoreError:
            with suppress(StoreError):
                self.close()
            raise

    def _require_kin(self, there: set[str]) -> None:
        """Refuse a store of another kind before families are made in it; one of an earlier version lacks some only."""
        if there - {_DEFAULT} and self._wanted and there.isdisjoint(self._wanted):
            raise StoreError(
                f"expected a store with {', '.join(self._wanted)} in {self._directory}, but found one with "
                f"{', '.join(sorted(there - {_DEFAULT}))}: it holds something else.",
                hint="Name another directory; nothing was changed.",
            )

    def _access(self) -> AccessType:
        if self._mode == "writing":
            return AccessType.read_write()
        if self._mode == "inspecting":
            return AccessType.read_only(False)
        return AccessType.secondary(str(self._own_place() / "notes"))

    def _place(self) -> Path:
        """Return where the library is to look: it writes a file of its own beside those of RocksDB, even to read them.

        Where it cannot, in a copy on a read-only disk, it finds links to them.
        """
        if self._mode == "writing" or os.access(self._directory, os.W_OK):
            return self._directory
        links = self._own_place() / "links"
        links.mkdir()
        for file in self._directory.iterdir():
            if file.name == _LIBRARYS_OWN:
                shutil.copyfile(file, links / file.name)
            else:
                (links / file.name).symlink_to(file.absolute())
        self._linked = True
        return links

    def _own_place(self) -> Path:
        if self._scratch is None:
            self._scratch = make_scratch()
        return self._scratch

    def _opened(self) -> Rdict:
        if self._database is None:
            raise ClosedError(f"the store {self._directory} was closed.")
        return self._database

    def _failure(self, error: Exception, *, reads_logs: bool = False) -> Exception:
        if isinstance(error, ClosedError | DbClosedError) or self._database is None:
            return ClosedError(f"the store {self._directory} was closed.")
        return _translated(error, self._directory, reads_logs=reads_logs)


def _has_all(before: _Written, after: _Written) -> bool:
    """Return whether all that was in these files before can still be found there."""
    return bool(before) and before.keys() <= after.keys() and _tables(before) == _tables(after)


def _tables(written: _Written) -> _Written:
    """Return how far the lists of tables have come."""
    return {name: size for name, size in written.items() if name.startswith(_APPENDED)}


def _written(directory: Path) -> _Written:
    """Return how far the files have come that a writer appends to: catching up costs a hundred times as much."""
    try:
        with os.scandir(directory) as entries:
            return {
                entry.name: entry.stat().st_size
                for entry in entries
                if entry.name.startswith(_APPENDED) or entry.name.endswith(_LOGS)
            }
    except OSError:
        # Files come and go while the writer works: then there is something to catch up with.
        return {}


def _cache() -> Cache:
    with _shared_cache_lock:
        if not _shared_cache:
            _shared_cache.append(Cache(STORE_CACHE_BYTES))
        return _shared_cache[0]


def _database_options(*, create: bool, mode: Mode, lost_tail: bool) -> Options:
    recovery = DBRecoveryMode.point_in_time() if lost_tail else DBRecoveryMode.tolerate_corrupted_tail_records()
    options = Options(raw_mode=True)
    options.create_if_missing(create)
    options.create_missing_column_families(mode == "writing")
    options.set_wal_recovery_mode(recovery)
    options.set_paranoid_checks(True)
    options.set_max_total_wal_size(STORE_WAL_BYTES)
    options.set_db_write_buffer_size(STORE_MEMORY_BYTES)
    # A reader beside the writer must hold the files that the writer removes.
    options.set_max_open_files(-1 if mode == "following" else STORE_FILES_OPEN_MAX)
    options.set_keep_log_file_num(_LOG_FILES)
    options.set_max_log_file_size(_LOG_FILE_BYTES)
    options.set_stats_dump_period_sec(0)
    options.set_stats_persist_period_sec(0)
    return options


def _family_options() -> Options:
    table = BlockBasedOptions()
    table.set_block_cache(_cache())
    table.set_cache_index_and_filter_blocks(True)
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    table.set_block_size(_BLOCK_BYTES)
    table.set_bloom_filter(_BLOOM_BITS, False)
    options = Options(raw_mode=True)
    options.set_block_based_table_factory(table)
    options.set_write_buffer_size(STORE_MEMORY_BYTES // 2)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_bottommost_compression_type(DBCompressionType.zstd())
    return options


def _translated(error: Exception, directory: Path, *, reads_logs: bool = False) -> StoreError:
    """Return our error for one of RocksDB's or the operating system's, which differ by text alone.

    Args:
        error: What was raised.
        directory: The store's.
        reads_logs: Whether write-ahead logs were read, which RocksDB does not name.
    """
    text = str(error)
    if any(part in text for part in _LOCKED):
        return StoreLockedError(f"expected nobody else to write the store {directory}, but it is open for writing.")
    if any(part in text for part in _FULL):
        return StoreFullError(f"the store {directory} cannot grow: {text}.", hint="Make space, then open it anew.")
    if any(part in text for part in _REFUSED):
        return StoreError(f"the store {directory} cannot be used: {text}.", hint="Check its owner and permissions.")
    if any(part in text for part in _DAMAGED):
        if reads_logs and _CORRUPT in text:
            text = with_file(directory, text)
        return StoreDamagedError(f"the store {directory} is damaged: {text}.")
    return StoreError(f"the store {directory} cannot be used: {text}.")
