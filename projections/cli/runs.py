"""`runs`: lists runs, the newest first, and watches them."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Annotated, Final

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.live import Live
from rich.table import Table
from rich.text import Text

from engine.cli.exit_codes import SUCCESS
from engine.cli.failures import ArgumentsError
from engine.cli.interruption import Interruptible, StoppedError
from engine.cli.moments import is_ago, parse_moment
from engine.cli.options import VIEWS_OPTIONS, ViewsOptions
from engine.cli.output import Output
from engine.cli.text import duration, moment, one_line
from engine.cli.timeline import status_text
from engine.cli.workflows import find_workflow_id
from engine.core.state import RunStatus
from engine.limits import LIST_ITEMS_MAX
from engine.run import RunError
from projections.cli.asking import AskedViews, open_views
from projections.listing import Page, RunFilter
from projections.runs import RunSummary

_MESSAGE_CHARACTERS: Final = 200
_LINES_BESIDE: Final = 4
"""Lines of a terminal that are not rows of the table."""
_Show = Callable[[list[RunSummary]], None]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which runs."""

    status: Annotated[RunStatus | None, Parameter(name="--status", help="Only runs in this status")] = None
    workflow: Annotated[
        str | None,
        Parameter(name="--workflow", help="Only runs of the workflow with this id or, if none has it, this exact name"),
    ] = None
    tag: Annotated[str | None, Parameter(name="--tag", help="Only runs with this tag")] = None
    error: Annotated[
        str | None,
        Parameter(name="--error", help="Only runs that failed with an error of this type, such as ValueError"),
    ] = None
    since: Annotated[
        str | None,
        Parameter(
            name="--since",
            allow_leading_hyphen=True,
            help="Only runs created at this time or later: RFC 3339, or 2h, 3d ago",
        ),
    ] = None
    until: Annotated[
        str | None, Parameter(name="--until", allow_leading_hyphen=True, help="Only runs created before this time")
    ] = None

    def resolved(self, now: datetime) -> "Wanted":
        """Return the same with times for what was said as a time ago."""

        def resolve(option: str, text: str | None) -> str | None:
            return None if text is None else parse_moment(option, text, now).isoformat()

        return Wanted(
            status=self.status,
            workflow=self.workflow,
            tag=self.tag,
            error=self.error,
            since=resolve("--since", self.since),
            until=resolve("--until", self.until),
        )

    async def filter(self, asked: AskedViews) -> RunFilter:
        """Return what is asked of the views.

        Raises:
            WorkflowNotFoundError: There is no such workflow.
            WorkflowAmbiguousError: Several have the name.
            ArgumentError: A filter is no text that a run could have.
        """
        return RunFilter(
            workflow=None if self.workflow is None else await find_workflow_id(asked.log, self.workflow),
            status=self.status,
            tag=self.tag,
            error=self.error,
            created_from=None if self.since is None else datetime.fromisoformat(self.since),
            created_before=None if self.until is None else datetime.fromisoformat(self.until),
        )

    def words(self) -> list[str]:
        """Return the options as they are typed."""
        given = [(field.name, getattr(self, field.name)) for field in fields(self)]
        return [word for name, value in given if value is not None for word in (f"--{name}", str(value))]


_ALL: Final = Wanted()


def runs(
    *,
    wanted: Wanted = _ALL,
    limit: Annotated[int, Parameter(validator=Number(gte=1, lte=LIST_ITEMS_MAX))] = 20,
    cursor: str | None = None,
    watch: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    options: ViewsOptions = VIEWS_OPTIONS,
) -> int:
    """List runs, the newest first. Works beside a running engine.

    Parameters
    ----------
    limit
        How many runs at most.
    cursor
        Go on behind a page: as that page named it.
    watch
        Show every change until Ctrl-C.
    """
    _check(wanted, cursor, watch=watch, as_json=options.json)
    output = options.output()
    settings = options.load().settings
    interruptible = Interruptible()
    interruptible.begun = "what was folded is kept"
    resolved = wanted.resolved(datetime.now(UTC))

    async def work() -> int:
        async with open_views(settings, output) as asked:
            found = await resolved.filter(asked)
            if watch:
                await _watch(asked, found, limit, output)
            page = await asked.views.list_runs(found, limit=limit, cursor=cursor)
            views = await asked.data()
        output.document({"runs": [summary_json(run) for run in page.items], "next": page.cursor, "views": views})
        _print(output, page, f"runline runs{_options(resolved, limit, page.cursor)}{options.repeated()}")
        return SUCCESS

    try:
        return interruptible.run(work())
    except StoppedError:
        if not watch:
            raise
        return SUCCESS


