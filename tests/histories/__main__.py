"""Records histories, and says what those that are there come to.

    python -m tests.histories list
    python -m tests.histories record NAME
    python -m tests.histories record NAME --from DIRECTORY --title TITLE --version COMMIT
    python -m tests.histories compare [NAME ...]
    python -m tests.histories rows [NAME ...]

A history is never recorded twice: what was on a log stays what it is. `rows` writes down anew what rows a projection
has that got another version, and nothing else.
"""

import argparse
import asyncio
import logging
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from engine.log.embedded import EmbeddedLog
from engine.log.port import Log
from tests.histories.comparing import UNEXPLAINED, compared
from tests.histories.functions import registry
from tests.histories.history import RECORDED, About, Decisions, History, load, names, read_log, save, simulated
from tests.histories.scenarios import SCENARIOS
from tests.histories.showing import Shown, show


async def record(name: str, log: Log, title: str, version: str) -> History:
    """Return what stands on a log as a history; where its decisions differ, the reasons are still to be given."""
    recorded = {"by": version, "on": f"{datetime.now(UTC):%Y-%m-%d}"}
    empty = About(title, recorded, log.partitions, {}, Decisions(0, 0, {}))
    history = History(name, empty, await read_log(log), [])
    shown = await _show(history)
    about = replace(empty, families=shown.families, decisions=_decisions(shown), violations=shown.violations)
    return replace(history, about=about, views=shown.views)


def _decisions(shown: Shown) -> Decisions:
    report = shown.decisions
    return Decisions(
        report.runs,
        report.compared,
        dict(report.taken_over),
        {difference.event_id: f"{UNEXPLAINED}: {difference}" for difference in report.differences},
        {run: f"{UNEXPLAINED}: {why}" for run, why in report.unreadable_runs.items()},
    )


async def _show(history: History) -> Shown:
    with tempfile.TemporaryDirectory() as directory:
        return await show(simulated(history), Path(directory), registry())


async def _recorded(arguments: argparse.Namespace) -> History:
    name, source = arguments.name, arguments.source
    if source is not None:
        log: Log = await EmbeddedLog.open_reading(source)
        try:
            return await record(name, log, arguments.title, arguments.version)
        finally:
            await log.close()
    title, write = SCENARIOS[name]
    return await record(name, await write(), title, _commit())


def _commit() -> str:
    git = shutil.which("git")
    assert git is not None, "a recording names the commit that wrote it"
    return subprocess.run((git, "rev-parse", "HEAD"), check=True, capture_output=True, text=True).stdout.strip()


def _record(arguments: argparse.Namespace) -> int:
    if arguments.name in names():
        print(f"{arguments.name} is recorded already, and stays as it is: choose another name.", file=sys.stderr)
        return 2
    if arguments.source is None and arguments.name not in SCENARIOS:
        print(f"expected one of {', '.join(SCENARIOS)}, or --from DIRECTORY.", file=sys.stderr)
        return 2
    history = asyncio.run(_recorded(arguments))
    save(history)
    decisions = history.about.decisions
    print(f"{RECORDED / history.name}: {len(history.records)} records, {decisions.runs} runs")
    for name, reason in {**decisions.differences, **decisions.unreadable}.items():
        print(f"{name}: {reason}")
    return 0


def _list(_: argparse.Namespace) -> int:
    for name in sorted({*names(), *SCENARIOS}):
        title = load(name).about.title if name in names() else f"{SCENARIOS[name].title} (not recorded)"
        print(f"{name}: {title}")
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    found = 0
    for name in arguments.names or names():
        history = load(name)
        differences = compared(history, asyncio.run(_show(history)))
        found += len(differences)
        print(f"{name}: {'the same' if not differences else ''}")
        for difference in differences:
            print(f"  {difference}")
    return int(found > 0)


def _rows(arguments: argparse.Namespace) -> int:
    for name in arguments.names or names():
        history = load(name)
        today = asyncio.run(_show(history)).families
        changed = {each: rows for each, rows in today.items() if rows.version != _version(history, each)}
        kept = {each: rows for each, rows in history.about.families.items() if each in today}
        save(replace(history, about=replace(history.about, families=kept | changed)))
        print(f"{name}: {', '.join(changed) or 'nothing'} written down anew")
    return 0


def _version(history: History, family: str) -> int:
    return history.about.families[family].version if family in history.about.families else 0


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.histories", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True)

    def add(name: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        made = commands.add_parser(name)
        made.set_defaults(run=run)
        return made

    add("list", _list)
    recording = add("record", _record)
    recording.add_argument("name")
    recording.add_argument("--from", dest="source", help="the directory of an embedded log, instead of a scenario")
    recording.add_argument("--title", default="", help="what is in it")
    recording.add_argument("--version", default="", help="which commit or version wrote it")
    for name, run in (("compare", _compare), ("rows", _rows)):
        add(name, run).add_argument("names", nargs="*", default=[])
    arguments = parser.parse_args()
    return int(arguments.run(arguments))


if __name__ == "__main__":
    # What engines say of failures that are there on purpose tells nobody anything.
    logging.disable(logging.CRITICAL)
    sys.exit(main())
