"""`work`: lists open work, the longest waiting first."""

import shlex
from dataclasses import fields
from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.table import Table
from rich.text import Text

from engine.cli.exit_codes import SUCCESS
from engine.cli.interruption import Interruptible
from engine.cli.options import VIEWS_OPTIONS, ViewsOptions
from engine.cli.output import Output
from engine.cli.text import duration, moment, one_line
from engine.cli.workflows import find_workflow_id
from engine.limits import LIST_ITEMS_MAX
from projections.cli.asking import open_views
from projections.listing import Page
from projections.work import OpenWork, WaitsFor

_WORDS = {
    WaitsFor.START: "its start",
    WaitsFor.NODE: "a node",
    WaitsFor.EXECUTOR: "an executor",
}


def work(
    *,
    workflow: str | None = None,
    limit: Annotated[int, Parameter(validator=Number(gte=1, lte=LIST_ITEMS_MAX))] = 20,
    cursor: str | None = None,
    options: ViewsOptions = VIEWS_OPTIONS,
) -> int:
    """List what runs wait for, the longest waiting first. Works beside a running engine.

    Parameters
    ----------
    workflow
        Only runs of the workflow with this id or, if none has it, this exact name.
    limit
        How many at most.
    cursor
        Go on behind a page: as that page named it.
    """
    output = options.output()
    settings = options.load().settings
    interruptible = Interruptible()
    interruptible.begun = "what was folded is kept"

    async def ask() -> int:
        async with open_views(settings, output) as asked:
            workflow_id = None if workflow is None else await find_workflow_id(asked.log, workflow)
            page = await asked.views.page_open_work(workflow=workflow_id, limit=limit, cursor=cursor)
            views = await asked.data()
        output.document({"work": [_json(each) for each in page.items], "next": page.cursor, "views": views})
        _print(output, page, f"runline work{_words(workflow, limit, page.cursor)}{options.repeated()}")
        return SUCCESS

    return interruptible.run(ask())


def _json(each: OpenWork) -> dict[str, object]:
    return {field.name: getattr(each, field.name) for field in fields(each)}


def _words(workflow: str | None, limit: int, cursor: str | None) -> str:
    words = [] if workflow is None else ["--workflow", workflow]
    words += ["--limit", str(limit), "--cursor", str(cursor)]
    return "".join(f" {shlex.quote(word)}" for word in words)


def _print(output: Output, page: Page[OpenWork], following: str) -> None:
    if page.items:
        output.draw(_table(page.items))
    else:
        output.line("no open work" if page.cursor is None else "no open work so far")
    if page.cursor is not None:
        output.line(f"next: {following}", "dim")


def _table(found: list[OpenWork]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("run", no_wrap=True)
    table.add_column("workflow", overflow="fold")
    table.add_column("waits for", overflow="fold")
    table.add_column("since", no_wrap=True)
    table.add_column("for", justify="right", no_wrap=True)
    table.add_column("executor", overflow="fold")
    now = datetime.now(UTC)
    for each in found:
        table.add_row(
            Text(each.run_id),
            Text(one_line(each.workflow_id)),
            Text(_what(each)),
            Text(moment(each.since)),
            Text(duration(each.since, now)),
            Text(one_line(each.executor), style="dim"),
        )
    return table


def _what(each: OpenWork) -> str:
    node = one_line(each.title or each.node_id)
    attempt = f" (attempt {each.attempt})" if each.attempt > 1 else ""
    return " ".join(filter(None, [_WORDS[each.waits_for], node])) + attempt
