"""The intake: how much may be undecided, and when there is room again."""

import asyncio

import pytest

from engine.executor import intake as module
from engine.executor.intake import Intake
from engine.log.held import held_bytes
from engine.log.port import LogRecord

COUNT = 8
BYTES = 1_000


@pytest.fixture(autouse=True)
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMMANDS_UNDECIDED_MAX", COUNT)
    monkeypatch.setattr(module, "COMMANDS_UNDECIDED_BYTES_MAX", BYTES)


def command(offset: int, size: int = 1, headers: dict[str, str] | None = None) -> LogRecord:
    return LogRecord(offset, 1_000 + offset, "", b"x" * size, {} if headers is None else headers)


async def waits(intake: Intake) -> asyncio.Task[None]:
    waiting = asyncio.create_task(intake.room())
    await asyncio.sleep(0)
    return waiting


async def test_there_is_room_below_the_limits() -> None:
    intake = Intake()
    for offset in range(COUNT - 1):
        intake.take(command(offset))
    assert (await waits(intake)).done()


async def test_as_many_as_may_be_wait_for_half_of_them() -> None:
    intake = Intake()
    for offset in range(COUNT):
        intake.take(command(offset))
    waiting = await waits(intake)
    for offset in range(COUNT // 2):
        await asyncio.sleep(0)
        assert not waiting.done()
        intake.settle(offset)
    await waiting
    assert intake.held == COUNT // 2


async def test_as_many_bytes_as_may_be_wait_for_half_of_them() -> None:
    intake = Intake()
    for offset in range(2):
        intake.take(command(offset, BYTES // 2))
    waiting = await waits(intake)
    assert not waiting.done()
    intake.settle(1)
    await waiting
    assert (intake.held, intake.held_bytes) == (1, BYTES // 2)


async def test_one_that_is_larger_than_all_may_be_is_taken_alone() -> None:
    intake = Intake()
    await intake.room()
    intake.take(command(0, 3 * BYTES))
    waiting = await waits(intake)
    assert not waiting.done()
    intake.settle(0)
    await waiting


async def test_what_stands_in_keys_and_headers_counts() -> None:
    intake = Intake()
    record = command(0, 10, {"n" * 20: "v" * 30})._replace(key="k" * 40)
    intake.take(record)
    assert intake.held_bytes == held_bytes(record) == 100


async def test_settling_twice_makes_room_once() -> None:
    intake = Intake()
    intake.take(command(0, 10))
    intake.take(command(1, 10))
    for _ in range(2):
        intake.settle(0)
    assert (intake.held, intake.held_bytes, len(intake)) == (1, 10, 1)


async def test_what_is_set_aside_takes_no_room_and_is_still_undecided() -> None:
    intake = Intake()
    for offset in range(COUNT):
        intake.take(command(offset))
    waiting = await waits(intake)
    for offset in range(COUNT // 2):
        for _ in range(2):
            intake.set_aside(offset)
    await waiting
    assert (intake.held, intake.held_bytes) == (COUNT // 2, COUNT // 2)
    assert (intake.decided, intake.decided_clock, len(intake)) == (0, -1, COUNT)
    for offset in range(COUNT // 2):
        intake.settle(offset)
    assert (intake.held, intake.held_bytes) == (COUNT // 2, COUNT // 2)
    assert (intake.decided, intake.decided_clock) == (COUNT // 2, 1_000 + COUNT // 2 - 1)


async def test_who_waited_and_was_cancelled_can_wait_again() -> None:
    intake = Intake()
    for offset in range(COUNT):
        intake.take(command(offset))
    first = await waits(intake)
    first.cancel()
    await asyncio.wait([first])
    second = await waits(intake)
    for offset in range(COUNT):
        intake.settle(offset)
    await second
