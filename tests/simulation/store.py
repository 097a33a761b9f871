"""Stores that live in memory but outlive their processes, as files do; a loss of power takes what was not flushed."""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Final

import pytest

from engine.errors import ClosedError
from engine.store.errors import StoreDamagedError, StoreError, StoreLockedError
from engine.store.port import Batch, Row
from tests.simulation.loop import Process, SimulatedLoop, current_process

_USERS: Final = ("projections.directory.RocksStore", "consumers.host.local.RocksStore")
_Change = tuple[str, bytes, bytes | None]


class Disk:
    """What one store has on disk.

    Attributes:
        families: The rows.
        holder: The process that writes it, or None.
    """

    def __init__(self) -> None:
        self.families: dict[str, dict[bytes, bytes]] = {}
        self.holder: Process | None = None
        self._ordered: dict[str, list[bytes]] = {}
        self._undo: list[list[_Change]] = []

    def apply(self, changes: Sequence[_Change]) -> None:
        """Apply changes, all of them."""
        undo: list[_Change] = []
        for family, key, value in changes:
            rows = self.families[family]
            undo.append((family, key, rows.get(key)))
            self._set(family, key, value)
        self._undo.append(undo)

    def flush(self) -> None:
        """Let a loss of power take nothing of this."""
        self._undo.clear()

    def lose_power(self, random: Random) -> None:
        """Go back to a moment since the last flush."""
        for _ in range(random.randint(0, len(self._undo))):
            for family, key, value in reversed(self._undo.pop()):
                self._set(family, key, value)

    def ordered(self, family: str) -> list[bytes]:
        """Return the keys in order."""
        keys = self._ordered.get(family)
        if keys is None:
            keys = self._ordered[family] = sorted(self.families[family])
        return keys

    def _set(self, family: str, key: bytes, value: bytes | None) -> None:
        rows = self.families[family]
        if (value is None) == (key in rows):
            self._ordered.pop(family, None)
        if value is None:
            rows.pop(key, None)
        else:
            rows[key] = value


class Disks:
    """All disks of a world.

    Attributes:
        failing: Draws whether a write fails, and how; None for well.
    """

    def __init__(self) -> None:
        self.all: dict[Path, Disk] = {}
        self.failing: Callable[[], type[StoreError] | None] = _well

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the product keep its rows here."""
        for user in _USERS:
            monkeypatch.setattr(user, _Opener(self))


class _Batch:
    def __init__(self) -> None:
        self.changes: list[_Change] = []

    def put(self, family: str, key: bytes, value: bytes) -> None:
        """Set the value of a key."""
        self.changes.append((family, key, value))

    def delete(self, family: str, key: bytes) -> None:
        """Remove a key."""
        self.changes.append((family, key, None))


class SimulatedStore:
    """A store as one process has it open."""

    def __init__(self, disks: Disks, directory: Path, disk: Disk, *, writes: bool) -> None:
        self._disks = disks
        self._directory = directory
        self._disk = disk
        self._writes = writes
        self._open = True

    @property
    def directory(self) -> Path:
        """Where it is."""
        return self._directory

    def get(self, family: str, key: bytes) -> bytes | None:
        """Return the value of a key, or None."""
        self._check_open()
        return self._disk.families[family].get(key)

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
        """Return rows with start <= key < end in order of their keys."""
        self._check_open()
        keys, rows = self._disk.ordered(family), self._disk.families[family]
        found = keys[bisect_left(keys, start) : None if end is None else bisect_left(keys, end)]
        taken: list[Row] = []
        room = bytes_max
        for key in reversed(found) if reverse else found:
            if len(taken) >= limit or (room is not None and room <= 0):
                break
            taken.append((key, rows[key]))
            room = None if room is None else room - len(rows[key])
        return taken

    def batch(self) -> _Batch:
        """Return an empty batch."""
        return _Batch()

    def write(self, batch: Batch) -> None:
        """Apply a batch, all of it or nothing."""
        self._check_open()
        assert isinstance(batch, _Batch), "a batch belongs to the store that made it"
        if (error := self._disks.failing()) is not None:
            raise error(f"a planted failure: the store {self._directory} could not be written.")
        self._disk.apply(batch.changes)

    def flush(self) -> None:
        """Make everything survive a loss of power."""
        self._check_open()
        self._disk.flush()

    def refresh(self) -> None:
        """See what the writer wrote: it is seen at once here."""
        self._check_open()

    def close(self) -> None:
        """Let go of the directory."""
        if self._open and self._writes:
            self._disk.flush()
            self._disk.holder = None
        self._open = False

    def _check_open(self) -> None:
        if not self._open:
            raise ClosedError(f"the store {self._directory} was closed.")


class _Opener:
    """Stands for the class of stores on disk, by the methods that open one."""

    def __init__(self, disks: Disks) -> None:
        self._disks = disks

    def open(
        self,
        directory: Path,
        families: Sequence[str],
        *,
        create: bool = True,
        lost_tail: bool = False,
        together: bool = False,
    ) -> SimulatedStore:
        """Open a store for reading and writing."""
        del lost_tail, together
        disk = self._disks.all.get(directory)
        if disk is None:
            if not create:
                raise StoreDamagedError(f"the store {directory} is damaged: there is none.")
            directory.mkdir(parents=True, exist_ok=True)
            # By this file people tell a store from none.
            (directory / "CURRENT").touch()
            disk = self._disks.all[directory] = Disk()
        if disk.holder is not None and not disk.holder.dead:
            raise StoreLockedError(f"expected nobody else to write the store {directory}.")
        disk.holder = _here()
        for family in families:
            disk.families.setdefault(family, {})
        return SimulatedStore(self._disks, directory, disk, writes=True)

    def open_reading(self, directory: Path, families: Sequence[str]) -> SimulatedStore:
        """Open a store for reading beside its writer."""
        disk = self._disks.all.get(directory)
        if disk is None or any(family not in disk.families for family in families):
            raise StoreDamagedError(f"the store {directory} is damaged: there is none.")
        return SimulatedStore(self._disks, directory, disk, writes=False)


def _well() -> None:
    """Stand for a disk that never fails."""


def _here() -> Process:
    try:
        return current_process()
    except LookupError:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        return loop.world
