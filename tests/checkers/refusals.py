"""Promise 9: what cannot be done is refused, with the reason, before anything is written."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from tests.checkers.artefacts import Artefacts
from tests.checkers.commands import field_of
from tests.checkers.rule import Chains, events_of

_ASKED_FOR: Final = {"run.created": "create", "run.started": "start", "run.cancelled": "cancel"}


def nothing_written(artefacts: Artefacts, chains: Chains) -> Iterator[str]:
    """Yield what was done although everybody who asked for it was told that it was refused."""
    if not artefacts.facts.history:
        return
    asked: dict[tuple[str, str], set[str]] = defaultdict(set)
    for request in artefacts.requests:
        several = request.outcome == "failed" and request.kind.startswith("create+")
        for what in request.kind.split("+"):
            # What was created may have been started by somebody else before.
            asked[what, request.run].add("unknown" if several else request.outcome)
    # Others put commands on the log, too.
    engines = {
        field_of(line, "id") for line in artefacts.log if line.topic == "commands" and "ce_source" in line.headers
    }
    for run, chain in chains.items():
        for event in events_of(chain):
            what = _ASKED_FOR.get(event["type"])
            # Who was not told of a new run does not know its id.
            outcomes = set() if what is None else asked[what, run] | asked[what, ""]
            if what is not None and event.get("command") in engines and outcomes <= {"failed"}:
                yield f"run {run}: {what} is on the log, but it was refused, or nobody asked for it"


def reasons(artefacts: Artefacts, chains: Chains) -> Iterator[str]:  # noqa: ARG001 - the signature of all checkers
    """Yield refusals that do not say why."""
    for request in artefacts.requests:
        if request.outcome == "failed" and not (request.error and request.text):
            yield f"run {request.run}: {request.kind} was refused without a reason"
