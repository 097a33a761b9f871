"""Requests that belong to another user: they are left where they are, with an error line, and the host goes on."""

import ctypes
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.host.local import ask_local, read_local
from consumers.host.parked import Request
from engine.store.errors import StoreError
from tests.consumers.test_host import Book, hosting, parked_run, play, until_parked
from tests.simulation.log import SimulatedLog
from tests.support.engines import until

NOBODY = 65534
_VERSION = 0x20080522
_IGNORES_PERMISSIONS = 0b110
"""What lets root read and write whatever it likes: CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH."""
_WORDS = 6
"""Effective, permitted and inheritable capabilities, twice 32 bits of each."""


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Path]:
    """Return the directory of a group's progress, in a thread to which permissions matter, also if it is root's."""
    library = ctypes.CDLL(None, use_errno=True)
    header, words = (ctypes.c_uint32 * 2)(_VERSION, 0), (ctypes.c_uint32 * _WORDS)()
    assert library.capget(header, words) == 0
    before = words[0]
    words[0] = before & ~_IGNORES_PERMISSIONS
    assert library.capset(header, words) == 0
    try:
        yield tmp_path / "group"
    finally:
        words[0] = before
        assert library.capset(header, words) == 0
        if (tmp_path / "group" / "requests").exists():
            (tmp_path / "group" / "requests").chmod(0o755)


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.ERROR and "What is asked" in record.getMessage()
    ]


@pytest.mark.parametrize("running", [False, True])
async def test_a_request_that_the_host_may_not_remove_is_done_once_and_the_host_goes_on(
    group: Path, caplog: pytest.LogCaptureFixture, *, running: bool
) -> None:
    log = SimulatedLog()
    parked, _ = await parked_run(log, group)
    requests = group / "requests"
    book = Book()
    if not running:
        ask_local(group, Request("retry", parked.key))
        requests.chmod(0o555)
    async with hosting(log, group, {"book": book}) as host:
        if running:
            ask_local(group, Request("retry", parked.key))
            requests.chmod(0o555)
        await until_parked(host, 0)
        await until(lambda: errors(caplog) != [])
        await play(log, 2)
        await host.caught_up()
    (said,) = errors(caplog)
    (lying,) = requests.iterdir()
    assert said.startswith(f"What is asked in {lying} cannot be removed: Permission denied; it is left there")
    assert book.ids.count(parked.event_id) == 1
    assert len({subject.run_id for subject, _ in book.heard}) == 3


@pytest.mark.parametrize("running", [False, True])
async def test_a_request_that_the_host_may_not_read_is_left_and_taken_when_it_may(
    group: Path, caplog: pytest.LogCaptureFixture, *, running: bool
) -> None:
    log = SimulatedLog()
    parked, _ = await parked_run(log, group)
    book = Book()

    def ask() -> Path:
        ask_local(group, Request("retry", parked.key))
        (lying,) = (group / "requests").iterdir()
        lying.chmod(0)
        return lying

    lying = None if running else ask()
    async with hosting(log, group, {"book": book}) as host:
        lying = lying or ask()
        await until(lambda: errors(caplog) != [])
        assert lying.exists()
        assert [each.asked for each in read_local(group)[1]] == [""]
        lying.chmod(0o644)
        await until_parked(host, 0)
    (said,) = errors(caplog)
    assert said.startswith(f"What is asked in {lying} cannot be read: Permission denied; it is left there")
    assert parked.event_id in book.ids


async def test_a_folder_of_requests_that_the_host_may_not_list_is_told_of_once(
    group: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = SimulatedLog()
    await parked_run(log, group)
    (group / "requests").mkdir()
    (group / "requests").chmod(0)
    async with hosting(log, group, {"book": Book()}) as host:
        await until(lambda: errors(caplog) != [])
        await host.caught_up()
        assert [each.asked for each in read_local(group)[1]] == [""]
    (said,) = errors(caplog)
    assert said.startswith(f"What is asked in {group / 'requests'} cannot be listed: Permission denied")


async def test_who_may_not_leave_a_request_hears_why(group: Path) -> None:
    log = SimulatedLog()
    parked, _ = await parked_run(log, group)
    (group / "requests").mkdir()
    (group / "requests").chmod(0o555)
    with pytest.raises(StoreError, match="that cannot be written: Permission denied") as refused:
        ask_local(group, Request("retry", parked.key))
    assert "such as the one whose host it is" in refused.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave something for another user")
def test_what_root_asks_is_for_the_user_whose_group_it_is_to_read_and_to_remove(tmp_path: Path) -> None:
    os.chown(tmp_path, NOBODY, NOBODY)
    before = os.umask(0o077)
    try:
        for _ in range(2):
            ask_local(tmp_path, Request("retry", "book/000000/run/1.0"))
    finally:
        os.umask(before)
    folder = tmp_path / "requests"
    # Whoever owns a folder may remove what is in it.
    assert (folder.stat().st_uid, folder.stat().st_gid) == (NOBODY, NOBODY)
    assert [stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()] == [0o644] * 2


async def test_what_is_no_request_is_removed_unless_that_cannot_be_done(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = SimulatedLog()
    parked, _ = await parked_run(log, tmp_path)
    requests = tmp_path / "requests"
    requests.mkdir()
    for number, text in enumerate((b"", b"[]", b'{"action": "go"}', b'{"action": ["skip"], "key": 5}')):
        (requests / f"{number}.json").write_bytes(text)
    (requests / "folder.json").mkdir()
    ask_local(tmp_path, Request("retry", f"book/{'9' * 5000}/x"))
    ask_local(tmp_path, Request("retry", parked.key))
    async with hosting(log, tmp_path, {"book": Book()}) as host:
        await until_parked(host, 0)
    (said,) = errors(caplog)
    assert said.startswith(f"What is asked in {requests / 'folder.json'} cannot be read: Is a directory")
    assert [path.name for path in requests.glob("*.json") if not path.name.startswith("0000")] == ["folder.json"]
