"""Promise 9: what cannot be done is refused, with the reason, before anything is written."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

from tests.checkers.artefacts import Artefacts
from tests.checkers.commands import field_of
from tests.checkers.rule import Chains, events_of

_ASKED_FOR: Final = {"run.created": "create", "run.started": "start", "run.cancelled": "cancel"}


def nothing_written(artefacts: Artefacts, chains: Chains) -> Iterator[str]:
    """Yield what was done although everybody who asked for it was told that it was refused."""
    if not artefacts.facts.history or artefacts.facts.truncated:
        return
    asked: dict[tuple[str, str], set[str]] = defaultdict(set)
    for request in artefacts.requests:
        several = request.outcome == "failed" and request.kind.startswith("create+")
        for what in request.kind.split("+"):
            # What was created may have been started by somebody else before.
            asked[what, request.run].add("unknown" if several else request.outcome)
    # Others put commands on the log, too; and of two copies of one, the other may be the one that was refused.
    commands = [line for line in artefacts.log if line.topic == "commands"]
    copies = Counter(field_of(line, "id") for line in commands)
    engines = {field_of(line, "id") for line in commands if "ce_source" in line.headers}
    engines = {name for name in engines if copies[name] == 1}
    for run, chain in chains.items():
        for event in events_of(chain):
            done = _ASKED_FOR.get(event["type"])
            if done is None or event.get("command") not in engines:
                continue
            # Who was not told of a new run does not know its id.
            if asked[done, run] | asked[done, ""] <= {"failed"}:
                yield f"run {run}: {done} is on the log, but it was refused, or nobody asked for it"


def reasons(artefacts: Artefacts, chains: Chains) -> Iterator[str]:  # noqa: ARG001 - the signature of all checkers
    """Yield refusals that do not say why."""
    for request in artefacts.requests:
        if request.outcome == "failed" and not (request.error and request.text):
            yield f"run {request.run}: {request.kind} was refused without a reason"
