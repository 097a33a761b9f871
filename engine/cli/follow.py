"""Following runs while they happen: a progress service that draws on a terminal, or prints a line per change."""

from types import TracebackType
from typing import Self

from rich.live import Live

from engine.cli.output import Output
from engine.cli.text import duration, one_line
from engine.cli.timeline import LiveTimeline, Timeline
from engine.run import Run, Trace

_DRAWINGS_PER_SECOND = 8


class Follower:
    """Follows one run, or all; a progress service, and the display for as long as it is entered.

    Args:
        output: Where to print.
        every_run: Whether all runs are followed; they are always printed as lines.

    Attributes:
        timeline: What is known of the run that is followed.
        ended: Every run that ended meanwhile, in order.
    """

    def __init__(self, output: Output, *, every_run: bool = False) -> None:
        self.timeline = Timeline()
        self.ended: dict[str, Run] = {}
        self._output = output
        self._every_run = every_run
        self._run_id = ""
        self._timelines: dict[str, Timeline] = {}
        self._live: Live | None = None

    def __enter__(self) -> Self:
        """Begin to draw, on a terminal."""
        if self._output.live and not self._every_run:
            self._live = Live(
                LiveTimeline(self.timeline),
                console=self._output.console,
                refresh_per_second=_DRAWINGS_PER_SECOND,
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing; the final timeline is printed by the command."""
        if self._live is not None:
            self._live.stop()

    def follow(self, run: Run, traces: list[Trace]) -> None:
        """Follow this run from where it stands."""
        self._run_id = run.run_id
        self.timeline.take(run)
        for trace in traces:
            self.timeline.take(trace)

    async def run_progress(self, run: Run) -> None:
        """Hear of a run that was created or changed."""
        self._hear(run)

    async def trace_progress(self, trace: Trace) -> None:
        """Hear of a trace that was started or changed."""
        self._hear(trace)

    def _hear(self, subject: Run | Trace) -> None:
        if not self._every_run:
            if subject.run_id == self._run_id and self.timeline.take(subject):
                self._print(subject)
            return
        timeline = self._timelines.setdefault(subject.run_id, Timeline())
        if timeline.take(subject):
            self._print(subject)
        if isinstance(subject, Run) and subject.run_status.terminal:
            self.ended[subject.run_id] = subject
            del self._timelines[subject.run_id]

    def _print(self, subject: Run | Trace) -> None:
        if self._live is None:
            text = _run_line(subject) if isinstance(subject, Run) else _trace_line(subject)
            self._output.line(f"{subject.run_id} {text}" if self._every_run else text)


def _run_line(run: Run) -> str:
    time = "" if run.stopped is None else f" after {duration(run.started or run.created, run.stopped)}"
    error = "" if run.error is None else f"  {run.error}"
    return f"run {run.run_status.value}{time}{error}"


def _trace_line(trace: Trace) -> str:
    attempt = f" (attempt {trace.attempt})" if trace.attempt > 1 else ""
    time = "" if trace.stopped is None else f" after {duration(trace.started, trace.stopped)}"
    words = str(trace.error) if trace.error is not None else trace.message
    return one_line(
        f"{trace.number:>3} {trace.title}{attempt} {trace.trace_status.value}{time}{f'  {words}' if words else ''}"
    )
