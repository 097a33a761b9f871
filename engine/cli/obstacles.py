"""What keeps open runs from going on in this process, such as a function that its application does not have."""

import asyncio

from engine.catalogue import Catalogue
from engine.core.plan import Plan
from engine.core.state import RunState, RunStatus
from engine.core.view import View
from engine.errors import RunlineError
from engine.executor.beginning import begin
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, Log, LogRecord, Reader

_READ_AT_ONCE = 500


class ObstructedError(RunlineError):
    """A run cannot go on with what this process has."""

    code = "run_obstructed"


def obstacle(state: RunState, plan: Plan | None, *, alone: bool) -> str:
    """Return why a run cannot go on, or an empty text.

    Args:
        state: The run's.
        plan: The workflow with what this process has for it, or None.
        alone: Whether this process is the only one that executes runs; what others have, nobody knows.
    """
    if state.status is RunStatus.CREATED:
        return "it was created and not started"
    if not alone:
        return ""
    if plan is None:
        return f"its workflow version {state.version} is not published here"
    nodes = [trace.node for trace in state.open] + ([] if state.ready is None else [state.ready])
    reasons = {node: plan.nodes[node].missing for node in nodes}
    if nodes and all(reasons.values()):
        return "; ".join(f"node '{node}' waits: {reason}" for node, reason in reasons.items())
    return ""


class OpenRuns:
    """Reads the log beside the engine and knows every open run. For one call of `until`.

    Args:
        log: The log.
        catalogue: The published workflows, with the registry of this process.
    """

    def __init__(self, log: Log, catalogue: Catalogue) -> None:
        self._log = log
        self._catalogue = catalogue
        self._views: list[View] = []
        self._commands: list[int] = []
        self._refused: set[tuple[str, str]] = set()
        self._refusals_read = 0
        self._moved = asyncio.Event()

    async def until(self, run_id: str | None) -> dict[str, str]:
        """Wait until the run, or every open run, has ended or cannot go on.

        Args:
            run_id: The run, or None for all.

        Returns:
            What is left: run ids and why each cannot go on.
        """
        beginnings = await asyncio.gather(*(begin(self._log, number) for number in range(self._log.partitions)))
        self._views = [beginning.view for beginning in beginnings]
        self._commands = [view.commands for view in self._views]
        readers = [self._log.reader(EVENTS, number, view.position) for number, view in enumerate(self._views)]
        work = [self._fold(reader, view) for reader, view in zip(readers, self._views, strict=True)]
        readers.append(self._log.reader(REJECTIONS, 0, 0))
        tasks = [asyncio.create_task(each) for each in (*work, self._read_refusals(readers[-1]))]
        try:
            while (left := await self._left(run_id)) is None:
                await self._next_move(tasks)
            return left
        finally:
            for task in tasks:
                task.cancel()
            for reader in readers:
                reader.close()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _fold(self, reader: Reader, view: View) -> None:
        while True:
            for record in await reader.next():
                view.fold(record)
            self._moved.set()

    async def _read_refusals(self, reader: Reader) -> None:
        while True:
            for record in await reader.next():
                self._refused.add((record.headers.get("partition", ""), record.headers.get("offset", "")))
                self._refusals_read = record.offset + 1
            self._moved.set()

    async def _next_move(self, tasks: "list[asyncio.Task[None]]") -> None:
        waiting = asyncio.create_task(self._moved.wait())
        try:
            done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        for task in done:
            task.result()

    async def _left(self, run_id: str | None) -> dict[str, str] | None:
        """Return the open runs that cannot go on, or None while there is something to wait for."""
        self._moved.clear()
        if self._refusals_read < (await self._log.ends(REJECTIONS, 0)).end:
            return None
        for number, view in enumerate(self._views):
            if view.position < (await self._log.ends(EVENTS, number)).end or await self._command_waits(number):
                return None
        await self._catalogue.refresh()
        left: dict[str, str] = {}
        for state in [state for view in self._views for state in view.runs.values()]:
            if run_id is None or state.run_id == run_id:
                reason = obstacle(state, self._catalogue.plan(None, state.version), alone=not self._log.shared)
                if not reason:
                    return None
                left[state.run_id] = reason
        return left

    async def _command_waits(self, partition: int) -> bool:
        """Return whether a command that makes a run go waits to be decided, such as one sent just before a crash."""
        end = (await self._log.ends(COMMANDS, partition)).end
        while self._commands[partition] < end:
            for record in await self._log.read(COMMANDS, partition, self._commands[partition], _READ_AT_ONCE):
                if self._waits(partition, record):
                    return True
                self._commands[partition] = record.offset + 1
        return False

    def _waits(self, partition: int, record: LogRecord) -> bool:
        view = self._views[partition]
        if record.key in view.ended or (str(partition), str(record.offset)) in self._refused:
            return False
        state = view.runs.get(record.key)
        if state is None:
            return True
        # Any other command to an open run either changes nothing or is waited for with the run.
        created = state.status is RunStatus.CREATED and record.headers.get("ce_type") == "run.start"
        return created and state.decided < record.offset
