"""A process that starts runs, waits for them and cancels some: LOCATION ARTEFACTS ASKED.

What it asks is on the ledger ASKED before it is asked, the answer with the artefacts as soon as it is there.
"""

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Sequence
from contextvars import ContextVar
from pathlib import Path

from engine import EngineService, Run
from engine.errors import (
    CommandRefusedError,
    RunEndedError,
    RunlineError,
    RunNotCreatedError,
    RunNotFoundError,
    WorkflowNotFoundError,
)
from engine.ports import SystemClock, SystemIds
from tests.chaos.ledger import Ledger
from tests.chaos.roles import PROPERTIES, work
from tests.chaos.workflows import ENDS
from tests.checkers.artefacts import Outcome, Request, note

_STARTERS = 4
_PAUSE_SECONDS = 0.05
WAIT_SECONDS = 8.0
HANG_SECONDS = 30.0
"""So long after its timeout a call that has not returned counts as one that hangs."""
_REFUSED = (CommandRefusedError, RunEndedError, RunNotCreatedError, RunNotFoundError, WorkflowNotFoundError)

_kind: ContextVar[str] = ContextVar("kind")
_number: ContextVar[str] = ContextVar("number")
_run: ContextVar[str] = ContextVar("run")


class Ids(SystemIds):
    """New identities; those of runs are on the ledger before anybody else hears of them."""

    def __init__(self, asked: Ledger) -> None:
        super().__init__(SystemClock())
        self._asked = asked

    def run_id(self) -> str:
        made = super().run_id()
        _run.set(made)
        self._asked.note(asked=_number.get(), kind=_kind.get(), run=made)
        return made


class Asking:
    """Asks an engine, and writes down what and what it said.

    Args:
        artefacts: Where answers go.
        asked: Where questions go.
    """

    def __init__(self, artefacts: Path, asked: Ledger) -> None:
        self._artefacts = artefacts
        self._asked = asked
        self._count = 0

    async def ask(self, kind: str, run: str, call: Awaitable[object], timeout: float | None = None) -> Request:
        """Ask, and return what became of it; without a timeout of its own the call is given up after a while."""
        self._count += 1
        number = f"{os.getpid()}.{self._count}"
        _kind.set(kind)
        _number.set(number)
        _run.set(run)
        if run:
            self._asked.note(asked=number, kind=kind, run=run)
        begun = time.monotonic()
        answer = await _answered(kind, call, timeout)
        # Without its timeout: how late an answer may be on a busy machine is what HANG_SECONDS says.
        answer = answer._replace(run=_run.get(), seconds=time.monotonic() - begun)
        note(self._artefacts, answer)
        self._asked.note(answered=number)
        return answer


async def _answered(kind: str, call: Awaitable[object], timeout: float | None) -> Request:
    outcome: Outcome
    try:
        async with asyncio.timeout(WAIT_SECONDS if timeout is None else timeout + HANG_SECONDS):
            answer = await call
    except TimeoutError:
        return Request(kind, "", "unknown" if timeout is None else "waiting")
    except RunlineError as error:
        outcome = "failed" if isinstance(error, _REFUSED) else "unknown"
        return Request(kind, "", outcome, error=error.code, text=str(error))
    if not isinstance(answer, Run):
        return Request(kind, "", "ok")
    output = answer.output_context or ""
    return Request(kind, "", "ok", answer.run_id, answer.run_status.value, answer.commit_id, output)


async def _start_runs(engine: EngineService, asking: Asking, leaving: asyncio.Event) -> None:
    """Start one run after the other, in different ways."""
    chance = random.Random()
    count = 0
    while not leaving.is_set():
        count += 1
        workflow = chance.choices(list(ENDS), (6, 2, 2))[0]
        nonce = {"nonce": f"{os.getpid()}.{id(chance)}.{count}"}
        if chance.random() < 0.5:
            running = engine.run_workflow(workflow, nonce, WAIT_SECONDS)
            await asking.ask("create+start+wait", "", running, WAIT_SECONDS)
        else:
            await _step_by_step(engine, asking, workflow, nonce, cancels=chance.random() < 0.2)
        await asyncio.sleep(_PAUSE_SECONDS)


async def _step_by_step(
    engine: EngineService, asking: Asking, workflow: str, nonce: dict[str, str], *, cancels: bool
) -> None:
    created = await asking.ask("create", "", engine.create_workflow_run(workflow))
    run = created.run
    if not run:
        return
    await asking.ask("start", run, engine.start_workflow_run_and_notify(run, nonce))
    if cancels:
        await asking.ask("cancel", run, engine.cancel_workflow_run(run, "chaos"))
    await asking.ask("wait", run, engine.wait_for_workflow_run(run, WAIT_SECONDS), WAIT_SECONDS)


def main(words: Sequence[str]) -> int:
    """Ask until SIGTERM."""
    location, artefacts, asked = words

    async def ask(leaving: asyncio.Event) -> None:
        ledger = Ledger(Path(asked))
        asking = Asking(Path(artefacts), ledger)
        ids = Ids(ledger)
        async with EngineService.open(location, ids=ids, kafka_properties=PROPERTIES) as engine:
            await asyncio.gather(*(_start_runs(engine, asking, leaving) for _ in range(_STARTERS)))
        ledger.close()

    return work(ask)