def summary_json(run: RunSummary) -> dict[str, object]:
    """Return a run of a list as JSON data."""
    # A commit is called `commit` in the JSON of runs, as in `run_json`.
    names = {field.name: field.name.replace("commit_id", "commit") for field in fields(run)}
    data: dict[str, object] = {name: getattr(run, field) for field, name in names.items()}
    if isinstance(run.error, RunError):
        data["error"] = {field.name: getattr(run.error, field.name) for field in fields(run.error)}
    return data


def _check(wanted: Wanted, cursor: str | None, *, watch: bool, as_json: bool) -> None:
    if watch and (as_json or cursor is not None):
        raise ArgumentsError("Expected --watch without --json and --cursor: it goes on showing the first page.")
    for option, text in (("--since", wanted.since), ("--until", wanted.until)):
        if cursor is not None and text is not None and is_ago(text):
            raise ArgumentsError(
                f"Expected a time as {option} beside --cursor, but found {text!r}, which moves on from page to page.",
                hint="The page before names the whole command of the next one.",
            )


def _options(wanted: Wanted, limit: int, cursor: str | None) -> str:
    words = [*wanted.words(), "--limit", str(limit), "--cursor", str(cursor)]
    return "".join(f" {shlex.quote(word)}" for word in words)


def _print(output: Output, page: Page[RunSummary], following: str) -> None:
    if page.items:
        output.draw(_table(page.items))
    else:
        output.line("no runs" if page.cursor is None else "no runs so far")
    if page.cursor is not None:
        output.line(f"next: {following}", "dim")


async def _watch(asked: AskedViews, wanted: RunFilter, limit: int, output: Output) -> None:
    """Show the first page and every change of it, until the command is stopped."""
    with _drawn(output) if output.live else _lines(output) as show:
        while True:
            show((await asked.views.list_runs(wanted, limit=limit)).items)
            await asked.moved()


@contextmanager
def _drawn(output: Output) -> Iterator[_Show]:
    with Live(console=output.console, auto_refresh=False) as live:

        def show(found: list[RunSummary]) -> None:
            rows = max(1, output.console.height - _LINES_BESIDE)
            live.update(_table(found[:rows], one_line_each=True) if found else Text("no runs"), refresh=True)

        yield show


@contextmanager
def _lines(output: Output) -> Iterator[_Show]:
    shown: dict[str, RunSummary] = {}

    def show(found: list[RunSummary]) -> None:
        for run in reversed(found):
            if shown.get(run.run_id) != run:
                output.line(f"{run.run_id} {run.run_status.value}  {run.workflow_id}  {_words(run)}")
        shown.clear()
        shown.update((run.run_id, run) for run in found)

    yield show


def _words(run: RunSummary) -> str:
    return one_line(run.message if run.error is None else str(run.error), _MESSAGE_CHARACTERS)


def _table(found: list[RunSummary], *, one_line_each: bool = False) -> Table:
    tagged = any(run.tags for run in found)
    table = Table(box=None, pad_edge=False)
    table.add_column("status", no_wrap=True)
    table.add_column("run", no_wrap=True)
    table.add_column("workflow", overflow="fold")
    table.add_column("created", no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    if tagged:
        table.add_column("tags", overflow="fold")
    table.add_column("message", overflow="ellipsis" if one_line_each else "fold")
    now = datetime.now(UTC)
    for run in found:
        tags = [Text(one_line(", ".join(run.tags)))] if tagged else []
        table.add_row(
            status_text(run.run_status),
            Text(run.run_id),
            Text(one_line(run.workflow_id)),
            Text(moment(run.created)),
            Text(duration(run.started, run.stopped or now)),
            *tags,
            Text(_words(run), style="dim", no_wrap=one_line_each),
        )
    return table
