"""What a log comes to: what its views show, the rows they have, what is decided again and what the audit finds."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from engine import Registry
from engine.log.port import Log
from engine.run import Run, Trace
from projections import VIEWS, RunFilter, Views
from projections.audit.audit import audit_log
from projections.decisions import DecisionReport, replay_decisions
from projections.ended import FAMILY as ENDED
from projections.position import FAMILY as POSITIONS
from projections.projection import family_name
from tests.histories.history import Family
from tests.projections.folding import every_page, folded, stored

_SHOWN_CHARACTERS: Final = 1_500
"""Characters of a context that is shown as it is."""
_PAGE: Final = 100
_WORK: Final = 500
_VERSIONS: Final = {
    family_name(projection.name, family): projection.version for projection in VIEWS for family in projection.families
} | {ENDED: 1}
"""The version of whoever writes the rows of each family."""


class Shown(NamedTuple):
    """What a log comes to.

    Attributes:
        views: What the views show, one JSON document for each thing.
        families: The rows of the views, by their family.
        decisions: What came of deciding it once more.
        violations: What the audit found, and how often.
    """

    views: Sequence[str]
    families: Mapping[str, Family]
    decisions: DecisionReport
    violations: Mapping[str, int]


async def show(log: Log, directory: Path, registry: Registry) -> Shown:
    """Fold, decide again and audit all that a log holds.

    Args:
        log: The log.
        directory: Where views are made and the audit works.
        registry: The node types that can be asked; no function is called.
    """
    async with folded(log, directory / "views") as projector:
        things = [thing async for thing in _things(Views.of(projector))]
    rows = stored(directory / "views")
    # What tells a log from its copies is not part of what it says.
    families = {name: _digest(name, pairs) for name, pairs in rows.items() if name != POSITIONS}
    violations: Counter[str] = Counter()
    for each in (await audit_log(log, directory / "audit")).partitions:
        violations.update({rule.value: count for rule, count in each.violation_counts.items()})
    views = [orjson.dumps(thing, option=orjson.OPT_SORT_KEYS).decode() for thing in things]
    return Shown(views, families, await replay_decisions(log, registry=registry), dict(violations))


async def _things(views: Views) -> AsyncIterator[object]:
    """Yield all that the views show, in an order that follows from the log."""
    for workflow in await views.list_workflows():
        yield {
            "workflow": workflow.workflow_id,
            "version": workflow.version,
            "name": workflow.name,
            "nodes": workflow.nodes,
            "published": workflow.published,
            "offset": workflow.offset,
        }
    for summary in sorted(await every_page(views, RunFilter(), _PAGE), key=lambda each: each.run_id):
        run = await views.get_run(summary.run_id)
        yield {"run": _plain(run), "listed": asdict(summary)}
        for trace in await views.get_traces(summary.run_id):
            yield {"trace": _plain(trace)}
        commits = views.get_history(summary.run_id)
        yield {"commits": [f"{each.offset} {each.id}" for each in commits], "decided": commits[-1].after.decided}
    for work in await views.list_open_work(limit=_WORK):
        yield {"open work": asdict(work)}
    for position in await views.positions():
        yield {"position": {name: value for name, value in asdict(position).items() if name != "topic_id"}}


def _plain(subject: Run | Trace) -> dict[str, object]:
    """Return all that a run or a trace says, with contexts that are not long as they are rather than as text."""
    fields = asdict(subject)
    for name in ("input_context", "output_context"):
        if (context := fields[name]) is not None:
            long = {"characters": len(context), "sha256": sha256(context.encode()).hexdigest()}
            fields[name] = orjson.loads(context) if len(context) <= _SHOWN_CHARACTERS else long
    return fields


def _digest(family: str, rows: Sequence[tuple[bytes, bytes]]) -> Family:
    digest = sha256()
    for pair in rows:
        for part in pair:
            digest.update(len(part).to_bytes(8, "big") + part)
    return Family(_VERSIONS[family], len(rows), digest.hexdigest())
