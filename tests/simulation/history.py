"""What callers asked, and what they were told, whatever became of them."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, TypeVar

from engine import Run
from engine.errors import ClosedError, LogError, RunlineError, WaitTimeoutError
from tests.checkers import Request
from tests.checkers.artefacts import Outcome
from tests.simulation.loop import Process, current_process

T = TypeVar("T")

_DOUBTFUL: Final = (LogError, ClosedError, WaitTimeoutError)
"""Errors after which a caller cannot say whether it was done."""


@dataclass
class _Asked:
    process: Process
    request: Request


class History:
    """What the callers of a world asked."""

    def __init__(self) -> None:
        self._asked: list[_Asked] = []

    @property
    def requests(self) -> list[Request]:
        """What was asked, in order; of what a process asked that was killed nobody knows anything."""
        return [
            each.request._replace(outcome="unknown")
            if each.request.outcome == "waiting" and each.process.dead
            else each.request
            for each in self._asked
        ]

    async def ask(self, kind: str, run: str, work: Awaitable[T], *, timeout: float | None = None) -> T:
        """Wait for an answer, and write down what was asked and what the answer was.

        Args:
            kind: See `Request`.
            run: The run that is asked for, or an empty text for a new one.
            work: Asks, and returns a `Run`, a run's id, or nothing.
            timeout: How long it may take, in seconds.
        """
        asked = _Asked(current_process(), Request(kind, run, "waiting", timeout=timeout))
        self._asked.append(asked)
        loop = asyncio.get_running_loop()
        begun, pauses = loop.time(), asked.process.pauses
        try:
            answer = await work
        except RunlineError as error:
            outcome: Outcome = "unknown" if isinstance(error, _DOUBTFUL) else "failed"
            asked.request = asked.request._replace(outcome=outcome, error=error.code, text=str(error))
            raise
        except BaseException:
            asked.request = asked.request._replace(outcome="unknown")
            raise
        else:
            asked.request = _answered(asked.request, answer)
            return answer
        finally:
            asked.request = asked.request._replace(seconds=loop.time() - begun)
            if asked.process.pauses > pauses:
                # A process that stands still cannot answer in time.
                asked.request = asked.request._replace(timeout=None)


def _answered(request: Request, answer: object) -> Request:
    match answer:
        case Run():
            return request._replace(
                run=request.run or answer.run_id,
                outcome="ok",
                run_given=answer.run_id,
                status=answer.run_status.value,
                commit=answer.commit_id,
                output=answer.output_context or "",
            )
        case str():
            return request._replace(run=answer, outcome="ok")
        case _:
            return request._replace(outcome="ok")
