"""Runs whose nodes take much inside the core are decided in turns, so that nobody else waits for all of them."""

import asyncio
from collections import Counter

import pytest

from engine import EngineService, Registry, RunStatus
from engine.core.decide import decide
from engine.core.decision import Decision
from engine.executor import term
from tests.simulation.log import SimulatedLog
from tests.support.engines import QuickClock
from tests.support.workflows import END, chain

RUNS = 60
NUMBERS: dict[str, object] = {"numbers": list(range(100))}
TIMEOUT = 60
SETTINGS = [{"path": "sum", "expression": "sum(numbers)"}]
SUMMED: dict[str, object] = {"id": "sum", "type": "edit", "configuration": {"set": SETTINGS}}


async def decisions_in_a_turn(monkeypatch: pytest.MonkeyPatch, steps_max: int) -> int:
    """Start runs at once; return how many of their heavy decisions there were in one turn of the loop at most."""
    turns: Counter[int] = Counter()
    turn = 0

    def counted(*arguments: object, **named: object) -> Decision:
        decision = decide(*arguments, **named)  # type: ignore[arg-type]  # as they come
        turns[turn] += decision.steps > steps_max
        return decision

    def next_turn() -> None:
        nonlocal turn
        turn += 1
        loop.call_soon(next_turn)

    monkeypatch.setattr(term, "decide", counted)
    monkeypatch.setattr(term, "COMMIT_STEPS_MAX", steps_max)
    async with EngineService.open(SimulatedLog(), Registry(), clock=QuickClock()) as service:
        loop = asyncio.get_running_loop()
        loop.call_soon(next_turn)
        await service.publish_workflow(chain(SUMMED, END))
        runs = await asyncio.gather(*(service.run_workflow("chain", NUMBERS, timeout=TIMEOUT) for _ in range(RUNS)))
    assert all(run.run_status is RunStatus.SUCCESS for run in runs)
    return max(turns.values())


async def test_heavy_decisions_are_made_in_turns_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await decisions_in_a_turn(monkeypatch, 50) == 1


async def test_light_ones_are_made_together(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await decisions_in_a_turn(monkeypatch, 1_000_000) == 0
