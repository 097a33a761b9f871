"""Promise 9: what cannot be done is refused, with the reason, before anything is written."""

from collections.abc import Iterator

from tests.checkers.artefacts import Artefacts
from tests.checkers.rule import Chains


def nothing_written(artefacts: Artefacts, chains: Chains) -> Iterator[str]:
    """Yield refused creations whose run is on the log although nobody else asked for it."""
    asked = {request.run for request in artefacts.requests if request.outcome != "failed"}
    for request in artefacts.requests:
        creates = "create" in request.kind.split("+")
        if request.outcome == "failed" and creates and request.run in chains and request.run not in asked:
            yield f"run {request.run}: {request.kind} was refused ({request.error}), but the log has the run"


def reasons(artefacts: Artefacts, chains: Chains) -> Iterator[str]:  # noqa: ARG001 - the signature of all checkers
    """Yield refusals that do not say why."""
    for request in artefacts.requests:
        if request.outcome == "failed" and not (request.error and request.text):
            yield f"run {request.run}: {request.kind} was refused without a reason"
