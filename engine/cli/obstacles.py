"""What keeps open runs from going on in this process, such as a function that its application does not have."""

import asyncio

from engine.catalogue import Catalogue
from engine.cli.failures import ArgumentsError
from engine.core.plan import Plan
from engine.core.state import RunState, RunStatus
from engine.core.view import View
from engine.executor.beginning import begin
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, Log

_READ_AT_ONCE = 500


class ObstructedError(ArgumentsError):
    """A run cannot go on with what this process has."""

    code = "run_obstructed"


def obstacle(state: RunState, plan: Plan | None) -> str:
    """Return why this process cannot go on with a run, or an empty text."""
    if state.status is RunStatus.CREATED:
        return "it was created and not started"
    if plan is None:
        return f"its workflow version {state.version} is not published here"
    nodes = [trace.node for trace in state.open] + ([] if state.ready is None else [state.ready])
    reasons = {node: plan.nodes[node].missing for node in nodes}
    if nodes and all(reasons.values()):
        return "; ".join(f"node '{node}' waits: {reason}" for node, reason in reasons.items())
    return ""


class OpenRuns:
    """Reads the log beside the engine and knows every open run.

    Args:
        log: The log.
        catalogue: The published workflows, with the registry of this process.
    """

    def __init__(self, log: Log, catalogue: Catalogue) -> None:
        self._log = log
        self._catalogue = catalogue
        self._views: list[View] = []
        self._commands: list[int] = []

    async def until(self, run_id: str | None) -> dict[str, str]:
        """Wait until the run, or every open run, has ended or cannot go on in this process.

        Args:
            run_id: The run, or None for all.

        Returns:
            What is left: run ids and why each cannot go on.
        """
        for partition in range(self._log.partitions):
            beginning = await begin(self._log, partition)
            self._views.append(beginning.view)
            self._commands.append(beginning.commands)
        moved = asyncio.Event()
        readers = [self._log.reader(EVENTS, number, view.position) for number, view in enumerate(self._views)]

        async def read(number: int) -> None:
            while True:
                for record in await readers[number].next():
                    self._views[number].fold(record)
                moved.set()

        tasks = [asyncio.create_task(read(number)) for number in range(len(readers))]
        try:
            while True:
                moved.clear()
                if await self._read_everything():
                    left = await self._obstacles(run_id)
                    if left is not None:
                        return left
                await self._moved(moved, tasks)
        finally:
            for task in tasks:
                task.cancel()
            for reader in readers:
                reader.close()
            await asyncio.gather(*tasks, return_exceptions=True)

    @staticmethod
    async def _moved(moved: asyncio.Event, tasks: "list[asyncio.Task[None]]") -> None:
        waiting = asyncio.create_task(moved.wait())
        try:
            done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        for task in done:
            task.result()

    async def _read_everything(self) -> bool:
        for number, view in enumerate(self._views):
            if view.position < (await self._log.ends(EVENTS, number)).end:
                return False
        return not await self._undecided()

    async def _undecided(self) -> bool:
        """Return whether a command waits to be decided, such as a start that was sent just before a crash."""
        refused: set[tuple[str, str]] | None = None
        for number, view in enumerate(self._views):
            end = (await self._log.ends(COMMANDS, number)).end
            while self._commands[number] < end:
                offset = self._commands[number]
                for record in await self._log.read(COMMANDS, number, offset, _READ_AT_ONCE):
                    state = view.runs.get(record.key)
                    decided = view.ended.get(record.key, -1) if state is None else state.decided
                    if decided < record.offset:
                        refused = await self._refused() if refused is None else refused
                        if (str(number), str(record.offset)) not in refused:
                            return True
                    self._commands[number] = record.offset + 1
        return False

    async def _refused(self) -> set[tuple[str, str]]:
        end = (await self._log.ends(REJECTIONS, 0)).end
        records = await self._log.read(REJECTIONS, 0, 0, end)
        return {(record.headers.get("partition", ""), record.headers.get("offset", "")) for record in records}

    async def _obstacles(self, run_id: str | None) -> dict[str, str] | None:
        await self._catalogue.refresh()
        left: dict[str, str] = {}
        for view in self._views:
            for state in view.runs.values():
                if run_id is None or state.run_id == run_id:
                    reason = obstacle(state, self._catalogue.plan(None, state.version))
                    if not reason:
                        return None
                    left[state.run_id] = reason
        return left
