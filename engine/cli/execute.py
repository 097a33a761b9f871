"""`run`, `start` and `wait`: commands that follow runs until they end.

They execute the runs of an embedded log. On Kafka only `run` executes, beside all other executors.
"""

import asyncio
import re
import shlex
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from engine.arguments import check_run_id, check_tags
from engine.cli.arguments import make_context
from engine.cli.context_text import context_text
from engine.cli.exit_codes import RUN_FAILED, SUCCESS
from engine.cli.follow import Follower
from engine.cli.interruption import Interruptible
from engine.cli.json_form import report_json, run_json
from engine.cli.obstacles import ObstructedError, OpenRuns
from engine.cli.options import ENGINE_OPTIONS, EngineOptions
from engine.cli.output import Output, printing_aside
from engine.cli.session import open_engine
from engine.cli.tags import TagsOption
from engine.cli.timeline import Timeline
from engine.cli.workflows import make_catalogue
from engine.context import ContextObject
from engine.core.state import RunStatus
from engine.core.view import Accepted
from engine.errors import DefinitionError, RunNotCreatedError
from engine.history import attempts_in, read_history, run_in, traces_in
from engine.log.port import Log
from engine.registry import Registry
from engine.run import Run, Trace, run_of
from engine.service import EngineService
from engine.settings import Settings
from engine.workflow.loader import read
from engine.workflow.validation import require_valid

Begin = Callable[[EngineService], Awaitable[str]]
"""What a command does first with its engine; returns the id of the run that is followed."""

_Set = Annotated[
    list[str] | None,
    Parameter(name="--set", negative="", help="path=value of the initial context; the value is JSON, else a text"),
]
_Context = Annotated[
    Path | None,
    Parameter(
        name="--context",
        allow_leading_hyphen=True,
        help="The initial context: a JSON or YAML file, or - for JSON on stdin",
    ),
]


def run(
    file: Path,
    /,
    *,
    set_: _Set = None,
    context: _Context = None,
    tag: TagsOption = None,
    options: EngineOptions = ENGINE_OPTIONS,
) -> int:
    """Publish a workflow file, run it, follow it and print its output.

    Parameters
    ----------
    file
        The workflow: a YAML or JSON file.
    """
    tags = tag or ()
    check_tags(tags)
    execution = _Execution(options, begins_all=True)
    initial = make_context(context, set_ or (), execution.converters)
    data = read(file)
    try:
        definition = require_valid(data, execution.registry or Registry(), source=str(file))
    except DefinitionError as error:
        error.hint = error.hint or _application_hint(file, options)
        raise

    async def begin(engine: EngineService) -> str:
        published = await engine.publish_workflow(definition)
        run_id = await engine.create_workflow_run(published.workflow_id, tags=tags)
        await execution.start(engine, run_id, initial)
        return run_id

    return execution.execute(begin)


def start(
    run_id: Annotated[str, Parameter(name="RUN")],
    /,
    *,
    set_: _Set = None,
    context: _Context = None,
    options: EngineOptions = ENGINE_OPTIONS,
) -> int:
    """Start a created run and follow it until it ends.

    Parameters
    ----------
    run_id
        The run's id, as `create` printed it.
    """
    check_run_id(run_id)
    execution = _Execution(options)
    initial = make_context(context, set_ or (), execution.converters)

    async def begin(engine: EngineService) -> str:
        await execution.start(engine, run_id, initial)
        return run_id

    return execution.execute(begin)


def wait(
    run_id: Annotated[str | None, Parameter(name="RUN")] = None,
    /,
    *,
    options: EngineOptions = ENGINE_OPTIONS,
) -> int:
    """Follow one run, or all, until they end; on an embedded log, go on with them after Ctrl-C or a crash.

    Parameters
    ----------
    run_id
        The run's id; without it all runs are followed until none is left that this application can go on with.
    """
    if run_id is not None:
        check_run_id(run_id)
    execution = _Execution(options)
    if run_id is None:
        return execution.execute_all()
    followed = run_id

    async def begin(engine: EngineService) -> str:
        found = await engine.get_run(followed)
        if found.run_status is RunStatus.CREATED:
            raise RunNotCreatedError(
                f"Run {followed} was created and not started.", hint=f"Start it: runline start {followed}"
            )
        execution.follow(found, await engine.get_traces(followed))
        return followed

    return execution.execute(begin)


