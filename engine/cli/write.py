"""`publish`, `create` and `cancel`: commands that put something on the log and do not wait for runs."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from engine.arguments import check_run_id
from engine.cli.exit_codes import SUCCESS
from engine.cli.interruption import Interruptible
from engine.cli.json_form import run_json
from engine.cli.options import PUBLISHING_OPTIONS, WRITING_OPTIONS, PublishingOptions, WritingOptions
from engine.cli.session import open_engine, open_log
from engine.cli.tags import TagsOption
from engine.cli.workflows import find_workflow_id, make_catalogue
from engine.log.port import Log
from engine.service import EngineService
from engine.workflow.loader import load

_Write = Callable[[EngineService, Log], Awaitable[tuple[str, dict[str, object]]]]
"""Puts something on the log and returns what to print: for people, and as JSON."""


def publish(file: Path, /, *, options: PublishingOptions = PUBLISHING_OPTIONS) -> int:
    """Publish a workflow file; without --app its functions are not checked.

    Parameters
    ----------
    file
        The workflow: a YAML or JSON file.
    """
    output = options.output()
    settings = options.load().settings
    definition = load(file, options.registry())

    async def work() -> int:
        async with open_log(settings) as log:
            published = await make_catalogue(log).publish(definition)
        output.line(f"{published.workflow_id} {published.version}")
        output.document(published._asdict())
        return SUCCESS

    return Interruptible().run(work())


def create(workflow: str, /, *, tag: TagsOption = None, options: WritingOptions = WRITING_OPTIONS) -> int:
    """Create a run of a published workflow and print its id; `runline start` starts it.

    Parameters
    ----------
    workflow
        The workflow's id or, if none has it, its exact name.
    """

    async def write(engine: EngineService, log: Log) -> tuple[str, dict[str, object]]:
        workflow_id = await find_workflow_id(log, workflow)
        run_id = await engine.create_workflow_run(workflow_id, tags=tag or ())
        return run_id, {"run_id": run_id, "workflow_id": workflow_id}

    return _write(options, write)


def cancel(
    run_id: Annotated[str, Parameter(name="RUN")],
    /,
    *,
    reason: str = "",
    options: WritingOptions = WRITING_OPTIONS,
) -> int:
    """Cancel a run that has not ended.

    Parameters
    ----------
    run_id
        The run's id.
    reason
        Why, for people.
    """
    check_run_id(run_id)

    async def write(engine: EngineService, _: Log) -> tuple[str, dict[str, object]]:
        await engine.cancel_workflow_run(run_id, reason)
        run = await engine.get_run(run_id)
        return f"{run.run_id} {run.run_status.value}", {"run": run_json(run)}

    return _write(options, write)


def _write(options: WritingOptions, write: _Write) -> int:
    output = options.output()
    settings = options.load().settings
    interruptible = Interruptible()

    async def work() -> int:
        # Without the application on purpose: this command writes, and leaves the nodes to whoever executes runs.
        async with open_engine(settings, None, executes=False) as (engine, log):
            if log.shared:
                interruptible.begun = "what was sent is on the log, and the next executor carries it out"
            text, data = await write(engine, log)
        output.line(text)
        output.document(data)
        return SUCCESS

    return interruptible.run(work())
