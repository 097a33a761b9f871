"""What the log has promised: the end of every partition, kept beside the store so that a shorter store is noticed.

A database that lost the end of its write-ahead log opens without a word. This file says where every partition must
at least end. A slot is written after its records are durable and before anybody is told, by a plain memory copy into
a mapped file: it survives the death of the process, and it never claims more than is there.

The file: a head of 64 bytes (mark, format, partitions, log id, boot id, checksum), then per partition four slots of
16 bytes (end u64, number u32, checksum u32): twice `synced`, twice `written`. The two of a pair are written in turn,
so that one of them is whole whatever happens in between.
"""

import mmap
import os
import struct
import zlib
from pathlib import Path
from typing import Final, NamedTuple

from engine.errors import LogError
from engine.log.embedded.failures import damaged, from_system
from engine.log.embedded.layout import FORMAT

FILE: Final = "acknowledged"
_MARK: Final = b"RUNLINE\n"
_HEAD: Final = struct.Struct("<8sII16s16s")
_HEAD_BYTES: Final = 64
_CHECKSUM: Final = struct.Struct("<I")
_SLOT: Final = struct.Struct("<QI")
_SLOT_BYTES: Final = 16
_PARTITION_BYTES: Final = 4 * _SLOT_BYTES
_SYNCED: Final = 0
_WRITTEN: Final = 2
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_NO_BOOT: Final = bytes(16)


class Promise(NamedTuple):
    """What was promised about one partition.

    Attributes:
        synced: Its end as far as it survives power loss.
        written: Its end as far as it survives the death of the process; never below `synced`.
    """

    synced: int
    written: int


class Promises(NamedTuple):
    """The whole file, as read.

    Attributes:
        log_id: The log it belongs to.
        same_boot: Whether the machine has certainly not been restarted since.
        ends: For each partition, in the order of the log.
    """

    log_id: bytes
    same_boot: bool
    ends: list[Promise]


def read_promises(directory: Path) -> Promises | None:
    """Return what a log has promised, or None where there is no such file.

    Raises:
        LogDamagedError: The file is not what was written.
        LogError: It cannot be read.
    """
    try:
        content = (directory / FILE).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise from_system(error, directory) from error
    head = content[: _HEAD.size]
    if len(content) < _HEAD_BYTES or _CHECKSUM.unpack_from(content, _HEAD.size)[0] != zlib.crc32(head):
        raise damaged(directory, f"the file {FILE} has no valid head.")
    mark, version, count, log_id, boot = _HEAD.unpack(head)
    if mark != _MARK:
        raise damaged(directory, f"the file {FILE} is none of ours.")
    if version > FORMAT:
        raise LogError(
            f"expected the log {directory} in format {FORMAT} or older, but it has format {version}.",
            hint="Use the version of runline that wrote it, or a newer one.",
        )
    if len(content) != _HEAD_BYTES + count * _PARTITION_BYTES:
        raise damaged(directory, f"the file {FILE} has {len(content)} bytes for {count} partitions.")
    ends = [_promise(directory, content, number) for number in range(count)]
    return Promises(log_id, boot != _NO_BOOT and boot == _boot_id(), ends)


class Acknowledged:
    """The file of promises of a log that is open for writing.

    Args:
        directory: The log's directory.
        log_id: The log's id, 16 bytes.
        ends: Where each partition ends now, durably.

    Raises:
        LogFullError: There is no space for the file.
        LogError: It cannot be written.
    """

    def __init__(self, directory: Path, log_id: bytes, ends: list[int]) -> None:
        self._count = len(ends)
        head = _HEAD.pack(_MARK, FORMAT, len(ends), log_id, _boot_id())
        slots = b"".join(_slot(end, number, kind) for number, end in enumerate(ends) for kind in range(4))
        content = (head + _CHECKSUM.pack(zlib.crc32(head))).ljust(_HEAD_BYTES, b"\0") + slots
        try:
            self._map = _replaced(directory, content)
        except OSError as error:
            raise from_system(error, directory) from error
        self._turns = [0] * len(ends)

    def synced(self, number: int, end: int) -> None:
        """Remember that a partition survives power loss up to `end`."""
        self._put(number, _SYNCED, end)

    def written(self, number: int, end: int) -> None:
        """Remember that a partition survives the death of this process up to `end`."""
        self._put(number, _WRITTEN, end)

    def close(self) -> None:
        """Let go of the file; what was put into it is the operating system's to write."""
        self._map.close()

    def _put(self, number: int, kind: int, end: int) -> None:
        turn = self._turns[number] ^ 1
        self._turns[number] = turn
        at = _HEAD_BYTES + number * _PARTITION_BYTES + (kind + turn) * _SLOT_BYTES
        self._map[at : at + _SLOT_BYTES] = _slot(end, number, kind + turn)


def _slot(end: int, number: int, kind: int) -> bytes:
    body = _SLOT.pack(end, number * 4 + kind)
    return body + _CHECKSUM.pack(zlib.crc32(body))


def _promise(directory: Path, content: bytes, number: int) -> Promise:
    ends = []
    for kind in range(4):
        at = _HEAD_BYTES + number * _PARTITION_BYTES + kind * _SLOT_BYTES
        slot = content[at : at + _SLOT_BYTES]
        end = int(_SLOT.unpack_from(slot)[0])
        ends.append(end if slot == _slot(end, number, kind) else -1)
    synced, written = max(ends[:2]), max(ends[2:])
    if synced < 0 or written < 0:
        raise damaged(directory, f"the file {FILE} is not what was written, at partition {number} of all.")
    return Promise(synced, max(synced, written))


def _replaced(directory: Path, content: bytes) -> mmap.mmap:
    """Put the content in place of the file, all or nothing, and map it."""
    draft = directory / f"{FILE}.new"
    with draft.open("w+b") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        draft.replace(directory / FILE)
        folder = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return mmap.mmap(file.fileno(), len(content))


def _boot_id() -> bytes:
    """Return the id of this start of the machine, or zeros where the system tells none."""
    try:
        return bytes.fromhex(_BOOT_ID.read_text().strip().replace("-", ""))
    except (OSError, ValueError):
        return _NO_BOOT