class _Execution:
    """One command that follows runs.

    Args:
        options: The command's.
        begins_all: Whether it makes the log where there is none, and executes with its application wherever that is.
    """

    def __init__(self, options: EngineOptions, *, begins_all: bool = False) -> None:
        self._options = options
        self._output: Output = options.output()
        self._settings: Settings = options.load().settings
        self.registry = options.registry()
        self.converters = None if self.registry is None else self.registry.converters
        self._begins_all = begins_all
        self._interruptible = Interruptible()
        self._follower = Follower(self._output)

    def follow(self, run: Run, traces: list[Trace]) -> None:
        """Follow this run, and know how to go on with it after an interruption."""
        self._interruptible.resume = f"runline wait {run.run_id}{self._options.repeated()}"
        self._follower.follow(run, traces)

    async def start(self, engine: EngineService, run_id: str, context: ContextObject) -> None:
        """Start a created run."""
        self.follow(await engine.get_run(run_id), [])
        await engine.start_workflow_run_and_notify(run_id, context)

    def execute(self, begin: Begin) -> int:
        """Open the engine, begin, follow the run until it ends and print it."""
        return self._run(self._execute(begin))

    def execute_all(self) -> int:
        """Open the engine, follow all runs until none can go on, and print what became of them."""
        self._interruptible.resume = f"runline wait{self._options.repeated()}"
        return self._run(self._execute_all())

    def _run(self, work: Coroutine[None, None, int]) -> int:
        # Until the loop is closed: what functions left behind in it is cancelled only then, and may print.
        with printing_aside(as_json=self._output.as_json):
            return self._interruptible.run(work)

    async def _execute(self, begin: Begin) -> int:
        with self._follower as follower:
            async with open_engine(
                self._settings,
                self.registry,
                [follower],
                # Without an application it would only keep partitions from those who have one.
                executes=self._begins_all and self.registry is not None,
                makes_log=self._begins_all,
            ) as (engine, log):
                run_id = await begin(engine)
                await self._until_ended(engine, log, run_id)
                history = await read_history(log, run_id)
        run = run_in(history)
        assert run is not None
        print_report(self._output, history)
        return SUCCESS if run.run_status is RunStatus.SUCCESS else RUN_FAILED

    async def _until_ended(self, engine: EngineService, log: Log, run_id: str) -> None:
        """Wait for the end of a run.

        Raises:
            ObstructedError: It cannot go on in this process, and there is no other.
        """
        if log.shared:
            await engine.wait_for_workflow_run(run_id)
            return
        ended = asyncio.create_task(engine.wait_for_workflow_run(run_id))
        stuck = asyncio.create_task(OpenRuns(log, make_catalogue(log, self.registry)).until(run_id))
        try:
            await asyncio.wait([ended, stuck], return_when=asyncio.FIRST_COMPLETED)
            if not ended.done() and (left := stuck.result()):
                raise ObstructedError(
                    f"Run {run_id} cannot go on here: {left[run_id]}",
                    hint="Name the application that has what it needs with --app; the run is safe until then.",
                )
            await ended
        finally:
            for task in (ended, stuck):
                task.cancel()
            await asyncio.gather(ended, stuck, return_exceptions=True)

    async def _execute_all(self) -> int:
        follower = Follower(self._output, every_run=True)
        async with open_engine(self._settings, self.registry, [follower], executes=False) as (_, log):
            left = await OpenRuns(log, make_catalogue(log, self.registry)).until(None)
        for run_id, reason in left.items():
            self._output.line(f"{run_id} is left: {reason}", "yellow")
        count = len(follower.ended)
        self._output.line(f"{count} run{'' if count == 1 else 's'} ended, {len(left)} left")
        self._output.document(
            {
                "runs": [run_json(run) for run in follower.ended.values()],
                "left": [{"run_id": run_id, "reason": reason} for run_id, reason in left.items()],
            }
        )
        succeeded = all(run.run_status is RunStatus.SUCCESS for run in follower.ended.values())
        return SUCCESS if succeeded else RUN_FAILED


def print_report(output: Output, history: Sequence[Accepted]) -> None:
    """Print a run: its timeline and its output context.

    Args:
        output: Where to.
        history: The run's accepted commits, at least one.
    """
    output.document(report(history))
    draw_report(output, history, datetime.now(UTC))


def report(history: Sequence[Accepted]) -> dict[str, object]:
    """Return a run, as its history leaves it, as JSON data."""
    return report_json(run_of(history[-1].after), traces_in(history), attempts_in(history))


def draw_report(output: Output, history: Sequence[Accepted], now: datetime) -> None:
    """Print a run for people, as its history leaves it at this time: its timeline and its output context."""
    run = run_of(history[-1].after)
    output.draw(Timeline(run, traces_in(history), attempts_in(history)).render(now))
    if run.output_context is not None:
        output.line("output", "bold")
        output.block(context_text(run.output_context, output.console.width))


def _application_hint(file: Path, options: EngineOptions) -> str:
    if options.load().settings.app is not None:
        return ""
    beside = file.with_suffix(".py")
    # Looked at as text: importing it would run it, which nobody asked for.
    if beside.is_file() and re.search(
        r"^registry\b.*=", beside.read_text(encoding="utf-8", errors="replace"), re.MULTILINE
    ):
        return f"{beside} stands beside it; if that is its application, add --app {shlex.quote(f'{beside}:registry')}"
    return "functions come from an application; if it has one, add --app module:attribute"
