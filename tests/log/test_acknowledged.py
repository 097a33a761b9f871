"""The file of promises: whole at every moment, and never believed when it is not."""

from pathlib import Path

import pytest

from engine.errors import LogDamagedError, LogError
from engine.log.embedded import acknowledged
from engine.log.embedded.acknowledged import Acknowledged, read_promises

HEAD, SLOT = 64, 16


def ends(directory: Path) -> list[tuple[int, int]]:
    promises = read_promises(directory)
    assert promises is not None
    return [(promise.synced, promise.written) for promise in promises.ends]


def tear(directory: Path, slot: int) -> None:
    """Leave one slot as a copy cut short in its middle would."""
    file = directory / "acknowledged"
    content = bytearray(file.read_bytes())
    at = HEAD + slot * SLOT + 4
    content[at : at + 8] = b"\xee" * 8
    file.write_bytes(content)


def test_there_are_no_promises_where_there_is_no_file(tmp_path: Path) -> None:
    assert read_promises(tmp_path) is None


def test_promises_are_read_as_they_were_put(tmp_path: Path) -> None:
    file = Acknowledged(tmp_path, b"sixteen bytes id", [3, 0, 2**40])
    file.synced(0, 5)
    file.written(0, 9)
    file.written(1, 7)
    assert ends(tmp_path) == [(5, 9), (0, 7), (2**40, 2**40)]
    file.synced(1, 8)
    file.close()
    assert ends(tmp_path) == [(5, 9), (8, 8), (2**40, 2**40)]
    promises = read_promises(tmp_path)
    assert promises is not None
    assert promises.log_id == b"sixteen bytes id"
    assert promises.same_boot == (acknowledged._boot_id() != bytes(16))


def test_a_torn_slot_leaves_the_promise_before_it(tmp_path: Path) -> None:
    file = Acknowledged(tmp_path, bytes(16), [0])
    for end in (5, 6, 7):
        file.synced(0, end)
    file.close()
    for slot in (0, 1):
        content = (tmp_path / "acknowledged").read_bytes()
        tear(tmp_path, slot)
        assert ends(tmp_path)[0][0] in (6, 7)
        (tmp_path / "acknowledged").write_bytes(content)
    tear(tmp_path, 0)
    tear(tmp_path, 1)
    with pytest.raises(LogDamagedError, match="acknowledged"):
        read_promises(tmp_path)


def test_every_flipped_bit_is_noticed_or_leaves_an_earlier_promise(tmp_path: Path) -> None:
    file = Acknowledged(tmp_path, b"sixteen bytes id", [0, 0])
    for end in (5, 6):
        file.synced(0, end)
        file.written(1, end)
    file.close()
    whole = (tmp_path / "acknowledged").read_bytes()
    noticed = 0
    for bit in range(8 * len(whole)):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        (tmp_path / "acknowledged").write_bytes(content)
        try:
            found = ends(tmp_path)
        except LogError:
            noticed += 1
        else:
            assert found[0][0] in (5, 6)
            assert found[1][1] in (5, 6)
    assert noticed >= 8 * 52, "every bit of the head counts"


def test_a_newer_format_is_refused_by_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(acknowledged, "FORMAT", 2)
        Acknowledged(tmp_path, bytes(16), [0]).close()
    with pytest.raises(LogError, match="format 1 or older, but it has format 2"):
        read_promises(tmp_path)
