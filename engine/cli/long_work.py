"""Long work at the command line: how far it is, how fast it goes, how long it will take, and how to go on with it.

On a terminal a bar is drawn on stderr, which is gone when the work is done; elsewhere a plain line is printed now and
then, the first one only when the work has taken some time. With --json there are no plain lines. Stdout is never
touched, so print on it before or after the work.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from math import ceil
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from engine.cli.collection import collect_seldom
from engine.cli.output import Output, console
from engine.cli.text import one_line
from engine.limits import LONG_WORK_LINE_SECONDS

_SAMPLE_SECONDS: Final = 0.1
"""How often the count is handed on; between two samples a step costs no more than asking the clock."""
_RATE_SECONDS: Final = 30.0
"""How far back the work is looked at to say how fast it goes."""
_SLOW: Final = 10
"""Steps a second below which the rate has a decimal."""

_BAR_COLUMNS: Final = 40

Clock = Callable[[], float]
"""Seconds that only rise."""


@contextmanager
def long_work(
    output: Output,
    title: str,
    *,
    total: int | None = None,
    unit: str = "records",
    resume: str = "",
    clock: Clock = time.monotonic,
    screen: Console | None = None,
) -> Iterator["LongWork"]:
    """Show on stderr how far the work of a `with` block is; the block tells of its steps with `advance`.

    Args:
        output: What the command prints on.
        title: What is being done, such as `auditing`.
        total: How many steps there are, or None while nobody knows; `LongWork.total` may be set later.
        unit: What the steps are, in the plural.
        resume: The command line that goes on with the work after Ctrl-C, or an empty text.
        clock: Where the time comes from.
        screen: What is shown on; stderr unless given.
    """
    screen = screen or console(stderr=True)
    draws = screen.is_terminal and not screen.is_dumb_terminal
    progress = Progress(
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        BarColumn(bar_width=None, table_column=Column(max_width=_BAR_COLUMNS)),
        _Numbers(table_column=Column(no_wrap=True)),
        console=screen,
        transient=True,
        redirect_stdout=False,
        get_time=clock,
        speed_estimate_period=_RATE_SECONDS,
        disable=not draws,
    )
    lines = None if draws or output.as_json else screen
    work = LongWork(progress, title, total=total, unit=unit, lines=lines, clock=clock)
    collect_seldom()
    try:
        with progress:
            yield work
            work.finish()
    except (asyncio.CancelledError, KeyboardInterrupt):
        going_on = f"; go on with: {resume}" if resume else ""
        _print(screen, f"{title} stopped after {work.count_words()}{going_on}")
        raise


class LongWork:
    """Work of many steps. One thread at a time tells of them.

    Args:
        progress: Keeps the samples and draws them, if anything is drawn.
        title: What is being done.
        total: How many steps there are, or None.
        unit: What the steps are.
        lines: What plain lines are printed on, or None for no lines.
        clock: Where the time comes from.
    """

    def __init__(
        self, progress: Progress, title: str, *, total: int | None, unit: str, lines: Console | None, clock: Clock
    ) -> None:
        self._progress = progress
        self._title = title
        self._lines = lines
        self._clock = clock
        self._done = 0
        task_id = progress.add_task(one_line(title), total=total, unit=one_line(unit))
        self._task = next(task for task in progress.tasks if task.id == task_id)
        now = clock()
        self._sample_due = now + _SAMPLE_SECONDS
        self._line_due = now + LONG_WORK_LINE_SECONDS
        self._said = ""

    @property
    def done(self) -> int:
        """How many steps are done."""
        return self._done

    @property
    def total(self) -> int | None:
        """How many steps there are, as far as is known."""
        return None if self._task.total is None else int(self._task.total)

    @total.setter
    def total(self, total: int) -> None:
        # Not by `update`, which forgets the samples: a total that grows all the time would leave no rate.
        self._task.total = total

    def advance(self, count: int = 1) -> None:
        """Tell of steps that are done."""
        self._done += count
        now = self._clock()
        if now < self._sample_due:
            return
        self._sample_due = now + _SAMPLE_SECONDS
        self._sample()
        if self._lines is not None and now >= self._line_due:
            self._line_due = now + LONG_WORK_LINE_SECONDS
            self._say()

    def finish(self) -> None:
        """Print the last count, when one was printed before."""
        self._sample()
        if self._said:
            self._say()

    def count_words(self) -> str:
        """Return how far the work is, for people."""
        self._sample()
        return _count(self._task)

    def _sample(self) -> None:
        self._progress.update(self._task.id, completed=self._done)

    def _say(self) -> None:
        assert self._lines is not None
        text = f"{self._title}: {_numbers(self._task)}"
        if text != self._said:
            _print(self._lines, text)
            self._said = text


class _Numbers(ProgressColumn):
    """The numbers beside the bar."""

    def render(self, task: Task) -> Text:
        """Return them as they are now."""
        return Text(_numbers(task))


def _numbers(task: Task) -> str:
    parts = [_count(task)]
    if task.total is not None and task.completed < task.total:
        parts.append(f"{task.completed / task.total:.0%}")
    speed, remaining = task.speed, task.remaining
    if speed:
        parts.append(f"{speed:,.{1 if speed < _SLOW else 0}f}/s")
    if speed and remaining is not None and remaining > 0:
        parts.append(f"{_time(remaining / speed)} left")
    else:
        parts.append(f"{_time(task.elapsed or 0)} so far")
    return ", ".join(parts)


def _count(task: Task) -> str:
    of = "" if task.total is None else f" of {task.total:,.0f}"
    return f"{task.completed:,.0f}{of} {task.fields['unit']}"


def _time(seconds: float) -> str:
    return str(timedelta(seconds=ceil(seconds)))


def _print(screen: Console, text: str) -> None:
    screen.print(Text(one_line(text)), soft_wrap=True)
