"""`follow --lag` looks at whose progress it reads."""

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from consumers.host import GroupDiffersError, ServiceHost, Start, open_progress
from consumers.host.local import FAMILIES
from consumers.host.opening import read_group, reset_group
from engine import EngineService
from engine.cli.app import invoke
from engine.log.embedded import EmbeddedLog
from engine.store.rocks import RocksStore
from tests.consumers.test_host import SECONDS, Book
from tests.support.engines import QuickClock
from tests.support.workflows import END, chain, code, registry

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("RUNLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Call the command line; return its exit code, stdout and stderr."""

    def invoked(*arguments: str) -> tuple[int, str, str]:
        return invoke(list(arguments)), *capsys.readouterr()

    return invoked


def followed(directory: str, *groups: str) -> None:
    """Make a log with a run, which groups have followed to its end."""

    async def main() -> None:
        async with EngineService.open(directory, registry(), executor=True) as engine:
            await engine.publish_workflow(chain(code("a", "add"), END, workflow_id="w"))
            await engine.run_workflow("w", {})
        for group in groups:
            await follow(directory, group)

    asyncio.run(main())


async def follow(directory: str, group: str, path: Path | None = None) -> Book:
    book, log = Book(), await EmbeddedLog.open_reading(Path(directory))
    progress = open_progress(log, group, path or Path(directory) / "followers" / group)
    host = ServiceHost(log, {"book": book}, progress, start=Start.beginning(), clock=QuickClock())
    async with asyncio.timeout(SECONDS), host:
        await host.caught_up()
    await log.close()
    return book


def test_the_progress_of_another_log_is_refused(call: Call) -> None:
    followed("one", "g")
    followed("two", "g")
    assert call("follow", "--lag", "--data", "one", "--group", "g")[0] == 0
    code, out, err = call("follow", "--lag", "--data", "one", "--group", "g", "--progress", "two/followers")
    assert (code, out) == (3, "")
    assert "error[partition_stopped]: expected the topic events with the identity" in err
    assert "or the progress is that of another log" in err
    assert "hint: Name the log that was followed with --data" in err


def test_the_progress_of_another_group_is_refused_by_all_who_would_use_it(call: Call) -> None:
    followed("data", "g")
    Path("data/followers/g").rename("data/followers/h")
    for command in (("follow", "--lag"), ("parked", "list")):
        code, out, err = call(*command, "--data", "data", "--group", "h")
        assert (code, out) == (3, "")
        assert "error[group_differs]: expected the progress of the group h in data/followers/h, but found" in err
        assert "that of the group g." in err
        assert "hint: Give the directory its name g again" in err
    with pytest.raises(GroupDiffersError):
        asyncio.run(follow("data", "h"))

    async def reset() -> None:
        log = await EmbeddedLog.open_reading(Path("data"))
        with pytest.raises(GroupDiffersError):
            await reset_group(log, "h", Path("data/followers/h"), ("book",))
        assert (await read_group(log, "g", Path("data/followers/h")))[0][0].services
        await log.close()

    asyncio.run(reset())


def test_progress_of_an_earlier_version_says_nothing_of_its_group_until_a_host_records_it(call: Call) -> None:
    followed("data", "g")
    shutil.copytree("data/followers/g", "data/followers/h")
    store = RocksStore.open(Path("data/followers/h"), FAMILIES)
    batch = store.batch()
    (row,) = store.scan("positions", b"", None, limit=2)
    assert b',"group":"g"' in row[1]
    batch.put("positions", row[0], row[1].replace(b',"group":"g"', b""))
    store.write(batch)
    store.close()
    assert call("follow", "--lag", "--data", "data", "--group", "h")[0] == 0
    assert asyncio.run(follow("data", "h")).heard == []
    assert call("follow", "--lag", "--data", "data", "--group", "h")[0] == 0
    Path("data/followers/h").rename("data/followers/i")
    assert call("follow", "--lag", "--data", "data", "--group", "i")[0] == 3


def test_after_a_reset_it_does_not_matter_which_log_was_followed_before(call: Call) -> None:
    followed("one", "g")
    followed("two", "g")

    async def reset() -> None:
        log = await EmbeddedLog.open_reading(Path("two"))
        await reset_group(log, "g", Path("two/followers/g"), ("book",))
        await log.close()

    asyncio.run(reset())
    code, out, _ = call("follow", "--lag", "--data", "one", "--group", "g", "--progress", "two/followers", "--json")
    assert (code, '"services":[]' in out.replace(" ", "")) == (0, True)
