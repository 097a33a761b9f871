"""The commands of the command line that ask projections."""

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.table import Table
from rich.text import Text

from engine.cli.exit_codes import SUCCESS
from engine.cli.interruption import Interruptible
from engine.cli.json_form import run_json
from engine.cli.options import READING_OPTIONS, ReadingOptions
from engine.cli.reading import open_reading
from engine.cli.text import duration, moment, one_line
from engine.cli.timeline import status_text
from engine.cli.workflows import find_workflow_id
from engine.core.state import RunStatus
from engine.run import Run
from projections.run_list import list_runs

_MESSAGE_CHARACTERS = 200


def runs(
    *,
    status: RunStatus | None = None,
    workflow: str | None = None,
    limit: Annotated[int, Parameter(validator=Number(gte=1))] = 20,
    options: ReadingOptions = READING_OPTIONS,
) -> int:
    """List runs, the most recently active first. Works beside a running engine.

    Parameters
    ----------
    status
        Only runs in this status.
    workflow
        Only runs of the workflow with this id or, if none has it, this exact name.
    limit
        How many runs at most.
    """
    output = options.output()
    settings = options.load().settings

    async def work() -> int:
        async with open_reading(settings) as log:
            workflow_id = None if workflow is None else await find_workflow_id(log, workflow)
            found = await list_runs(log, limit=limit, status=status, workflow=workflow_id)
        output.document({"runs": [run_json(run) for run in found]})
        if found:
            output.draw(_table(found))
        else:
            output.line("no runs")
        return SUCCESS

    return Interruptible().run(work())


def _table(found: list[Run]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("status", no_wrap=True)
    table.add_column("run", no_wrap=True)
    table.add_column("workflow", overflow="fold")
    table.add_column("created", no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    table.add_column("message", overflow="fold")
    now = datetime.now(UTC)
    for run in found:
        words = run.message if run.error is None else str(run.error)
        table.add_row(
            status_text(run.run_status),
            Text(run.run_id),
            Text(one_line(run.workflow_id)),
            Text(moment(run.created)),
            Text(duration(run.started, run.stopped or now)),
            Text(one_line(words, _MESSAGE_CHARACTERS), style="dim"),
        )
    return table
