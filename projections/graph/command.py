"""`graph`: a workflow or a run as a picture."""

import sys
from pathlib import Path
from typing import Annotated, Final, NamedTuple

from cyclopts import Parameter

from engine.catalogue import Catalogue
from engine.cli.exit_codes import SUCCESS
from engine.cli.failures import ArgumentsError
from engine.cli.interruption import Interruptible
from engine.cli.options import VIEWS_OPTIONS, ViewsOptions
from engine.cli.output import Output, discard_stdout
from engine.cli.reading import open_reading
from engine.cli.workflows import find_workflow_id, make_catalogue
from engine.core.identity import is_run_id
from engine.errors import WorkflowNotFoundError
from engine.history import run_in, traces_in
from engine.log.port import Log
from engine.settings import Settings
from engine.workflow.definition import WorkflowDefinition
from projections.cli.histories import find_history
from projections.graph.drawing import draw_run, draw_workflow
from projections.graph.taken import taken_in

_SVG_BEGINNINGS: Final = (b"<svg", b"<?xml")


class _Drawn(NamedTuple):
    """A picture, and what it shows; the run is None for a workflow."""

    definition: WorkflowDefinition
    run_id: str | None
    svg: str


def graph(
    subject: Annotated[str, Parameter(name="WORKFLOW|RUN")],
    /,
    *,
    version: str | None = None,
    output: Path | None = None,
    options: ViewsOptions = VIEWS_OPTIONS,
) -> int:
    """Draw a workflow or a run as SVG. Works beside a running engine.

    Parameters
    ----------
    subject
        A run's id, or a workflow's id or, if none has it, exact name.
    version
        This version of the workflow; the newest unless given.
    output
        The file to write; an SVG file is replaced. Stdout unless given.
    """
    printed = options.output()
    settings = options.load().settings
    if output is not None:
        _require_replaceable(output)
    if version is not None and is_run_id(subject):
        raise ArgumentsError(
            "Expected --version with a workflow, but found it with a run, which is pinned to its own version."
        )

    async def work() -> int:
        async with open_reading(settings) as log:
            drawn = await (_run(log, subject, settings) if is_run_id(subject) else _workflow(log, subject, version))
        _hand_over(drawn, printed, output)
        return SUCCESS

    return Interruptible().run(work())


async def _workflow(log: Log, name: str, version: str | None) -> _Drawn:
    workflow_id = await find_workflow_id(log, name)
    catalogue = await _read_catalogue(log)
    definition = catalogue.newest(workflow_id) if version is None else catalogue.definition(version)
    if definition is None or definition.id != workflow_id:
        raise WorkflowNotFoundError(
            f"Expected a published version of workflow {workflow_id}, but it has none that is {version!r}.",
            hint="`runline publish` prints the version, 64 hexadecimal digits; every run names its own.",
        )
    return _Drawn(definition, None, draw_workflow(definition))


async def _run(log: Log, run_id: str, settings: Settings) -> _Drawn:
    history = await find_history(log, settings, run_id)
    run = run_in(history)
    assert run is not None, "a history has a run"
    definition = (await _read_catalogue(log)).definition(run.workflow_version)
    if definition is None:
        raise WorkflowNotFoundError(
            f"Expected version {run.workflow_version} of workflow {run.workflow_id}, which run {run_id} is pinned to, "
            f"among the published workflows of {settings.data}, but it is not there."
        )
    return _Drawn(definition, run_id, draw_run(definition, run, traces_in(history), taken_in(history)))


async def _read_catalogue(log: Log) -> Catalogue:
    catalogue = make_catalogue(log)
    await catalogue.refresh()
    return catalogue


def _require_replaceable(file: Path) -> None:
    """Keep a slip of the fingers from replacing something that can not be drawn again."""
    if not file.exists() or not file.is_file():
        return
    with file.open("rb") as opened:
        beginning = opened.read(len(_SVG_BEGINNINGS[-1]))
    if beginning and not beginning.startswith(_SVG_BEGINNINGS):
        raise ArgumentsError(
            f"Expected --output to name a new file or an SVG file to replace, but {file} is neither.",
            hint="Name another file, or remove this one.",
        )


def _hand_over(drawn: _Drawn, printed: Output, file: Path | None) -> None:
    if file is not None:
        _write(file, drawn.svg)
        printed.line(str(file))
    elif not printed.as_json:
        _print(drawn.svg)
    printed.document(
        {
            "workflow_id": drawn.definition.id,
            "version": drawn.definition.version,
            "run_id": drawn.run_id,
            "file": None if file is None else str(file),
            "svg": drawn.svg,
        }
    )


def _write(file: Path, svg: str) -> None:
    try:
        file.write_text(svg, encoding="ascii")
    except OSError as error:
        raise ArgumentsError(
            f"Expected --output to name a file that can be written, but found {file}: {error.strerror}."
        ) from error


def _print(svg: str) -> None:
    try:
        sys.stdout.write(svg)
        sys.stdout.flush()
    except BrokenPipeError:
        discard_stdout()
