"""Simulate: one seed with its timeline, or many with a summary. `python -m tests.simulation --help`."""

import argparse
import logging
import re
import secrets
import sys
from collections.abc import Sequence
from typing import Final

from engine.crash_points import CrashPoint
from tests.simulation.diary import Entry
from tests.simulation.many import run_many
from tests.simulation.simulate import simulate

SEEDS_MAX: Final = 2**40
"""Fresh seeds begin below this."""
_TIMELINE: Final = 60
"""Lines of a failing seed's timeline."""
_RUN_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_SUFFIX: Final = 6
"""Last characters of a run's id, which stand in timelines."""
_VIOLATION: Final = 1_500
"""Characters of a violation."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, and return 1 when a promise was broken."""
    options = _parser().parse_args(arguments)
    if options.seed is not None:
        return _one(options.seed, trace=options.trace, point=CrashPoint[options.kill_at] if options.kill_at else None)
    first = secrets.randbelow(SEEDS_MAX) if options.first is None else options.first
    print(f"python -m tests.simulation --seeds {options.seeds} --first {first} --jobs {options.jobs}", flush=True)
    summary = run_many(first, options.seeds, jobs=options.jobs, seconds_max=options.seconds)
    for line in summary.lines():
        print(line)
    if summary.seeds < options.seeds and not summary.failing:
        print(f"stopped after {options.seconds:.0f} s")
    for failing in summary.failing:
        print(f"\n{replay_command(failing.seed)}")
        for violation in failing.violations:
            print(f"  {violation[:_VIOLATION]}")
    if summary.failing:
        print()
        _one(summary.failing[0].seed, trace=False, point=None)
    return 1 if summary.failing else 0


def replay_command(seed: int) -> str:
    """Return what replays a seed."""
    return f"python -m tests.simulation --seed {seed} --trace"


def compact(entries: Sequence[Entry], violations: Sequence[str]) -> list[Entry]:
    """Return what concerns the runs that violations name, and the processes; everything where they name none."""
    runs = {found[-_SUFFIX:] for violation in violations for found in _RUN_ID.findall(violation)}
    if not runs:
        return list(entries)
    told = ("fence", "fault:", "killed", "storm", ": die", ": begin", ": pause", ": wake", ": close")
    return [
        entry for entry in entries if any(run in entry.text for run in runs) or any(word in entry.text for word in told)
    ]


def _one(seed: int, *, trace: bool, point: CrashPoint | None) -> int:
    print(replay_command(seed), flush=True)
    logging.disable(logging.CRITICAL)
    report = simulate(seed, written=True, point=point)
    entries = report.entries if trace else compact(report.entries, report.violations)[-_TIMELINE:]
    if len(entries) < len(report.entries):
        print(f"{len(entries)} of {len(report.entries)} lines:")
    for entry in entries:
        print(entry)
    print(", ".join(f"{count} {what}" for what, count in sorted(report.figures.items())))
    print(f"digest {report.digest}")
    for violation in report.violations:
        print(f"VIOLATION: {violation}")
    return 1 if report.violations else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--seed", type=int, help="replay one seed")
    what.add_argument("--seeds", type=int, help="run so many seeds")
    parser.add_argument("--trace", action="store_true", help="with --seed: the whole timeline")
    parser.add_argument("--kill-at", choices=[point.name for point in CrashPoint], help="with --seed: die there")
    parser.add_argument("--first", type=int, help="with --seeds: the first one; a fresh one unless given")
    parser.add_argument("--jobs", type=int, default=1, help="with --seeds: processes")
    parser.add_argument("--seconds", type=float, help="with --seeds: begin no more after so many seconds")
    return parser


if __name__ == "__main__":
    sys.exit(main())
