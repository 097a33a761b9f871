"""A run's timeline: its node executions, one row each, with status, attempt, duration and a bar.

Under a node execution that was tried more than once stand its attempts.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from rich.bar import Bar
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from engine.cli.text import duration, one_line
from engine.core.state import RunStatus, TraceStatus
from engine.history import Attempt
from engine.run import Run, RunError, Trace

ROWS_MAX: Final = 200
"""Rows of a timeline that is printed; --json has all."""
_MESSAGE_CHARACTERS: Final = 200
_MESSAGE_COLUMNS_MIN: Final = 16
"""Columns of messages below which the rest of a row is made narrower."""
_MESSAGE_COLUMNS_WHOLE: Final = 30
"""Columns from which on messages are shown whole, in several lines if need be."""
_LOST: Final = "Lost"
"""What became of an attempt that was replaced."""
_STYLES: Final = {
    "Created": "dim",
    "Running": "yellow",
    "Suspended": "magenta",
    "Success": "green",
    "Failed": "bold red",
    "Cancelled": "magenta",
    _LOST: "bright_black",
}
_SYMBOLS: Final = {
    "Created": "·",
    "Running": "▶",
    "Suspended": "‖",
    "Success": "✓",
    "Failed": "✗",
    "Cancelled": "⊘",
    _LOST: "╌",
}
_PLAIN_SYMBOLS: Final = {
    "Created": ".",
    "Running": ">",
    "Suspended": "=",
    "Success": "+",
    "Failed": "x",
    "Cancelled": "-",
    _LOST: "?",
}


def status_text(status: RunStatus | TraceStatus) -> Text:
    """Return a status in its colour."""
    return Text(status.value, style=_STYLES[status.value])


class _Shape(NamedTuple):
    """How wide the parts of a row may be, in columns; no bar at 0."""

    title: int
    node_type: int
    bar: int


_SHAPES: Final = (_Shape(40, 40, 24), _Shape(24, 12, 12), _Shape(20, 8, 8), _Shape(16, 8, 0))
"""The first one that leaves room for the messages is taken."""


class Row(NamedTuple):
    """One row: a node execution, or an attempt of it."""

    status: str
    title: str
    node_type: str
    attempt: str
    started: datetime
    stopped: datetime | None
    message: Text


class Timeline:
    """What is known of a run and its traces; takes changes in any order and keeps the latest of each.

    Args:
        run: The run.
        traces: Its traces.
        attempts: Their attempts by the traces' numbers; those of a trace that had one only are not drawn.

    Attributes:
        run: The run, or None before anything was heard of it.
    """

    def __init__(
        self,
        run: Run | None = None,
        traces: Sequence[Trace] = (),
        attempts: Mapping[int, Sequence[Attempt]] | None = None,
    ) -> None:
        self.run = run
        self._traces = {trace.number: trace for trace in traces}
        self._attempts = attempts or {}

    @property
    def traces(self) -> list[Trace]:
        """The traces, in the order in which they began."""
        return [self._traces[number] for number in sorted(self._traces)]

    @property
    def rows(self) -> list[Row]:
        """The traces, under each that was tried more than once its attempts."""
        rows: list[Row] = []
        for trace in self.traces:
            rows.append(_trace_row(trace))
            attempts = self._attempts.get(trace.number, ())
            if len(attempts) > 1:
                rows += [_attempt_row(trace, attempt) for attempt in attempts]
        return rows

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
        self._rows = timeline.rows
        self._now = now
        self._rows_max = rows_max

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        fancy = console.encoding.startswith("utf") and not options.ascii_only
        parts: list[RenderableType] = []
        hidden = len(self._rows) - self._rows_max
        if hidden > 0:
            parts.append(Text(f"{hidden} earlier rows are not shown", style="dim"))
        parts.append(self._table(self._rows[-self._rows_max :], options.max_width, fancy=fancy))
        if self._run is not None:
            parts.append(self._summary(self._run, fancy=fancy))
        yield Group(*parts)

    def _table(self, rows: Sequence[Row], width: int, *, fancy: bool) -> Table:
        begin, end = self._bounds()
        lines, bar, left = self._fit(rows, width, end, fancy=fancy)
        table = Table.grid(padding=(0, 1))
        for _ in range(4):
            table.add_column(no_wrap=True)
        if bar:
            table.add_column(width=bar, no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        whole = left >= _MESSAGE_COLUMNS_WHOLE
        table.add_column(width=max(left, 1), no_wrap=not whole, overflow="fold" if whole else "ellipsis")
        for row, (*cells, time) in zip(rows, lines, strict=True):
            style = _STYLES[row.status]
            drawn = [_bar(begin, end, row.started, row.stopped or end, bar, style=style)] if bar else []
            table.add_row(*cells, *drawn, time, row.message)
        return table

    def _fit(self, rows: Sequence[Row], width: int, end: datetime, *, fancy: bool) -> tuple[list[list[Text]], int, int]:
        """Return the cells of the rows, the columns of the bar, and the columns that are left for the messages."""
        needed = min(max((cell_len(row.message.plain) for row in rows), default=0), _MESSAGE_COLUMNS_MIN)
        for shape in _SHAPES:
            lines = [self._cells(row, shape, end, fancy=fancy) for row in rows]
            bar = shape.bar if fancy else 0
            taken = sum(max(cell_len(cell.plain) for cell in column) + 1 for column in zip(*lines, strict=True))
            left = width - taken - (bar + 1 if bar else 0)
            if left >= needed or shape is _SHAPES[-1]:
                return lines, bar, left
        raise AssertionError("there are shapes")

    def _cells(self, row: Row, shape: _Shape, end: datetime, *, fancy: bool) -> list[Text]:
        return [
            Text((_SYMBOLS if fancy else _PLAIN_SYMBOLS)[row.status], style=_STYLES[row.status]),
            Text(one_line(row.title, shape.title)),
            Text(one_line(row.node_type, shape.node_type), style="dim"),
            Text(row.attempt, style="yellow"),
            Text(duration(row.started, row.stopped or end)),
        ]

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
        begin = min((row.started for row in self._rows), default=self._now)
        if run is not None and run.stopped is not None:
            return begin, run.stopped
        return begin, max([self._now, *(row.stopped for row in self._rows if row.stopped is not None)])


def _trace_row(trace: Trace) -> Row:
    return Row(
        status=trace.trace_status.value,
        title=trace.title,
        node_type=trace.node_type,
        attempt=f"attempt {trace.attempt}" if trace.attempt > 1 else "",
        started=trace.started,
        stopped=trace.stopped,
        message=_words(trace),
    )


def _attempt_row(trace: Trace, attempt: Attempt) -> Row:
    return Row(
        status=_LOST if attempt.lost else trace.trace_status.value,
        title=f"  attempt {attempt.number}",
        node_type="",
        attempt="",
        started=attempt.started,
        stopped=attempt.stopped,
        message=Text(one_line(f"{'lost with' if attempt.lost else 'by'} executor {attempt.executor}"), style="dim"),
    )


def error_line(error: RunError) -> str:
    """Return an error as one line for people."""
    return one_line(str(error))


def _progress(trace: Trace) -> tuple[int, bool]:
    return (trace.attempt, trace.trace_status is not TraceStatus.RUNNING)


def _bar(
    begin: datetime, end: datetime, started: datetime, stopped: datetime, columns: int, *, style: str
) -> RenderableType:
    total = max((end - begin).total_seconds(), 1e-6)
    first = (started - begin).total_seconds() / total * columns
    # A node execution shorter than one eighth of a column would not be seen at all.
    last = max((stopped - begin).total_seconds() / total * columns, first + 0.125)
    first = min(first, columns - 0.125)
    return Bar(columns, first, min(last, columns), width=columns, color=style.removeprefix("bold "))


def _words(trace: Trace) -> Text:
    if trace.error is not None:
        return Text(one_line(f"{trace.error.type}: {trace.error.message}", _MESSAGE_CHARACTERS), style="red")
    return Text(one_line(trace.message, _MESSAGE_CHARACTERS), style="dim")
