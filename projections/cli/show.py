"""`show`: one run, as it is, as it was, and how its context changed; beside a running engine too."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import orjson
from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from engine.arguments import check_run_id
from engine.cli.context_text import context_text
from engine.cli.execute import draw_report, print_report, report
from engine.cli.exit_codes import SUCCESS
from engine.cli.failures import ArgumentsError
from engine.cli.interruption import Interruptible
from engine.cli.options import VIEWS_OPTIONS, ViewsOptions
from engine.cli.output import Output
from engine.cli.reading import open_reading
from engine.cli.text import one_line
from engine.core.events import Event
from engine.core.view import Accepted
from engine.history import traces_in
from projections.cli.damage import damage_named
from projections.cli.differences import differences, draw
from projections.cli.histories import find_history
from projections.cli.points import Point, find_point

_ID_CHARACTERS = 12
"""Characters of a commit's id that are shown; enough to name it."""


def show(
    run_id: Annotated[str, Parameter(name="RUN")],
    /,
    *,
    at: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    diff: Annotated[tuple[str, str] | None, Parameter(negative="", allow_leading_hyphen=True)] = None,
    events: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    options: ViewsOptions = VIEWS_OPTIONS,
) -> int:
    """Show one run: timeline, errors, output. Works beside a running engine.

    Parameters
    ----------
    run_id
        The run's id.
    at
        As it stood then: a time, 2h ago, a commit or COMMIT.INDEX, or start.
    diff
        How its context changed from one such point to another, such as start end.
    events
        Its events, with ids and times.
    """
    check_run_id(run_id)
    if [at is not None, diff is not None, events].count(True) > 1:
        raise ArgumentsError("Expected one of --at, --diff and --events.")
    output = options.output()
    settings = options.load().settings
    now = datetime.now(UTC)

    async def work() -> int:
        async with open_reading(settings) as log:
            with damage_named():
                history = await find_history(log, settings, run_id)
        if diff is not None:
            _print_differences(output, *(find_point(history, "--diff", text, now) for text in diff))
        elif events:
            _print_events(output, history)
        elif at is not None:
            _print_point(output, find_point(history, "--at", at, now))
        else:
            print_report(output, history)
        return SUCCESS

    return Interruptible().run(work())


def _print_point(output: Output, point: Point) -> None:
    """Print a run as it stood, with the context that its next node would have got."""
    output.document(report(point.history) | {"as_of": point.data, "context": point.state.context})
    output.line(f"as of {_place(point)}", "bold")
    draw_report(output, point.history, datetime.fromisoformat(point.when))
    if point.state.stopped is None:
        output.line("context", "bold")
        output.block(context_text(orjson.dumps(point.state.context).decode(), output.console.width))


def _print_differences(output: Output, before: Point, after: Point) -> None:
    found = differences(before.state.context, after.state.context)
    output.document(
        {
            "run_id": after.state.run_id,
            "from": before.data,
            "to": after.data,
            "changes": [each.data for each in found],
        }
    )
    output.line(f"from {_place(before)}", "bold")
    output.line(f"to   {_place(after)}", "bold")
    if found:
        output.draw(draw(found))
    else:
        output.line("the context is the same")


def _print_events(output: Output, history: Sequence[Accepted]) -> None:
    rows = [
        (accepted, f"{accepted.id}.{index}", event)
        for accepted in history
        for index, event in enumerate(accepted.value["events"])
    ]
    output.document(
        {
            "run_id": history[0].value["run"],
            "events": [
                {"event_id": event_id, "time": accepted.value["time"], "offset": accepted.offset, "event": event}
                for accepted, event_id, event in rows
            ],
        }
    )
    table = Table(box=None, pad_edge=False)
    for name in ("event", "time", "type"):
        table.add_column(name, no_wrap=True)
    table.add_column("of", overflow="fold")
    titles = {trace.number: trace.title for trace in traces_in(history)}
    for accepted, event_id, event in rows:
        table.add_row(
            Text(_short(event_id)), Text(accepted.value["time"]), Text(event["type"]), Text(_subject(event, titles))
        )
    output.draw(table)


def _subject(event: Event, titles: dict[int, str]) -> str:
    match event["type"]:
        case "trace.started" | "trace.succeeded" | "trace.failed" | "trace.cancelled":
            return one_line(f"{event['trace']} {titles.get(event['trace'], '')}")
        case "command.refused":
            return one_line(f"{event['command_type']}: {event['reason']}")
        case _:
            return ""


def _place(point: Point) -> str:
    return f"{point.when}, event {_short(point.event_id)}"


def _short(event_id: str) -> str:
    commit, _, index = event_id.partition(".")
    return f"{commit[:_ID_CHARACTERS]}.{index}"
