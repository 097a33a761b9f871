"""`replay`: folds and decides a log once more, and compares."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from engine.arguments import check_run_id
from engine.cli.exit_codes import SUCCESS
from engine.cli.failures import ArgumentsError
from engine.cli.interruption import Interruptible
from engine.cli.long_work import long_work
from engine.cli.moments import parse_moment
from engine.cli.options import CheckingOptions, ViewsOptions
from engine.cli.output import Output
from engine.cli.reading import open_reading
from engine.cli.working_directory import log_origin, working_directory
from engine.errors import RunNotFoundError
from projections.audit.audit import log_identity
from projections.cli.damage import damage_named
from projections.replay import Created, Replay, ReplayReport
from projections.replay.replay import Advance, Stage
from projections.replay.report import print_replay, replay_json

_DIFFERS: Final = 1
"""The exit code when anything differs."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ReplayOptions(ViewsOptions, CheckingOptions):
    """What `replay` takes."""


_OPTIONS: Final = ReplayOptions()


def replay(
    run_id: Annotated[str | None, Parameter(name="RUN")] = None,
    /,
    *,
    since: Annotated[
        str | None,
        Parameter(
            name="--since",
            allow_leading_hyphen=True,
            help="Only runs created at this time or later: RFC 3339, or 2h, 3d ago",
        ),
    ] = None,
    until: Annotated[
        str | None, Parameter(name="--until", allow_leading_hyphen=True, help="Only runs created before this time")
    ] = None,
    work: Annotated[
        Path | None, Parameter(name="--work", help="Where an interrupted one goes on from [a temporary directory]")
    ] = None,
    options: ReplayOptions = _OPTIONS,
) -> int:
    """Fold and decide the log once more with this version; compare with the views, and with what was decided.

    Works beside a running engine, executes nothing and changes nothing.

    Parameters
    ----------
    run_id
        Only this run.
    """
    created = _created(run_id, since, until)
    output = options.output()
    settings = options.load().settings
    interruptible = Interruptible()
    interruptible.begun = "nothing was changed" if run_id else "what was done so far is kept"

    async def compare() -> int:
        with damage_named():
            report = await _report(run_id, created, work, options, output)
        if run_id in report.decisions.unknown_runs and not report.views.rows.differing:
            raise RunNotFoundError(f"Expected the id of a run, but the log has no run {run_id}.")
        output.document({"log": str(settings.data), "run_id": run_id, **created._asdict(), **replay_json(report)})
        print_replay(output, report)
        return SUCCESS if report.same else _DIFFERS

    return interruptible.run(compare())


async def _report(
    run_id: str | None, created: Created, work: Path | None, options: ReplayOptions, output: Output
) -> ReplayReport:
    settings = options.load().settings
    registry = options.registry()
    words = _words(run_id, created, work)
    async with open_reading(settings) as log:
        origin = log_origin(settings.data)
        name = f"{await log_identity(log)} {origin} {settings.views.absolute()} {settings.app}{words}"
        directory = work or working_directory("replay", name)
        stage = _stage(output, f"runline replay{words}{options.repeated()}")
        replay = Replay(log, settings.views, directory, registry=registry, stage=stage)
        try:
            return await _replayed(replay, run_id, created, str(settings.app))
        finally:
            # Where nothing was begun, nothing is left either.
            with suppress(OSError):
                directory.rmdir()


async def _replayed(replay: Replay, run_id: str | None, created: Created, name: str) -> ReplayReport:
    if run_id is not None:
        return await replay.runs([run_id])
    return await (replay.whole(name) if created == Created() else replay.created(created, name))


def _created(run_id: str | None, since: str | None, until: str | None) -> Created:
    if run_id is not None and (since is not None or until is not None):
        raise ArgumentsError("Expected either a run, or --since and --until, but found both.")
    if run_id is not None:
        check_run_id(run_id)
    now = datetime.now(UTC)
    return Created(
        None if since is None else parse_moment("--since", since, now),
        None if until is None else parse_moment("--until", until, now),
    )


def _words(run_id: str | None, created: Created, work: Path | None) -> str:
    """Return the arguments as they would be typed again, with times for what was said as a time ago."""
    words = [] if run_id is None else [run_id]
    for name, moment in created._asdict().items():
        words += [] if moment is None else [f"--{name}", moment.isoformat()]
    words += [] if work is None else ["--work", str(work)]
    return "".join(f" {shlex.quote(word)}" for word in words)


def _stage(output: Output, resume: str) -> Stage:
    @contextmanager
    def stage(title: str, unit: str, total: int | None) -> Iterator[Advance]:
        with long_work(output, title, total=total, unit=unit, resume=resume) as work:
            yield work.advance

    return stage
