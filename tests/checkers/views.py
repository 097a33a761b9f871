"""Promise 4: folding the log from zero gives the live views, byte for byte."""

import json
from collections.abc import Iterator

from tests.checkers.artefacts import Artefacts, ViewDump
from tests.checkers.rule import STATUS, Chains, events_of, terminal_of

RUNS = "runs.rows"
"""The family with a row for each run."""


def equal(artefacts: Artefacts, chains: Chains) -> Iterator[str]:  # noqa: ARG001 - the signature of all checkers
    """Yield where views of one name differ."""
    first: dict[str, ViewDump] = {}
    for view in artefacts.views:
        other = first.setdefault(view.name, view)
        rows, others = set(view.rows), set(other.rows)
        for family, key, _ in sorted(rows ^ others)[:5]:
            shown = bytes.fromhex(key)
            yield f"view {view.name}: {family} {shown!r} differs between {view.origin} and {other.origin}"


def truthful(artefacts: Artefacts, chains: Chains) -> Iterator[str]:
    """Yield runs that a view lacks or shows otherwise than the log has them; only for views of the whole log."""
    for view in artefacts.views:
        rows = [json.loads(bytes.fromhex(value)) for family, _, value in view.rows if family == RUNS]
        shown = {row["run"]: (row["status"], row["commit"]) for row in rows}
        for run in sorted(shown.keys() | chains.keys()):
            status = _status(chains, run)
            if shown.get(run) != status:
                yield f"view {view.name} {view.origin} shows run {run} as {shown.get(run)}, the log as {status}"


def _status(chains: Chains, run: str) -> tuple[str, str] | None:
    chain = chains.get(run)
    if chain is None:
        return None
    end = terminal_of(chain)
    if end is not None:
        return STATUS[end["type"]], chain[-1].id
    started = any(event["type"] == "run.started" for event in events_of(chain))
    return "Running" if started else "Created", chain[-1].id
