"""Services that end their process: a host that is begun again gets past them, and everybody else hears everything."""

import asyncio
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from consumers.host import Parked
from consumers.host.local import ask_local, read_local
from consumers.host.parked import Request
from engine.limits import FOLLOW_DEATHS
from engine.log.embedded import EmbeddedLog
from engine.log.port import Log
from tests.consumers.dying_worker import DEADLY, FIRST, LAST
from tests.consumers.test_host import play, told
from tests.consumers.test_host_kills import ROOT, read_lines

RUNS = 30
SECONDS = 120
ENDS_MAX = 30
"""Far more than any host needs."""


async def supervise(location: object, group: object, heard: Path, how: str, *events: str) -> int:
    """Begin a host again as often as it dies, and return how often it did."""
    command = (sys.executable, "-m", "tests.consumers.dying_worker", str(location), str(group), str(heard), how)
    for ends in range(ENDS_MAX):
        process = await asyncio.create_subprocess_exec(*command, *events, cwd=ROOT)
        if await process.wait() == 0:
            return ends
    raise AssertionError("the host does not get past it")


async def check(log: Log, heard: Path, parked: list[Parked], events: set[str]) -> None:
    """Check that everybody heard everything in order, save the deadly service, which misses the rest of a run."""
    assert {(each.service, each.event_id, each.held) for each in parked} == {(DEADLY, each, True) for each in events}
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for line in read_lines(heard):
        name, event, run_id, *_ = line.split()
        found[name, run_id].append(event)
    for run_id, changes in (await told(log)).items():
        ids = [event for event, _ in changes]
        for name in (FIRST, LAST):
            assert list(dict.fromkeys(found[name, run_id])) == ids
        before = next((number for number, event in enumerate(ids) if event in events), len(ids))
        assert list(dict.fromkeys(found[DEADLY, run_id])) == ids[:before]


async def some_event(log: Log, event_type: str) -> str:
    """Return an event of this type, of a run in the middle."""
    changes = list((await told(log)).values())[RUNS // 2]
    return next(event for event, each in changes if each == event_type)


@pytest.mark.parametrize(
    ("how", "event_type"), [("exit", "run.started"), ("kill", "trace.started"), ("memory", "trace.succeeded")]
)
async def test_a_change_whose_call_ends_the_process_is_parked_and_nobody_misses_anything_else(
    tmp_path: Path, how: str, event_type: str
) -> None:
    log = await EmbeddedLog.open(tmp_path / "log", 2, "process")
    await play(log, RUNS)
    event, heard = await some_event(log, event_type), tmp_path / "heard"
    async with asyncio.timeout(SECONDS):
        ends = await supervise(tmp_path / "log", tmp_path / "group", heard, how, event)
    # The first is seen as an end alone: nothing is written down as long as all goes well.
    assert ends == 1 + FOLLOW_DEATHS
    _, parked = read_local(tmp_path / "group")
    assert [(each.error, each.attempts) for each in parked] == [
        (f"the process ended {FOLLOW_DEATHS} times in this call", FOLLOW_DEATHS)
    ]
    await check(log, heard, parked, {event})
    await log.close()


async def test_services_that_end_the_process_at_many_changes_are_got_past_and_no_innocent_call_is_blamed(
    tmp_path: Path,
) -> None:
    log = await EmbeddedLog.open(tmp_path / "log", 2, "process")
    await play(log, RUNS)
    runs = list((await told(log)).values())
    events = [changes[0][0] for changes in runs[:2]] + [runs[RUNS // 2][3][0], runs[-1][-1][0]]
    heard = tmp_path / "heard"
    async with asyncio.timeout(SECONDS):
        ends = await supervise(tmp_path / "log", tmp_path / "group", heard, "exit", *events)
    assert ends <= len(events) * FOLLOW_DEATHS + 1
    await check(log, heard, read_local(tmp_path / "group")[1], set(events))
    await log.close()


async def test_a_retry_that_ends_the_process_is_parked_again_and_one_that_does_not_delivers_what_is_behind(
    tmp_path: Path,
) -> None:
    log = await EmbeddedLog.open(tmp_path / "log", 2, "process")
    await play(log, RUNS)
    event, heard, group = await some_event(log, "trace.started"), tmp_path / "heard", tmp_path / "group"
    async with asyncio.timeout(SECONDS):
        await supervise(tmp_path / "log", group, heard, "exit", event)
        (parked,) = read_local(group)[1]
        ask_local(group, Request("retry", parked.key))
        # What people ask for is written down before it is done, whatever happened before.
        assert await supervise(tmp_path / "log", group, heard, "exit", event) == FOLLOW_DEATHS
        (again,) = read_local(group)[1]
        assert (again.event_id, again.asked, again.attempts) == (event, "", 2 * FOLLOW_DEATHS)
        ask_local(group, Request("retry", again.key))
        assert await supervise(tmp_path / "log", group, heard, "exit") == 0
    await check(log, heard, read_local(group)[1], set())
    await log.close()


async def test_a_call_for_which_memory_does_not_suffice_is_a_failure_like_any_other(tmp_path: Path) -> None:
    log = await EmbeddedLog.open(tmp_path / "log", 2, "process")
    await play(log, RUNS)
    event, heard = await some_event(log, "run.succeeded"), tmp_path / "heard"
    async with asyncio.timeout(SECONDS):
        assert await supervise(tmp_path / "log", tmp_path / "group", heard, "limit", event) == 0
    _, parked = read_local(tmp_path / "group")
    assert [(each.error.split(":")[0], each.attempts) for each in parked] == [("MemoryError", 2)]
    await check(log, heard, parked, {event})
    await log.close()
