"""A run's timeline: its node executions, one row each, with status, attempt, duration and a bar."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from rich.bar import Bar
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from engine.cli.text import duration, one_line
from engine.core.state import RunStatus, TraceStatus
from engine.run import Run, RunError, Trace

ROWS_MAX: Final = 200
"""Rows of a timeline that is printed; --json has all."""
_BAR_COLUMNS: Final = 24
_TITLE_CHARACTERS: Final = 40
_MESSAGE_CHARACTERS: Final = 200
_STYLES: Final = {
    "Created": "dim",
    "Running": "yellow",
    "Suspended": "magenta",
    "Success": "green",
    "Failed": "bold red",
    "Cancelled": "magenta",
}
_SYMBOLS: Final = {"Created": "·", "Running": "▶", "Suspended": "‖", "Success": "✓", "Failed": "✗", "Cancelled": "⊘"}
_PLAIN_SYMBOLS: Final = {
    "Created": ".",
    "Running": ">",
    "Suspended": "=",
    "Success": "+",
    "Failed": "x",
    "Cancelled": "-",
}


def status_text(status: RunStatus | TraceStatus) -> Text:
    """Return a status in its colour."""
    return Text(status.value, style=_STYLES[status.value])


class Timeline:
    """What is known of a run and its traces; takes changes in any order and keeps the latest of each.

    Attributes:
        run: The run, or None before anything was heard of it.
    """

    def __init__(self, run: Run | None = None, traces: Sequence[Trace] = ()) -> None:
        self.run = run
        self._traces = {trace.number: trace for trace in traces}

    @property
    def traces(self) -> list[Trace]:
        """The traces, in the order in which they began."""
        return [self._traces[number] for number in sorted(self._traces)]

    def take(self, subject: Run | Trace) -> bool:
        """Take a change and return whether it was news."""
        if isinstance(subject, Run):
            if self.run == subject or (self.run is not None and self.run.run_status.terminal):
                return False
            self.run = subject
            return True
        known = self._traces.get(subject.number)
        if known is not None and _progress(known) >= _progress(subject):
            return False
        self._traces[subject.number] = subject
        return True

    def render(self, now: datetime, rows_max: int = ROWS_MAX) -> RenderableType:
        """Return the timeline as it stands, the latest rows when there are more than `rows_max`."""
        return _Drawing(self, now, rows_max)


class LiveTimeline:
    """A timeline that draws itself as it is at that moment, as high as the terminal allows.

    Args:
        timeline: The timeline.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._timeline.render(datetime.now(UTC), max(1, console.height - 6))


class _Drawing:
    """One drawing of a timeline."""

    def __init__(self, timeline: Timeline, now: datetime, rows_max: int) -> None:
        self._run = timeline.run
        self._traces = timeline.traces
        self._now = now
        self._rows_max = rows_max

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        fancy = console.encoding.startswith("utf") and not options.ascii_only
        parts: list[RenderableType] = []
        hidden = len(self._traces) - self._rows_max
        if hidden > 0:
            parts.append(Text(f"{hidden} earlier node executions are not shown", style="dim"))
        parts.append(self._table(self._traces[-self._rows_max :], fancy=fancy))
        if self._run is not None:
            parts.append(self._summary(self._run, fancy=fancy))
        yield Group(*parts)

    def _table(self, traces: Sequence[Trace], *, fancy: bool) -> Table:
        table = Table.grid(padding=(0, 1))
        for _ in range(4):
            table.add_column(no_wrap=True)
        if fancy:
            table.add_column(width=_BAR_COLUMNS, no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(overflow="fold")
        begin, end = self._bounds()
        for trace in traces:
            stopped = trace.stopped or end
            status = trace.trace_status.value
            symbols = _SYMBOLS if fancy else _PLAIN_SYMBOLS
            cells: list[RenderableType] = [
                Text(symbols[status], style=_STYLES[status]),
                Text(one_line(trace.title, _TITLE_CHARACTERS)),
                Text(one_line(trace.node_type, _TITLE_CHARACTERS), style="dim"),
                Text(f"attempt {trace.attempt}" if trace.attempt > 1 else "", style="yellow"),
            ]
            if fancy:
                cells.append(_bar(begin, end, trace.started, stopped, _STYLES[status]))
            cells += [Text(duration(trace.started, stopped)), _words(trace)]
            table.add_row(*cells)
        return table

    def _summary(self, run: Run, *, fancy: bool) -> Text:
        symbol = (_SYMBOLS if fancy else _PLAIN_SYMBOLS)[run.run_status.value]
        text = Text()
        text.append(f"{symbol} {run.run_status.value}", style=_STYLES[run.run_status.value])
        if time := duration(run.started, run.stopped or self._now):
            text.append(f" {'for' if run.stopped is None else 'after'} {time}")
        text.append(f"  {one_line(run.workflow_id)}  run {one_line(run.run_id)}", style="dim")
        if run.error is not None:
            text.append(f"\n{error_line(run.error)}", style="red")
        return text

    def _bounds(self) -> tuple[datetime, datetime]:
        run = self._run
        begin = min((trace.started for trace in self._traces), default=self._now)
        if run is not None and run.stopped is not None:
            return begin, run.stopped
        return begin, max([self._now, *(trace.stopped for trace in self._traces if trace.stopped is not None)])


def error_line(error: RunError) -> str:
    """Return an error as one line for people."""
    return one_line(str(error))


def _progress(trace: Trace) -> tuple[int, bool]:
    return (trace.attempt, trace.trace_status is not TraceStatus.RUNNING)


def _bar(begin: datetime, end: datetime, started: datetime, stopped: datetime, style: str) -> RenderableType:
    total = max((end - begin).total_seconds(), 1e-6)
    first = (started - begin).total_seconds() / total * _BAR_COLUMNS
    # A node execution shorter than one eighth of a column would not be seen at all.
    last = max((stopped - begin).total_seconds() / total * _BAR_COLUMNS, first + 0.125)
    first = min(first, _BAR_COLUMNS - 0.125)
    return Bar(_BAR_COLUMNS, first, min(last, _BAR_COLUMNS), width=_BAR_COLUMNS, color=style.removeprefix("bold "))


def _words(trace: Trace) -> Text:
    if trace.error is not None:
        return Text(one_line(f"{trace.error.type}: {trace.error.message}", _MESSAGE_CHARACTERS), style="red")
    return Text(one_line(trace.message, _MESSAGE_CHARACTERS), style="dim")
